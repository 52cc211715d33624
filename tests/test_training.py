"""Training: it repeats, it is kept whole or not at all, and it is what Keras would do."""

import dataclasses
import importlib
import io
import os
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import keras
import nbformat
import numpy as np
import psutil
import pytest
from command import wait_until
from keras import layers
from nbclient import NotebookClient
from tiny import TINY, dtype_policy, few_digits, note_settings, tiny_network

from digitlib.data import model_input, one_hot
from digitlib.fitting import compiled_model, fit
from digitlib.naming import run_names
from digitlib.recipes import one_cycle
from digitlib.training import DamagedRunError, cache_folder, keep_run, load_run, train, train_many
from digitlib.workers import processor

PATHS = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])


@pytest.fixture(scope="module")
def few():
    return few_digits()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DIGITLIB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_seed_fixes_the_run_and_another_seed_changes_it(few, tmp_path, monkeypatch):
    first, second, other = [], [], []
    for runs, place, seed in ((first, "a", 3), (second, "b", 3), (other, "c", 4)):
        monkeypatch.setenv("DIGITLIB_CACHE", str(tmp_path / place))
        runs.append(train(TINY, few, seed))
    assert np.array_equal(first[0].y_prob, second[0].y_prob)
    assert not np.array_equal(first[0].y_prob, other[0].y_prob)
    losses = [run.history.loss.tolist() for run in (first[0], second[0], other[0])]
    assert losses[0] == losses[1] != losses[2]


def test_runs_are_kept_and_a_change_of_recipe_data_or_seed_makes_a_new_one(few, cache):
    runs = train_many([TINY, dataclasses.replace(TINY, epochs=1)], few, [0, 1])
    assert [(run.seed, len(run.history)) for run in runs] == [(0, 2), (1, 2), (0, 1), (1, 1)]
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    assert np.array_equal(train(TINY, few, 1).y_prob, runs[1].y_prob)
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == before

    inverted = dataclasses.replace(few, x_train=255 - few.x_train)
    wider = dataclasses.replace(TINY, build=lambda: keras.Sequential(
        [keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(16), layers.Dense(10, "softmax")]
    ))  # fmt: skip
    train(TINY, inverted, 0)
    train(wider, few, 0)
    assert len(list(cache.iterdir())) == 6


def test_all_that_decides_a_run_is_in_its_name(few, monkeypatch):
    nothing, test = (dataclasses.replace(TINY, validation=held) for held in (0, "test"))
    assert nothing.n_fitted(400) == test.n_fitted(400)
    larger = dataclasses.replace(nothing, batch_size=33)
    names = run_names([(recipe, 0) for recipe in (nothing, test, larger)], few)
    monkeypatch.setattr("digitlib.naming.version", lambda package: f"another {package}")
    assert len({*names, *run_names([(nothing, 0)], few)}) == 4


def test_a_worker_computes_on_one_thread_and_repeatably(few, cache, tmp_path):
    path = tmp_path / "settings"
    train(dataclasses.replace(TINY, augment=partial(note_settings, path)), few, 0)
    assert path.read_text() == "intra 1, inter 1, deterministic True, GPU hidden True"


def in_float64():
    with dtype_policy("float64"):
        return tiny_network()


def test_a_network_in_another_precision_is_another_run(few, cache):
    """Whether it is built in it or was asked for where it is in force."""
    with dtype_policy("float64"):
        double = train(TINY, few, 0)
    single = train(TINY, few, 0)
    computed_in = [run.load_model().layers[-1].compute_dtype for run in (single, double)]
    assert computed_in == ["float32", "float64"]
    built = train(dataclasses.replace(TINY, build=in_float64), few, 0)
    assert built.path == double.path != single.path


def test_a_network_that_only_computes_in_another_precision_has_another_name(few):
    """In bfloat16, say, its weights are float32 all the same."""
    names = run_names([(TINY, 0)], few)
    with dtype_policy("mixed_bfloat16"):
        assert run_names([(TINY, 0)], few) != names


def erase(images):
    return 0 * images


