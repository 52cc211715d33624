"""What is no digit, to learn from."""

import numpy as np
import pytest
from scipy import ndimage

from digitlib.reader.network import load_network
from digitlib.studies import not_digits, wrong_cuts
from digitlib.studies.not_digits import FACES, SIGNS, matplotlib_fonts

OF_DIGITS = {
    "turned": (wrong_cuts.turned, True),
    "several": (wrong_cuts.several, False),
    "cut wrongly": (wrong_cuts.cut_wrongly, False),
    "halves": (wrong_cuts.halves, True),
    "with marks": (wrong_cuts.with_marks, True),
}


def made(kind, sample, n=200):
    rng = np.random.default_rng(1)
    make, labelled = OF_DIGITS[kind]
    return make(sample.x_train, *[sample.y_train][:labelled], rng, n)


def width(images):
    return images.any(axis=1).sum(axis=1)


def declined(images):
    """The share of them of which the shipped reader is not sure."""
    return (load_network()(images).max(axis=1) < 0.9).mean()


@pytest.mark.parametrize("kind", OF_DIGITS)
def test_what_is_made_of_digits_is_declined(kind, sample):
    images = made(kind, sample)
    assert images.shape == (200, 28, 28) and images.dtype == np.uint8
    assert declined(images) > 0.95


@pytest.mark.parametrize("strokes", (SIGNS, FACES), ids=("signs", "faces"))
def test_signs_and_faces_are_declined(strokes):
    assert declined(not_digits.signs(np.random.default_rng(1), 200, strokes)) > 0.95


def test_words_and_solids_are_declined():
    rng = np.random.default_rng(1)
    assert declined(not_digits.words(rng, 100, matplotlib_fonts("DejaVuSans"))) > 0.97
    assert declined(not_digits.solids(rng, 100)) > 0.95


def test_several_digits_are_broader_than_one(sample):
    assert width(made("several", sample)).mean() > width(sample.x_train).mean() + 3


def test_marks_stand_apart_and_rules_are_long(sample):
    images = made("with marks", sample)
    n = np.array([ndimage.label(image > 100, np.ones((3, 3)))[1] for image in images])
    assert ((n > 1) | (width(images) >= 19)).mean() > 0.95


def test_halves_are_broader_than_a_1(sample):
    images = made("halves", sample)
    assert (width(images) >= 0.4 * images.any(axis=2).sum(axis=1)).all()


def test_no_solid_is_upright_and_narrow():
    images = not_digits.solids(np.random.default_rng(0), 200)
    assert (width(images) >= 0.4 * images.any(axis=2).sum(axis=1)).all()
