"""One training, timed, and how fast its network then reads; each in a fresh process.

    python -m digitlib.contenders

takes the pickled arguments of `measure` on stdin and answers in JSON; digitlib.bench calls it.
TensorFlow and PyTorch are imported where they are used, as a process needs one or the other.
The clock starts once they and the data are there. Building, tracing and compiling count, and so
does what a source watches while it trains, as long as that is not the test set.
"""

import json
import math
import pickle
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from digitlib.data import model_input, one_hot

KERAS, TORCH = "Keras example", "PyTorch example"
KERAS_QUICK = "Keras example, from 2 of its 15 epochs"


class Trained(NamedTuple):
    """A network, and what its training took.

    n_images : how many it learnt from, every epoch counted
    predict : from float32 images (n, 28, 28, 1) in [0, 1] to scores, shape (n, 10)
    forward_flops : for one image
    """

    title: str
    seconds: float
    n_images: int
    predict: Callable
    forward_flops: int


def measure(entry, data, seed):
    """Train a recipe or an example once, and time it: a dict, one row of a table.

    entry : a `Recipe`, or one of EXAMPLES
    Returns entry, seed, seconds, error (percent; NaN for KERAS_QUICK), gflops (of the training:
    3 x forward, as a gradient with respect to inputs and one to weights cost as much each),
    one_image_ms (median) and images_per_second (in batches of 1,000).
    """
    train = EXAMPLES[entry] if isinstance(entry, str) else partial(train_recipe, entry)
    trained = train(data, seed)
    images = model_input(data.x_test)
    batches = np.array_split(images, math.ceil(len(images) / 1000))
    y_pred = np.concatenate([trained.predict(batch).argmax(axis=1) for batch in batches])
    one, thousand = images[:1], np.resize(images, (1000, 28, 28, 1))
    return {
        "entry": trained.title,
        "seed": seed,
        "seconds": trained.seconds,
        "error": np.nan if entry == KERAS_QUICK else 100 * (y_pred != data.y_test).mean(),
        "gflops": 3 * trained.forward_flops * trained.n_images / trained.seconds / 1e9,
        "one_image_ms": 1000 * np.median(call_seconds(lambda: trained.predict(one))),
        "images_per_second": 1000 / np.median(call_seconds(lambda: trained.predict(thousand))),
    }


def call_seconds(function, at_least=0.5):
    """How long each call took, in so many calls that they took `at_least` seconds together.

    A first call, which may compile, is left out.
    """
    function()
    seconds = []
    while sum(seconds) < at_least:
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return np.array(seconds)


def train_recipe(recipe, data, seed):
    """Train a recipe of this project on all cores: `Trained`."""
    import keras

    from digitlib.training import compiled_model, fit

    keras.utils.set_random_seed(seed)
    start = time.perf_counter()
    model = compiled_model(recipe, data)
    fit(model, recipe, data, seed, show_progress=False)
    seconds = time.perf_counter() - start
    n_images = recipe.epochs * recipe.n_fitted(len(data.x_train))
    return _trained_keras(recipe.title, seconds, n_images, model)


def keras_example_network():
    """The network of Keras's "Simple MNIST convnet"."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )


def train_keras_example(data, seed, epochs=15):
    """Train Keras's "Simple MNIST convnet" as it trains itself, only silently: `Trained`.

    epochs : where fewer than its 15, the others are taken to be as long as the last of these
    Source: F. Chollet, keras-team/keras-io, examples/vision/mnist_convnet.py
    """
    import keras

    x, y = model_input(data.x_train), one_hot(data.y_train)
    keras.utils.set_random_seed(seed)
    times = [time.perf_counter()]
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: times.append(time.perf_counter())
    )
    model = keras_example_network()
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.fit(
        x, y, batch_size=128, epochs=epochs, validation_split=0.1, verbose=0, callbacks=[watch]
    )
    seconds = times[-1] - times[0] + (15 - epochs) * (times[-1] - times[-2])
    title = KERAS if epochs == 15 else KERAS_QUICK
    return _trained_keras(title, seconds, 15 * int(0.9 * len(x)), model)


def _trained_keras(title, seconds, n_images, model):
    import tensorflow as tf

    images = tf.TensorSpec((None, 28, 28, 1), tf.float32)
    forward = tf.function(partial(model, training=False)).get_concrete_function(images)

    def predict(images):
        return forward(tf.constant(images)).numpy()

    flops = sum(layer_flops(layer) for layer in model.layers)
    return Trained(title, seconds, n_images, predict, flops)


def layer_flops(layer):
    """Floating point operations of a built layer for one image: two for each multiplication.

    A weight of a kernel multiplies once at every place of the output; biases, activations and
    normalisations are left out.
    """
    kernels = [weight for weight in layer.trainable_weights if len(weight.shape) > 1]
    n_places = math.prod(layer.output.shape[1:-1])
    return sum(2 * math.prod(kernel.shape) * n_places for kernel in kernels)


def torch_example_network():
    """The network of PyTorch's example for MNIST."""
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(9216, 128),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(128, 10),
        nn.LogSoftmax(dim=1),
    )


def train_torch_example(data, seed):
    """Train PyTorch's example for MNIST as it trains itself on a processor: `Trained`.

    That is for 14 epochs, in the order of the data, as it shuffles on accelerators only. We spare
    it the test after each epoch, and normalise the images once, not one by one in every epoch.
    Source: pytorch/examples, mnist/main.py
    """
    import torch
    from torch.utils.data import DataLoader, TensorDataset
    from torch.utils.flop_counter import FlopCounterMode

    def normalised(images):
        return (torch.from_numpy(images).reshape(-1, 1, 28, 28) - 0.1307) / 0.3081

    x, y = normalised(model_input(data.x_train)), torch.tensor(data.y_train, dtype=torch.long)
    batches = DataLoader(TensorDataset(x, y), batch_size=64)
    torch.manual_seed(seed)
    start = time.perf_counter()
    network = torch_example_network()
    optimizer = torch.optim.Adadelta(network.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    for _ in range(14):
        for x_batch, y_batch in batches:
            optimizer.zero_grad()
            torch.nn.functional.nll_loss(network(x_batch), y_batch).backward()
            optimizer.step()
        schedule.step()
    seconds = time.perf_counter() - start
    network.eval()

    @torch.inference_mode()
    def predict(images):
        return network(normalised(images)).numpy()

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(x[:1])
    return Trained(TORCH, seconds, 14 * len(x), predict, counter.get_total_flops())


EXAMPLES = {
    KERAS: train_keras_example,
    KERAS_QUICK: partial(train_keras_example, epochs=2),
    TORCH: train_torch_example,
}


if __name__ == "__main__":
    print(json.dumps(measure(*pickle.load(sys.stdin.buffer))))
