"""Files that are damaged, lie or mean harm: read as they are, or refused with a sentence.

Whatever a file holds, nothing in it runs, nothing is written, and memory stays bounded.
"""

import gzip
import io
import json
import shutil
import sys
import threading
import time
import warnings
import zipfile

import h5py
import hostile
import keras
import numpy as np
import psutil
import pytest
from hostile import changed, gz_bomb, gzipped, idx, mutated, nielsen, npy, npy_of, zipped
from how_often import times
from keras import layers
from PIL import Image
from tiny import few_digits

from digitlib import archive, networks, opening
from digitlib.data import load_mnist
from digitlib.datasets import load_images
from digitlib.formats import IDX_FILES
from digitlib.naming import file_name
from digitlib.networks import FORMS, open_network
from digitlib.training import _sums, keep_run

GIGABYTE = 2**30
MOST_MEMORY = 4  # gigabytes more than before, where a file may unpack to one
MOST_SECONDS = 60  # of processor time


@pytest.fixture(scope="module")
def digits():
    """Twenty real digits and their labels."""
    few = few_digits()
    return few.x_test[:20], few.y_test[:20]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder, in which nothing may appear but what a test puts under `in/`."""
    monkeypatch.setattr(networks, "FORMS", dict(list(FORMS.items())[:1]))  # one is quicker
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "USERPROFILE", "KERAS_HOME", "TMPDIR", "DIGITLIB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "away"))
    monkeypatch.setenv("DIGITLIB_DATASET", "mnist")
    (tmp_path / "away").mkdir()
    return tmp_path


def try_all(kind, place, inputs, read, record):
    """Read every input, each a function that writes into a folder and gives the path to read."""
    folder, seen, problems = place / "in", set(), []
    counts = {"read": 0, "refused": 0}
    before = _peak_memory()
    for i, write in enumerate(inputs):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        path = write(folder)
        files = _all_below(place)
        seen.add(_content(folder))
        started = time.process_time()
        try:
            with warnings.catch_warnings(action="ignore"):
                read(path)
            counts["read"] += 1
        except Exception as error:
            counts["refused"] += 1
            text = str(error).replace(str(folder), "FOLDER")
            is_sentence = "FOLDER" in text and 30 < len(text) < 1000 and "\n" not in text
            if not (isinstance(error, ValueError | OSError) and is_sentence):
                problems.append((i, type(error).__name__, text))
        if (seconds := time.process_time() - started) > MOST_SECONDS:
            problems.append((i, "took", seconds))
        if _all_below(place) != files:
            problems.append((i, "wrote", _all_below(place)))
    grown = (_peak_memory() - before) / GIGABYTE
    record("hostile", f"{kind}: {len(seen)} distinct inputs, {counts}, {grown:.1f} GB")
    print(f"\n{kind}: {len(seen)} distinct inputs, {counts}, memory grew by {grown:.1f} GB")
    assert problems == []
    assert grown < MOST_MEMORY
    return counts


def _peak_memory():
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin"
                                                                 else 1024)  # fmt: skip


def _all_below(folder):
    return sorted(str(path) for path in folder.rglob("*"))


def _content(folder):
    paths = sorted(folder.rglob("*"))
    regular = [path for path in paths if path.is_file() and not path.is_symlink()]
    return hash((*paths, *(path.read_bytes() for path in regular)))


def as_file(name, content):
    """Writes one file."""

    def write(folder):
        (folder / name).write_bytes(content)
        return folder / name

    return write


def npz_inputs(digits, mark, n):
    x, y = digits
    rng = np.random.default_rng(1)
    whole, good = zipped({"x.npy": npy_of(x), "y.npy": npy_of(y)}), npy_of(y)
    shapes = [(), (0,), (0, 28, 28), (2**40, 0), (2**62, 2), (10**10, 28, 28), (1,) * 32, (20, 0)]
    shapes += [(20, 9), (20, 784, 1, 1), (1, 10**4, 10**4), (20, 28, 28, 28), (-1, 28), ("a",)]
    types = ["|O", "<U9", "|S0", "<f2", "<f16", "<c8", "<M8[s]", "|V8", "|b1", ">i2", "nothing", 7]
    types += [[("a", "<i4")], "<U1000000"]
    strange = [
        np.full((20, 28, 28), value) for value in (np.nan, np.inf, -np.inf, 1e300, -5, 2**63)
    ]
    strange += [x.astype(object), x.astype(str), np.array([hostile.Harm(mark)])]
    arrays = [npy(shape) for shape in shapes] + [npy((20, 28, 28), kind) for kind in types]
    arrays += [npy_of(array) for array in strange] + [
        b"",
        b"text",
        b"\x93NUMPY\x09\x00",
        npy(())[:9],
    ]
    for array in arrays:
        yield as_file("a.npz", zipped({"x.npy": array, "y.npy": good}))
        yield as_file("a.npz", zipped({"x.npy": npy_of(x), "y.npy": array}))
    yield as_file("a.npz", zipped({"x.npy": 600, "y.npy": good}))  # megabytes of zeros
    yield as_file("a.npz", zipped({"../x.npy": npy_of(x), "/y.npy": good}))
    yield as_file("a.npz", b"")
    yield as_file("a.npz", hostile.pickle.dumps(hostile.Harm(mark)))
    for _ in range(n):
        yield as_file("a.npz", mutated(rng, whole))
        inner = [npy_of(x), good]
        which = rng.integers(2)
        inner[which] = mutated(rng, inner[which])
        yield as_file("a.npz", zipped(dict(zip(("x.npy", "y.npy"), inner, strict=True))))


def idx_inputs(digits, mark, n):
    x, y = digits
    rng = np.random.default_rng(2)
    images, labels = idx(x.shape, content=x.tobytes()), idx(y.shape, content=y.tobytes())

    def pair(images, labels, ending=""):
        def write(folder):
            (folder / f"a-labels-idx1-ubyte{ending}").write_bytes(labels)
            return as_file(f"a-images-idx3-ubyte{ending}", images)(folder)

        return write

    lies = [idx(shape) for shape in ((), (0,), (2**32 - 1, 28, 28), (0,) * 255, (2**32 - 1, 0, 9))]
    lies += [idx((20, 28, 28), code, x.tobytes()) for code in (0, 9, 11, 12, 13, 14, 255)]
    lies += [b"", b"\0", b"\0\0\x08", b"\0\0\x08\3", b"\0\0\x08\xff" + bytes(100)]
    for lie in lies:
        yield pair(lie, labels)
        yield pair(images, lie)
        yield pair(*gzipped([lie, labels]), ".gz")
    yield pair(gz_bomb(idx((10**7, 28, 28))), gzip.compress(labels), ".gz")
    yield pair(gzip.compress(images), gz_bomb(idx((2**32 - 1,))), ".gz")
    for _ in range(n):
        yield pair(mutated(rng, images), labels)
        yield pair(images, mutated(rng, labels))
        yield pair(mutated(rng, gzip.compress(images)), gzip.compress(labels), ".gz")


def pickle_inputs(digits, mark, n):
    rng = np.random.default_rng(3)
    whole = nielsen(*digits)
    head = rng.integers(200, size=n)
    for content in gzipped(hostile.pickles(mark)):
        yield as_file("mnist.pkl.gz", content)
    yield as_file("mnist.pkl.gz", gz_bomb(b"\x80\x03X"))
    yield as_file("mnist.pkl.gz", gzip.compress(whole))
    for place in head:
        yield as_file("mnist.pkl.gz", *gzipped([mutated(rng, whole)]))
        yield as_file("mnist.pkl.gz", *gzipped([whole[:place] + rng.bytes(1) + whole[place + 1 :]]))


def csv_inputs(digits, mark, n):
    rng = np.random.default_rng(4)
    rows = np.column_stack([digits[1], digits[0].reshape(20, 784)]).tolist()
    whole = "\n".join(",".join(map(str, row)) for row in rows).encode()
    lines = [b"", b"label", b"label\n", b"\n" * 1000, b"1,2,3", b"," * 784, b"\xff\xfe" + whole]
    lines += [b"0," * 50_000_000, whole + b"\n" + b"0," * 50_000_000, b"9" * 10**7, b"\0" * 10**6]
    lines += [whole.replace(b",", b";"), whole.replace(b"0", b"-1"), whole.replace(b"0", b"256")]
    lines += [whole.replace(b"0", b"nan"), whole.replace(b"\n", b"\r"), b'"' + whole, b"#" + whole]
    for content in lines:
        yield as_file("train.csv", content)
    for _ in range(n):
        yield as_file("train.csv", mutated(rng, whole))


def folder_inputs(digits, mark, n):
    rng = np.random.default_rng(5)
    pictures = {kind: _picture(digits[0][0], kind) for kind in ("png", "jpeg", "bmp", "gif")}
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n(" + str(mark).encode()
    odd = [b"", b"text", eps + b") (w) file closefile\n%%EOF", b"\x89PNG\r\n\x1a\n" + bytes(99)]
    odd += [_picture(np.zeros((20_000, 20_000), np.uint8), "png"), _picture(digits[0][0], "ico")]
    odd += [_picture(np.zeros((4000, 4000), np.uint8), "png"), pictures["png"] * 2]

    def folders(change):
        def write(folder):
            for label, image in zip(digits[1], digits[0], strict=True):
                (folder / str(label)).mkdir(exist_ok=True)
                Image.fromarray(image).save(folder / str(label) / "a.png")
            change(folder)
            return folder

        return write

    for content in odd:
        yield folders(lambda folder, content=content: (folder / "3/b.png").write_bytes(content))
    yield folders(lambda folder: [(folder / "3/b.png").mkdir(), (folder / "3/b.png/c.png").touch()])
    if sys.platform != "win32":
        yield folders(lambda folder: (folder / "3/4").symlink_to(folder))
        yield folders(lambda folder: (folder / "3/b.png").symlink_to(folder / "3/b.png"))
        yield folders(lambda folder: (folder / "3/b.png").symlink_to("/dev/zero"))
        yield folders(lambda folder: (folder / "loop").symlink_to(folder))
    for _ in range(n):
        content = mutated(rng, pictures[rng.choice(list(pictures))])
        yield folders(lambda folder, content=content: (folder / "5/b.png").write_bytes(content))


def _picture(image, kind):
    content = io.BytesIO()
    Image.fromarray(image).save(content, kind)
    return content.getvalue()


@pytest.mark.parametrize(
    ("kind", "inputs", "n"),
    [
        ("npz", npz_inputs, times(4, 60)),
        ("IDX", idx_inputs, times(3, 50)),
        ("mnist.pkl.gz", pickle_inputs, times(4, 50)),
        ("csv", csv_inputs, times(4, 60)),
        ("folders by class", folder_inputs, times(4, 50)),
    ],
)
def test_data_files(kind, inputs, n, digits, place, record_property):
    mark = place / "mark"
    counts = try_all(kind, place, inputs(digits, mark, n), load_images, record_property)
    assert counts["refused"] and not mark.exists()


def test_folders_of_mnist(digits, place, monkeypatch, record_property):
    """What DIGITLIB_DATA names is MNIST to the byte or is refused."""
    x, y = digits
    rng = np.random.default_rng(6)
    arrays = {name: npy_of(y if name.startswith("y") else x) for name in IDX_FILES}
    members = {f"{name}.npy": array for name, array in arrays.items()}

    def inputs():
        for shape in ((), (2**40, 0), (2**62, 2), (1,) * 32, (60_000, 28, 28)):
            yield as_file("mnist.npz", zipped(members | {"x_train.npy": npy(shape)}))
        for content in gzipped(hostile.pickles(place / "mark")):
            yield as_file("mnist.pkl.gz", content)
        for _ in range(times(2, 20)):
            yield as_file("mnist.npz", mutated(rng, zipped(members)))
            yield as_file("train-images-idx3-ubyte", mutated(rng, idx(x.shape, 8, x.tobytes())))

    def read(path):
        monkeypatch.setenv("DIGITLIB_DATA", str(path.parent))
        load_mnist()

    counts = try_all("MNIST folders", place, inputs(), read, record_property)
    assert not counts["read"] and not (place / "mark").exists()


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The members of a small network's file, by name, and the same network as HDF5."""
    folder = tmp_path_factory.mktemp("network")
    inner = [layers.Conv2D(2, 5, 4), layers.BatchNormalization(), layers.Flatten()]
    model = keras.Sequential([keras.Input((28, 28, 1)), *inner, layers.Dense(10, "softmax")])
    for name in ("a.keras", "a.h5"):
        model.save(folder / name)
    with zipfile.ZipFile(folder / "a.keras") as file:
        members = {name: file.read(name) for name in file.namelist()}
    return members, (folder / "a.h5").read_bytes()


