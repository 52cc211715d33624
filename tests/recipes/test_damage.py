"""Damaged digits: half of them, within [0, 1], each piece as strong as asked and no stronger."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from digitlib.data import model_input
from digitlib.recipes.augmentation import Damage, Distortion

NONE = {"noise": 0, "contrast": 1, "patches": 0}


@pytest.fixture
def images(sample):
    return tf.constant(model_input(sample.x_train[:300]))


def damaged(images, **strengths):
    keras.utils.set_random_seed(0)
    return Damage(Distortion(), **NONE | strengths)(images).numpy()


def test_half_of_the_images_stay_as_they_were(images):
    same = np.isclose(damaged(images, noise=0.3, contrast=0.3, patches=2), images, atol=2e-3)
    assert same.all(axis=(1, 2, 3)).mean() == pytest.approx(0.5, abs=0.1)


def test_distortion_comes_first_and_reaches_every_image(images):
    keras.utils.set_random_seed(0)
    shifted = Damage(Distortion(shift=3), **NONE)(images).numpy()
    assert (np.abs(shifted - images).max(axis=(1, 2, 3)) > 0.05).all()


def test_noise_has_at_most_the_spread_asked_for(images):
    """On full ink, where nothing is clipped but what exceeds 1: half of the noise is seen."""
    grey = tf.fill((400, 28, 28, 1), 0.5)
    spread = damaged(grey, noise=0.1)[:, 4:24, 4:24].std(axis=(1, 2, 3))
    assert 0.08 < spread.max() < 0.11 and np.median(spread[spread > 1e-3]) < 0.08


def test_contrast_is_kept_as_far_as_asked_and_half_are_inverted(images):
    halves = np.zeros((400, 28, 28, 1), np.float32)
    halves[:, :14] = 1  # blur does not reach the rows looked at
    toned = damaged(tf.constant(halves), contrast=0.6)
    difference = (toned[:, 4:10] - toned[:, 18:24]).mean(axis=(1, 2, 3))
    changed = difference[np.abs(difference) < 0.999]
    assert 0.6 <= np.abs(changed).min() < 0.65 and len(changed) > 50
    assert (changed < 0).mean() == pytest.approx(0.5, abs=0.15)


def test_patches_have_straight_edges_and_change_no_more_than_themselves():
    patched = damaged(tf.zeros((400, 28, 28, 1)), contrast=0.5, patches=1)[..., 0]
    tones = [np.unique(image.round(4)) for image in patched]
    assert max(map(len, tones)) == 2  # paper, and one rectangle or what is around it
    for image in patched[[len(found) == 2 for found in tones]]:
        rows, columns = np.nonzero(image != image[0, 0])
        box = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        inside = (box != image[0, 0]).all()
        corner_is_inside = np.ptp(box) > 0
        assert inside or corner_is_inside


def test_each_image_gets_its_own_within_range_and_a_seed_repeats_it(images):
    same = tf.repeat(images[:1], 200, axis=0)
    strengths = {"noise": 0.5, "contrast": 0.3, "patches": 2}
    drawn = damaged(same, **strengths)
    assert len(np.unique(drawn.reshape(200, -1), axis=0)) > 80  # half of them are not damaged
    assert drawn.min() >= 0 and drawn.max() <= 1
    assert np.array_equal(drawn, damaged(same, **strengths))
