"""Who wrote MNIST, and training images that hold out writers."""

import gzip
from dataclasses import replace

import numpy as np
import pytest

from digitlib.writers import PATH, load_writers, unseen_writers_last

RECORDS = {  # of QMNIST's label files: index, writer, series
    "train": [(0, 2154, 4), (1, 0, 0), (2, 2232, 4)],
    "test": [(0, 2578, 4), (1, 2359, 4), (2, 2530, 4)],
}


def hands(images, data):
    """The writer of each training image, found by its pixels."""
    known = dict(zip(map(bytes, data.x_train), load_writers(data)[0].writer, strict=True))
    return np.array([known[bytes(image)] for image in images])


def test_writers_of_mnist_are_those_of_qmnist(mnist):
    train, test = load_writers(mnist)
    assert (len(train), len(test)) == (60_000, 10_000)
    assert (train.writer.nunique(), test.writer.nunique()) == (539, 297)
    assert not set(train.writer) & set(test.writer)
    for part, records in zip((train, test), RECORDS.values(), strict=True):
        for index, *record in records:
            assert part.loc[index].tolist() == record
    assert test.series.value_counts().to_dict() == {4: 5001, 0: 4999}


def test_writers_of_the_sample_are_those_of_the_same_images_in_mnist(mnist, sample):
    train, test = load_writers(sample)
    assert train.writer.tolist() == hands(sample.x_train, mnist).tolist()
    assert test.writer.tolist() == hands(sample.x_test, mnist).tolist()


def test_the_file_names_its_source_and_licence():
    text = gzip.decompress(PATH.read_bytes()).decode()
    assert "QMNIST, Yadav and Bottou (2019)" in text and "BSD 3-Clause" in text


def test_last_sixth_is_by_unseen_writers(data):
    ordered = unseen_writers_last(data)
    n = round(len(data.x_train) * (1 - 1 / 6))  # as Recipe.n_fitted counts
    writers = hands(ordered.x_train, data)
    assert not set(writers[:n]) & set(writers[n:])
    images = [sorted(map(bytes, digits.x_train)) for digits in (data, ordered)]
    assert images[0] == images[1]
    assert np.array_equal(ordered.x_test, data.x_test)
    assert unseen_writers_last(data) == ordered


def test_writers_of_other_images_are_unknown(sample):
    fewer = replace(sample, x_train=sample.x_train[:9], y_train=sample.y_train[:9])
    with pytest.raises(ValueError, match="MNIST sample: its writers are not known"):
        load_writers(fewer)
