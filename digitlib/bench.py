"""Seconds of training and test error side by side, measured in one run on this machine."""

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise

import cloudpickle
import joblib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import LogFormatter
from matplotlib.transforms import Bbox
from tqdm import tqdm

from digitlib.contenders import EXAMPLES, KERAS, KERAS_QUICK, TORCH, call_seconds
from digitlib.plotting import RIGHT
from digitlib.recipes import get_recipe
from digitlib.workers import processor

# How many seeds of which recipe or example.
FULL = {"fast": 20, "plain": 5, "p2": 1, "p3": 1, KERAS: 1, TORCH: 1}
QUICK = {"fast": 3, "plain": 1, KERAS_QUICK: 1}

HAS_TORCH = find_spec("torch") is not None
# Where a name may stand, in points from its entry; the first that is free is taken.
PLACES = [(x, y) for y in (0, 11, -11, 22, -22) for x in (0, 9, -9) if x or y]


def bench(data, entries):
    """Train every entry with its seeds, one training at a time: a row each, as `measure` gives it.

    entries : number of seeds by name, such as FULL; TORCH is left out where it is not installed
    A training is reported on stderr as soon as it is done.
    """
    jobs = [(name, seed) for name, n_seeds in entries.items() for seed in range(n_seeds)]
    jobs = [(name, seed) for name, seed in jobs if name != TORCH or HAS_TORCH]
    rows = []
    for name, seed in tqdm(jobs, "bench", unit="training"):
        entry = name if name in EXAMPLES else get_recipe(name)
        row = measured_in_fresh_process(entry, data, seed)
        rows.append(row)
        error = "" if np.isnan(row["error"]) else f", {100 - row['error']:.2f} % right"
        tqdm.write(f"{row['entry']}, seed {seed}: {row['seconds']:.2f} s{error}", sys.stderr)
    return pd.DataFrame(rows)


def measured_in_fresh_process(entry, data, seed):
    """What `measure` gives, in a process that has compiled nothing before.

    Raises RuntimeError, with the reason, where that process fails.
    """
    done = subprocess.run(
        [sys.executable, "-m", "digitlib.contenders"],
        input=cloudpickle.dumps((entry, data, seed)),
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"},  # processors are compared
        capture_output=True,  # TensorFlow logs whenever it is imported
    )
    if done.returncode:
        reason = f"exit status {done.returncode}; was there enough memory?"
        if done.returncode == 1:  # an exception, which ends what is on stderr
            reason = done.stderr.decode(errors="replace").splitlines()[-1]
        raise RuntimeError(
            f"{getattr(entry, 'name', entry)}, seed {seed}: training failed ({reason})"
        )
    return json.loads(done.stdout)


def machine():
    """The processor's name and the number of cores that this process may use."""
    n_cores = joblib.cpu_count()
    return f"{processor()}, {n_cores} core{'s' if n_cores > 1 else ''}"


def versions():
    """Python and the packages that decide how long a training takes, with their versions."""
    named = [f"{package} {version(package)}" for package in ("tensorflow", "keras", "numpy")]
    torch = f"torch {version('torch')}" if HAS_TORCH else "no torch, so without its example"
    return ", ".join([f"Python {platform.python_version()}", *named, torch])


def matmul_gflops(size=4096):
    """GFLOP/s of numpy's fastest float32 product of two square matrices, on all cores."""
    a = np.random.default_rng(0).random((size, size), dtype=np.float32)
    return 2 * size**3 / call_seconds(lambda: a @ a, at_least=3).min() / 1e9


