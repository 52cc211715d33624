"""Digits drawn stroke by stroke."""

import numpy as np
import pytest
from scipy import ndimage

from digitlib.reader.form import to_mnist_form
from digitlib.reader.network import load_network
from digitlib.studies.strokes import ALLOGRAPHS, draw, drawn_digits, write


def pieces(ink):
    return ndimage.label(ink > 0.5, np.ones((3, 3)))[1]


@pytest.mark.parametrize("digit", range(10))
def test_ink_is_about_100_pixels_high_and_the_seed_decides_it(digit):
    for seed in range(20):
        ink = draw(digit, np.random.default_rng(seed))
        assert ink.dtype == np.float32 and ink.min() == 0 and ink.max() == 1
        assert 70 < ink.any(1).sum() < 170 and not ink[0].any() and not ink[:, -1].any()
        np.testing.assert_array_equal(draw(digit, np.random.default_rng(seed)), ink)
    assert draw(digit, np.random.default_rng(0)).shape != ink.shape


def test_a_comma_lifts_the_pen_and_a_slash_turns_it():
    rng = np.random.default_rng(0)
    assert {pieces(write("00 90,09 99", rng)) for _ in range(50)} == {2}
    assert {pieces(write("00 90/99", rng)) for _ in range(50)} == {1}


def test_points_stand_where_they_are_written():
    """Columns run to the right and rows down: the ink of an L lies at the lower left."""
    rng = np.random.default_rng(0)
    for ink in (write("00 09/99", rng) for _ in range(20)):
        row, column = np.divide(ndimage.center_of_mass(ink), ink.shape)
        assert row > 0.5 > column


def test_drawn_digits_are_in_mnists_form():
    images, labels = drawn_digits(20, np.random.default_rng(0))
    assert images.dtype == labels.dtype == np.uint8
    assert labels.tolist() == [digit for digit in range(10) for _ in range(20)]
    sides = np.maximum(*(images.any(axis=axis).sum(axis=1) for axis in (1, 2)))
    assert (np.abs(sides - 20) <= 1).all()


@pytest.mark.parametrize("digit", range(10))
def test_shipped_reader_reads_every_allograph(digit):
    rng, predict = np.random.default_rng(1), load_network()
    for strokes in ALLOGRAPHS[digit]:
        images = np.stack([to_mnist_form(write(strokes, rng)) for _ in range(20)])
        assert (predict(images).argmax(axis=1) == digit).mean() >= 0.85, strokes