def with_layer(tree, /, **fields):
    """The network's JSON with one layer more."""
    tree = json.loads(json.dumps(tree))
    tree["config"]["layers"].insert(1, {"registered_name": None} | fields)
    return tree


def code_in_config(config, mark):
    """Layers that would run, read or fetch something."""
    touch = f"touch {mark}"
    named = [("os", "system", {"command": touch}), ("builtins", "exec", {}), (None, "Own", {})]
    named += [("subprocess", "Popen", {"args": touch, "shell": True}), ("own_module", "Own", {})]
    named += [("keras.utils", "get_file", {"fname": str(mark), "origin": "file:///etc/hosts"})]
    named += [("keras.src.utils.file_utils", "get_file", {"fname": str(mark), "origin": "x"})]
    named += [("keras.layers", "TFSMLayer", {"filepath": str(mark)}), ("antigravity", "Own", {})]
    named += [("keras.layers", "StringLookup", {"vocabulary": "/etc/hosts", "name": "a"})]
    function = {"class_name": "__lambda__", "config": {"value": ["4wAAAAA=", None, None]}}
    named += [("keras.layers", "Lambda", {"name": "a", "function": function})]
    for module, name, fields in named:
        yield with_layer(config, module=module, class_name=name, config=fields)
    for module, name in (("os", "system"), ("builtins", "eval"), ("keras.utils", "get_file")):
        changed = json.loads(json.dumps(config))
        activation = {"module": module, "class_name": "function", "config": name}
        changed["config"]["layers"][-1]["config"]["activation"] = activation
        yield changed


