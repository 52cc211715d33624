"""Training that repeats: a recipe, data and a seed give the same `Run`, kept on disk."""

import hashlib
import inspect
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import joblib
import keras
import numpy as np
import pandas as pd
import platformdirs
import tensorflow as tf
from tqdm import tqdm

from digitlib.data import model_input, one_hot
from digitlib.layers import load_network
from digitlib.workers import processor, workers


@dataclass(frozen=True)
class Run:
    """What one training left behind.

    history : DataFrame indexed by epoch: loss, accuracy, seconds, and unless nothing was watched
        val_loss and val_accuracy, or test_loss and test_accuracy
    y_prob : float32, shape (n_test, 10); the probabilities for the test images
    processor : the name of the one that trained it, of which the seconds are
    path : the folder that keeps it, with the trained network as model.keras
    """

    recipe: str
    seed: int
    history: pd.DataFrame
    y_prob: np.ndarray
    processor: str
    path: Path

    @property
    def y_pred(self):
        """The most probable digit for each test image: uint8, shape (n_test,)."""
        return self.y_prob.argmax(axis=1).astype(np.uint8)

    def load_model(self):
        """The trained network, compiled, as Keras saved it."""
        return load_network(self.path / "model.keras")


def train(recipe, data, seed=0):
    """Train one recipe once: the `Run`, from the cache where it is known already."""
    return train_many([recipe], data, [seed])[0]


def train_many(recipes, data, seeds):
    """Train every recipe with every seed, several at once: a list of `Run`, recipe by recipe.

    Each run has one processor core to itself, in a process of its own, so that its result does
    not depend on how many cores there are or what else they do. A finished run is kept in the
    cache (DIGITLIB_CACHE, or the user's cache folder), so an interrupted call goes on from there.
    """
    folder = cache_folder()
    jobs = [(run_name(recipe, data, seed), recipe, seed) for recipe in recipes for seed in seeds]
    missing = [job for job in jobs if not (folder / job[0]).exists()]
    policy = keras.config.dtype_policy()
    if missing:
        alone = len(missing) == 1
        with workers(len(missing), shared=[data]) as parallel:
            finished = parallel(
                joblib.delayed(_train)(name, recipe, data, seed, policy, show_progress=alone)
                for name, recipe, seed in missing
            )
            for name, files in tqdm(finished, "training", len(missing), unit="run", disable=alone):
                _keep(files, folder / name)
    return [_load_run(folder / name) for name, _, _ in jobs]


def train_here(recipe, data, seed, policy, *, after_epoch=None, show_progress=False):
    """Train in this process: the network and its history.

    On one thread, so that nothing but the recipe, the data and the seed decides the result;
    RuntimeError where TensorFlow has started with more already.

    policy : Keras's dtype policy for what the recipe leaves open
    """
    keras.config.set_dtype_policy(policy)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)
    model = compiled_model(recipe, data)
    history = fit(model, recipe, data, seed, after_epoch=after_epoch, show_progress=show_progress)
    return model, history


def fit(model, recipe, data, seed, *, after_epoch=None, show_progress=True):
    """Train a compiled network in place: its history, one row an epoch.

    The images stay in memory as one tensor and a whole epoch is one compiled graph, which spares
    Keras's `fit` its work in Python at every step. Shuffling follows from the seed.

    after_epoch : called with the number of each epoch and its row, a dict; it may raise
    """
    n_classes = model.output_shape[-1]
    x, y = model_input(data.x_train), one_hot(data.y_train, n_classes)
    n_train = recipe.n_fitted(len(x))
    watched, x_watch, y_watch = "val", x[n_train:], y[n_train:]
    if recipe.validation == "test":
        watched = "test"
        x_watch, y_watch = model_input(data.x_test), one_hot(data.y_test, n_classes)
    x, y = x[:n_train], y[:n_train]
    model.optimizer.build(model.trainable_variables)
    run_epoch = _compiled_epoch(model, recipe, tf.constant(x), tf.constant(y))
    rng = np.random.default_rng(seed)
    rows = []
    title = f"{recipe.name}, seed {seed}"
    epochs = range(1, recipe.epochs + 1)
    for epoch in tqdm(epochs, title, unit="epoch", disable=not show_progress):
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
    @tf.function
    def run_epoch(order):
        loss_sum, n_right = tf.constant(0.0), tf.constant(0.0)
        for start in tf.range(0, len(order), recipe.batch_size):
            batch = order[start : start + recipe.batch_size]
            x_batch, y_batch = tf.gather(x, batch), tf.gather(y, batch)
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


def _train(name, recipe, data, seed, policy, show_progress):
    """The run's name and its files, name to bytes: a worker may share no disk with the cache."""
    model, history = train_here(recipe, data, seed, policy, show_progress=show_progress)
    y_prob = model.predict(model_input(data.x_test), batch_size=1000, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        model.save(folder / "model.keras")
        np.save(folder / "y_prob.npy", y_prob)
        history.to_csv(folder / "history.csv")
        about = {"recipe": recipe.name, "seed": seed, "processor": processor()}
        (folder / "run.json").write_text(json.dumps(about))
        return name, {path.name: path.read_bytes() for path in folder.iterdir()}


def _keep(files, path):
    """Leave the files of a run at `path`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=path.parent) as folder:
        draft = Path(folder) / "run"
        draft.mkdir()
        for name, content in files.items():
            (draft / name).write_bytes(content)
        try:
            draft.rename(path)
        except OSError:
            if not path.exists():  # else another process finished the same run first
                raise


def _load_run(path):
    history = pd.read_csv(path / "history.csv", index_col="epoch")
    about = json.loads((path / "run.json").read_text())
    return Run(**about, history=history, y_prob=np.load(path / "y_prob.npy"), path=path)


def compiled_model(recipe, data):
    """A new network of the recipe, compiled for training on these data."""
    model = recipe.build()
    optimizer = recipe.new_optimizer(len(data.x_train))
    model.compile(optimizer=optimizer, loss=recipe.loss, metrics=["accuracy"])
    return model


def run_name(recipe, data, seed):
    """Names a run after all that decides its result: recipe, seed, data, code and versions."""
    model = compiled_model(recipe, data)
    network = json.loads(model.to_json(), object_hook=_without_names)
    settings = [recipe.epochs, recipe.batch_size, recipe.validation, joblib.hash(recipe.augment)]
    parts = filter(None, [recipe.augment, *model.layers])
    modules = {sys.modules[__name__], *map(inspect.getmodule, parts)}
    ours = [module for module in modules if not module.__name__.startswith("keras.")]
    code = [*sorted(map(inspect.getsource, ours)), inspect.getsource(model_input)]
    versions = [keras.__version__, tf.__version__, np.__version__]
    key = json.dumps([network, settings, code, versions, data.sha256, seed])
    return f"{recipe.name}-seed{seed}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _without_names(part):
    """Keras counts its layers on in their names; a policy has nothing but its name, which stays."""
    return part if len(part) == 1 else {key: part[key] for key in part if key != "name"}


def cache_folder():
    """Where finished runs are kept: the folder that DIGITLIB_CACHE names, or the user's."""
    chosen = os.environ.get("DIGITLIB_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("digitlib")
