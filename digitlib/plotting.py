"""Arrays or tables in, Axes out; one look for every figure, and one way to keep it."""

import os
from importlib.metadata import version
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from digitlib.files import written_whole

PACKAGES = ("digitlib", "numpy", "matplotlib", "keras", "tensorflow")  # named in every PNG
# One meaning for each colour, in every figure; neighbours in a figure differ in grey, too.
RIGHT, WRONG = "#0072B2", "#D55E00"  # answers
MLP, CNN = "#CC79A7", "#006548"  # kinds of networks, and P2 and P3 as their examples
READER = "#5B4A9E"  # the network that reads people's own pictures
DATA = "#5A6472"  # what is none of these: counts, measurements, a single curve


def use_style():
    """Give the figures drawn from now on the look of this project."""
    plt.style.use("digitlib.digitlib")


def plot_digits(images, *, y_true=None, y_pred=None, titles=None, n_columns=10):
    """A grid of digits, ink dark on white; wrong predictions stand out in colour and words.

    images : shape (n, 28, 28), any scale
    y_true, y_pred : labels, shape (n,); named above each image where given
    titles : n strings, instead of the labels
    Returns the array of n Axes.
    """
    y_true, y_pred = (None if y is None else np.asarray(y) for y in (y_true, y_pred))
    wrong = np.zeros(len(images), bool) if y_pred is None else y_true != y_pred
    if titles is None and y_true is not None:
        titles = [f"{true}" for true in y_true]
        for i in np.flatnonzero(wrong):
            titles[i] = f"{y_true[i]}, read as {y_pred[i]}"
    n_rows = -(-len(images) // n_columns)
    figsize = (0.8 * n_columns, (0.8 if titles is None else 1.0) * n_rows)
    axes = plt.subplots(n_rows, n_columns, figsize=figsize, squeeze=False)[1].ravel()
    for ax in axes:
        ax.set_axis_off()
    for i, (ax, image) in enumerate(zip(axes, images, strict=False)):
        ax.imshow(image, cmap="gray_r", vmin=0, vmax=max(image.max(), 1e-9))
        if titles is not None:
            weight, color = ("bold", WRONG) if wrong[i] else ("normal", "#333333")
            ax.set_title(titles[i], fontsize=8, fontweight=weight, color=color, loc="center")
    return axes[: len(images)]


def plot_training_curves(histories, *, metric="loss", ax=None):
    """Training curves of one recipe, and those on what it watched: a thin line a seed.

    histories : one `Run.history` a seed
    metric : "loss" or "accuracy"
    """
    ax = plt.gca() if ax is None else ax
    curves = {
        metric: ("training", "--", "#999999"),
        f"val_{metric}": ("validation", "-", DATA),
        f"test_{metric}": ("test", "-", DATA),
    }
    for column in histories[0].columns.intersection(list(curves)):
        name, style, color = curves[column]
        for i, history in enumerate(histories):
            label = name if i == 0 else None
            ax.plot(history.index, history[column], style, color=color, linewidth=1.2, label=label)
    ax.set(xlabel="epoch", ylabel=metric)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend()
    return ax


def plot_confusion_matrix(y_true, y_pred, *, ax=None):
    """Which digits are taken for which: the errors in colour, the right answers in pale grey."""
    from sklearn.metrics import confusion_matrix

    ax = plt.gca() if ax is None else ax
    matrix = confusion_matrix(y_true, y_pred, labels=range(10))
    errors = np.ma.masked_array(matrix, (matrix == 0) | np.eye(10, dtype=bool))
    darkest = 1.6 * max(errors.max(), 1e-9) if errors.count() else 1  # black text stays legible
    ax.imshow(errors, cmap="Oranges", vmin=0, vmax=darkest)
    for (i, j), value in np.ndenumerate(matrix):
        if value:
            size, color = (6, "#777777") if i == j else (9, "black")
            ax.text(j, i, f"{value:,}", ha="center", va="center", size=size, color=color)
    ax.set(xlabel="read as", ylabel="true digit", xticks=range(10), yticks=range(10))
    ax.grid(visible=False)
    ax.tick_params(length=0)
    return ax


def plot_reliability_diagram(table, *, ax=None, **style):
    """Accuracy against confidence with 95 % intervals; a calibrated model follows the dashes.

    table : a `reliability_table`; its empty bins are left out
    style : passed to `Axes.errorbar`, such as label, color and fmt
    """
    ax = plt.gca() if ax is None else ax
    seen = 100 * table[table.n > 0]
    interval = (seen.accuracy - seen.accuracy_low, seen.accuracy_high - seen.accuracy)
    ax.plot([0, 100], [0, 100], "--", color="#777777", linewidth=1, zorder=1)
    style = {"fmt": "o", "capsize": 3, "elinewidth": 1} | style
    ax.errorbar(seen.confidence, seen.accuracy, np.abs(interval), **style)
    ax.set(xlabel="how sure the model says it is (%)", ylabel="how often it is right (%)")
    return ax


def plot_risk_coverage(table, *, most_declined=5, ax=None, **style):
    """The error that remains against the share of images that the model may decline.

    table : a `risk_coverage`
    most_declined : where the axis ends, in percent
    style : passed to `Axes.plot`, such as label, color and linestyle
    """
    ax = plt.gca() if ax is None else ax
    ax.plot(100 * (1 - table.coverage), 100 * table.risk, drawstyle="steps-post", **style)
    ax.set(xlabel="images declined (%)", ylabel="error among the others (%)")
    ax.set(xlim=(0, most_declined), ylim=(0, None))
    return ax


def save_figure(fig, table, name, *, data, seeds=(), folder=None) -> Path:
    """Keep a figure as NAME.png and its numbers as NAME.csv, both whole or neither.

    table : DataFrame of the numbers
    data : the `Digits` behind them; a figure from the sample says so and goes to `sample/`
    seeds : those of the runs behind them
    folder : where to; else the folder that DIGITLIB_FIGURES names, else ../figures
    Data hash, versions and seeds stand in the PNG's metadata. Returns the PNG's path.
    """
    folder = Path(folder or os.environ.get("DIGITLIB_FIGURES") or "../figures")
    if data.is_sample:
        folder = folder / "sample"
        fig.text(0.995, 0.005, "embedded sample, not all of MNIST", ha="right", color=WRONG, size=8)
    provenance = {
        "Title": name,
        "Data": f"{data.name}, SHA-256 {data.sha256}",
        "Seeds": " ".join(map(str, seeds)) or "none",
        "Software": ", ".join(f"{p} {version(p)}" for p in PACKAGES),
    }
    with written_whole(folder / f"{name}.png") as draft:
        fig.savefig(draft, format="png", metadata=provenance)
        save_table(table, folder / f"{name}.csv")
    return folder / f"{name}.png"


def save_table(table, path):
    """Keep a DataFrame as CSV with six digits, its index only if that has a meaning."""
    named_index = not isinstance(table.index, pd.RangeIndex) or table.index.name is not None
    with written_whole(path) as draft:
        table.to_csv(draft, index=named_index, float_format="%.6g", lineterminator="\n")