def large(config):
    """Networks of a kilobyte that ask for terabytes."""
    for name, fields in [
        ("Dense", {"units": 10**9}),
        ("UpSampling2D", {"size": [30_000, 30_000]}),
        ("ZeroPadding2D", {"padding": 10**6}),
        ("RepeatVector", {"n": 10**9}),
        ("Conv2D", {"filters": 10**8, "kernel_size": 20}),
        ("Embedding", {"input_dim": 10**10, "output_dim": 10**3}),
    ]:
        fields = {"name": "a", **fields}
        yield with_layer(config, module="keras.layers", class_name=name, config=fields)


def test_networks(network, place, monkeypatch, record_property):
    members, hdf5 = network
    config = json.loads(members["config.json"])
    rng = np.random.default_rng(7)
    mark = place / "mark"

    def keras_file(**changes):
        other = {{"config": "config.json", "weights": "model.weights.h5"}.get(k, k): v
                 for k, v in changes.items()}  # fmt: skip
        return as_file("a.keras", zipped(members | other))

    def inputs():
        for tree in [*code_in_config(config, mark), *large(config)]:
            yield keras_file(config=json.dumps(tree).encode())
        yield keras_file(**{"../../mark": b"x", str(mark): b"x", "assets/../../mark": b"x"})
        yield keras_file(config=b"[" * 10**6)
        yield keras_file(config=1100)  # megabytes of zeros
        yield keras_file(weights=1100)
        yield keras_file(weights=_zeros_in_hdf5())
        yield keras_file(weights=_linked_hdf5(place))
        yield keras_file(weights=_without_length())
        yield keras_file(config=b"[" + b"[]," * 20_000_000 + b"[]]")
        yield keras_file(config=json.dumps(_long_name(config)).encode())
        yield keras_file(weights=_packed(members["model.weights.h5"]))
        yield as_file("a.h5", _named(hdf5, 4_000))
        yield as_file("a.h5", _nested_hdf5(20_000))
        yield as_file("a.h5", _listed(hdf5, 25))
        yield as_file("a.h5", _listed(hdf5, 25) + zipped(members))
        yield as_file("a.keras", hostile.pickle.dumps(hostile.Harm(mark)))
        yield as_file("a.h5", hostile.pickle.dumps(hostile.Harm(mark)))
        for name in ("a.keras", "a.h5"):
            yield as_file(name, b"")
            yield as_file(name, b"no network")
        for _ in range(times(2, 45)):
            yield keras_file(config=json.dumps(changed(rng, config)).encode())
            yield keras_file(config=mutated(rng, members["config.json"]))
            yield keras_file(weights=mutated(rng, members["model.weights.h5"]))
            yield as_file("a.keras", mutated(rng, zipped(members)))
            yield as_file("a.h5", mutated(rng, hdf5))

    counts = try_all("networks", place, inputs(), open_network, record_property)
    assert counts["refused"] and not mark.exists()