def test_augmentation_and_schedule_take_effect(few, cache):
    plain = train(TINY, few, 0)
    erased = train(dataclasses.replace(TINY, augment=erase), few, 0)
    cycled = train(dataclasses.replace(TINY, optimizer=one_cycle(0.01)), few, 0)
    steeper = train(dataclasses.replace(TINY, optimizer=one_cycle(0.02)), few, 0)
    assert erased.history.loss.iloc[-1] > 2.2 > 2 > plain.history.loss.iloc[-1]  # ln 10 is 2.3
    runs = (plain, erased, cycled, steeper)
    assert len({run.path for run in runs}) == len({run.y_prob.tobytes() for run in runs}) == 4


@pytest.mark.parametrize(("validation", "n_steps"), [(0.25, 20), (0, 26), ("test", 26)])
def test_schedule_is_as_long_as_the_training(few, validation, n_steps):
    recipe = dataclasses.replace(TINY, validation=validation, optimizer=one_cycle(1))
    model = compiled_model(recipe, few)
    fit(model, recipe, few, seed=0)
    rate = model.optimizer
    assert int(rate.iterations) == n_steps  # two epochs of 300 or 400 images in batches of 32
    assert float(rate.learning_rate) == pytest.approx(0, abs=1e-6)


def test_smoothed_labels_take_effect(few, cache):
    smooth = keras.losses.CategoricalCrossentropy(label_smoothing=0.5)
    sharp = dataclasses.replace(TINY, epochs=20)
    plain, smoothed = train_many([sharp, dataclasses.replace(sharp, loss=smooth)], few, [0])
    assert smoothed.y_prob.max(axis=1).mean() < plain.y_prob.max(axis=1).mean() - 0.1


def test_nothing_held_out_means_that_all_is_fitted_and_nothing_watched(few, cache):
    run = train(dataclasses.replace(TINY, validation=0), few, 0)
    assert list(run.history) == ["loss", "accuracy", "seconds"]


def test_after_each_epoch_the_caller_sees_it_and_can_stop(few):
    model = tiny_network()
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    seen = []

    def stop_after_two(epoch, row):
        seen.append((epoch, row["val_accuracy"]))
        if epoch == 2:
            raise StopIteration

    with pytest.raises(StopIteration):
        fit(model, dataclasses.replace(TINY, epochs=9), few, seed=0, after_epoch=stop_after_two)
    assert [epoch for epoch, _ in seen] == [1, 2]
    x, y = model_input(few.x_train[300:]), one_hot(few.y_train[300:])
    assert seen[1][1] == pytest.approx(
        model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"]
    )


def test_run_holds_what_its_network_predicts(few, cache):
    run = train(TINY, few, 0)
    y_prob = run.load_model().predict(model_input(few.x_test), verbose=0)
    np.testing.assert_allclose(run.y_prob, y_prob, atol=1e-5)
    assert list(run.history) == ["loss", "accuracy", "seconds", "val_loss", "val_accuracy"]
    assert run.processor == processor()
    assert run.y_pred.shape == (100,) and (run.y_pred == few.y_test).mean() > 0.3


def test_test_set_watched_as_validation_is_called_test(few, cache):
    run = train(dataclasses.replace(TINY, validation="test"), few, 0)
    accuracy = (run.y_pred == few.y_test).mean()
    assert run.history.test_accuracy.iloc[-1] == pytest.approx(accuracy)


def test_one_epoch_is_what_keras_fit_does_in_the_same_order(few):
    recipe = dataclasses.replace(TINY, epochs=1)
    ours, theirs = (tiny_network() for _ in range(2))
    theirs.set_weights(ours.get_weights())
    for model in (ours, theirs):
        model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    history = fit(ours, recipe, few, seed=5)
    order = np.random.default_rng(5).permutation(300)
    x, y = model_input(few.x_train[:300])[order], one_hot(few.y_train[:300])[order]
    expected = theirs.fit(x, y, batch_size=32, shuffle=False, verbose=0).history
    assert history.loss[1] == pytest.approx(expected["loss"][0], rel=1e-4)
    assert history.accuracy[1] == pytest.approx(expected["accuracy"][0])
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


