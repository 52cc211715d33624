"""Arrays out of files that anybody may have made: read as they are, or refused with a reason."""

import gzip
import io
import math
import pickle
import pickletools
import warnings
import zipfile
import zlib
from functools import partial
from itertools import chain, islice
from pathlib import Path
from textwrap import shorten

import numpy as np
from PIL import Image

from digitlib.reader.ink import FORMATS

MAX_BYTES = 600_000_000  # that a file may unpack to; EMNIST's largest has 547 million
MAX_STEPS = 1_000  # of a pickle; six arrays take some hundred
NUMBERS = [f"{kind}{size}" for kind in "iuf" for size in (1, 2, 4, 8)]  # as pickles name types

IDX_FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
IDX_TYPES = {b"\0\0\x08": np.dtype(np.uint8), b"\0\0\x0c": np.dtype(">i4")}  # by first bytes
KINDS = (
    "a folder of pictures in folders 0 to 9, an .npz file, Kaggle's .csv, a .pkl.gz, or an IDX "
    "file named …images-idx3-ubyte (.gz)"
)


class DataError(ValueError):
    """A data file is damaged, altered, of another kind, or missing where it was asked for."""


def read_images(path):
    """The images and the labels in a file or folder as they are stored; DataError for others."""
    if path.is_dir():
        return _read_folder(path)
    if path.suffix == ".npz":
        return _read_npz(path)
    if path.suffix == ".csv":
        return _read_csv(path)
    if path.name.endswith(".pkl.gz"):
        arrays = read_pickle(unpacked(path), path)
        return arrays["x_test"], arrays["y_test"]
    if "images" in path.name and "idx3-ubyte" in path.name:
        return read_idx(path), _read_idx_labels(path)
    raise DataError(
        f"{path}: expected {KINDS}; in Python, two lines make one of any arrays: "
        "`import numpy as np` and `np.savez('digits.npz', x=images, y=labels)`"
    )


def _read_folder(folder):
    """Pictures in folders named 0 to 9, or else the test images among MNIST's IDX files."""
    pictures = [
        path
        for path in sorted(folder.rglob("[0-9]/[!.]*"))
        if path.suffix.lower() in Image.registered_extensions()
    ]
    sets = sorted({str(path.parents[1]) for path in pictures})
    if len(sets) > 1:
        raise DataError(f"{folder}: holds {len(sets)} sets; name one of {', '.join(sets)}")
    if pictures:
        return _stacked(folder, pictures), np.array([int(path.parent.name) for path in pictures])
    x, y = (find_idx(folder, IDX_FILES[part]) for part in ("x_test", "y_test"))
    if not (x and y):
        raise DataError(f"{folder}: expected {KINDS}, and this folder is and holds none of these")
    return read_idx(x), read_idx(y)


def _stacked(folder, paths):
    """The pictures at these paths as one array, once their sizes are known to be one and small."""
    sizes = sorted({_opened(path, lambda image: image.size[::-1]) for path in paths})
    if len(sizes) > 1:
        raise DataError(
            f"{folder}: pictures of {len(sizes)} sizes, from {sizes[0]} to {sizes[-1]} pixels, "
            "expected one; in Python, `from PIL import Image` and, for each path, "
            "`Image.open(path).convert('L').resize((28, 28)).save(path)` make them one"
        )
    if len(paths) * math.prod(sizes[0]) > MAX_BYTES:
        raise DataError(
            f"{folder}: {len(paths):,} pictures of {sizes[0]} pixels, expected less than "
            f"{MAX_BYTES:,} in all"
        )
    return np.stack([_opened(path, lambda image: np.asarray(image.convert("L"))) for path in paths])


def _opened(path, use):
    """What `use` gives for the picture at a path; DataError where it is none or damaged."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=FORMATS) as image:
            return use(image)
    except Exception as error:  # decoders raise whatever they like
        raise DataError(f"{path}: expected a picture, {', '.join(FORMATS)} ({error})") from error


def _read_npz(path):
    try:
        return read_npz(path, ("x_test", "y_test")).values()
    except DataError:
        return read_npz(path, ("x", "y")).values()


def _read_csv(path):
    """Kaggle's table: label, pixel0, ..., pixel783, with that line at its head or without."""
    with path.open(encoding="utf-8", errors="replace") as file:
        lines = iter(partial(file.readline, 10_000), "")  # longer ones are none of this table
        first = next(lines, "")
        start = [] if first.lower().startswith("label") else [first]
        try:
            table = np.loadtxt(chain(start, lines), np.uint8, delimiter=",", ndmin=2)
            if table.shape[1] != 785:
                raise ValueError(f"there are {table.shape[1]} columns")
        except ValueError as error:
            raise DataError(
                f"{path}: expected on each line a label and 784 pixels from 0 to 255, separated "
                f"by commas, as in Kaggle's train.csv, but {shorten(str(error), 200)}"
            ) from error
    return table[:, 1:].reshape(-1, 28, 28), table[:, 0]


def _read_idx_labels(path):
    name = path.name.removesuffix(".gz").replace("images", "labels")
    names = [name.replace("idx3-ubyte", kind) for kind in ("idx1-ubyte", "idx2-int")]
    names = [name + ending for name in names for ending in ("", ".gz")]
    beside = [path.with_name(name) for name in names]
    beside += [path.parent.with_name(name) / name for name in names]  # Kaggle's nested folders
    found = [path for path in beside if path.is_file()]
    if not found:
        raise DataError(f"{path}: expected its labels beside it, as {' or '.join(names)}")
    labels = read_idx(found[0])
    is_qmnist = labels.ndim == 2 and labels.shape[1] == 8  # the digit, then who wrote it and where
    return labels[:, 0] if is_qmnist else labels