def _zeros_in_hdf5():
    """Gigabytes that no chunk of the file holds."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        shape = (10**5, 10**4)
        file.create_dataset("layers/dense/vars/0", shape, "f4", chunks=(1000, 1000))
    return content.getvalue()


def _without_length():
    """Gigabytes of text, of which the file holds one line."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        text = {"dtype": h5py.string_dtype(), "fillvalue": "x" * 10_000}
        file.create_dataset("layers/dense/vars/0", (200_000,), **text)
    return content.getvalue()


def _packed(weights):
    """Ten biases, in a chunk of four gigabytes."""
    content = io.BytesIO(weights)
    with h5py.File(content, "r+") as file:
        del file["layers/dense/vars/1"]
        chunk = {"chunks": (10**9,), "maxshape": (None,), "compression": "gzip"}
        biases = file.create_dataset("layers/dense/vars/1", (10,), "f4", **chunk)
        biases.id.write_direct_chunk((0,), gz_bomb(megabytes=4_000, wbits=15))
    return content.getvalue()


def _named(hdf5, n):
    """A megabyte of text, which is n names of weights."""
    content = io.BytesIO(hdf5)
    with h5py.File(content, "r+") as file:
        file["model_weights"].attrs["weight_names"] = ["x" * 250] * n
    return content.getvalue()


