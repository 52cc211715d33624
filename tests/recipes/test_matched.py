"""The matched networks: counted by hand, and alike where they should be."""

import keras
import numpy as np
from recipes.test_recipes import conv, dense

from digitlib.recipes.matched import MATCHED, LocallyConnected

NETWORKS = {recipe.name: recipe.build() for recipe in MATCHED}
CNN = conv(3, 1, 32) + conv(3, 32, 64) + dense(5 * 5 * 64, 128) + dense(128, 10)


def test_parameters():
    assert NETWORKS["linear"].count_params() == dense(784, 10)
    assert NETWORKS["mlp"].count_params() == dense(784, 221) + dense(221, 221) + dense(221, 10)
    assert NETWORKS["cnn"].count_params() == NETWORKS["unpooled"].count_params() == CNN
    unshared = 26**2 * conv(3, 1, 32) + 11**2 * conv(3, 32, 64)
    assert NETWORKS["unshared"].count_params() == unshared + dense(1600, 128) + dense(128, 10)


def test_mlp_and_cnn_are_matched_but_for_the_network():
    recipes = {recipe.name: recipe for recipe in MATCHED}
    settings = [
        {key: value for key, value in vars(recipe).items() if key not in ("name", "title", "build")}
        for recipe in recipes.values()
    ]
    assert all(each == settings[0] for each in settings)
    assert abs(NETWORKS["mlp"].count_params() / NETWORKS["cnn"].count_params() - 1) < 0.002


def test_locally_connected_with_one_set_of_weights_is_a_convolution():
    images = np.random.default_rng(0).normal(size=(3, 7, 8, 2)).astype(np.float32)
    shared = keras.layers.Conv2D(4, 3, activation="relu", bias_initializer="random_normal")
    expected = shared(images)
    unshared = LocallyConnected(4)
    unshared.build(images.shape)
    kernel, bias = shared.get_weights()
    unshared.set_weights([np.tile(kernel.reshape(1, 18, 4), (30, 1, 1)), np.tile(bias, (5, 6, 1))])
    np.testing.assert_allclose(unshared(images), expected, atol=1e-5)


def test_unpooled_takes_the_first_of_every_four():
    pooled, unpooled = (NETWORKS[name].layers[1] for name in ("cnn", "unpooled"))
    images = np.random.default_rng(0).normal(size=(2, 26, 26, 3)).astype(np.float32)
    np.testing.assert_array_equal(unpooled(images), images[:, ::2, ::2])
    blocks = images.reshape(2, 13, 2, 13, 2, 3).max(axis=(2, 4))
    np.testing.assert_array_equal(pooled(images), blocks)