TRAIN = """
import dataclasses, resource, sys
import joblib
from digitlib.recipes import RECIPES
from digitlib.training import train
from tiny import few_digits
if __name__ == "__main__":
    recipe, epochs, largest_file = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    joblib.Parallel(n_jobs=2)(joblib.delayed(abs)(i) for i in range(2))  # no limit for the workers
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    train(dataclasses.replace(RECIPES[recipe], epochs=epochs), few_digits(), 0)
"""
posix = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX limits and process groups")


def start_training(tmp_path, recipe, epochs, largest_file):
    (tmp_path / "cache").mkdir()
    (tmp_path / "script.py").write_text(TRAIN)
    return subprocess.Popen(
        [sys.executable, tmp_path / "script.py", recipe, str(epochs), str(largest_file)],
        env={name: value for name, value in os.environ.items() if name != "TQDM_DISABLE"}
        | {"DIGITLIB_CACHE": str(tmp_path / "cache"), "PYTHONPATH": PATHS},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_an_epoch(process):
    def shows_an_epoch():
        line = process.stderr.readline()
        assert line, "training ended before its first epoch"
        return re.search(r"\| [1-9]\d*/100000", line)

    wait_until(shows_an_epoch)


@posix
def test_full_disk_leaves_no_run(tmp_path):
    """P2's network has 2.7 MB; the images, which pass through a file to the worker, 0.4 MB."""
    with start_training(tmp_path, "p2", 1, 2_000_000) as process:
        messages = process.communicate()[1]
    assert process.returncode != 0 and "File too large" in messages
    assert list((tmp_path / "cache").iterdir()) == []


@posix
@pytest.mark.parametrize("end", ["SIGTERM", "SIGKILL"])  # Windows has no second one
def test_ended_training_leaves_no_run_and_no_worker_behind(tmp_path, end):
    with start_training(tmp_path, "p4", 100_000, 10**8) as process:
        wait_for_an_epoch(process)
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 2
        os.kill(process.pid, getattr(signal, end))
        _, alive = psutil.wait_procs(children, timeout=30)
        assert not alive
    assert list((tmp_path / "cache").iterdir()) == []


def test_damaged_run_in_the_cache_is_named_and_trained_again(few, cache):
    run = train(TINY, few, 0)
    for name in ("model.keras", "y_pred.npy", "run.json", "SHA256SUMS"):
        content = (run.path / name).read_bytes()
        (run.path / name).write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])
        with pytest.warns(UserWarning, match=f"{run.path.name}: damaged.*trained again"):
            again = train(TINY, few, 0)
        assert np.array_equal(again.y_prob, run.y_prob)
    (run.path / "history.csv").unlink()
    with pytest.warns(UserWarning, match="damaged"):
        assert train(TINY, few, 0).history.loss.equals(run.history.loss)


@pytest.mark.parametrize("y_pred", [np.zeros(10), np.zeros((10, 1), np.uint8), {"a": [1]}])
def test_run_that_predicts_no_digits_is_damaged(few, tmp_path, y_pred):
    kept = train(TINY, few, 0).path
    files = {entry.name: entry.read_bytes() for entry in kept.iterdir()}
    path = tmp_path / kept.name
    del files["SHA256SUMS"]
    content = io.BytesIO()
    (np.savez if isinstance(y_pred, dict) else np.save)(content, y_pred)
    keep_run(files | {"y_pred.npy": content.getvalue()}, path)
    with pytest.raises(DamagedRunError, match=f"{path.name}: damaged"):
        load_run(path)