def _nested_hdf5(depth):
    content = io.BytesIO()
    with h5py.File(content, "w") as group:
        for _ in range(depth):
            group = group.create_group("a")
    return content.getvalue()


def _listed(hdf5, n):
    """200 MB of zeros, named n times among the weights of a layer."""
    content = io.BytesIO(hdf5)
    with h5py.File(content, "r+") as file:
        (layer,) = (one for name, one in file["model_weights"].items() if "dense" in name)
        layer.create_dataset("large", (50_000_000,), "f4")
        layer.attrs["weight_names"] = ["large"] * n
    return content.getvalue()


def _long_name(config):
    """A layer that is refused with a sentence that repeats its name, a megabyte of one word."""
    fields = {"name": "deserialize " * 80_000, "kernel_size": 5, "filters": -1}
    return with_layer(config, module="keras.layers", class_name="Conv2D", config=fields)


def _linked_hdf5(place):
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file["layers/dense/vars"] = h5py.ExternalLink(str(place / "other.h5"), "/a")
        file["layers/conv2d"] = h5py.SoftLink("/layers")
    return content.getvalue()


@pytest.mark.parametrize("name", ["keras_hub", "keras_cv", "keras_nlp"])
def test_a_module_that_lies_beside_a_network_is_not_run(network, place, monkeypatch, name):
    members, _ = network
    (place / f"{name}.py").write_text(f"open({str(place / 'mark')!r}, 'w')", encoding="utf-8")
    monkeypatch.syspath_prepend(place)
    config = with_layer(json.loads(members["config.json"]), module=name, class_name="A", config={})
    asks = members | {"config.json": json.dumps(config).encode()}
    (place / "a.keras").write_bytes(zipped(asks))
    with pytest.raises(ValueError, match=r"code that is not Keras's .*none of it was run"):
        open_network(place / "a.keras")
    assert not (place / "mark").exists()


