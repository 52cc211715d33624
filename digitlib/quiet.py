"""Imports TensorFlow without the lines that it writes while it starts; import this before Keras."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # is not enough: the first lines ignore it
_stderr = os.dup(2)
try:
    with Path(os.devnull).open("wb") as _nowhere:
        os.dup2(_nowhere.fileno(), 2)
    import tensorflow  # noqa: F401
finally:
    os.dup2(_stderr, 2)
    os.close(_stderr)
