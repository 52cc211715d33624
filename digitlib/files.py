"""Files that are never seen half-written."""

import os
from contextlib import contextmanager


@contextmanager
def written_whole(path):
    """A name to write to; it takes the place of `path` once the block has ended without error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
