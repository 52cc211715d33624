"""Digits that are not MNIST's: other data sets and files, checked, and brought to MNIST's size."""

import math
import os
import socket
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from digitlib.data import Digits, DownloadError
from digitlib.formats import DataError, read_images, read_npz
from digitlib.reader.form import to_mnist_form
from digitlib.reader.network import load_network

CONVERSIONS = ("transpose", "rescale", "invert", "labels-from-1", "ten-is-zero")
SIDES = 8, 1000  # pixels, at least and at most
N_JUDGED = 500  # images, about, that are read to see whether they stand upright
AT_ONCE = 100  # images, of which floats are made
OPENML_TIMEOUT = 20  # seconds without an answer from OpenML after which it counts as out of reach

USPS_OPENML_ID = 41082  # the training images, then the test images; label 1 is the digit 0
USPS_SHAPE = (2007, 16, 16)
USPS_COUNTS = [359, 264, 198, 166, 200, 160, 170, 147, 166, 177]


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of handwritten digits with their labels, at the size at which they were published.

    images : uint8, shape (n, height, width); 0 is paper, 255 is full ink
    labels : uint8, shape (n,); the digit, 0 to 9
    """

    name: str
    images: np.ndarray
    labels: np.ndarray


def load_test_set(source, *, convert=(), form="mnist"):
    """The images of one source as the test data of `Digits` that have no training data.

    source : "usps", "uci" or a file or folder for `load_images`, which `convert` is for
    form : as for `to_form`
    Raises as `load_usps`, `load_images` and `to_form` do.
    """
    known = {"usps": load_usps, "uci": load_uci}.get(source)
    if known and convert:
        raise ValueError(f"{source} needs no conversion, got {', '.join(convert)}")
    found = known() if known else load_images(source, convert=convert)
    return Digits(
        f"{found.name} ({'; '.join([*convert, f'form {form}'])})",
        x_train=np.empty((0, 28, 28), np.uint8),
        y_train=np.empty(0, np.uint8),
        x_test=to_form(found.images, form),
        y_test=found.labels,
    )


def load_usps():
    """The test set of USPS, digits from envelopes: 2,007 images of 16 x 16 as `ImageSet`.

    Looks for usps_test.npz (x in [-1, 1], y) in the folder that DIGITLIB_DATA names, then asks
    scikit-learn, which fetches it from OpenML once and keeps it.
    Raises DataError where shape, range or digit counts are not those published, and
    DownloadError where there is neither the file nor an answer.
    Source: Hull (1994), "A database for handwritten text recognition research"; counts from
    Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning".
    """
    path = Path(os.environ.get("DIGITLIB_DATA") or "absent", "usps_test.npz")
    if path.exists():
        source, (x, y) = path, read_npz(path, ("x", "y")).values()
    else:
        source, (x, y) = f"OpenML's data set {USPS_OPENML_ID}", _fetch_usps()
    usps = _image_set("USPS test set", source, x, y, ("rescale",))
    found = x.shape, float(x.min()), float(x.max()), np.bincount(usps.labels).tolist()
    expected = USPS_SHAPE, -1, 1, USPS_COUNTS
    if found != expected:
        raise DataError(
            f"{source}: not the USPS test set; its shape, lowest and highest value, and images a "
            f"digit are {found}, expected {expected}"
        )
    return usps


def load_uci():
    """The UCI digits that scikit-learn embeds: 1,797 images of 8 x 8 as `ImageSet`.

    Source: Alpaydin and Kaynak (1998), "Optical recognition of handwritten digits", its test set.
    """
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return _image_set("UCI digits", "scikit-learn", x, y, ("rescale",))


def load_images(path, *, convert=()):
    """The images and labels in a file or folder, checked, as `ImageSet`.

    path : a folder of pictures in folders 0 to 9, or with MNIST's IDX files anywhere below; an
        .npz file of the arrays x and y, or x_test and y_test; Kaggle's train.csv; mnist.pkl.gz;
        or an IDX file …images-idx3-ubyte (.gz), such as EMNIST's, with …labels-idx1-ubyte or
        QMNIST's …labels-idx2-int (.gz) beside it. Expected are images (n, height, width),
        also with a channel axis or as rows of square images, uint8 up to 255 or floats up to 1,
        bright ink on dark paper, and digits 0 to 9, or one-hot rows.
    convert : what the file needs to be that; the errors name it
        transpose: rows and columns swapped, for EMNIST
        rescale: the lowest value taken for paper, the highest for full ink
        invert: ink and paper swapped
        labels-from-1: labels 1 to 10 are the digits 0 to 9
        ten-is-zero: the label 10 is the digit 0
    Raises DataError for a damaged file and for whatever it holds that is not as expected.
    Sources: Cohen et al. (2017), "EMNIST"; Yadav and Bottou (2019), "Cold case: the lost MNIST
    digits".
    """
    path = Path(path)
    if not set(convert) <= set(CONVERSIONS):
        raise ValueError(f"convert={convert!r}: expected some of {', '.join(CONVERSIONS)}")
    if not (path.is_file() or path.is_dir()):
        raise FileNotFoundError(f"{path}: no such file or folder")
    found = _image_set(path.resolve().name, path, *read_images(path), convert)
    _check_upright(path, found, convert)
    return found


def to_form(images, form):
    """Images as a network takes them: uint8, shape (n, 28, 28).

    images : uint8, shape (n, height, width); 0 is paper
    form : "mnist", the longest side of the ink 20 pixels and its centre of mass in the middle;
        "padded", stretched to 20 x 20 amid 28 x 28; "resized", stretched to 28 x 28; "as-is"
        for images that are 28 x 28 already
    Raises ValueError for other images and forms.
    """
    if images.dtype != np.uint8 or images.ndim != 3:
        raise ValueError(
            f"images: expected uint8 of shape (n, height, width), got {images.dtype} of "
            f"{images.shape}"
        )
    if form == "mnist":
        return np.stack([to_mnist_form(image / np.float32(255)) for image in images])
    if form == "padded":
        return np.pad(_resized(images, 20), ((0, 0), (4, 4), (4, 4)))
    if form == "resized":
        return _resized(images, 28)
    if form != "as-is":
        raise ValueError(f"form {form!r}: expected mnist, padded, resized or as-is")
    if images.shape[1:] != (28, 28):
        raise ValueError(f"form 'as-is': expected images of 28 x 28, got {images.shape[1:]}")
    return images


def _resized(images, side):
    bilinear = Image.Resampling.BILINEAR
    return np.stack([Image.fromarray(image).resize((side, side), bilinear) for image in images])


def _fetch_usps():
    from sklearn.datasets import fetch_openml

    timeout_before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(OPENML_TIMEOUT)
    try:
        with warnings.catch_warnings(action="ignore"):  # it warns before each new attempt
            x, y = fetch_openml(
                data_id=USPS_OPENML_ID, as_frame=False, return_X_y=True, n_retries=1
            )
    except Exception as error:  # whatever the network and the parsers raise
        raise DownloadError(
            f"USPS could not be fetched from OpenML ({error}). Put usps_test.npz, with x of shape "
            f"{USPS_SHAPE} in [-1, 1] and y, into a folder and name it in DIGITLIB_DATA."
        ) from error
    finally:
        socket.setdefaulttimeout(timeout_before)
    n = USPS_SHAPE[0]
    return x[-n:].reshape(-1, *USPS_SHAPE[1:]), y[-n:].astype(int) - 1


def _image_set(name, source, images, labels, convert):
    """The `ImageSet` of that name; `source` is what errors name."""
    for step in (_shaped, _as_uint8, _dark_paper):
        images = step(source, images, convert)
    if labels.ndim and len(images) != len(labels):
        raise DataError(f"{source}: {len(images):,} images, but {len(labels):,} labels")
    return ImageSet(name, images, _digits(source, labels, convert))


def _shaped(source, images, convert):
    """The images as (n, height, width), whether stored as rows of pixels or with a channel axis."""
    if images.ndim == 2 and images.size:
        side = math.isqrt(images.shape[1])
        images = images.reshape(-1, side, side) if side**2 == images.shape[1] else images
    if images.ndim == 4:
        images = images.squeeze(tuple(axis for axis in (1, 3) if images.shape[axis] == 1))
    low, high = SIDES
    fits = images.ndim == 3 and len(images) and all(low <= n <= high for n in images.shape[1:])
    if not fits:
        raise DataError(
            f"{source}: images of shape {images.shape}, expected (n, height, width) of at least "
            f"one image and {low} to {high:,} pixels a side"
        )
    return images.transpose(0, 2, 1) if "transpose" in convert else images


def _as_uint8(source, images, convert):
    """The images as uint8, 255 where they have their highest value."""
    if images.dtype.kind not in "buif":
        raise DataError(f"{source}: images of type {images.dtype}, expected numbers")
    low, high = float(images.min()), float(images.max())
    if not 0 < high - low < 1e30:  # nor nan, nor more than float32 holds
        raise DataError(f"{source}: pixels from {low:g} to {high:g}, expected ink and paper")
    if "rescale" in convert:
        return _rescaled(images, low, high)
    full = 255 if images.dtype == np.uint8 else 1
    if low < 0 or not full / 2 < high <= full:
        raise DataError(
            f"{source}: pixels of type {images.dtype} from {low:g} to {high:g}, expected uint8 "
            "from 0 to 255 or floats from 0 to 1; ask for the conversion (--convert) "
            "'rescale' if these two are paper and full ink"
        )
    return images if full == 255 else _rescaled(images, 0, 1)


def _rescaled(images, low, high):
    """The images with low as 0 and high as 255, some at a time, for floats take much memory."""
    rescaled = np.empty(images.shape, np.uint8)
    for i in range(0, len(images), AT_ONCE):
        some = images[i : i + AT_ONCE].astype(np.float32)
        rescaled[i : i + AT_ONCE] = np.round((some - low) / (high - low) * np.float32(255))
    return rescaled


def _dark_paper(source, images, convert):
    if "invert" in convert:
        images = 255 - images
    border = np.ones(images.shape[1:], bool)
    border[1:-1, 1:-1] = False
    n_light = int((images[:, border].mean(axis=1) > 127.5).sum())
    if n_light > 0.1 * len(images):  # bold digits that fill their frame stay far below this
        advice = "leave out" if "invert" in convert else "ask for"
        raise DataError(
            f"{source}: {n_light:,} of {len(images):,} images have a bright border, expected "
            f"bright ink on dark paper; {advice} the conversion (--convert) 'invert'"
        )
    return images


def _check_upright(source, found, convert):
    """DataError where our reader reads far more of the images with rows and columns swapped."""
    some = slice(None, None, max(1, len(found.labels) // N_JUDGED))
    images, labels = found.images[some], found.labels[some]
    stored, swapped = (
        (load_network()(to_form(each, "mnist")).argmax(axis=1) == labels).mean()
        for each in (images, images.transpose(0, 2, 1))
    )
    if swapped - stored > 0.5:
        advice = "leave out" if "transpose" in convert else "ask for"
        raise DataError(
            f"{source}: {stored:.0%} of the images can be read, but {swapped:.0%} with rows and "
            f"columns swapped, as EMNIST stores them; {advice} the conversion (--convert) "
            "'transpose'"
        )


def _digits(source, labels, convert):
    """The labels as uint8, 0 to 9."""
    if _is_one_hot(labels):
        labels = labels.argmax(axis=1)
    if labels.ndim != 1 or labels.dtype.kind not in "uif":
        raise DataError(
            f"{source}: labels of type {labels.dtype} and shape {labels.shape}, expected digits "
            "0 to 9 of shape (n,)"
        )
    if "labels-from-1" in convert:
        labels = labels - np.int64(1)
    if "ten-is-zero" in convert:
        labels = np.where(labels == 10, 0, labels)
    bad = ~np.isin(labels, range(10))
    if bad.any():
        i = bad.argmax()
        hint = ""
        if labels.min() == 1 and labels.max() == 10:
            hint = "; ask for the conversion (--convert) 'labels-from-1' if 1 means 0, else "
            hint += "'ten-is-zero'"
        raise DataError(f"{source}: label {labels[i]} at index {i}, expected digits 0 to 9{hint}")
    return labels.astype(np.uint8)


def _is_one_hot(labels):
    has_ten = labels.ndim == 2 and labels.shape[1] == 10
    return has_ten and np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()
