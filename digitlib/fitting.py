"""How one network learns. This file's source is part of every run's name."""

import time

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from digitlib.data import WHITE, checked_images, model_input, one_hot


def train_here(recipe, data, seed, policy, *, after_epoch=None):
    """Train in this process: the network and its history.

    On one thread of the processor, also where there is a GPU, so that nothing but the recipe, the
    data and the seed decides the result; RuntimeError where TensorFlow has started otherwise.

    policy : Keras's dtype policy for what the recipe leaves open
    """
    keras.config.set_dtype_policy(policy)
    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)
    model = compiled_model(recipe, data)
    history = fit(model, recipe, data, seed, after_epoch=after_epoch)
    return model, history


def fit(model, recipe, data, seed, *, after_epoch=None):
    """Train a compiled network in place: its history, one row an epoch.

    The images stay in memory as one tensor of bytes and a whole epoch is one compiled graph, which
    spares Keras's `fit` its work in Python at every step. Shuffling follows from the seed.

    after_epoch : called with the number of each epoch and its row, a dict; it may raise
    """
    n_classes = model.output_shape[-1]
    x, y = checked_images(data.x_train), one_hot(data.y_train, n_classes)
    n_train = recipe.n_fitted(len(x))
    watched, x_watch, y_watch = "val", x[n_train:], y[n_train:]
    if recipe.validation == "test":
        watched, x_watch, y_watch = "test", data.x_test, one_hot(data.y_test, n_classes)
    x, y, x_watch = x[:n_train], y[:n_train], model_input(x_watch)
    model.optimizer.build(model.trainable_variables)
    run_epoch = _compiled_epoch(model, recipe, tf.constant(x), tf.constant(y))
    rng = np.random.default_rng(seed)
    rows = []
    epochs = range(1, recipe.epochs + 1)
    for epoch in epochs:
        start = time.perf_counter()
        loss, accuracy = run_epoch(tf.constant(rng.permutation(len(x)).astype(np.int32)))
        row = {"loss": float(loss), "accuracy": float(accuracy)}
        row["seconds"] = time.perf_counter() - start
        if len(x_watch):
            scores = model.evaluate(x_watch, y_watch, batch_size=1000, verbose=0, return_dict=True)
            row |= {f"{watched}_{metric}": scores[metric] for metric in ("loss", "accuracy")}
        rows.append(row)
        if after_epoch:
            after_epoch(epoch, row)
    return pd.DataFrame(rows, index=pd.Index(epochs, name="epoch"))


def _compiled_epoch(model, recipe, x, y):
    white = tf.constant(WHITE)  # outside the graph, which would multiply by a rounded 1 / 255

    @tf.function
    def run_epoch(order):
        loss_sum, n_right = tf.constant(0.0), tf.constant(0.0)
        for start in tf.range(0, len(order), recipe.batch_size):
            batch = order[start : start + recipe.batch_size]
            x_batch, y_batch = tf.gather(x, batch), tf.gather(y, batch)
            x_batch = tf.cast(x_batch, tf.float32)[..., tf.newaxis] / white
            if recipe.augment:
                x_batch = recipe.augment(x_batch)
            with tf.GradientTape() as tape:
                y_prob = model(x_batch, training=True)
                loss = model.compute_loss(y=y_batch, y_pred=y_prob)
            model.optimizer.apply(tape.gradient(loss, model.trainable_variables))
            right = tf.argmax(y_prob, axis=1) == tf.argmax(y_batch, axis=1)
            loss_sum += loss * tf.cast(len(batch), tf.float32)
            n_right += tf.reduce_sum(tf.cast(right, tf.float32))
        return loss_sum / len(order), n_right / len(order)

    return run_epoch


def compiled_model(recipe, data):
    """A new network of the recipe, compiled for training on these data."""
    model = recipe.build()
    optimizer = recipe.new_optimizer(len(data.x_train))
    model.compile(optimizer=optimizer, loss=recipe.loss, metrics=["accuracy"])
    return model
