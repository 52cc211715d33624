"""The studies of notebook 04: what makes training fast, and what makes a network better.

Settings are compared on the last sixth of the training images; only `records`, which chooses
nothing, looks at the test images. What has been trained before comes from the cache.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from keras import layers

from digitlib.recipes import get_recipe, one_cycle
from digitlib.recipes.augmentation import Distortion
from digitlib.recipes.ours import (
    FAST,
    OURS,
    PLAIN,
    STRONG,
    conv,
    fixed_waves,
    middle,
    plain_network,
)
from digitlib.recipes.projects import PROJECTS
from digitlib.recipes.recipe import classifier
from digitlib.studies.bench import machine, timed_in_fresh_process
from digitlib.training import train_many

SEEDS = range(2)
# Settings are compared on a smaller network over fewer epochs than a record takes.
SHORT = replace(PLAIN, build=partial(plain_network, 16), epochs=3)
LONGER = replace(SHORT, epochs=8)  # as distorted digits take longer to learn
HELD_OUT = 1 / 6  # of the training images, the last


def steps(data, way=None, seeds=SEEDS):
    """From P3's CNN to `fast`, one change at a time, timed on all cores: a row a run.

    Returns step, seed, seconds, val_error (percent) and machine.
    """
    held_out, rows = tested_on_held_out(data), []
    for step, recipe in (way or from_p3_to_fast()).items():
        for seed in seeds:
            row = timed_in_fresh_process(replace(recipe, validation=0), held_out, seed)
            rows.append((step, seed, row["seconds"], row["error"], machine()))
    return pd.DataFrame(rows, columns=["step", "seed", "seconds", "val_error", "machine"])


def tested_on_held_out(data):
    """The training images as `Digits` of their own, the last sixth of them as test images."""
    n = len(data.x_train) - round(HELD_OUT * len(data.x_train))
    return replace(
        data, x_train=data.x_train[:n], y_train=data.y_train[:n],
        x_test=data.x_train[n:], y_test=data.y_train[n:],
    )  # fmt: skip


def _strides(filters=32):
    """A first layer that takes strides of two where P3's is pooled."""
    return layers.Conv2D(filters, 5, 2, activation="relu")


def _after_strides(*stack):
    return classifier(_strides(), *stack)


def _strided():
    return _after_strides(
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
    )


def _three_convolutions():
    return _after_strides(
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.Flatten(),
    )


def _normalised():
    return _after_strides(
        layers.Conv2D(32, 3, use_bias=False),
        layers.MaxPooling2D(),
        layers.BatchNormalization(momentum=0.9),
        layers.ReLU(),
        layers.Conv2D(64, 3, use_bias=False),
        layers.BatchNormalization(momentum=0.9),
        layers.ReLU(),
        layers.Flatten(),
    )


def _normalised_at_once(*first):
    return classifier(
        *first,
        *conv(32, padding="valid", pool=True),
        *conv(64, padding="valid"),
        layers.Flatten(),
    )


def from_p3_to_fast():
    """The recipes on that way by what each changes, in order; the last is `fast`."""
    p3 = next(recipe for recipe in PROJECTS if recipe.name == "p3")
    way = {"P3's CNN": p3}
    changes = {
        "one epoch, not five": {"epochs": 1},
        "batches of 128, not 32": {"batch_size": FAST.batch_size},
        "Adam in one cycle": {"optimizer": FAST.optimizer},
        "strides, not pooling": {"build": _strided},
        "a third convolution, not 128 units": {"build": _three_convolutions},
        "batch normalisation": {"build": _normalised},
        "the same as one operation": {"build": lambda: _normalised_at_once(_strides())},
        "16 filters first, not 32": {"build": lambda: _normalised_at_once(_strides(16))},
        "the middle 23 x 23 pixels": {"build": lambda: _normalised_at_once(middle(), _strides(16))},
        "waves that are not learned": {
            "build": lambda: _normalised_at_once(middle(), fixed_waves())
        },
        "128 filters last, not 64": {"build": FAST.build},
        "smoothed labels": {"loss": FAST.loss},
    }
    recipe = p3
    for change, settings in changes.items():
        recipe = replace(recipe, **settings)
        way[change] = recipe
    return way


def augmentation(data, recipe=LONGER, seeds=SEEDS):
    """What each distortion is worth by itself, and several together: a row a run.

    Returns augmentation, seed, val_error (percent) and val_loss.
    """
    five = vars(STRONG) | {"stroke": 0}
    chosen = {"none": None, **{name: {name: size} for name, size in five.items() if size}}
    chosen |= {"stroke": {"stroke": 0.5}, "all but stroke": five, "all": five | {"stroke": 0.5}}
    recipes = {
        name: replace(recipe, validation=HELD_OUT, augment=sizes and Distortion(**sizes))
        for name, sizes in chosen.items()
    }
    return _validated("augmentation", recipes, data, seeds)