def summary(rows, ceiling_gflops):
    """What `bench` measured as a table, a row an entry, with means over its seeds.

    Returns entry, trainings (how many), seconds and error (percent), each with its standard
    deviation `_sd`; faster_than_keras and faster_than_torch (how many times); training_percent
    of the ceiling; one_image_ms, images_per_second, ceiling_gflops and machine.
    NaN is what was not measured, and the deviation of a single training.
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
            "faster_than_torch": mean.seconds.get(TORCH, np.nan) / mean.seconds,
            "training_percent": 100 * mean.gflops / ceiling_gflops,
            "one_image_ms": mean.one_image_ms,
            "images_per_second": mean.images_per_second,
            "ceiling_gflops": ceiling_gflops,
            "machine": machine(),
        }
    )
    return table.reset_index()


def summary_text(table):
    """A `summary` for people to read: a line an entry, and what the columns mean."""
    columns = {
        "network": table.entry,
        "seeds": table.trainings.astype(str),
        "seconds": _spread(table.seconds, table.seconds_sd),
        "right %": _spread(100 - table.error, table.error_sd),
        "vs Keras": _rounded(table.faster_than_keras, "{:.1f}x"),
        "vs PyTorch": _rounded(table.faster_than_torch, "{:.1f}x"),
        "training": _rounded(table.training_percent, "{:.1f} %"),
        "1 image, ms": _rounded(table.one_image_ms, "{:.2f}"),
        "images/s": _rounded(table.images_per_second, "{:,.0f}"),
    }
    text = pd.DataFrame(columns)
    text["network"] = text.network.str.ljust(text.network.str.len().max())
    return f"""{text.to_string(index=False)}

seconds   training, from building the network on (mean ± sd over the seeds, as for right %)
vs        how many times faster than the example of Keras or of PyTorch
training  how much of the ceiling it reaches
ceiling   {table.ceiling_gflops[0]:,.0f} GFLOP/s, a large product of float32 matrices on all cores
1 image   the median; images/s: in batches of 1,000"""


def _spread(mean, sd):
    return _rounded(mean, "{:.2f}") + _rounded(sd, " ± {:.2f}")


def _rounded(numbers, form):
    return numbers.map(lambda number: "" if np.isnan(number) else form.format(number))


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
    ax.set_title("No network is both faster and better than those on the line")
    ax.xaxis.set_major_formatter(LogFormatter())  # 10, not the scale's own 10¹
    ax.xaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False))
    ax.margins(0.15)
    table = table.dropna(subset="error").sort_values("seconds")
    table = table.fillna({"seconds_sd": 0, "error_sd": 0})  # single trainings
    on_front = pareto_front(table.seconds, table.error)
    for part, color in ((table[~on_front], "#777777"), (table[on_front], RIGHT)):
        ax.errorbar(
            part.seconds, part.error, part.error_sd, part.seconds_sd, fmt="o", color=color,
            elinewidth=1, capsize=2,
        )  # fmt: skip
    front = table[on_front]
    stairs = np.repeat(front.seconds, 2)[1:], np.repeat(front.error, 2)[:-1]
    ax.plot(*stairs, color=RIGHT, linewidth=1, zorder=1)
    _name_points(ax, table, np.column_stack(stairs))
    return ax


def _name_points(ax, table, line):
    """Write each name beside its point, where it covers least: points, the line, other names."""
    ax.figure.draw_without_rendering()  # so that places on the canvas are known
    spread = table[["seconds_sd", "error_sd"]].to_numpy()
    low, high = (
        ax.transData.transform(table[["seconds", "error"]] + sign * spread) for sign in (-1, 1)
    )
    corners = ax.transData.transform(line)
    taken = [Bbox([a - 4, b + 4]) for a, b in zip(low, high, strict=True)]
    taken += [Bbox([a, b]) for a, b in pairwise(corners)]

    def write(row, place):
        return ax.annotate(
            row.entry, (row.seconds, row.error), place, textcoords="offset points", fontsize=9,
            ha={-1: "right", 0: "center", 1: "left"}[np.sign(place[0])], va="center",
        )  # fmt: skip

    def n_covered(row, place):
        text = write(row, place)
        box = text.get_window_extent()
        text.remove()
        inside = ax.bbox.x0 <= box.x0 and box.x1 <= ax.bbox.x1
        return sum(box.overlaps(other) for other in taken) + (0 if inside else 9)

    for row in table.itertuples():
        text = write(row, min(PLACES, key=lambda place: n_covered(row, place)))
        taken.append(text.get_window_extent())
