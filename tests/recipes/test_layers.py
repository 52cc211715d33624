"""The fused batch normalisation against Keras's own, number by number."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from digitlib.recipes.layers import FusedBatchNormalization, leave_to_keras

N = 8 * 5 * 5  # numbers in a channel


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(3, 2, (8, 5, 5, 4)).astype(np.float32)


@pytest.fixture
def pair():
    """Keras's layer and ours with the same random weights."""
    rng = np.random.default_rng(1)
    pair = [cls(momentum=0.9) for cls in (layers.BatchNormalization, FusedBatchNormalization)]
    weights = rng.uniform(0.5, 2, (4, 4)).astype(np.float32)
    for layer in pair:
        layer.build((None, 5, 5, 4))
        layer.set_weights(weights)
    return pair


def trained(layer, images):
    """Its output in training, and the gradients of a weighted sum of it."""
    x = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
        loss = tf.reduce_sum(y * tf.cos(tf.range(4.0)) * x)
    return y, *tape.gradient(loss, [x, *layer.trainable_variables])


def test_outputs_and_gradients_are_those_of_keras(pair, images):
    for theirs, ours in zip(*(trained(layer, images) for layer in pair), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)


def test_statistics_move_as_in_keras_but_with_the_unbiased_variance(pair, images):
    keras_, fused = pair
    before = fused.moving_variance.numpy()
    for layer in pair:
        layer(images, training=True)
    np.testing.assert_allclose(fused.moving_mean, keras_.moving_mean, rtol=1e-5)
    step = (keras_.moving_variance.numpy() - 0.9 * before) * N / (N - 1)
    np.testing.assert_allclose(fused.moving_variance, 0.9 * before + step, rtol=1e-5)


@pytest.mark.parametrize("frozen", [False, True])
def test_reading_and_a_frozen_layer_use_the_statistics(pair, images, frozen):
    for layer in pair:
        layer.trainable = not frozen
    theirs, ours = (layer(images, training=frozen) for layer in pair)
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(pair[1].moving_mean, pair[0].moving_mean)


LOAD = """
import sys
import keras
import numpy as np
model = keras.saving.load_model(sys.argv[1])
np.save(sys.argv[3], model(np.load(sys.argv[2])))
assert model.layers[0].momentum == 0.8 and "digitlib" not in sys.modules
"""


def test_a_saved_network_is_loaded_by_keras_alone(tmp_path, images):
    model = keras.Sequential([keras.Input((5, 5, 4)), FusedBatchNormalization(momentum=0.8)])
    model.compile(loss=lambda y_true, y_pred: y_pred)
    model(images, training=True)
    before = model(images).numpy()
    leave_to_keras(model)
    files = [tmp_path / name for name in ("model.keras", "images.npy", "outputs.npy")]
    model.save(files[0])
    np.save(files[1], images)
    subprocess.run([sys.executable, "-c", LOAD, *files], check=True)
    np.testing.assert_array_equal(np.load(files[2]), before)
