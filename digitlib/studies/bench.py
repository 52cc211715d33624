"""Seconds of training and test error side by side, measured in one run on this machine.

The clock starts once TensorFlow and the data are there. Building, tracing and compiling count, and
so does what a source watches while it trains.
"""

import os
import platform
import sys
import time
from importlib.metadata import version

import joblib
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from joblib.externals.loky import ProcessPoolExecutor
from keras import layers
from matplotlib.ticker import LogFormatter
from tqdm import tqdm

from digitlib.data import model_input, one_hot
from digitlib.fitting import compiled_model, fit
from digitlib.plotting import DATA
from digitlib.recipes import get_recipe
from digitlib.recipes.recipe import classifier
from digitlib.workers import processor, start_worker

KERAS = "Keras example"
KERAS_QUICK = "Keras example, from 2 of its 15 epochs"
# How many seeds of which recipe or example.
FULL = {"fast": 20, "plain": 5, "p2": 1, "p3": 1, KERAS: 5}
QUICK = {"fast": 3, "plain": 1, KERAS_QUICK: 1}


def bench(data, entries):
    """Train every entry with its seeds, one at a time: a row each, as `time_training` gives it.

    Entries take turns, each spread over the whole time, as a machine may get slower meanwhile.

    entries : number of seeds by name, such as FULL
    A training is reported on stderr as soon as it is done.
    """
    jobs = [(name, seed) for name, n_seeds in entries.items() for seed in range(n_seeds)]
    jobs.sort(key=lambda job: job[1] / entries[job[0]])
    rows = []
    for name, seed in tqdm(jobs, "bench", unit="training"):
        entry = name if name in (KERAS, KERAS_QUICK) else get_recipe(name)
        row = timed_in_fresh_process(entry, data, seed)
        rows.append(row)
        error = "" if np.isnan(row["error"]) else f", {100 - row['error']:.2f} % right"
        tqdm.write(f"{row['entry']}, seed {seed}: {row['seconds']:.2f} s{error}", sys.stderr)
    return pd.DataFrame(rows)


def timed_in_fresh_process(entry, data, seed):
    """What `time_training` gives, in a process that has compiled nothing before.

    Raises RuntimeError, with the reason, where that process fails.
    """
    start = {"initializer": start_worker, "initargs": (os.getpid(),)}
    no_gpu = {"CUDA_VISIBLE_DEVICES": "-1"}  # processors are compared
    with ProcessPoolExecutor(1, env=no_gpu, **start) as pool:
        try:
            return pool.submit(time_training, entry, data, seed).result()
        except Exception as error:
            name = getattr(entry, "name", entry)
            raise RuntimeError(f"{name}, seed {seed}: training failed ({error})") from error


def time_training(entry, data, seed):
    """Train a recipe or an example once, and time it: a dict, one row of a table.

    entry : a `Recipe`, KERAS or KERAS_QUICK
    Returns entry, seed, seconds and error (percent; NaN for KERAS_QUICK).
    """
    keras.utils.set_random_seed(seed)
    if isinstance(entry, str):
        model, seconds = _train_keras_example(data, epochs=2 if entry == KERAS_QUICK else 15)
    else:
        start = time.perf_counter()
        model = compiled_model(entry, data)
        fit(model, entry, data, seed)  # on all cores
        seconds = time.perf_counter() - start
    images = model_input(data.x_test)
    y_pred = model.predict(images, batch_size=1000, verbose=0).argmax(axis=1)
    return {
        "entry": entry if isinstance(entry, str) else entry.title,
        "seed": seed,
        "seconds": seconds,
        "error": np.nan if entry == KERAS_QUICK else 100 * (y_pred != data.y_test).mean(),
    }


def keras_example_network():
    """The network of Keras's "Simple MNIST convnet"."""
    return classifier(
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dropout(0.5),
    )


