"""Arrays in files: what was written comes back, and what is damaged or grows is named."""

import gzip
import pickle

import numpy as np
import pytest
from test_data import idx_bytes

from digitlib import formats
from digitlib.formats import DataError, read_idx, read_pickle


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_round_trip(tmp_path, ending, sample):
    x = sample.x_test[:7]
    path = tmp_path / f"images{ending}"
    path.write_bytes(gzip.compress(idx_bytes(x)) if ending else idx_bytes(x))
    np.testing.assert_array_equal(read_idx(path), x)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx_bytes(np.zeros((5, 28, 28), np.uint8))[:-1], "announces"),
        (idx_bytes(np.zeros((5, 28, 28), np.uint8)) + b"\0", "announces"),
        (b"\0\0\x0d\x01\0\0\0\0", "header"),
        (b"\0\0\x08\x03\0\0", "header"),
        (b"", "header"),
        (b"<!DOCTYPE html>", "header"),
    ],
)
def test_damaged_idx_is_refused_by_name(tmp_path, content, message):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        read_idx(path)
    assert str(path) in str(error.value)


def test_truncated_gzip_is_refused_by_name(tmp_path, sample):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(idx_bytes(sample.x_test))[:-100])
    with pytest.raises(DataError, match=r"images\.gz"):
        read_idx(path)


def test_pickle_that_repeats_its_arrays_is_bounded(sample, monkeypatch):
    once = sample.x_train[:20].reshape(20, 784).astype(np.float32), sample.y_train[:20]
    content = pickle.dumps([once] * 3, protocol=3).replace(b"numpy._core", b"numpy.core")
    assert len(read_pickle(content, "a")["x_test"]) == 20
    monkeypatch.setattr(formats, "MAX_BYTES", 2 * len(content))
    with pytest.raises(DataError, match=r"a: .*arrays have 47,100 numbers"):
        read_pickle(content, "a")
