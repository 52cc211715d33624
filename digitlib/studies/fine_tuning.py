"""Fine-tuning: what a network that knows other images is worth where there are only a few."""

import math

import keras
import numpy as np

from digitlib.data import Digits
from digitlib.fitting import compiled_model, fit
from digitlib.recipes.layers import fused_copy
from digitlib.recipes.recipe import Recipe, one_cycle

RATES = {"scratch": 3e-3, "frozen": 3e-3, "full": 1e-3}  # the peak for each method
BATCH_SIZE = 32  # images per gradient step
N_STEPS = 150  # of gradient descent, however few the images


def few_of_each(labels, n, seed):
    """Indices of n random images of each digit, or of all where there are fewer: shape (m,)."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.permutation(np.flatnonzero(labels == d))[:n] for d in range(10)])


def fine_tune(network, images, labels, method, *, seed=0, n_steps=N_STEPS):
    """A new network, trained on these images from what a trained one knows.

    network : one of Keras whose last layer gives ten probabilities; it stays as it is
    images : uint8, shape (n, 28, 28)
    labels : uint8, shape (n,)
    method : "scratch", the network built anew; "frozen", only its last layer learns; "full",
        all of it learns
    Raises ValueError for another method.
    """
    if method not in RATES:
        raise ValueError(f"method {method!r}: expected {', '.join(RATES)}")
    keras.utils.set_random_seed(seed)
    model = keras.models.clone_model(network, clone_function=fused_copy)
    if method != "scratch":
        model.set_weights(network.get_weights())
    for layer in model.layers[:-1]:
        layer.trainable = method != "frozen"
    few = Digits("few", images, labels, images, labels)
    recipe = Recipe(
        name=method,
        title=f"fine-tuning: {method}",
        build=lambda: model,
        epochs=math.ceil(n_steps / math.ceil(len(images) / BATCH_SIZE)),
        batch_size=BATCH_SIZE,
        optimizer=one_cycle(RATES[method]),
    )
    fit(compiled_model(recipe, few), recipe, few, seed)
    return model
