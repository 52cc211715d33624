"""The archive: used for the very run that was asked for, and for nothing else."""

import json
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers
from tiny import TINY, few_digits

from digitlib import archive
from digitlib.archive import closeness, is_archived, load_runs, reproduce, shipped_network
from digitlib.data import model_input
from digitlib.training import keep_run


@pytest.fixture(scope="module")
def few():
    """400 + 100 images that count as all of a data set."""
    return replace(few_digits(), name="MNIST", is_sample=False)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DIGITLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DIGITLIB_RUNS", raising=False)
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def written(few, tmp_path_factory):
    """An archive: digits of seed 0, probabilities of seed 1, the network of 2."""
    entries = [(TINY, 0, None), (TINY, 1, "y_prob.npy"), (TINY, 2, "model.keras")]
    folder = tmp_path_factory.mktemp("written")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIGITLIB_CACHE", str(folder / "cache"))
        patch.setattr(archive, "FOLDER", folder / "runs")
        patch.setattr(archive, "RECIPES", {"tiny": TINY})
        patch.setattr(archive, "_entries", lambda: entries)
        reproduce(few, write=True)
    return folder / "runs", entries


@pytest.fixture
def archived(written, cache, tmp_path, monkeypatch):
    """The folder of a copy of it."""
    folder, entries = written
    shutil.copytree(folder, tmp_path / "runs")
    monkeypatch.setattr(archive, "FOLDER", tmp_path / "runs")
    monkeypatch.setattr(archive, "RECIPES", {"tiny": TINY})
    monkeypatch.setattr(archive, "_entries", lambda: entries)
    return tmp_path / "runs"


def test_archived_run_is_the_trained_one_and_nothing_is_trained(few, archived, tmp_path):
    runs = load_runs([TINY], few, range(3))
    assert all(map(is_archived, runs))
    assert not list((tmp_path / "cache").glob("tiny*"))
    probable, complete = runs[1], runs[2]
    assert np.array_equal(probable.y_prob.argmax(axis=1), probable.y_pred)
    y_prob = complete.load_model().predict(model_input(few.x_test), verbose=0)
    assert np.array_equal(y_prob.argmax(axis=1), complete.y_pred)
    about = json.loads((runs[0].path / "run.json").read_text(encoding="utf-8"))
    said = {"name", "recipe", "seed", "data", "processor", "versions", "date", "command"}
    assert set(about) == said and few.sha256 in about["data"]


def test_runs_keep_their_order_and_those_without_the_file_are_trained(few, archived):
    runs = load_runs([TINY], few, [2, 1, 0], file="y_prob.npy")
    assert [run.seed for run in runs] == [2, 1, 0]
    assert [is_archived(run) for run in runs] == [False, True, False]
    assert runs[0].y_prob.shape == (100, 10)
    twice = load_runs([TINY, TINY], few, [0])
    assert [run.path for run in twice] == 2 * [twice[0].path] and is_archived(twice[0])


def wider():
    return keras.Sequential(
        [keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(10, "softmax", use_bias=False)]
    )


def inverted(images):
    return 1 - images


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 1},
        {"batch_size": 33},
        {"validation": 0.5},
        {"optimizer": "sgd"},
        {"loss": "mse"},
        {"build": wider},
        {"augment": inverted},
    ],
    ids=lambda change: next(iter(change)),
)
def test_recipe_that_a_reader_changes_is_trained(few, archived, change):
    (run,) = load_runs([replace(TINY, **change)], few, [0])
    assert not is_archived(run)


def test_other_data_the_sample_and_whoever_wants_it_are_trained(few, archived, monkeypatch):
    others = replace(few, x_train=few.x_train[::-1]), replace(few, is_sample=True)
    for data in others:
        assert not is_archived(load_runs([TINY], data, [0])[0])
    monkeypatch.setenv("DIGITLIB_RUNS", "train")
    assert not is_archived(load_runs([TINY], few, [0])[0])
    monkeypatch.setenv("DIGITLIB_RUNS", "trian")
    with pytest.raises(ValueError, match="'trian': expected 'train'"):
        load_runs([TINY], few, [0])


