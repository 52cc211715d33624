"""A network's file, which anybody may have made: opened by Keras, or refused with the way out."""

import ctypes
import io
import json
import math
import re
import sys
import textwrap
import threading
import warnings
import zipfile
from concurrent.futures import Future
from contextlib import contextmanager

BATCH = 100  # images at once
MAX_NUMBERS = 10**9  # that a network may hold and compute for a batch: 4 GB if none is freed
MAX_BYTES, MAX_PARTS = 10**9, 10_000  # that may come out of its file
MAX_NAMES, MAX_ATTRIBUTES = 3_000, 10  # of one part of an HDF5 file: of Keras 2, or in a zip
TEXTS, MAX_TEXT = ("config.json", "metadata.json"), 10**7  # bytes; as objects they take 20 times
MAX_SEARCHED = 10_000  # characters of what Keras says, which may repeat all of a file
SECONDS = 60  # in which a network must have been built
SHAPES = ((28, 28, 1), (28, 28), (784,), (1, 28, 28), (28, 28, 3))  # of one image
IMPORTED = ("keras_hub", "keras_cv", "keras_nlp")  # by Keras where a file says so, from anywhere
CODE = re.compile(  # in what Keras says where it does not run what a file asks it to
    r"Could not locate (.*?)\. |Unknown layer: ('.*?')|deserialize (.*?) because it|"
    r"Requested the \w+ of an? `?([\w ]+)"
)


def load_network(path):
    """The network in a file that Keras 3 opens, as its model.

    Raises ValueError for another file, with the cause and the way out where they are known: also
    for one that asks for code that is not Keras's, which is not run, and for one that would hold
    and compute more than MAX_NUMBERS for 100 images, unpacks to more than MAX_BYTES, or takes more
    than SECONDS to build.
    """
    import keras

    try:
        with (
            warnings.catch_warnings(action="ignore"),  # on how the network was written
            _nothing_imported(),
        ):
            _check_unpacked(path)
            _in_thread(_check_size, path)  # where Keras forgets the weights that it would make
            return keras.saving.load_model(path, compile=False)
    except Exception as error:  # whatever Keras, h5py and zipfile raise
        raise ValueError(f"{path}: {_why(path, error)}") from error


@contextmanager
def _nothing_imported():
    """Keras finds no module that a file names, were it only one that lies in this folder."""
    absent = [name for name in IMPORTED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)


