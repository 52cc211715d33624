"""The way from P3's CNN to `fast`, one change at a time."""

from dataclasses import replace

from keras import layers

from digitlib.ours import FAST, classifier, conv
from digitlib.projects import PROJECTS


def _after_strides(*stack):
    """A classifier whose first layer takes strides of two where P3's is pooled."""
    return classifier(layers.Conv2D(32, 5, 2, activation="relu"), *stack)


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


def _normalised_at_once():
    return _after_strides(
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
        "strides for pooling": {"build": _strided},
        "a third convolution for 128 units": {"build": _three_convolutions},
        "batch normalisation": {"build": _normalised},
        "the same as one operation": {"build": _normalised_at_once},
        "16-32-48 filters, not 32-32-64": {"build": FAST.build},
    }
    recipe = p3
    for change, settings in changes.items():
        recipe = replace(recipe, **settings)
        way[change] = recipe
    return way