def test_a_network_that_takes_long_to_build_is_given_up(network, place, monkeypatch):
    members, _ = network
    config = json.loads(members["config.json"])
    relu = {"module": "keras.layers", "class_name": "Activation", "registered_name": None}
    config["config"]["layers"][1:1] = [relu | {"config": {"activation": "relu"}}] * 3000
    (place / "a.keras").write_bytes(zipped(members | {"config.json": json.dumps(config).encode()}))
    monkeypatch.setattr(opening, "SECONDS", 1)
    n_threads = threading.active_count()
    with pytest.raises(ValueError, match="more than 1 seconds to build, so that it is not opened"):
        open_network(place / "a.keras")
    assert threading.active_count() <= n_threads


@pytest.mark.parametrize("name", ["a.keras", "a.h5"])
def test_code_is_refused_with_the_way_for_who_trusts_it(name, place, sample):
    inner = layers.Lambda(lambda x: 2 * x), layers.Flatten(), layers.Dense(10)
    keras.Sequential([keras.Input((28, 28, 1)), *inner]).save(place / name)
    with pytest.raises(ValueError, match=r"code that is not Keras's \(Lambda\).*safe_mode=False"):
        open_network(place / name)
    model = keras.saving.load_model(place / name, compile=False, safe_mode=False)
    predict, _ = open_network(model)
    assert predict(sample.x_test[:3]).shape == (3, 10)


def test_archive(place, monkeypatch, record_property):
    """Entries with anything in them, also under right hashes, are named in a warning and left."""
    parts = {"data": "few", "epochs": 2}
    run_name = file_name("tiny", 0, [parts])
    about = {"name": run_name, "recipe": "tiny", "seed": 0, "processor": "any"}
    files = {
        "history.csv": b"epoch,loss,seconds\n1,0.5,2\n2,0.4,2\n",
        "made_of.json": json.dumps(parts).encode(),
        "run.json": json.dumps(about).encode(),
        "y_pred.npy": npy_of(np.arange(10, dtype=np.uint8)),
    }
    rng = np.random.default_rng(8)

    def entry(files, sums=None):
        def write(folder):
            keep_run(files, folder / run_name)
            (folder / run_name / "SHA256SUMS").write_bytes(sums or _sums(files))
            return folder

        return write

    def inputs():
        for name in files:
            yield entry({key: value for key, value in files.items() if key != name})
            for content in (b"", b"[]", b"null", b"\xff\xfe", b"[" * 10**5, b"{}", bytes(10**6)):
                yield entry(files | {name: content})
        yield as_file(run_name, b"a file where a folder is due")
        for _ in range(times(3, 40)):
            name = rng.choice(list(files))
            yield entry(files | {name: mutated(rng, files[name])})
            yield entry(files | {name: mutated(rng, files[name])}, sums=_sums(files))

    def read(folder):
        monkeypatch.setattr(archive, "FOLDER", place / "in")
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = archive._archived(run_name)
        if found is None:
            raise ValueError(str(said[-1].message).replace("\n", " "))

    counts = try_all("archive", place, inputs(), read, record_property)
    assert counts["refused"]


@pytest.mark.skipif(sys.platform == "win32", reason="no file has such a name there")
def test_terminal_commands_in_a_name_are_not_sent_to_the_terminal(tmp_path, digits):
    from command import call

    path = tmp_path / "a\x1b]0;title\x07.npz"
    for status, expected in ((1, "no such file"), (0, "20 test images")):
        done = call("evaluate", "tiny", "--data", path, folder=tmp_path)
        said = done.stdout + done.stderr
        assert done.returncode == status and expected in said and "\x1b" not in said
        np.savez(path, x=digits[0], y=digits[1])
