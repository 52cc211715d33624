"""Figures: kept with their numbers, their origin, and whole."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from digitlib.calibration import reliability_table, risk_coverage
from digitlib.data import Digits
from digitlib.plotting import (
    plot_confusion_matrix,
    plot_digits,
    plot_reliability_diagram,
    plot_risk_coverage,
    plot_training_curves,
    save_figure,
    use_style,
)

matplotlib.use("Agg")
TABLE = pd.DataFrame({"digit": [0, 1], "share": [0.123456789, 0.5]})


@pytest.fixture
def full(sample):
    """A few images that do not count as the sample."""
    return Digits("MNIST", *(getattr(sample, part)[:9] for part in sample.__match_args__[1:5]))


@pytest.fixture(autouse=True)
def figures(tmp_path, monkeypatch):
    use_style()
    monkeypatch.setenv("DIGITLIB_FIGURES", str(tmp_path))
    yield tmp_path
    plt.close("all")


def test_picture_and_numbers_are_kept_with_their_origin(full, figures):
    fig, ax = plt.subplots()
    ax.bar(TABLE.digit, TABLE.share)
    save_figure(fig, TABLE, "09_test", data=full, seeds=[0, 7])
    assert sorted(path.name for path in figures.iterdir()) == ["09_test.csv", "09_test.png"]
    assert (figures / "09_test.csv").read_bytes() == b"digit,share\n0,0.123457\n1,0.5\n"
    about = Image.open(figures / "09_test.png").text
    assert full.sha256 in about["Data"] and about["Seeds"] == "0 7"
    assert "tensorflow 2." in about["Software"]


def test_same_figure_is_the_same_bytes(full, figures):
    contents = []
    for _ in range(2):
        fig, ax = plt.subplots()
        ax.plot([1, 2])
        save_figure(fig, TABLE, "09_test", data=full)
        contents.append([path.read_bytes() for path in sorted(figures.iterdir())])
    assert contents[0] == contents[1]


def test_sample_figure_says_so_and_stays_apart(sample, figures):
    fig = plt.figure()
    save_figure(fig, TABLE, "09_test", data=sample)
    assert [path.name for path in figures.iterdir()] == ["sample"]
    assert any("embedded sample" in text.get_text() for text in fig.texts)


@pytest.mark.parametrize(("kind", "method"), [(Figure, "savefig"), (pd.DataFrame, "to_csv")])
def test_failed_save_leaves_the_old_figure_whole(full, figures, monkeypatch, kind, method):
    """And with its own numbers, whichever of the two the disk has no room for."""
    fig, ax = plt.subplots()
    save_figure(fig, TABLE, "09_test", data=full)
    before = {path.name: path.read_bytes() for path in figures.iterdir()}

    def full_disk(self, path, **_):
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    ax.plot([1, 2])
    monkeypatch.setattr(kind, method, full_disk)
    with pytest.raises(OSError, match="No space"):
        save_figure(fig, TABLE * 2, "09_test", data=full)
    assert {path.name: path.read_bytes() for path in figures.iterdir()} == before


def test_wrong_predictions_are_named(full):
    y_pred = full.y_train.copy()
    y_pred[4] = 9
    titles = [
        ax.get_title() for ax in plot_digits(full.x_train, y_true=full.y_train, y_pred=y_pred)
    ]
    assert titles == ["0", "1", "2", "3", "4, read as 9", "5", "6", "7", "8"]


@pytest.mark.parametrize("kind", [list, pd.Series])
def test_labels_may_be_lists_or_a_series_with_any_index(full, kind):
    y_true, y_pred = kind([3, 4]), kind([3, 7])
    if kind is pd.Series:
        y_true.index = y_pred.index = [70, 80]
    axes = plot_digits(list(full.x_train[3:5]), y_true=y_true, y_pred=y_pred)
    assert [ax.get_title() for ax in axes] == ["3", "4, read as 7"]


def test_grid_shows_the_images_in_order(full):
    axes = plot_digits(full.x_train, n_columns=4)
    assert len(axes) == 9
    for ax, image in zip(axes, full.x_train, strict=True):
        assert np.array_equal(ax.images[0].get_array(), image)


@pytest.mark.parametrize(
    ("columns", "labels"),
    [
        (["loss", "val_loss"], ["training", "validation"]),
        (["loss", "test_loss"], ["training", "test"]),
        (["loss"], ["training"]),
    ],
)
def test_curves_are_named_after_what_is_watched(columns, labels):
    history = pd.DataFrame({column: [2, 1] for column in ["seconds", *columns]}, index=[1, 2])
    ax = plot_training_curves([history, history])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == labels
    assert len(ax.lines) == 2 * len(labels)


Y_TRUE = np.array([0, 0, 0, 1, 1, 9])
Y_PRED = np.array([0, 0, 1, 1, 1, 0])


def test_confusion_matrix_counts_right_and_wrong_and_leaves_zeros_blank():
    ax = plot_confusion_matrix(Y_TRUE, Y_PRED)
    cells = {(text.get_position()[::-1]): text.get_text() for text in ax.texts}
    assert cells == {(0, 0): "2", (0, 1): "1", (1, 1): "2", (9, 0): "1"}


def test_only_errors_of_the_confusion_matrix_have_colour():
    shown = plot_confusion_matrix(Y_TRUE, Y_PRED).images[0].get_array()
    assert np.argwhere(~shown.mask).tolist() == [[0, 1], [9, 0]]


def test_confusion_matrix_without_errors_is_drawn():
    ax = plot_confusion_matrix(Y_TRUE, Y_TRUE)
    ax.figure.canvas.draw()
    assert [text.get_text() for text in ax.texts] == ["3", "2", "1"]


def probabilities(confidence, y_pred):
    y_prob = np.repeat((1 - np.array(confidence))[:, np.newaxis] / 9, 10, axis=1)
    y_prob[np.arange(len(y_pred)), y_pred] = confidence
    return y_prob


def test_reliability_diagram_shows_the_bins_that_are_not_empty():
    y_prob = probabilities([0.95, 0.95, 0.55, 0.95, 0.95, 0.55], Y_PRED)
    ax = plot_reliability_diagram(reliability_table(Y_TRUE, y_prob, n_bins=10), label="model")
    points = ax.containers[0].lines[0].get_xydata()
    np.testing.assert_allclose(points, [(55, 0), (95, 100)])
    assert ax.get_legend_handles_labels()[1] == ["model"]


def test_risk_coverage_shows_what_declining_leaves():
    y_prob = probabilities([0.9, 0.8, 0.5, 0.9, 0.8, 0.6], Y_PRED)
    (line,) = plot_risk_coverage(risk_coverage(Y_TRUE, y_prob)).lines
    expected = [(400 / 6, 0), (200 / 6, 0), (100 / 6, 20), (0, 200 / 6)]
    np.testing.assert_allclose(line.get_xydata(), expected, atol=1e-9)


def test_plots_are_drawn_where_the_caller_says():
    y_prob = probabilities([0.9, 0.8, 0.5, 0.9, 0.8, 0.6], Y_PRED)
    axes = plt.subplots(1, 3)[1]
    assert plot_confusion_matrix(Y_TRUE, Y_PRED, ax=axes[0]) is axes[0]
    assert plot_reliability_diagram(reliability_table(Y_TRUE, y_prob), ax=axes[1]) is axes[1]
    assert plot_risk_coverage(risk_coverage(Y_TRUE, y_prob), ax=axes[2]) is axes[2]