def _train_keras_example(data, epochs):
    """Keras's "Simple MNIST convnet", trained as it trains itself, only silently, and the seconds.

    epochs : where fewer than its 15, the others are taken to be as long as the last of these
    Source: F. Chollet, keras-team/keras-io, examples/vision/mnist_convnet.py
    """
    x, y = model_input(data.x_train), one_hot(data.y_train)
    times = [time.perf_counter()]
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: times.append(time.perf_counter())
    )
    model = keras_example_network()
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.fit(
        x, y, batch_size=128, epochs=epochs, validation_split=0.1, verbose=0, callbacks=[watch]
    )
    return model, times[-1] - times[0] + (15 - epochs) * (times[-1] - times[-2])


def machine():
    """The processor's name and the number of cores that this process may use."""
    n_cores = joblib.cpu_count()
    return f"{processor()}, {n_cores} core{'s' if n_cores > 1 else ''}"


def versions():
    """Python and the packages that decide how long a training takes, with their versions."""
    named = [f"{package} {version(package)}" for package in ("tensorflow", "keras", "numpy")]
    return ", ".join([f"Python {platform.python_version()}", *named])


def summary(rows):
    """What `bench` measured as a table, a row an entry, with means over its seeds.

    Returns entry, trainings (how many), seconds and error (percent), each with its standard
    deviation `_sd`, faster_than_keras (how many times, whatever the errors) and machine. NaN is
    what was not measured, and the deviation of a single training.
    """
    groups = rows.groupby("entry", sort=False)
    mean, sd = groups.mean(), groups.std()
    keras = mean.seconds.get(KERAS, mean.seconds.get(KERAS_QUICK, np.nan))
    table = pd.DataFrame(
        {
            "trainings": groups.size(),
            "seconds": mean.seconds,
            "seconds_sd": sd.seconds,
            "error": mean.error,
            "error_sd": sd.error,
            "faster_than_keras": keras / mean.seconds,
            "machine": machine(),
        }
    )
    return table.reset_index()


def pareto_front(seconds, error):
    """Which entries no other beats in one without losing in the other: bool, shape (n,).

    seconds, error : shape (n,); an entry without an error (NaN) is not on the front
    """
    points = np.column_stack([seconds, error])
    a, b = points[:, np.newaxis], points[np.newaxis]
    beats = (a <= b).all(axis=2) & (a < b).any(axis=2)
    return ~beats.any(axis=0) & ~np.isnan(points).any(axis=1)


def plot_bench(table, *, ax=None):
    """Error against seconds, each entry with its spread and its name, and the Pareto front.

    table : a `summary`; entries without an error are left out
    """
    ax = plt.gca() if ax is None else ax
    ax.set(xscale="log", ylabel="test error (%)")
    ax.set_xlabel(f"seconds of training on {table.machine.iloc[0]}")
    ax.set_title("No network here is both faster and better than those on the line")
    ax.xaxis.set_major_formatter(LogFormatter())  # 10, not the scale's own 10¹
    ax.xaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False))
    ax.margins(x=0.3, y=0.15)
    table = table.dropna(subset="error").sort_values("seconds")
    table = table.fillna({"seconds_sd": 0, "error_sd": 0})  # single trainings
    on_front = pareto_front(table.seconds, table.error)
    for part, color in ((table[~on_front], DATA), (table[on_front], "black")):
        ax.errorbar(
            part.seconds, part.error, part.error_sd, part.seconds_sd, fmt="o", color=color,
            elinewidth=1, capsize=2,
        )  # fmt: skip
    front = table[on_front]
    stairs = np.repeat(front.seconds, 2)[1:], np.repeat(front.error, 2)[:-1]
    ax.plot(*stairs, color="black", linewidth=1, zorder=1)
    for row, below in zip(table.itertuples(), on_front, strict=True):
        style = {"textcoords": "offset points", "ha": "center", "fontsize": 9}
        name = f"{row.entry} (once)" if row.trainings == 1 else row.entry
        ax.annotate(name, (row.seconds, row.error), (0, -17 if below else 9), **style)
    return ax