def optimizers(data, recipe=None, n_trials=8):
    """Five families of optimizers, each searched with as many trials: a row a trial.

    Returns optimizer, trial, val_error (percent), pruned, and the settings that were tried.
    """
    from digitlib.studies.search import FAMILIES, search

    tables = []
    for name in FAMILIES:
        study = search(recipe or get_recipe("fast"), data, n_trials, optimizers=(name,))
        for trial in study.get_trials():
            if trial.values or trial.intermediate_values:
                error = 100 * (1 - (trial.value or max(trial.intermediate_values.values())))
                row = {"optimizer": name, "trial": trial.number, "val_error": error}
                tables.append(row | {"pruned": trial.value is None} | trial.params)
    return pd.DataFrame(tables)


def winners(data, trials=None, recipe=FAST, seeds=range(1, 6)):
    """The best trial of every family of optimizers, trained with five new seeds: a row a run.

    trials : what `optimizers` gave; else what it wrote
    Returns optimizer, seed, val_error (percent) and val_loss.
    """
    if trials is None:
        trials = pd.read_csv(Path("figures", "studies", "optimizers.csv"))
    return _validated("optimizer", winning_recipes(trials, recipe), data, seeds)


def winning_recipes(trials, recipe=FAST):
    """The recipe with the settings of each family's best trial: by the family's name.

    trials : what `optimizers` gave; the settings are rounded as the search rounds what it tries
    """
    classes = {"rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW"}
    recipes = {}
    for i in trials.groupby("optimizer", sort=False).val_error.idxmin():
        name, settings = trials.optimizer[i], {}
        for column in trials.columns[trials.columns.str.startswith(f"{name} ")]:
            key, value = column.removeprefix(f"{name} "), float(trials[column][i])
            if key.startswith("1-"):
                settings[key.removeprefix("1-")] = round(1 - value, 4)
            else:
                settings[key] = float(f"{value:.3g}")
        if name == "nesterov":
            settings["nesterov"] = True
        optimizer = getattr(keras.optimizers, classes.get(name, "SGD"))
        smoothing = round(float(trials.label_smoothing[i]), 3)
        recipes[name] = replace(
            recipe,
            batch_size=int(trials.batch_size[i]),
            validation=HELD_OUT,
            optimizer=one_cycle(settings.pop("peak"), optimizer, **settings),
            loss=keras.losses.CategoricalCrossentropy(label_smoothing=smoothing),
        )
    return recipes


def size(data, recipe=SHORT, seeds=SEEDS, widths=(4, 8, 16, 32, 48)):
    """How the error falls with the number of parameters: `plain` in several widths, a row a run.

    Returns parameters, seed, val_error (percent) and val_loss.
    """
    builds = [partial(plain_network, width) for width in widths]
    recipes = {
        build().count_params(): replace(recipe, validation=HELD_OUT, build=build)
        for build in builds
    }
    return _validated("parameters", recipes, data, seeds)


def images(data, recipe=SHORT, seeds=SEEDS, percents=(1, 3, 10, 30, 100)):
    """How the error falls with the number of training images, with and without augmentation.

    Learns from the first of the images that are not held out, 1 to 100 %, over up to five times
    as many epochs where they are few.

    Returns distorted, images, seed, val_error (percent) and val_loss.
    """
    n_held_out = round(HELD_OUT * len(data.x_train))
    n_most = len(data.x_train) - n_held_out
    tables = []
    for percent in percents:
        n = n_most * percent // 100
        kept = np.r_[:n, n_most : len(data.x_train)]
        part = replace(data, x_train=data.x_train[kept], y_train=data.y_train[kept])
        recipes = {
            augment is not None: replace(
                recipe,
                validation=n_held_out / len(kept),
                epochs=recipe.epochs * min(5, 100 // percent),
                augment=augment,
            )
            for augment in (None, STRONG)
        }
        table = _validated("distorted", recipes, part, seeds)
        table.insert(1, "images", n)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def records(data):
    """Our recipes on the test images: a row a run.

    Returns recipe, parameters, epochs, seed, test_error (percent), seconds (on one core) and
    processor.
    """
    rows = []
    for recipe in OURS:
        parameters = recipe.build().count_params()
        n_seeds = {"fast": 20, "mlp_best": 3, "robust": 3}.get(recipe.name, 5)
        for run in train_many([recipe], data, range(n_seeds)):
            error = 100 * (run.y_pred != data.y_test).mean()
            about = recipe.name, parameters, recipe.epochs, run.seed
            rows.append((*about, error, run.history.seconds.sum(), run.processor))
    columns = ["recipe", "parameters", "epochs", "seed", "test_error", "seconds", "processor"]
    return pd.DataFrame(rows, columns=columns)


def _validated(column, recipes, data, seeds):
    """Trains every recipe with every seed: a row a run, `column` holding the recipe's key."""
    keys = [key for key in recipes for _ in seeds]
    runs = train_many(recipes.values(), data, seeds)
    rows = [
        {column: key, "seed": run.seed, "val_error": 100 * (1 - last.val_accuracy),
         "val_loss": last.val_loss}
        for key, run in zip(keys, runs, strict=True)
        for last in [run.history.iloc[-1]]
    ]  # fmt: skip
    return pd.DataFrame(rows)
