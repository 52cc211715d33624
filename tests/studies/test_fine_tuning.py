"""Fine-tuning: what learns, and what stays."""

import keras
import numpy as np
import pytest
from keras import layers

from digitlib.data import model_input
from digitlib.studies.fine_tuning import few_of_each, fine_tune


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.AveragePooling2D(4),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(12, "relu"),
            layers.Dense(10, "softmax"),
        ]
    )


def test_few_are_so_many_of_each_and_all_where_there_are_fewer():
    labels = np.repeat(np.arange(10), 5)[::-1]
    few = few_of_each(labels, 3, seed=0)
    assert np.bincount(labels[few]).tolist() == [3] * 10 and len(set(few)) == 30
    assert sorted(few_of_each(labels, 100, seed=0)) == list(range(50))
    assert few.tolist() == few_of_each(labels, 3, seed=0).tolist()
    assert few.tolist() != few_of_each(labels, 3, seed=1).tolist()


def changed(network, sample, method, n_steps=3):
    """Which weights differ from those that the network came with, and the new network."""
    before = [weight.copy() for weight in network.get_weights()]
    tuned = fine_tune(network, sample.x_train[:40], sample.y_train[:40], method, n_steps=n_steps)
    assert all(map(np.array_equal, before, network.get_weights()))  # it stays as it was
    pairs = zip(before, tuned.get_weights(), strict=True)
    return [not np.array_equal(a, b) for a, b in pairs], tuned


def test_frozen_changes_the_last_layer_only(network, sample):
    different, _ = changed(network, sample, "frozen")
    assert different == [False] * 6 + [True] * 2  # not even the statistics of batch normalisation


def test_full_changes_all_and_starts_from_what_is_known(network, sample):
    different, tuned = changed(network, sample, "full", n_steps=1)
    assert all(different)
    a, b = (model.layers[-1].kernel.numpy() for model in (network, tuned))
    assert np.abs(a - b).max() < 0.01


def test_scratch_forgets_what_is_known(network, sample):
    _, tuned = changed(network, sample, "scratch", n_steps=1)
    a, b = (model.layers[-1].kernel.numpy() for model in (network, tuned))
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] < 0.5


def test_it_learns_and_a_seed_repeats_it(network, sample):
    x, y = sample.x_train[:100], sample.y_train[:100]
    first, second, other = (
        fine_tune(network, x, y, "full", seed=seed, n_steps=300) for seed in (0, 0, 1)
    )
    assert (first.predict(model_input(x), verbose=0).argmax(axis=1) == y).mean() > 0.5
    weights = [model.layers[-1].kernel.numpy() for model in (first, second, other)]
    assert np.allclose(weights[0], weights[1], atol=1e-3)
    assert not np.allclose(weights[0], weights[2], atol=1e-3)


def test_unknown_method_is_named(network, sample):
    with pytest.raises(ValueError, match="'half': expected scratch, frozen, full"):
        fine_tune(network, sample.x_train[:4], sample.y_train[:4], "half")
