"""Our own recipes, each with a purpose: speed, accuracy, few weights, robustness.

They learn from all 60,000 training images; where settings were compared, it was with the last
10,000 of these held out, by `dataclasses.replace(recipe, validation=1 / 6)`, for `fast` and `best`
after `digitlib.writers.unseen_writers_last`.
"""

import keras
import numpy as np
from keras import layers

from digitlib.recipes.augmentation import Damage, Distortion
from digitlib.recipes.layers import FusedBatchNormalization
from digitlib.recipes.projects import mlp_512_512
from digitlib.recipes.recipe import Recipe, classifier, one_cycle


def conv(filters, size=3, strides=1, *, padding="same", pool=False):
    """Layers of a normalised convolution, pooled first: what follows has less to do then."""
    return [
        layers.Conv2D(filters, size, strides, padding=padding, use_bias=False),
        *([layers.MaxPooling2D()] if pool else []),
        FusedBatchNormalization(momentum=0.9),
        layers.ReLU(),
    ]


def middle():
    """A layer that keeps the middle 23 x 23 pixels, in which nearly all ink is."""
    return layers.Cropping2D(((3, 2), (3, 2)))


def fixed_waves():
    """A first convolution that need not learn: eight waves of 5 x 5 pixels, each with both signs.

    They are the slowest of the discrete cosine transform but for the constant one. With nothing
    to learn before it, the next convolution spares the gradient of what it is given.
    Source: a first layer that stays as it is, after Jordan (2024), arXiv 2404.00498; its filters
    come from the training images.
    """
    cosines = np.cos(np.pi / 5 * np.outer(range(3), np.arange(5) + 0.5))
    waves = np.einsum("ui,vj->ijuv", cosines, cosines).reshape(5, 5, 1, 9)[..., 1:]
    waves /= np.linalg.norm(waves, axis=(0, 1))
    layer = layers.Conv2D(16, 5, 2, activation="relu", use_bias=False, trainable=False)
    layer.build((None, 28, 28, 1))
    layer.set_weights([np.concatenate([waves, -waves], axis=-1)])
    return layer


def _fast():
    return classifier(
        middle(),
        fixed_waves(),
        *conv(32, padding="valid", pool=True),
        *conv(128, padding="valid"),
        layers.Flatten(),
    )


def plain_network(width=32):
    """The network of `plain`: `width` filters first, two and three times as many later."""
    return classifier(
        *conv(width, 5, 2, padding="valid"),
        *conv(2 * width, padding="valid", pool=True),
        *conv(3 * width),
        *conv(3 * width, padding="valid"),
        layers.Flatten(),
        layers.Dropout(0.5),
    )


def _enlarged():
    """Layers that enlarge the middle 25 x 25 pixels to 28 x 28, of mean 0 and variance 1."""
    return [
        layers.Cropping2D(((2, 1), (2, 1))),
        layers.Resizing(28, 28),
        layers.Dropout(0),  # else what follows trains when a network is merely called: keras 3.15
        layers.LayerNormalization(axis=(1, 2, 3), center=False, scale=False),
    ]


def _best():
    return classifier(
        *_enlarged(),
        *conv(32),
        *conv(32, pool=True),
        layers.Dropout(0.2),
        *conv(64),
        *conv(64, pool=True),
        layers.Dropout(0.2),
        *conv(96),
        *conv(96, pool=True),
        layers.Flatten(),
        layers.Dropout(0.3),
    )


def _tiny():
    return classifier(
        *conv(8, 5, pool=True),
        *conv(12),
        *conv(16, pool=True),
        *conv(20),
        *conv(20, padding="valid"),
        layers.GlobalAveragePooling2D(),
    )


def _minute():
    return classifier(
        *conv(5, 5, pool=True),
        *conv(8, pool=True),
        *conv(8, pool=True),
        layers.Flatten(),
    )


# Of `robust` and the studies; `best` learns from less.
STRONG = Distortion(shift=1, rotation=10, scale=0.15, shear=0.17, elastic=0.6)

FAST = Recipe(
    name="fast",
    title="fast: CNN 16-32-128, one epoch",
    build=_fast,
    epochs=1,
    batch_size=128,
    optimizer=one_cycle(2e-2, beta_1=0.8, beta_2=0.9),
    loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
)

PLAIN = Recipe(
    name="plain",
    title="plain: CNN 32-64-96-96, no augmentation",
    build=plain_network,
    epochs=5,
    batch_size=128,
    optimizer=one_cycle(8e-3, beta_2=0.99),
    loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
)

BEST = Recipe(
    name="best",
    title="best: CNN 32-32-64-64-96-96, distorted digits",
    build=_best,
    epochs=20,
    batch_size=128,
    optimizer=one_cycle(8e-3, keras.optimizers.AdamW, weight_decay=0.05, beta_2=0.99),
    augment=Distortion(shift=1, rotation=8, scale=0.1, shear=0.12, elastic=0.45),
)

MLP_BEST = Recipe(
    name="mlp_best",
    title="mlp_best: MLP 512-512, distorted digits",
    build=mlp_512_512,
    epochs=30,
    batch_size=256,
    optimizer=one_cycle(2e-3, beta_2=0.99),
    augment=Distortion(shift=1, rotation=10, scale=0.15, shear=0.17, elastic=0.7),
)

TINY = Recipe(
    name="tiny",
    title="tiny: CNN 8-12-16-20-20",
    build=_tiny,
    epochs=16,
    batch_size=128,
    optimizer=one_cycle(1e-2, beta_2=0.99),
    augment=Distortion(shift=1, rotation=6, scale=0.07, shear=0.1, elastic=0.3),
)

MINUTE = Recipe(
    name="minute",
    title="minute: CNN 5-8-8",
    build=_minute,
    epochs=24,
    batch_size=128,
    optimizer=one_cycle(2e-2, beta_2=0.99),
    augment=Distortion(shift=1, shear=0.05),
)

ROBUST = Recipe(
    name="robust",
    title="robust: the network of plain, damaged digits",
    build=plain_network,
    epochs=10,
    batch_size=128,
    optimizer=one_cycle(8e-3, beta_2=0.99),
    augment=Damage(STRONG, noise=0.3, contrast=0.3, patches=2),
)

OURS = (FAST, PLAIN, BEST, MLP_BEST, TINY, MINUTE, ROBUST)