def test_live_runs_are_always_trained_and_compared(few, archived, monkeypatch):
    monkeypatch.setattr(archive, "LIVE", [("tiny", 1)])
    runs = load_runs([TINY], few, range(3))
    assert [is_archived(run) for run in runs] == [True, False, True]
    table = closeness(runs, [TINY], few)
    assert table.seed.tolist() == [1] and table.differently_read.tolist() == [0]
    assert table.error.tolist() == [pytest.approx(100 * np.mean(runs[1].y_pred != few.y_test))]


@pytest.mark.parametrize(
    "name", ["run.json", "made_of.json", "history.csv", "y_pred.npy", "SHA256SUMS"]
)
def test_entry_with_a_changed_byte_is_named_and_trained_instead(few, archived, name):
    (path,) = archived.glob("tiny-seed0-*")
    content = (path / name).read_bytes()
    rng = np.random.default_rng(0)
    for place in (0, len(content) - 1, *rng.integers(len(content), size=5)):
        changed = bytes([content[place] ^ 1])
        (path / name).write_bytes(content[:place] + changed + content[place + 1 :])
        with pytest.warns(UserWarning, match=f"{path.name}: damaged.*not used"):
            (run,) = load_runs([TINY], few, [0])
        assert not is_archived(run)


def test_entry_of_another_recipe_is_not_used_even_if_its_hashes_are_right(few, archived):
    (path,) = archived.glob("tiny-seed0-*")
    other = archive._archived(next(archived.glob("tiny-seed1-*")).name)
    files = {file.name: file.read_bytes() for file in other.path.iterdir()}
    del files["SHA256SUMS"]
    about = json.loads(files["run.json"]) | {"name": path.name}
    files["run.json"] = json.dumps(about).encode()
    path.rename(archived / "aside")
    keep_run(files, path)
    with pytest.warns(UserWarning, match=f"{path.name}: of another recipe"):
        assert not is_archived(load_runs([TINY], few, [0])[0])


def test_an_entry_outlasts_a_disk_too_full_for_the_new_one(few, archived, monkeypatch):
    def full_disk(path, content):
        raise OSError(28, "No space left on device")

    (run,) = load_runs([TINY], few, [2])
    monkeypatch.setattr("pathlib.Path.write_bytes", full_disk)
    with pytest.raises(OSError, match="No space"):
        archive._write(run, run.path.name, "model.keras")
    assert is_archived(load_runs([TINY], few, [2])[0])


def test_reproduction_says_how_long_it_takes_and_how_close_it_came(few, archived, capsys):
    table = reproduce(few)
    assert "3 runs; on one core of" in capsys.readouterr().out
    assert table.seed.tolist() == [0, 1, 2] and (table.error == table.archived_error).all()


def test_committed_archive_is_whole_small_and_of_todays_recipes(mnist):
    jobs = [(recipe, seed) for recipe, seed, _ in archive._entries()]
    names = set(archive.names_of(jobs, mnist))
    assert {path.name for path in archive.FOLDER.iterdir()} == names
    assert all(archive._archived(name) for name in names)
    files = [file for path in archive.FOLDER.iterdir() for file in path.iterdir()]
    assert sum(file.stat().st_size for file in files) < 8e6


@pytest.mark.parametrize("name", archive.SHIPPED)
def test_shipped_network_reads_as_its_run_did(mnist, name):
    path = shipped_network(name)
    y_prob = keras.saving.load_model(path).predict(model_input(mnist.x_test[:2000]), verbose=0)
    differ = y_prob.argmax(axis=1) != np.load(path.with_name("y_pred.npy"))[:2000]
    assert differ.sum() <= 1  # another kind of processor rounds otherwise


def test_network_that_is_not_shipped_is_refused_with_the_names_of_those_that_are():
    with pytest.raises(ValueError, match=r"bets: no such file, .*fast, plain, best"):
        shipped_network("bets")