def read_idx(path):
    """The array in an IDX file of bytes (uint8) or integers (int32), plain or gzip (.gz).

    Raises DataError for a file that is damaged or holds something else.
    Format: http://yann.lecun.com/exdb/mnist/
    """
    path = Path(path)
    content = unpacked(path)
    kind = IDX_TYPES.get(content[:3])
    n_sides = min(content[3:4], default=9)
    if kind is None or n_sides > 3 or len(content) < 4 + 4 * n_sides:
        raise DataError(
            f"{path}: expected the header of an IDX file of bytes or integers, got {content[:4]!r}"
        )
    start = 4 + 4 * n_sides
    shape = np.frombuffer(content[4:start], ">u4").tolist()
    if len(content) - start != math.prod(shape) * kind.itemsize or 0 in shape:
        raise DataError(
            f"{path}: its header announces {tuple(shape)}, but {len(content) - start:,} bytes "
            "follow; fetch it again"
        )
    return np.frombuffer(content, kind, offset=start).reshape(shape)


def unpacked(path):
    """The bytes of a file, out of gzip (.gz); DataError where they are more than MAX_BYTES."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not a whole gzip file ({error}); fetch it again") from error
    if len(content) > MAX_BYTES:
        raise DataError(f"{path}: unpacks to more than {MAX_BYTES:,} bytes; make several files")
    return content


def read_npz(path, names):
    """The arrays of those names in an .npz file, as a dict.

    Raises DataError for a file that is damaged, lacks one of them, holds something else, or
    unpacks to more than MAX_BYTES.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [archive.getinfo(f"{name}.npy") for name in names]
            if (size := sum(member.file_size for member in members)) > MAX_BYTES:
                raise ValueError(f"they have {size:,} bytes, expected at most {MAX_BYTES:,}")
            arrays = [np.lib.format.read_array(archive.open(member)) for member in members]
        return dict(zip(names, arrays, strict=True))
    except Exception as error:  # numpy and zipfile raise whatever they like on damaged files
        raise DataError(
            f"{path}: expected a zip of the arrays {', '.join(names)}, but it cannot be read "
            f"as one ({error!s:.200}); replace or delete it"
        ) from error


def find_idx(folder, name):
    """The IDX file of that name in a folder, torchvision's MNIST/raw or any below, or None.

    Some write the name with a dot before "idx"; it may be gzip (.gz).
    """
    pattern = name.replace("-idx", "[-.]idx")
    for place in ("", "MNIST/raw/", "**/MNIST/raw/", "**/"):
        for ending in ("", ".gz"):
            files = [path for path in folder.glob(place + pattern + ending) if path.is_file()]
            if files:
                return min(files)
    return None


class _Array:
    """Stands for a pickled array, so that a pickle calls nothing of NumPy's or anyone's."""

    def __init__(self, *_):
        """What `numpy.ndarray` is given before it has a state."""

    def __setstate__(self, state):
        _, shape, kind, is_fortran, content = state
        values = np.frombuffer(content, kind.dtype)
        self.values = values.reshape(shape, order="F" if is_fortran else "C")


class _Kind:
    """Stands for the dtype of a pickled array of numbers."""

    def __init__(self, name, *_):
        name = _text(name)
        if name not in NUMBERS:
            raise DataError("expected arrays of numbers")
        self.dtype = np.dtype(name)

    def __setstate__(self, state):
        self.dtype = self.dtype.newbyteorder(_text(state[1]))


def _text(content):
    return content.decode() if isinstance(content, bytes) else content  # of Python 2


class _ArraysOnly(pickle._Unpickler):  # Pickle's C code takes gigabytes for a number in a file
    def find_class(self, module, name):
        known = {"_reconstruct": _Array, "ndarray": _Array, "dtype": _Kind}
        if module.partition(".")[0] != "numpy" or name not in known:
            raise DataError(f"expected arrays alone, got {module}.{name}")
        return known[name]


def read_pickle(content, source):
    """The four arrays, by part, in an unpacked mnist.pkl.gz, in which pixels are k / 256.

    source : what errors name
    Raises DataError for what is damaged or holds anything but such arrays.
    """
    try:
        if any(islice(pickletools.genops(content), MAX_STEPS, None)):
            raise DataError(f"it takes more than {MAX_STEPS:,} steps")
        parts = _ArraysOnly(io.BytesIO(content), encoding="bytes").load()
        (x, y), (x_more, y_more), (x_test, y_test) = (
            (images.values, labels.values) for images, labels in parts
        )
        n = sum(array.size for array in (x, x_more, x_test, y, y_more, y_test))
        if 8 * n > MAX_BYTES:  # they are joined, and one of them may be float64
            raise DataError(f"its arrays have {n:,} numbers, expected at most {MAX_BYTES // 8:,}")
        images = (256 * np.concatenate([x, x_more, x_test])).astype(np.uint8).reshape(-1, 28, 28)
        labels = np.concatenate([y, y_more, y_test]).astype(np.uint8)
        (x_train, x_test), (y_train, y_test) = (
            np.split(array, [-len(y_test)]) for array in (images, labels)
        )
    except Exception as error:  # pickle and numpy raise whatever they like
        raise DataError(f"{source}: not a mnist.pkl.gz ({error!s:.200})") from error
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
