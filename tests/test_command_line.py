"""The command line, as a user types it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import call

from digitlib.recipes import RECIPES
from digitlib.workers import processor


@pytest.fixture(scope="module")
def digitlib(tmp_path_factory):
    """Runs a command on the sample in an empty folder."""
    folder = tmp_path_factory.mktemp("user")
    places = {"DIGITLIB_DATASET": "sample", "DIGITLIB_CACHE": folder / "cache"}

    def run(*arguments):
        return call(*arguments, folder=folder, **places)

    run.folder = folder
    return run


def test_help_comes_without_heavy_imports():
    code = "import sys, digitlib.__main__; print({'tensorflow', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n"


def test_recipes_lists_them_all(digitlib):
    done = subprocess.run(
        [sys.executable, "-m", "digitlib", "recipes"],
        capture_output=True, text=True, env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == ""  # a pipe without ×, and no start-up lines
    for recipe in RECIPES.values():
        assert recipe.title in done.stdout and recipe.source in done.stdout
    assert "109,386 parameters" in done.stdout and "claims   accuracy 0.9777" in done.stdout


@pytest.mark.parametrize(
    ("absent", "command", "extra"),
    [
        ("uvicorn", "app", "app"),
        ("tensorflow", "recipes", "study"),
        ("nbformat", "figures", "study"),
    ],
)
def test_what_is_not_installed_is_named_with_its_extra(
    digitlib, monkeypatch, absent, command, extra
):
    for name in ("digitlib.quiet", "digitlib.reader.server", "digitlib.notebooks"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, absent, None)
    done = digitlib(command)
    assert done.returncode == 1
    assert f'error: {absent} is not installed: pip install "digitlib[{extra}]"' in done.stderr


@pytest.fixture(scope="module")
def trained(digitlib):
    """What training mine.keras printed."""
    trained = digitlib("train", "p4", "--seed", "1", "--out", "mine.keras")
    assert trained.returncode == 0, trained.stderr
    return trained


def written(done):
    """The files that a command says it wrote."""
    said = " ".join(line for line in done.stdout.splitlines() if line.startswith("wrote "))
    return [Path(word.strip(",:")) for word in said.split() if word.strip(",:")[-4:-3] == "."]


def test_what_is_said_to_be_written_is_there(digitlib, trained):
    digitlib("evaluate", "mine.keras")
    evaluated = digitlib("evaluate", "mine.keras", "--data", "uci", "--report", "page")
    for done, n in ((trained, 2), (evaluated, 2)):
        assert len(written(done)) == n
        assert all((digitlib.folder / path).is_file() for path in written(done))


def test_pictures_of_other_data_leave_those_of_mnist_alone(digitlib, trained):
    names = [written(digitlib("evaluate", "mine.keras", *more)) for more in ([], ["--data", "uci"])]
    assert not {path.name for path in names[0]} & {path.name for path in names[1]}


def test_pictures_go_here_and_not_to_where_the_network_lies(digitlib, trained):
    away = digitlib.folder / "away"
    away.mkdir()
    shutil.copy(digitlib.folder / "mine.keras", away / "other.keras")
    done = digitlib("evaluate", "away/other.keras")
    assert done.returncode == 0 and [path.name for path in away.iterdir()] == ["other.keras"]


def test_data_without_one_digit_are_measured(digitlib, trained, sample):
    kept = sample.y_test != 3
    np.savez(digitlib.folder / "no_3.npz", x=sample.x_test[kept], y=sample.y_test[kept])
    done = digitlib("evaluate", "mine.keras", "--data", "no_3.npz", "--report", "no 3")
    assert done.returncode == 0, done.stderr
    recall = next(line for line in done.stdout.splitlines() if line.startswith("    recall"))
    assert recall.split() == ["recall", "nan"]
    per_class = pd.read_csv(digitlib.folder / "no 3" / "per_class.csv", index_col="digit")
    assert per_class.recall.isna().tolist() == [digit == 3 for digit in range(10)]


def test_debug_shows_where_an_error_comes_from(digitlib):
    with pytest.raises(ValueError, match="unknown recipe"):
        digitlib("train", "P3", "--debug")


def test_train_then_evaluate(digitlib, trained):
    assert "109,386" in trained.stdout and "20" in trained.stdout  # summary, history
    assert processor() in trained.stdout
    evaluated = digitlib("evaluate", "mine.keras")
    assert evaluated.returncode == 0, evaluated.stderr
    metrics = [line for line in evaluated.stdout.splitlines() if line.startswith("    ")]
    assert [line.split()[0] for line in metrics] == ["accuracy", "precision", "recall", "f1"]
    assert all(line in trained.stdout for line in metrics)
    assert 0.85 < float(metrics[0].split()[1]) < 0.99
    figures = digitlib.folder / "sample"
    assert len(pd.read_csv(figures / "mine_training.csv")) == 20
    predictions = pd.read_csv(figures / "mine_predictions.csv")
    assert len(predictions) == 40 and (predictions.y_true != predictions.y_pred)[20:].all()


def test_evaluate_a_network_of_ours_without_training(digitlib, mnist):
    done = call("evaluate", "best", folder=digitlib.folder, DIGITLIB_DATASET="mnist")
    assert done.returncode == 0, done.stderr
    first, accuracy, *_ = done.stdout.splitlines()
    assert first.startswith("MNIST, 10,000") and float(accuracy.split()[1]) > 0.996
    assert (digitlib.folder / "best_predictions.png").exists()


def test_data_says_where_mnist_is(digitlib, mnist):
    assert "MNIST, verified: " in call("data", folder=digitlib.folder).stdout


def test_evaluate_on_other_data(digitlib, trained, sample):
    evaluated = digitlib("evaluate", "mine.keras", "--data", "uci", "--report", "report")
    assert evaluated.returncode == 0, evaluated.stderr
    first, accuracy, *_ = evaluated.stdout.splitlines()
    assert first.startswith("UCI digits (form mnist), 1,797 test images")
    assert 0.5 < float(accuracy.split()[1]) < 0.99
    predictions = pd.read_csv(digitlib.folder / "mine_predictions_uci.csv")
    assert predictions.y_true[:10].tolist() == list(range(10))
    assert "UCI digits (form mnist)" in (digitlib.folder / "report/report.html").read_text(
        encoding="utf-8"
    )

    np.savez(digitlib.folder / "light.npz", x=255 - sample.x_test, y=sample.y_test)
    evaluate = ["evaluate", "mine.keras", "--data", "light.npz", "--form", "as-is"]
    assert "'invert'" in digitlib(*evaluate).stderr
    evaluated = digitlib(*evaluate, "--convert", "invert")
    assert evaluated.stdout.startswith("light.npz (invert; form as-is), 1,000 test images")
    for line in evaluated.stdout.splitlines()[1:5]:  # the metrics on what training was tested on
        assert line in trained.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "P3"], "unknown recipe 'P3'"),
        (["train", "p3", "--out", "model.h5"], "ends in .keras"),
        (["evaluate", "absent.keras"], "absent.keras: no such file"),
        (["evaluate", "text.keras"], "text.keras: not a Keras network"),
        (["evaluate", "text.keras", "--form", "resized"], "--form and --convert are for --data"),
        (["evaluate", "text.keras", "--data", "absent.npz"], "error: absent.npz: no such file"),
        (["figures"], "repository's root"),
    ],
)
def test_mistakes_get_one_clear_line(digitlib, arguments, message):
    (digitlib.folder / "text.keras").write_text("not a zip")
    done = digitlib(*arguments)
    assert done.returncode != 0
    assert message in done.stderr and "Traceback" not in done.stderr
