"""The long studies, on few images: their columns, and that their numbers are those of the runs."""

import dataclasses
from functools import partial

import numpy as np
import pandas as pd
import pytest
from tiny import TINY, few_digits

from digitlib.recipes import RECIPES
from digitlib.studies import faster_and_better
from digitlib.studies.__main__ import main
from digitlib.studies.bench import machine
from digitlib.training import train, train_many
from digitlib.workers import processor


@pytest.fixture(scope="module")
def few():
    return few_digits()


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIGITLIB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def test_steps_learn_without_the_images_held_out_and_are_judged_by_them(few):
    p4 = dataclasses.replace(RECIPES["p4"], epochs=2)
    table = faster_and_better.steps(few, {"first": p4, "second": p4}, seeds=[0])
    assert list(table) == ["step", "seed", "seconds", "val_error", "machine"]
    assert set(table.machine) == {machine()}
    assert table.step.tolist() == ["first", "second"] and (table.seconds > 0).all()
    last = train(dataclasses.replace(p4, validation=1 / 6), few, 0).history.iloc[-1]
    assert table.val_error.tolist() == 2 * [pytest.approx(100 * (1 - last.val_accuracy), abs=4)]


def test_augmentation_compares_each_distortion_with_none_and_all(few):
    table = faster_and_better.augmentation(few, TINY, seeds=[3])
    assert list(table) == ["augmentation", "seed", "val_error", "val_loss"]
    alone = ["shift", "rotation", "scale", "shear", "elastic", "stroke"]
    assert table.augmentation.tolist() == ["none", *alone, "all but stroke", "all"]
    assert set(table.seed) == {3} and table.val_loss.is_unique  # each was trained differently
    last = train(dataclasses.replace(TINY, validation=1 / 6), few, 3).history.iloc[-1]
    assert table.val_error[0] == 100 * (1 - last.val_accuracy)


def test_size_counts_the_parameters_of_each_width(few):
    table = faster_and_better.size(few, TINY, seeds=[0], widths=(1, 2))
    assert list(table) == ["parameters", "seed", "val_error", "val_loss"]
    widths = [partial(faster_and_better.plain_network, width)() for width in (1, 2)]
    assert table.parameters.tolist() == [network.count_params() for network in widths]


def test_images_keeps_the_images_that_are_held_out(few):
    table = faster_and_better.images(few, TINY, seeds=[1], percents=(10, 100))
    assert list(table) == ["distorted", "images", "seed", "val_error", "val_loss"]
    assert table.images.tolist() == 2 * [33] + 2 * [333]
    assert table.distorted.tolist() == 2 * [False, True]
    whole = train(dataclasses.replace(TINY, validation=1 / 6), few, 1).history.iloc[-1]
    assert table.val_error[2] == 100 * (1 - whole.val_accuracy)
    small = dataclasses.replace(few, x_train=few.x_train[np.r_[:33, 333:400]],
                                y_train=few.y_train[np.r_[:33, 333:400]])  # fmt: skip
    longer = dataclasses.replace(TINY, validation=67 / 100, epochs=10)
    part = train(longer, small, 1).history.iloc[-1]
    assert table.val_loss[0] == part.val_loss


def test_optimizers_gives_every_family_as_many_trials(few):
    families = pytest.importorskip("digitlib.studies.search").FAMILIES
    table = faster_and_better.optimizers(few, TINY, n_trials=1)
    assert list(table)[:4] == ["optimizer", "trial", "val_error", "pruned"]
    assert table.optimizer.tolist() == list(families) and not table.pruned.any()
    assert table.val_error.between(0, 100).all() and table.batch_size.between(32, 512).all()


def test_winners_are_the_best_trials_with_new_seeds(few):
    trials = pd.DataFrame(
        {
            "optimizer": ["sgd", "sgd", "nesterov", "adam"],
            "val_error": [9.0, 8.0, 9.0, 9.0],
            "batch_size": [32, 64, 32, 32],
            "label_smoothing": [0.1, 0.12345, 0.1, 0.1],
            "sgd peak": [0.1, 0.123456, np.nan, np.nan],
            "nesterov peak": [np.nan, np.nan, 0.2, np.nan],
            "nesterov 1-momentum": [np.nan, np.nan, 0.05482, np.nan],
            "adam peak": [np.nan, np.nan, np.nan, 0.3],
            "adam 1-beta_1": [np.nan, np.nan, np.nan, 0.2],
        }
    )
    recipes = faster_and_better.winning_recipes(trials, TINY)
    made = {name: recipe.new_optimizer(400).get_config() for name, recipe in recipes.items()}
    assert (recipes["sgd"].batch_size, recipes["sgd"].loss.label_smoothing) == (64, 0.123)
    peak = made["sgd"]["learning_rate"]["config"]["warmup_target"]
    assert (peak, made["sgd"]["momentum"], made["sgd"]["nesterov"]) == (0.123, 0, False)
    assert (made["nesterov"]["momentum"], made["nesterov"]["nesterov"]) == (0.9452, True)
    assert made["adam"]["beta_1"] == 0.8
    table = faster_and_better.winners(few, trials, TINY)
    assert list(table) == ["optimizer", "seed", "val_error", "val_loss"]
    assert table.optimizer.tolist() == 5 * ["sgd"] + 5 * ["nesterov"] + 5 * ["adam"]
    assert table.seed.tolist() == 3 * [1, 2, 3, 4, 5]
    last = train(recipes["nesterov"], few, 1).history.iloc[-1]
    assert table.val_error[5] == 100 * (1 - last.val_accuracy)


def test_records_are_errors_on_the_test_images(few, monkeypatch):
    monkeypatch.setattr(faster_and_better, "OURS", [TINY])
    table = faster_and_better.records(few)
    columns = ["recipe", "parameters", "epochs", "seed", "test_error", "seconds", "processor"]
    assert list(table) == columns and table.seed.tolist() == [0, 1, 2, 3, 4]
    assert set(table.parameters) == {7850} and (table.seconds > 0).all()
    assert set(table.processor) == {processor()}
    errors = [(run.y_pred != few.y_test).sum() for run in train_many([TINY], few, range(5))]
    assert table.test_error.tolist() == pytest.approx(errors)  # of 100 images


def test_command_refuses_what_is_no_study(monkeypatch):
    monkeypatch.setattr("sys.argv", ["studies", "size", "sizes"])
    with pytest.raises(SystemExit, match=r"no study sizes; there are .*, steps, augmentation"):
        main()
