"""One MLP and one CNN that differ in the question alone, and what lies between them.

All learn from the same images in the same batches, for the same epochs, with the same schedule.
"""

import keras
from keras import layers, ops

from digitlib.recipes.recipe import Recipe, classifier, one_cycle


@keras.saving.register_keras_serializable("digitlib")
class LocallyConnected(layers.Layer):
    """A 3 x 3 convolution without sharing: each place of its window has weights of its own."""

    def __init__(self, filters, **options):
        super().__init__(**options)
        self.filters = filters

    def build(self, shape):
        height, width, channels = shape[1] - 2, shape[2] - 2, shape[3]
        n_seen = 9 * channels
        limit = (6 / (n_seen + 9 * self.filters)) ** 0.5  # as Glorot's for a convolution
        self.kernel = self.add_weight(
            shape=(height * width, n_seen, self.filters),
            initializer=keras.initializers.RandomUniform(-limit, limit),
        )
        self.bias = self.add_weight(shape=(height, width, self.filters), initializer="zeros")

    def call(self, inputs):
        seen = ops.image.extract_patches(inputs, 3, strides=1, padding="valid")
        height, width, n_seen = seen.shape[1:]
        seen = ops.transpose(ops.reshape(seen, (-1, height * width, n_seen)), (1, 0, 2))
        outputs = ops.transpose(ops.matmul(seen, self.kernel), (1, 0, 2))
        return ops.relu(ops.reshape(outputs, (-1, height, width, self.filters)) + self.bias)

    def get_config(self):
        return super().get_config() | {"filters": self.filters}


def _mlp(width):
    return lambda: classifier(
        layers.Flatten(),
        layers.Dense(width, activation="relu"),
        layers.Dense(width, activation="relu"),
    )


def _linear():
    return classifier(layers.Flatten())


def _convolution(filters):
    return layers.Conv2D(filters, 3, activation="relu")


def _windows(convolution, pooling=layers.MaxPooling2D):
    return lambda: classifier(
        convolution(32),
        pooling(),
        convolution(64),
        layers.Cropping2D(((0, 1), (0, 1))),  # of 11 x 11 pooling reads 10 x 10 in any case
        pooling(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
    )


def _every_second():
    """In the place of pooling: of every four values the first, not the largest."""
    return layers.MaxPooling2D(1, strides=2)


SETTINGS = {
    "epochs": 10,
    "batch_size": 128,
    "validation": 1 / 6,
    "optimizer": one_cycle(4e-3),
}
MATCHED = (
    Recipe("linear", "linear reader", _linear, **SETTINGS),
    Recipe("mlp", "MLP 221-221", _mlp(221), **SETTINGS),
    Recipe("wide_mlp", "MLP 1500-1500", _mlp(1500), **SETTINGS),
    Recipe("cnn", "CNN 32-64", _windows(_convolution), **SETTINGS),
    Recipe("unshared", "CNN, weights not shared", _windows(LocallyConnected), **SETTINGS),
    Recipe("unpooled", "CNN, no pooling", _windows(_convolution, _every_second), **SETTINGS),
)
