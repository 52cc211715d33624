"""Distortions: each does what it is named after, by no more than it is allowed."""

import keras
import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf

from digitlib.data import model_input
from digitlib.recipes.augmentation import Distortion


@pytest.fixture(scope="module")
def images(sample):
    """Digits with a margin of three pixels, so that no distortion pushes their ink off the edge."""
    inside = sample.x_train[:, 3:25, 3:25].sum((1, 2)) == sample.x_train.sum((1, 2))
    return tf.constant(model_input(sample.x_train[inside][:200]))


def distorted(images, **strengths):
    keras.utils.set_random_seed(0)
    return Distortion(**strengths)(images).numpy()[..., 0]


def centres(images):
    return np.array([scipy.ndimage.center_of_mass(image) for image in np.squeeze(images)])


def test_without_strength_nothing_changes(images):
    np.testing.assert_allclose(distorted(images), images[..., 0], atol=2e-3)


def test_a_shift_is_a_shift(images):
    shifted = distorted(images, shift=2)
    moves = centres(shifted) - centres(images)
    assert np.abs(moves).max() <= 2.01 and moves.std(axis=0) == pytest.approx(2 / 3**0.5, rel=0.1)
    for i in range(20):
        expected = scipy.ndimage.shift(np.squeeze(images[i]), moves[i], order=1)
        np.testing.assert_allclose(shifted[i], expected, atol=0.02)


def spread(image):
    """The covariance of x and y, weighted by ink."""
    y, x = np.mgrid[:28, :28]
    return np.cov([x.ravel(), y.ravel()], aweights=image.ravel())


def angle(image):
    covariance = spread(image)
    return np.degrees(np.arctan2(2 * covariance[0, 1], covariance[0, 0] - covariance[1, 1])) / 2


def test_rotation_turns_by_up_to_its_degrees_and_keeps_the_size(sample):
    ones = model_input(sample.x_train[sample.y_train == 1][:30])  # a bar has one clear direction
    rotated = distorted(tf.constant(ones), rotation=30)
    turns = [angle(a) - angle(b) for a, b in zip(rotated, ones[..., 0], strict=True)]
    turns = (np.array(turns) + 90) % 180 - 90
    assert 20 < np.abs(turns).max() < 31
    sizes = [
        np.trace(spread(a)) / np.trace(spread(b))
        for a, b in zip(rotated, ones[..., 0], strict=True)
    ]
    assert sizes == pytest.approx(np.ones(len(ones)), abs=0.08)


def test_scale_changes_width_and_height_each_by_itself(images):
    wide = [np.diag(spread(image)).min() > 8 for image in images.numpy()[..., 0]]
    images = tf.boolean_mask(images, wide)  # the width of a thin bar is mostly that of its blur
    scaled = distorted(images, scale=0.2)
    ratios = [
        np.sqrt(np.diag(spread(a)) / np.diag(spread(b)))
        for a, b in zip(scaled, images.numpy()[..., 0], strict=True)
    ]
    width, height = np.log(ratios).T
    assert max(np.abs(width).max(), np.abs(height).max()) < 0.25
    assert min(width.std(), height.std()) > 0.08 and abs(np.corrcoef(width, height)[0, 1]) < 0.3


def test_shear_slants_and_keeps_heights(images):
    sheared = distorted(images, shear=0.4)
    for a, b in zip(sheared, images.numpy()[..., 0], strict=True):
        assert spread(a)[1, 1] == pytest.approx(spread(b)[1, 1], rel=0.08)
    slants = [
        spread(a)[0, 1] / spread(a)[1, 1] - spread(b)[0, 1] / spread(b)[1, 1]
        for a, b in zip(sheared, images.numpy()[..., 0], strict=True)
    ]
    assert 0.3 < np.abs(slants).max() < 0.45


def test_stroke_adds_or_takes_ink_at_the_edge_only(images):
    drawn, before = distorted(images, stroke=0.8), images.numpy()[..., 0]
    ink = drawn.sum(axis=(1, 2)) / before.sum(axis=(1, 2))
    assert ink.min() < 0.8 and ink.max() > 1.3
    reach = scipy.ndimage.grey_dilation(before, size=(1, 3, 3))
    assert (drawn <= reach + 1e-3).all()


def test_elastic_bends_more_the_stronger_it_is(images):
    changes = [
        np.abs(distorted(images, elastic=s) - images[..., 0]).mean() for s in (0.3, 0.6, 1.2)
    ]
    assert changes[0] < changes[1] < changes[2]


def test_each_image_gets_its_own_and_stays_in_range(images):
    same = tf.repeat(images[:1], 50, axis=0)
    strengths = {
        "shift": 1,
        "rotation": 10,
        "scale": 0.1,
        "shear": 0.2,
        "elastic": 0.5,
        "stroke": 0.5,
    }
    drawn = distorted(same, **strengths)
    assert len(np.unique(drawn.reshape(50, -1), axis=0)) == 50
    assert drawn.min() >= 0 and drawn.max() <= 1
    assert np.array_equal(drawn, distorted(same, **strengths))
