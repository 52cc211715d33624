"""Pictures by their paths to answers, as the command `predict` gives them."""

import sys

from PIL import Image

from digitlib.reader.ink import FORMATS
from digitlib.reader.reading import read_picture


def answers_to(paths):
    """Yields an answer for every picture: its path with what `read_picture` says, or its error.

    paths : of pictures or folders of pictures; - is a picture on standard input
    """
    for path in paths:
        pictures = _pictures_in(path) if path.is_dir() else [path]
        if not pictures:
            yield {"path": str(path), "error": f"{path}: no picture in this folder"}
        yield from map(_answer, pictures)


def _pictures_in(folder):
    """The files whose names end as those of pictures do; HEIC too, so that its error is seen."""
    ends = {end for end, kind in Image.registered_extensions().items() if kind in FORMATS}
    return sorted(p for p in folder.glob("[!.]*") if p.suffix.lower() in ends | {".heic"})


def _answer(path):
    try:
        source = sys.stdin.buffer.read() if str(path) == "-" else path
        return {"path": str(path), **read_picture(source)}
    except FileNotFoundError:
        return {"path": str(path), "error": f"{path}: no such file"}
    except (ValueError, OSError) as error:
        return {"path": str(path), "error": str(error)}
    except MemoryError:
        return {"path": str(path), "error": f"{path}: takes more memory than is free"}


def as_line(answer):
    """An answer without an error as people read it: path, text, the least confidence, doubt."""
    if not answer["digits"]:
        return f"{answer['path']}  not sure: no digit found"
    read = [digit["confidence"] for digit in answer["digits"] if digit["text"] != "?"]
    lines = " / ".join(answer["text"].splitlines())
    doubt = "" if answer["sure"] else "  not sure"
    return f"{answer['path']}  {lines}  {min(read, default=0):.1%}{doubt}"