def _in_thread(function, *arguments):
    """What a function gives in a thread of its own, which ends with Ctrl+C and after SECONDS."""
    future = Future()

    def work():
        try:
            future.set_result(function(*arguments))
        except BaseException as error:
            future.set_exception(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        return future.result(SECONDS)
    except TimeoutError as error:
        raise TimeoutError(f"it takes more than {SECONDS} seconds to build") from error
    finally:
        if not future.done():
            number, end = ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(number, end)
            thread.join()


def _check_unpacked(path):
    """MemoryError for a zip, or an HDF5 file in it or by itself, that unpacks to too much.

    ValueError for what Keras never writes.
    """
    import h5py

    if h5py.is_hdf5(path):
        with h5py.File(path) as file:
            _check_sum("it", _sizes(file, MAX_NAMES), MAX_BYTES)
            _check_sum("it", _listed_sizes(file), MAX_BYTES)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            members = file.infolist()
            _check_sum("it", (one.file_size for one in members), MAX_BYTES)
            texts = (one.file_size for one in members if one.filename in TEXTS)
            _check_sum("its JSON", texts, MAX_TEXT)
            weights = io.BytesIO(file.read("model.weights.h5"))
        with h5py.File(weights) as file:
            _check_sum("it", _sizes(file, MAX_ATTRIBUTES), MAX_BYTES)


def _check_sum(what, sizes, most):
    total = 0
    for n_parts, size in enumerate(sizes, 1):
        total += size
        if total > most or n_parts > MAX_PARTS:
            raise MemoryError(f"{what} unpacks to more than {most:,} bytes or {MAX_PARTS:,} parts")


def _sizes(part, most_values):
    """The bytes of each data set in a part of an HDF5 file, and 0 for each group.

    Raises ValueError for what Keras never writes: chunks, which may be packed, text, which may
    have any length, and links, which may lead to any file; MemoryError for many attributes.
    """
    import h5py

    values = sum(math.prod(part.attrs.get_id(key).shape) for key in part.attrs)
    if values > most_values:
        raise MemoryError(
            f"{part.name} in it has {values:,} values, expected at most {most_values:,}"
        )
    if isinstance(part, h5py.Group):
        yield 0
        for name in part:
            if not isinstance(part.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{part.name}/{name} in it is a link")
            yield from _sizes(part[name], most_values)
    elif part.chunks or part.dtype.hasobject:
        raise ValueError(f"{part.name} in it is not kept as Keras keeps weights")
    else:
        yield part.nbytes


def _listed_sizes(file):
    """The bytes of the weights that Keras 2 lists by name, each as often as it loads them."""
    for layer in file.get("model_weights", {}).values():
        keys = [key for key in layer.attrs if key.startswith("weight_names")]
        yield from (layer[name].nbytes for key in keys for name in layer.attrs[key])


def _check_size(path):
    """MemoryError for a network that is too large, found by tracing it: nothing is computed.

    Weights that do not fit those in the file end this, too, before they are made.
    """
    import keras
    import tensorflow as tf

    with tf.Graph().as_default() as graph, keras.StatelessScope(initialize_variables=False):
        model = keras.saving.load_model(path, compile=False)
        model(tf.zeros((BATCH, *image_shape(path, model))))
    outputs = (output for step in graph.get_operations() for output in step.outputs)
    n_numbers = sum(output.shape.num_elements() or 0 for output in outputs)
    if n_numbers > MAX_NUMBERS:
        raise MemoryError(
            f"it makes {n_numbers:,} numbers of {BATCH} images, expected at most {MAX_NUMBERS:,}"
        )


def _why(path, error):
    """Why Keras 3 does not open a file, and the way out where it is known."""
    name, text = str(path), str(error).strip()
    reason = textwrap.shorten(text[-MAX_SEARCHED:].rpartition("\n")[2], 200)
    by_tf_keras = (
        f"`pip install tf_keras`, and `tf_keras.models.load_model({name!r}, compile=False)"
        ".save('new.h5')` makes a file that it opens"
    )
    if path.is_dir():
        return "a SavedModel folder, which Keras 3 does not open: " + by_tf_keras
    if isinstance(error, MemoryError | TimeoutError):
        return f"{reason or 'too large for the memory'}, so that it is not opened"
    kind, version, has_network = _saved_by(path)
    if kind == "TFLite":
        return (
            "a TensorFlow Lite file, which no Keras opens: evaluate the network that it was made "
            "from, saved by `model.save('new.keras')`"
        )
    if code := CODE.search(text[:MAX_SEARCHED]):
        return (
            f"it asks for code that is not Keras's ({next(filter(None, code.groups()))[:100]}), "
            "and none of it was run; if you trust who made it: in Python, `model = keras.saving."
            f"load_model({name!r}, custom_objects=..., compile=False, safe_mode=False)`, then "
            "`predict, how = digitlib.networks.open_network(model)`"
        )
    if "could not be loaded" in text:
        return "its weights are not those of its layers: save it again by `model.save`"
    if kind == "HDF5" and not has_network:
        return (
            "weights without their network: build it in Python as it was when they were saved, "
            f"then `model.load_weights({name!r})` and `model.save('new.keras')`"
        )
    if kind == "HDF5" and version < "3":
        return f"an HDF5 file of Keras {version} that Keras 3 does not open: " + by_tf_keras
    if kind == "HDF5" and path.suffix not in (".h5", ".hdf5"):
        return "an HDF5 file, which Keras opens by a name that ends in .h5: copy it to such a name"
    if kind == "zip" and version < "3":
        return (
            f"saved by Keras {version} in a form that Keras 3 does not open: where it was saved, "
            f"or on that kind of system, after `pip install tensorflow=={version}`, `keras.models."
            f"load_model({name!r}, compile=False).save('new.h5')` makes a file that it opens"
        )
    return f"not a Keras network that Keras 3 opens ({reason})"


def _saved_by(path):
    """A file's kind, the version of Keras that saved it, and whether it holds a network."""
    import h5py

    with path.open("rb") as file:
        if file.read(8)[4:] == b"TFL3":
            return "TFLite", "", True
    try:
        if h5py.is_hdf5(path):
            with h5py.File(path) as file:
                version, has_network = (
                    file.attrs.get("keras_version", "2"),
                    "model_config" in file.attrs,
                )
            kind = "HDF5"
        else:
            with zipfile.ZipFile(path) as file:
                version = json.loads(file.read("metadata.json"))["keras_version"]
            kind, has_network = "zip", True
        return kind, re.fullmatch(r"[\w.+-]{1,20}", version)[0], has_network
    except Exception:  # a damaged file says none of this
        return None, "", True


def image_shape(path, model):
    """The shape in which the network takes one image, of those in SHAPES."""
    wanted = getattr(model, "input_shape", ())
    for shape in SHAPES:
        sides = zip(wanted[1:], shape, strict=True) if len(wanted) == len(shape) + 1 else [(0, 1)]
        if all(side in (None, given) for side, given in sides):
            return shape
    raise ValueError(f"{path}: it takes inputs of shape {wanted}, expected images of 28 x 28")
