"""The bench: every entry measured, the table and the picture right."""

import itertools
import sys
from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlib import __main__
from digitlib.data import Digits
from digitlib.recipes import RECIPES
from digitlib.studies import bench
from digitlib.studies.bench import KERAS, KERAS_QUICK


@pytest.fixture(scope="module")
def few(sample):
    """400 training and 100 test images."""
    return Digits("few", sample.x_train[:400], sample.y_train[:400], sample.x_test[:100],
                  sample.y_test[:100], is_sample=True)  # fmt: skip


def rows_of(entries):
    """What `bench` gives; entries: for each name, a pair (seconds, error) a seed."""
    rows = [
        {"entry": entry, "seed": seed, "seconds": seconds, "error": error}
        for entry, pairs in entries.items()
        for seed, (seconds, error) in enumerate(pairs)
    ]
    return pd.DataFrame(rows)


def test_keras_example_has_its_number_of_parameters():
    assert bench.keras_example_network().count_params() == 34_826


def test_left_out_epochs_count_as_long_as_the_last(few, monkeypatch):
    clock = SimpleNamespace(perf_counter=iter([100, 110, 113]).__next__)
    monkeypatch.setattr(bench, "time", clock)
    _, seconds = bench._train_keras_example(few, epochs=2)
    assert seconds == 10 + 14 * 3


def test_every_entry_is_measured(few, capsys):
    rows = bench.bench(few, {"p4": 1, KERAS_QUICK: 1}).set_index("entry")
    p4 = RECIPES["p4"].title
    assert list(rows.index) == [p4, KERAS_QUICK]
    assert list(rows) == ["seed", "seconds", "error"]
    assert (np.isfinite(rows.seconds) & (rows.seconds > 0)).all()
    assert np.isnan(rows.error[KERAS_QUICK]) and rows.error.dropna().between(1, 50).all()
    said = capsys.readouterr().err
    assert f"{p4}, seed 0: " in said and f"{100 - rows.error[p4]:.2f} % right" in said


def test_seconds_are_those_of_building_and_learning(few, monkeypatch):
    clock = SimpleNamespace(perf_counter=itertools.count(0, 0.02).__next__)
    monkeypatch.setattr(bench, "time", clock)
    row = bench.time_training(replace(RECIPES["p4"], epochs=1), few, 0)
    assert row["seconds"] == pytest.approx(0.02)


def test_training_that_fails_says_why(few):
    recipe = replace(RECIPES["p4"], optimizer="adman")
    with pytest.raises(RuntimeError, match=r"p4, seed 0: .*adman"):
        bench.timed_in_fresh_process(recipe, few, 0)
    with pytest.raises(ValueError, match="unknown recipe 'p44'"):
        bench.bench(few, {"p44": 1})


def test_summary_agrees_with_arithmetic():
    rows = rows_of({"ours": [(1, 1.0), (3, 1.4)], KERAS: [(100, 0.8)]})
    table = bench.summary(rows).set_index("entry")
    ours = table.loc["ours"]
    assert (ours.trainings, ours.seconds, ours.error) == (2, 2, pytest.approx(1.2))
    assert ours.seconds_sd == pytest.approx(2**0.5)
    assert ours.error_sd == pytest.approx(0.4 / 2**0.5)
    assert ours.faster_than_keras == 50
    assert np.isnan(table.seconds_sd[KERAS]) and table.faster_than_keras[KERAS] == 1


def test_every_entry_with_an_error_is_named_on_the_picture():
    rows = rows_of({"ours": [(2, 1.0), (3, 1.2)], KERAS_QUICK: [(100, np.nan)], "p4": [(9, 2)]})
    ax = bench.plot_bench(bench.summary(rows), ax=plt.figure().add_subplot())
    assert [text.get_text() for text in ax.texts] == ["ours", "p4 (once)"]
    plt.close()


few_values = st.sampled_from([1.0, 2.0, 3.0, 4.0])


@given(st.lists(st.tuples(few_values, few_values | st.just(np.nan)), min_size=1, max_size=8))
def test_front_is_what_nothing_beats(points):
    def beats(a, b):
        return a[0] <= b[0] and a[1] <= b[1] and a != b

    expected = [
        not np.isnan(point[1]) and not any(beats(other, point) for other in points)
        for point in points
    ]
    assert bench.pareto_front(*zip(*points, strict=True)).tolist() == expected


@pytest.fixture
def command(tmp_path, monkeypatch, sample):
    """`digitlib bench --quick` in an empty folder, with what `bench` measures made up."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIGITLIB_DATASET", "sample")
    monkeypatch.delenv("DIGITLIB_FIGURES")
    monkeypatch.setattr(sys, "argv", ["digitlib", "bench", "--quick"])

    def run(measured):
        monkeypatch.setattr(bench, "bench", lambda data, entries: measured(entries))
        __main__.main()

    return run


def test_command_prints_a_table_and_writes_a_figure(command, tmp_path, capsys):
    (tmp_path / "figures").mkdir()
    command(lambda entries: rows_of({str(entry): [(2.0, 1.0)] for entry in entries}))
    first, second, *rest = capsys.readouterr().out.splitlines()
    assert bench.machine() in first and "tensorflow 2." in first
    assert second == "MNIST sample, 4,000 + 1,000 images"
    named = [name for line in rest[2:5] for name in (KERAS_QUICK, "fast", "plain") if name in line]
    assert sorted(named) == sorted(bench.QUICK)
    written = sorted(path.name for path in (tmp_path / "figures" / "sample").iterdir())
    assert written == ["04_seconds_bench.csv", "04_seconds_bench.png"]


def test_interrupted_command_writes_nothing(command, tmp_path):
    def interrupted(entries):
        raise KeyboardInterrupt

    with pytest.raises(SystemExit, match="nothing was written"):
        command(interrupted)
    assert list(tmp_path.iterdir()) == []


def loud_network():
    print("building")
    return RECIPES["p4"].build()


def test_network_that_prints_while_it_is_built_is_measured(few):
    recipe = replace(RECIPES["p4"], epochs=1, build=loud_network)
    assert bench.timed_in_fresh_process(recipe, few, 0)["seconds"] > 0
