"""A network and data so small that a training takes a moment."""

import os
import tempfile
from contextlib import contextmanager

import keras
import tensorflow as tf
from keras import layers
from tensorflow.python.framework import config

from digitlib.data import Digits, load_sample
from digitlib.recipes import Recipe


def tiny_network():
    return keras.Sequential(
        [keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(10, activation="softmax")]
    )


TINY = Recipe("tiny", "a test", tiny_network, epochs=2, batch_size=32, validation=0.25)


def few_digits():
    """400 training and 100 test images."""
    sample = load_sample()
    parts = (sample.x_train[:400], sample.y_train[:400], sample.x_test[:100], sample.y_test[:100])
    return Digits("few", *parts, is_sample=True)


def leave_mark(images):
    """The images as they are; a file in TINY_MARKS says whose child has begun to train."""
    if folder := os.environ.get("TINY_MARKS"):
        tempfile.mkstemp(prefix=f"mark-{os.getppid()}-", dir=folder)
    return images


def note_settings(path, images):
    """The images as they are; the file at `path` says how TensorFlow is set where they are."""
    threads = tf.config.threading
    text = (
        f"intra {threads.get_intra_op_parallelism_threads()}, "
        f"inter {threads.get_inter_op_parallelism_threads()}, "
        f"deterministic {config.is_op_determinism_enabled()}, "
        f"GPU hidden {config.get_visible_devices('GPU') == []}"
    )
    path.write_text(text, encoding="utf-8")
    return images


@contextmanager
def dtype_policy(name):
    """Let layers without a type of their own compute in that of Keras's policy `name`."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
