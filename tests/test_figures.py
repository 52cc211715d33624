"""The figures that the notebooks have just drawn against those in figures/."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from nbval.plugin import IPyNbCell
from notebook_outputs import TRAINED_PICTURES, picture_distance
from PIL import Image

from conftest import has_usps

COMMITTED = Path(__file__).parents[1] / "figures"
EXACT = 1e-4  # relative; what does not depend on training

NEED_USPS = {"05_forms_seen"}
BY_COMMAND = {"04_seconds_bench"}  # no notebook draws them

INTERVAL = {"low": 1.5, "high": 2.0}
BY_DIGIT = {"misread": 1.8, **INTERVAL, **{f"seed_{seed}": 4 for seed in range(10)}}
PERCENT = {"percent": 25, "low": 25, "high": 25}
WAYS = ("always inverted", "inverted if bright", "MNIST's form")
CELLS = {f"read_as_{digit}": 45 for digit in range(10)}
PROJECTS = ("p0", "p1", "p2", "p3", "p4")

# Absolute tolerance by figure and column where training makes the numbers, which moves a little
# between kinds of processors as it does between seeds. A column of None is not compared;
# where all are None, the figure is a list of single images, and other runs list others.
TOLERANCES = {
    "01_embedding": {"x": None, "y": None, "stranger": None},  # t-SNE: the map is compared by eye
    "02_training_curves": {
        "loss": 0.1,
        "accuracy": 0.03,
        "val_loss": 0.1,
        "val_accuracy": 0.02,
        "test_loss": 0.1,
        "test_accuracy": 0.02,
    },
    "02_error_by_model": dict.fromkeys(
        ["error_mean", "error_std", "wilson_low", "wilson_high"], 0.4
    ),
    "02_claimed_vs_measured": {"measured": 0.4, "reach": 0.8},
    "02_sample_predictions": dict.fromkeys(["test_index", "y_true", *PROJECTS]),
    "02_confusions": CELLS,
    "03_confusion": CELLS,
    "03_error_by_digit": BY_DIGIT,
    "03_error_by_look": {"error": 1.5, "low": 1.3, "high": 1.7},
    "03_reliability": dict.fromkeys(
        ["n", "confidence", "accuracy", "accuracy_low", "accuracy_high"]
    ),
    "03_risk_coverage": {"threshold": 0.15, "coverage": 0.001, "risk": 0.005},
    "03_disputed_labels": dict.fromkeys(
        ["cnn_reads", "mlp_runs_against_label", "cnn_runs_against_label"]
    ),
    "03_evidence": dict.fromkeys([f"image_{k}" for k in range(1, 9)]),
    "03_largest_cells": dict.fromkeys(["test_index", "y_true", "read_as", "runs"]),
    "03_fixed": dict.fromkeys(["test_index", "y_true", "mlp_reads"]),
    "03_hardest": dict.fromkeys(["test_index", "y_true", "read_as", "runs", "disputed"]),
    "06_what_p3_sees": {"text": None, "confidence": None},
    "06_three_ways": {"right": 15, **PERCENT},
    "06_candidates": {"probability": 0.05},
    "06_invariants": {"same_reading": 10},
    "06_not_digits": {  # P3 of 40, as chance has it
        "answered": 20,
        "times_wider": 3,
        **dict.fromkeys(PERCENT, 50),
    },
    "06_page": {"confidence": 0.05},
    "06_made_pages": {"in_place": 2, "too_many": 2, "sure": 2, "wrong_and_sure": 1},
    "06_real_pictures": dict.fromkeys(f"P3: {way}" for way in WAYS),
    "06_limits": {"drawings": 3, **dict.fromkeys(PERCENT, 12)},
}


@pytest.fixture(params=sorted({path.stem for path in COMMITTED.glob("*.csv")} - BY_COMMAND))
def figure(request):
    """A figure's name, if its notebook was executed in this session."""
    notebook = request.param[:2]
    cells = (item for item in request.session.items if isinstance(item, IPyNbCell))
    if not any(cell.path.name.startswith(notebook) for cell in cells):
        pytest.skip(f"notebook {notebook} is not part of this session")
    if request.param in NEED_USPS and not has_usps():
        pytest.skip("needs USPS")
    return request.param


def test_numbers_are_those_committed(figure, data, drawn):
    new, old = (pd.read_csv(folder / f"{figure}.csv") for folder in (drawn, COMMITTED))
    assert set(new) <= set(old)  # the sample has fewer seeds
    if data.is_sample or "seconds" in figure:
        return
    assert list(new) == list(old)
    assert len(new) == len(old) or lists_images(figure)
    for column, tolerance in compared_columns(figure, old):
        if tolerance is EXACT and pd.api.types.is_numeric_dtype(old[column]):
            pd.testing.assert_series_equal(new[column], old[column], rtol=EXACT, check_dtype=False)
        elif tolerance is EXACT:
            assert new[column].tolist() == old[column].tolist(), column
        else:
            assert (new[column] - old[column]).abs().max() <= tolerance, column


def lists_images(figure):
    return figure in TOLERANCES and not any(TOLERANCES[figure].values())


def compared_columns(figure, table):
    tolerances = TOLERANCES.get(figure, {})
    return [(c, tolerances.get(c, EXACT)) for c in table if tolerances.get(c, EXACT) is not None]


def test_picture_is_the_one_committed(figure, data, drawn):
    new, old = ((folder / f"{figure}.png").read_bytes() for folder in (drawn, COMMITTED))
    if not (data.is_sample or "seconds" in figure or lists_images(figure)):
        assert picture_distance(new, old) <= (TRAINED_PICTURES if figure in TOLERANCES else 1)


def test_every_picture_has_its_numbers():
    pictures, tables = ({path.stem for path in COMMITTED.glob(f"*.{e}")} for e in ("png", "csv"))
    assert pictures == tables != set()


@pytest.mark.parametrize("path", sorted(COMMITTED.glob("*.png")), ids=lambda path: path.stem)
def test_nothing_is_cut_at_the_edge_of_a_picture(path):
    pixels = np.asarray(Image.open(path).convert("L"))
    edges = pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]
    assert min(edge.min() for edge in edges) > 250


@pytest.fixture
def drawn(data):
    """Where the notebooks under test put their figures."""
    return Path(os.environ["DIGITLIB_FIGURES"], "sample" if data.is_sample else "")