def test_cache_that_cannot_be_used_is_said_before_training(few, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DIGITLIB_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(OSError, match=r"DIGITLIB_CACHE=.*file.*name another folder"):
        train(dataclasses.replace(TINY, epochs=10**9), few, 0)


def test_without_a_cache_of_the_user_runs_are_kept_in_a_temporary_place(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.delenv("DIGITLIB_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "file" / name)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.warns(UserWarning, match="trained runs are kept in"):
        assert cache_folder().parent == tmp_path and cache_folder().is_dir()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="temporary folders are each user's there")
def test_temporary_cache_of_another_user_is_not_used(tmp_path, monkeypatch):
    monkeypatch.delenv("DIGITLIB_CACHE", raising=False)
    (tmp_path / "file").touch()
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "file" / name)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    owner = os.getuid() + 1
    (tmp_path / f"digitlib-{owner}").mkdir()
    monkeypatch.setattr("os.getuid", lambda: owner)
    with pytest.raises(OSError, match="another user's; name a folder of your own"):
        cache_folder()


def test_a_network_is_not_built_again_for_every_seed(few):
    built = []

    def build():
        built.append(tiny_network())
        return built[-1]

    recipe, numbers = dataclasses.replace(TINY, build=build), []
    for seeds in (range(1), range(5)):
        built.clear()
        run_names([(recipe, seed) for seed in seeds], few)
        numbers.append(len(built))
    assert numbers[0] == numbers[1]


def with_first_weights(value):
    model = tiny_network()
    kernel, bias = model.get_weights()
    model.set_weights([np.full_like(kernel, value), bias])
    return model


def test_weights_set_in_build_are_part_of_a_runs_name(few):
    recipes = [dataclasses.replace(TINY, build=partial(with_first_weights, v)) for v in (0, 0, 1)]
    first, same, other = run_names([(recipe, 0) for recipe in recipes], few)
    assert first == same != other


OWN = """
import keras
SIZE = {size}

def scaled(x):
    return SIZE * x

class Own(keras.Layer):
    def call(self, x):
        return scaled(x)
"""


def tiny_network_and(layer):
    return keras.Sequential([*tiny_network().layers, layer()])


def test_own_code_counts_by_what_it_says_and_not_by_where(few, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    names = {}
    for module, size in (("here", 1), ("there", 1), ("other", 2)):
        (tmp_path / f"{module}.py").write_text(OWN.format(size=size))
        own = importlib.import_module(module)
        recipes = (
            dataclasses.replace(TINY, augment=own.scaled),
            dataclasses.replace(TINY, build=partial(tiny_network_and, own.Own)),
        )
        names[module] = run_names([(recipe, 0) for recipe in recipes], few)
    assert names["here"] == names["there"]
    assert not set(names["here"]) & set(names["other"])


CELLS = """
import keras, numpy as np
from dataclasses import replace
from keras import layers
from digitlib.training import train
from tiny import TINY, few_digits
few, runs = few_digits(), []
---
strength = 0.5

def paler(images):
    return strength * images

class Doubled(keras.Layer):
    def call(self, x):
        return 2 * x

class Squared(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return keras.ops.mean((y_true - y_pred) ** 2, axis=-1)

def doubled_network():
    return keras.Sequential(
        [keras.Input((28, 28, 1)), layers.Flatten(), Doubled(), layers.Dense(10, "softmax")]
    )
---
recipes = [
    replace(TINY, epochs=1, **change)
    for change in (
        dict(augment=paler),
        dict(augment=lambda images: 1 - images),
        dict(build=doubled_network),
        dict(loss=Squared()),
        dict(loss=lambda y_true, y_pred: keras.ops.mean((y_true - y_pred) ** 2, axis=-1)),
    )
]
runs.append([train(recipe, few) for recipe in recipes])
---
assert [run.path for run in runs[0]] == [train(recipe, few).path for recipe in recipes]
assert len({run.path for run in runs[0]}) == 5
y_prob = runs[0][2].load_model().predict(few.x_test[..., None] / 255, verbose=0)
np.testing.assert_allclose(y_prob, runs[0][2].y_prob, atol=1e-5)
---
strength = 0.6
assert train(recipes[0], few).path not in {run.path for run in runs[0]}
print(*(run.path.name for run in runs[0]))
"""


def test_what_a_cell_defines_is_trained_and_kept_by_its_source(cache, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", PATHS)
    printed = []
    for cells in (CELLS, "# another kernel, the same source\n" + CELLS):
        notebook = nbformat.v4.new_notebook()
        notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in cells.split("---\n")]
        NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
        printed.append(notebook.cells[-1].outputs[-1]["text"])
    assert printed[0] == printed[1]
    assert len(list(cache.iterdir())) == 6  # nothing was trained twice
