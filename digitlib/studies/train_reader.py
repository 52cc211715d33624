"""The reader: a small CNN, trained on MNIST redrawn as people write.

    python -m digitlib.studies.train_reader

trains it, fits its temperature on validation data and writes reader/weights.npz. It has eleven
classes: the ten digits, and "not one digit" (letters, scribbles, textures, digits that lie on
their side, pairs of digits), so that a digit's probability is low for what is none.
"""

from dataclasses import replace

import keras
import numpy as np
from keras import layers

from digitlib.calibration import fit_temperature
from digitlib.data import load_mnist, model_input
from digitlib.files import written_whole
from digitlib.reader.network import WEIGHTS
from digitlib.recipes import Recipe, one_cycle
from digitlib.studies.not_digits import training_set
from digitlib.studies.redraw import redraw
from digitlib.studies.strokes import drawn_digits
from digitlib.training import train

NOT_A_DIGIT = 10
CONVOLUTIONS = [(16, 5, 1), (32, 3, 2), (32, 3, 1)]
CONVOLUTIONS += [(64, 3, 2), (64, 3, 1), (128, 3, 2), (128, 3, 1)]


def _network():
    model = keras.Sequential([keras.Input((28, 28, 1))])
    for filters, size, strides in CONVOLUTIONS:
        model.add(layers.Conv2D(filters, size, strides, padding="same", use_bias=False))
        model.add(layers.BatchNormalization())
        model.add(layers.ReLU())
    model.add(layers.Flatten())
    model.add(layers.Dropout(0.3))
    model.add(layers.Dense(64, activation="relu"))
    model.add(layers.Dropout(0.2))
    model.add(layers.Dense(11, activation="softmax"))
    return model


READER = Recipe(
    name="reader",
    title="Reader: CNN 16-32-32-64-64-128-128, redrawn digits and non-digits",
    build=_network,
    epochs=20,
    batch_size=256,
    validation=1 / 6,
    optimizer=one_cycle(3e-3, beta_2=0.99),
    augment=redraw,
)


def reader_data(mnist):
    """What the reader learns from, as `Digits`: MNIST, digits of other hands, what is no digit.

    Made images stand before MNIST's training images, so that the last of these remain the
    validation data, and are made from those before them alone; their number goes with MNIST's.
    Label 10 is "not one digit".
    """
    n, rng = READER.n_fitted(len(mnist.x_train)), np.random.default_rng(0)
    drawn, drawn_labels = drawn_digits(round(0.08 * n), rng)
    digits = np.concatenate([drawn, mnist.x_train[:n]])
    labels = np.concatenate([drawn_labels, mnist.y_train[:n]])
    others = training_set(digits, labels, rng, round(0.7 * n))
    return replace(
        mnist,
        name=f"{mnist.name}, drawn digits and non-digits",
        x_train=np.concatenate([others, drawn, mnist.x_train]),
        y_train=np.concatenate(
            [np.full(len(others), NOT_A_DIGIT, np.uint8), drawn_labels, mnist.y_train]
        ),
    )


def train_reader(mnist):
    """The trained network, its temperature, and the share of validation images that it reads."""
    data = reader_data(mnist)
    n_validation = len(mnist.x_train) - READER.n_fitted(len(mnist.x_train))
    recipe = replace(READER, validation=n_validation / len(data.x_train))
    model = train(recipe, data).load_model()
    images, labels = mnist.x_train[-n_validation:], mnist.y_train[-n_validation:]
    y_prob = model.predict(model_input(images), batch_size=1000, verbose=0)[:, :NOT_A_DIGIT]
    right = float((y_prob.argmax(axis=1) == labels).mean())
    return model, fit_temperature(labels, y_prob / y_prob.sum(axis=1, keepdims=True)), right


def save_reader(model, temperature, path):
    """Keep the weights as `load_network` reads them: float16, batch normalisation folded in."""
    weights, stack = {"temperature": np.float32(temperature)}, iter(model.layers)
    for i in range(len(CONVOLUTIONS)):
        kernel, norm, _ = next(stack).kernel.numpy(), next(stack), next(stack)
        scale = (norm.gamma / np.sqrt(norm.moving_variance + norm.epsilon)).numpy()
        weights[f"conv{i}"] = kernel * scale
        weights[f"conv{i}_bias"] = norm.beta.numpy() - norm.moving_mean.numpy() * scale
    for i, dense in enumerate(layer for layer in stack if isinstance(layer, layers.Dense)):
        weights[f"dense{i}"], weights[f"dense{i}_bias"] = dense.get_weights()
    with written_whole(path) as draft, draft.open("wb") as file:
        np.savez_compressed(file, **{name: w.astype(np.float16) for name, w in weights.items()})


def main():
    """Train the reader on MNIST and write its weights."""
    model, temperature, right = train_reader(load_mnist())
    save_reader(model, temperature, WEIGHTS)
    print(f"validation: {right:.2%} right, temperature {temperature:.2f}; wrote {WEIGHTS.name}")


if __name__ == "__main__":
    main()
