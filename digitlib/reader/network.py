"""The reader's network in numpy: it starts at once and needs no TensorFlow."""

from functools import cache
from pathlib import Path

import numpy as np

WEIGHTS = Path(__file__).with_name("weights.npz")  # digitlib.studies.train_reader writes them


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
        x = images[..., None] / np.float32(255)
        for layer, stride in enumerate((2, 1, 2, 1)):
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
    size = len(kernel)
    out = -(-side // stride)
    pad = max((out - 1) * stride + size - side, 0)
    edges = (pad // 2, pad - pad // 2)
    x = np.pad(x, ((0, 0), edges, edges, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), (1, 2))
    windows = windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)
    flat = windows.reshape(n * out * out, size * size * channels)
    return (flat @ kernel.reshape(-1, kernel.shape[-1])).reshape(n, out, out, -1)
