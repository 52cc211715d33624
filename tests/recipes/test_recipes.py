"""The recipes: counted by hand, and found by name."""

import math
import re
from itertools import pairwise

import cloudpickle
import keras
import numpy as np
import pytest

from digitlib.data import model_input
from digitlib.recipes import RECIPES, get_recipe, one_cycle
from digitlib.recipes.layers import leave_to_keras
from digitlib.studies.faster_and_better import from_p3_to_fast
from digitlib.studies.train_reader import READER


def dense(n_in, n_out):
    return (n_in + 1) * n_out


def conv(size, n_in, n_out):
    return (size * size * n_in + 1) * n_out


def normed(size, n_in, n_out):
    """A convolution without biases, then two weights and two moving statistics a channel."""
    return size * size * n_in * n_out + 4 * n_out


PARAMETERS = {
    "p0": conv(5, 1, 6) + conv(5, 6, 16) + dense(400, 120) + dense(120, 84) + dense(84, 10),
    "p1": conv(3, 1, 16)
    + conv(3, 16, 16)
    + conv(3, 16, 32)
    + conv(3, 32, 32)
    + dense(4 * 4 * 32, 128)
    + dense(128, 10),
    "p2": dense(784, 512) + dense(512, 512) + dense(512, 10),
    "p3": conv(3, 1, 32) + conv(3, 32, 64) + dense(5 * 5 * 64, 128) + dense(128, 10),
    "p4": dense(784, 128) + dense(128, 64) + dense(64, 10),
    "fast": 5 * 5 * 16 + normed(3, 16, 32) + normed(3, 32, 128) + dense(2 * 2 * 128, 10),
    "plain": normed(5, 1, 32)
    + normed(3, 32, 64)
    + normed(3, 64, 96)
    + normed(3, 96, 96)
    + dense(3 * 3 * 96, 10),
    "robust": normed(5, 1, 32)
    + normed(3, 32, 64)
    + normed(3, 64, 96)
    + normed(3, 96, 96)
    + dense(3 * 3 * 96, 10),
    "best": normed(3, 1, 32)
    + normed(3, 32, 32)
    + normed(3, 32, 64)
    + normed(3, 64, 64)
    + normed(3, 64, 96)
    + normed(3, 96, 96)
    + dense(3 * 3 * 96, 10),
    "mlp_best": dense(784, 512) + dense(512, 512) + dense(512, 10),
    "tiny": normed(5, 1, 8)
    + normed(3, 8, 12)
    + normed(3, 12, 16)
    + normed(3, 16, 20)
    + normed(3, 20, 20)
    + dense(20, 10),
    "minute": normed(5, 1, 5) + normed(3, 5, 8) + normed(3, 8, 8) + dense(3 * 3 * 8, 10),
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_kept_network_that_is_merely_called_reads_and_does_not_train(name, tmp_path):
    network, images = RECIPES[name].build(), np.random.default_rng(0).random((2, 28, 28, 1))
    leave_to_keras(network)
    network.save(tmp_path / "model.keras")
    for each in (network, keras.saving.load_model(tmp_path / "model.keras")):
        read, called = each(images, training=False), each(images)
        np.testing.assert_array_equal(called.numpy(), read.numpy())


def test_small_recipes_stay_small():
    assert PARAMETERS["tiny"] < 10_000 and PARAMETERS["minute"] < 2_000
    assert PARAMETERS["mlp_best"] <= PARAMETERS["p2"]


def test_p4_has_the_published_number_of_parameters():
    assert PARAMETERS["p4"] == 109_386


@pytest.mark.parametrize("name", RECIPES)
def test_parameters_agree_with_arithmetic(name):
    assert RECIPES[name].build().count_params() == PARAMETERS[name]


@pytest.mark.parametrize("name", RECIPES)
def test_network_gives_ten_probabilities(name, data):
    y_prob = RECIPES[name].build()(model_input(data.x_train[:3])).numpy()
    assert y_prob.shape == (3, 10)
    assert y_prob.sum(axis=1) == pytest.approx(1)


def test_first_filters_of_fast_are_waves_with_both_signs_and_do_not_learn():
    network = RECIPES["fast"].build()
    first = network.layers[1]
    filters = first.get_weights()[0].reshape(25, 16)
    waves, opposite = filters[:, :8], filters[:, 8:]
    np.testing.assert_allclose(waves.T @ waves, np.eye(8), atol=1e-6)
    np.testing.assert_allclose(waves.sum(axis=0), 0, atol=1e-6)
    assert np.array_equal(opposite, -waves)
    assert first.weights and not first.trainable_weights


def test_every_recipe_computes_in_float32():
    recipes = [*RECIPES.values(), *from_p3_to_fast().values(), READER]
    layers = [layer for recipe in recipes for layer in recipe.build().layers]
    assert {layer.compute_dtype for layer in layers} == {"float32"}
    assert {weight.dtype for layer in layers for weight in layer.weights} == {"float32"}


STATED = {  # by the projects themselves
    "p2": {"epochs": 10, "validation": 0.2, "claims": {"accuracy": 0.9777}},
    "p4": {"epochs": 20, "batch_size": 128, "validation": "test"},
}
CHOSEN = {  # how the text of our choices states the others
    "epochs": r"(\d+) epochs",
    "batch_size": r"batches of (\d+)|(\d+) images a batch|(\d+) is the Keras default",
    "validation": r"(\d+) % validation",
}


@pytest.mark.parametrize("name", ["p0", "p1", "p2", "p3", "p4"])
def test_every_setting_of_a_project_is_the_one_stated(name):
    recipe, stated = RECIPES[name], dict(STATED.get(name, {}))
    for setting, pattern in CHOSEN.items():
        if setting not in stated:
            (found,) = re.finditer(pattern, recipe.choices)
            number = next(filter(None, found.groups()))
            stated[setting] = int(number) / (100 if setting == "validation" else 1)
    assert {setting: getattr(recipe, setting) for setting in stated} == stated
    assert (recipe.optimizer, recipe.loss) == ("adam", "categorical_crossentropy")


@pytest.mark.parametrize("n_steps", [1, 4, 5, 26, 1000])
def test_one_cycle_rises_for_a_fifth_and_falls_to_zero(n_steps):
    rate = one_cycle(3, keras.optimizers.SGD, momentum=0.9)(n_steps)._learning_rate
    top = n_steps // 5
    rising = [0.3 + 2.7 * step / top for step in range(top)]
    falling = [
        1.5 * (1 + math.cos(math.pi * (step - top) / (n_steps - top)))
        for step in range(top, n_steps + 1)
    ]
    steps = range(0, n_steps + 1, 1 + n_steps // 50)
    expected = (rising + falling)[:: steps.step]
    assert [float(rate(step)) for step in steps] == pytest.approx(expected, abs=1e-5)


def test_one_cycle_is_of_the_optimizer_and_its_settings():
    optimizer = one_cycle(0.1, keras.optimizers.SGD, momentum=0.9, nesterov=True)(10)
    assert type(optimizer) is keras.optimizers.SGD
    assert optimizer.momentum == 0.9 and optimizer.nesterov
    assert one_cycle(0.1, beta_2=0.99)(10).beta_2 == 0.99


def test_unknown_recipe_names_those_that_there_are():
    with pytest.raises(ValueError, match="unknown recipe 'P3'; there are p0, p1, p2, p3"):
        get_recipe("P3")


def test_steps_lead_from_p3_to_fast_and_each_changes_something():
    way = list(from_p3_to_fast().values())
    assert way[0] is RECIPES["p3"]
    fast = RECIPES["fast"]
    assert (way[-1].epochs, way[-1].batch_size, way[-1].build) == (1, fast.batch_size, fast.build)
    assert way[-1].optimizer is fast.optimizer and way[-1].loss is fast.loss
    assert all(a != b for a, b in pairwise(way))
    for recipe in way:  # as it travels to the process that trains it
        assert cloudpickle.loads(cloudpickle.dumps(recipe)).title == recipe.title
