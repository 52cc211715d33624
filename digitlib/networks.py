"""A network that somebody saved, shown images as it was trained to take them."""

import math
import textwrap
from pathlib import Path

import numpy as np
from scipy.special import softmax

from digitlib.calibration import nll
from digitlib.data import load_sample
from digitlib.opening import BATCH, image_shape, load_network

N_CHOOSING = 1000  # of MNIST's training images, a hundred a digit, by which the form is chosen
FORMS = {  # of float32 pixels from 0 to 255, shape (n, 28, 28); of two that read alike, the first
    "pixels from 0 to 1": lambda pixels: pixels / 255,
    "pixels from 0 to 255": lambda pixels: pixels,
    "pixels normalised (axis=1)": lambda pixels: _normalised(pixels, 1),
    "pixels normalised (axis=2)": lambda pixels: _normalised(pixels, 2),
    "images normalised as flat rows": lambda pixels: _normalised(pixels, (1, 2)),
}
OUTPUTS = {  # what becomes of a network's outputs, float32 (n, 10)
    "probabilities": lambda outputs: outputs,
    "logits": lambda outputs: softmax(outputs, axis=1),
    "ten single probabilities": lambda outputs: softmax(np.log(outputs + 1e-7), axis=1),
}


def open_network(source):
    """A function that shows images to the network in a file, and a sentence on how it does so.

    The form is that of FORMS in which the true digits of a thousand training images have the
    least negative log-likelihood; outputs that are no probabilities are brought to them.

    source : a file that Keras 3 opens, of a network with ten outputs for an image of 28 x 28, or
        such a network that you have loaded
    Returns a function from uint8 (n, 28, 28) to probabilities (n, 10), and the sentence.
    Raises ValueError for another file, as `digitlib.opening.load_network` does.
    """
    model = load_network(source) if isinstance(source, Path) else source
    shape = image_shape(source, model)
    sample = load_sample()
    images, labels = sample.x_train[:N_CHOOSING], sample.y_train[:N_CHOOSING]
    try:
        found = {form: _outputs(model, shape, form, images) for form in FORMS}
    except Exception as error:  # whatever its layers raise
        reason = textwrap.shorten(str(error), 200)
        raise ValueError(f"{source}: it cannot be shown images ({reason})") from error
    kinds = {form: _kind(source, outputs) for form, outputs in found.items()}
    y_prob = {form: OUTPUTS[kinds[form]](found[form]) for form in FORMS}
    best = min(FORMS, key=lambda form: nll(labels, y_prob[form]))
    right = (y_prob[best].argmax(axis=1) == labels).mean()

    def predict(images):
        return OUTPUTS[kinds[best]](_outputs(model, shape, best, images))

    how = f"shown {best} in the shape {shape}, and its outputs taken for {kinds[best]}"
    reads = f"so it reads {right:.1%} of {N_CHOOSING:,} training images"
    doubt = "" if right > 0.5 else "; none of the forms that are tried fits it"
    return predict, f"{how}: {reads}{doubt}"


def _outputs(model, shape, form, images):
    pixels = FORMS[form](images.astype(np.float32))[..., np.newaxis]
    inputs = pixels.repeat(math.prod(shape) // 784, axis=-1).reshape(-1, *shape)
    return np.nan_to_num(model.predict(inputs, batch_size=BATCH, verbose=0))


def _kind(path, outputs):
    """What the outputs are, of what OUTPUTS names."""
    if np.shape(outputs)[1:] != (10,):
        raise ValueError(f"{path}: expected ten outputs an image, got {np.shape(outputs)}")
    if outputs.min() < 0 or outputs.max() > 1.001:
        return "logits"
    sums = outputs.sum(axis=1)
    return "probabilities" if abs(sums - 1).max() < 1e-3 else "ten single probabilities"


def _normalised(pixels, axis):
    """Divided by their length along an axis or two, as `keras.utils.normalize` does it."""
    length = np.linalg.norm(pixels, axis=axis, keepdims=True)
    return pixels / np.where(length, length, 1)
