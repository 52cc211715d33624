"""Files that are never seen half-written."""

import uuid
from contextlib import contextmanager


@contextmanager
def written_whole(path):
    """A name to write to; it takes the place of `path` once the block has ended without error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{uuid.uuid4().hex}.{path.name}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
