"""The reader's network in numpy: it starts at once and needs no TensorFlow."""

from functools import cache
from pathlib import Path

import numpy as np

WEIGHTS = Path(__file__).with_name("weights.npz")  # digitlib.studies.train_reader writes them
STRIDES = 1, 2, 1, 2, 1, 2, 1  # of the convolutions
BATCH = 32  # images at once, as many as the processor's cache holds


@cache
def load_network(path=WEIGHTS):
    """A function from uint8 images (n, 28, 28) in MNIST's form to probabilities, float32 (n, 10).

    A row's sum is the probability that the image is one digit.

    path : weights that `save_reader` wrote, kernels with their batch normalisation folded in; else
        those that ship with the package
    """
    with np.load(path) as file:
        weights = {name: file[name].astype(np.float32) for name in file.files}

    def predict(images):
        starts = range(0, max(1, len(images)), BATCH)
        return np.concatenate([forward(images[start : start + BATCH]) for start in starts])

    def forward(images):
        x = images[..., None] / np.float32(255)
        for layer, stride in enumerate(STRIDES):
            x = _convolve(x, weights[f"conv{layer}"], stride) + weights[f"conv{layer}_bias"]
            x = np.maximum(x, 0)
        x = x.reshape(len(x), -1)
        x = np.maximum(x @ weights["dense0"] + weights["dense0_bias"], 0)
        x = (x @ weights["dense1"] + weights["dense1_bias"]) / weights["temperature"]
        x = np.exp(x - x.max(1, keepdims=True))
        return (x / x.sum(1, keepdims=True))[:, :10]

    return predict


def _convolve(x, kernel, stride):
    """TensorFlow's convolution with padding "same": (n, h, w, c) and (s, s, c, filters)."""
    n, side, _, channels = x.shape
    size, filters = len(kernel), kernel.shape[-1]
    out = -(-side // stride)
    pad = max((out - 1) * stride + size - side, 0)
    padded = np.zeros((n, side + pad, side + pad, channels), x.dtype)
    padded[:, pad // 2 : pad // 2 + side, pad // 2 : pad // 2 + side] = x
    rows = padded.reshape(n, side + pad, -1)  # a window's row is one piece of memory: quick to copy
    windows = np.lib.stride_tricks.sliding_window_view(rows, (size, size * channels), (1, 2))
    flat = windows[:, ::stride, :: stride * channels].reshape(n * out * out, -1)
    return (flat @ kernel.reshape(-1, filters)).reshape(n, out, out, filters)
