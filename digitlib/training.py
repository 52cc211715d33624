"""Training that repeats on one kind of processor: recipe, data and seed give one `Run`, kept."""

import hashlib
import io
import json
import os
import sys
import tempfile
import threading
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path

import joblib
import keras
import numpy as np
import pandas as pd
import platformdirs
from tqdm.auto import tqdm

from digitlib import fitting
from digitlib.data import Digits, model_input
from digitlib.naming import VERSIONED, made_of_all, run_names
from digitlib.recipes.layers import leave_to_keras
from digitlib.recipes.recipe import Recipe
from digitlib.workers import processor, workers


@dataclass(frozen=True, eq=False)
class Run:
    """What one training left behind.

    history : DataFrame indexed by epoch: loss, accuracy, seconds, and unless nothing was watched
        val_loss and val_accuracy, or test_loss and test_accuracy
    y_pred : uint8, shape (n_test,); the most probable digit for each test image
    processor : the name of the one that trained it, of which the seconds are
    path : the folder that keeps it
    """

    recipe: str
    seed: int
    history: pd.DataFrame
    y_pred: np.ndarray
    processor: str
    path: Path

    @cached_property
    def y_prob(self):
        """The probabilities for the test images: float32, shape (n_test, 10); few are archived."""
        return np.load(self.path / "y_prob.npy")

    def load_model(self):
        """The trained network; few are archived.

        Layers that are defined in the notebook itself are found there by their names.
        """
        own = {key: thing for key, thing in vars(sys.modules["__main__"]).items()
               if getattr(thing, "__module__", None) == "__main__"}  # fmt: skip
        return keras.saving.load_model(self.path / "model.keras", own)


class DamagedRunError(ValueError):
    """A kept run is not what was written, or not the run that its name says."""


def train(recipe: Recipe, data: Digits, seed: int = 0) -> Run:
    """Train one recipe once: the `Run`, from the cache where it is known already."""
    return train_jobs([(recipe, seed)], data)[0]


def train_many(recipes, data: Digits, seeds) -> list[Run]:
    """Train every recipe with every seed, as `train_jobs` does: a list of `Run`, by recipe."""
    return train_jobs([(recipe, seed) for recipe in recipes for seed in seeds], data)


def train_jobs(jobs, data: Digits) -> list[Run]:
    """Train pairs of a recipe and a seed, several at once: a list of `Run`, in their order.

    Each run has one processor core to itself, in a process of its own, so that its result does
    not depend on how many cores there are or what else they do. A finished run is kept in the
    cache (DIGITLIB_CACHE, or the user's cache folder), so an interrupted call goes on from there;
    one that was damaged since is named in a warning and trained again.

    Raises OSError, before anything is trained, where DIGITLIB_CACHE cannot be written to.
    """
    folder = cache_folder()
    names = run_names(jobs, data)
    runs = {name: _kept(folder / name) for name in names}
    missing = {name: job for name, job in zip(names, jobs, strict=True) if runs[name] is None}
    if missing:
        _train_missing(missing, data, folder)
        runs |= {name: load_run(folder / name) for name in missing}
    return [runs[name] for name in names]


def _kept(path):
    """The `Run` at `path`, or None; a damaged one is named and removed."""
    try:
        return load_run(path)
    except FileNotFoundError:  # or another process has just removed a damaged one
        return None
    except DamagedRunError as error:
        warnings.warn(f"{error}; it is trained again", stacklevel=4)
        remove_run(path)


def _train_missing(jobs, data, folder):
    policy = keras.config.dtype_policy()
    n_epochs = sum(recipe.epochs for recipe, _ in jobs.values())
    made = made_of_all(jobs.values(), data)
    tasks = [
        (name, made[id(recipe)], replace(recipe, loss=_sendable(recipe.loss)), data, seed)
        for name, (recipe, seed) in jobs.items()
    ]
    with workers(len(jobs), shared=[data]) as parallel, _epoch_counter(n_epochs) as (bar, counter):
        finished = parallel(joblib.delayed(_train)(*task, policy, counter) for task in tasks)
        for n_runs, (name, files) in enumerate(finished, start=1):
            keep_run(files, folder / name)
            bar.set_postfix_str(f"{n_runs} of {len(jobs)} runs")


def _sendable(loss):
    """A loss for a worker; Keras would send one of a notebook by a name that is not known there."""
    return partial(_loss, type(loss), vars(loss)) if isinstance(loss, keras.Loss) else loss


def _loss(cls, state):
    loss = cls.__new__(cls)
    vars(loss).update(state)
    return loss


@contextmanager
def _epoch_counter(n_epochs):
    """A progress bar, and the file to which each process adds a byte for each epoch."""
    stop = threading.Event()
    unwanted = "TQDM_DISABLE" in os.environ  # which tqdm overlooks in notebooks
    options = {"leave": False, "disable": unwanted}
    with (
        tempfile.TemporaryDirectory() as folder,
        tqdm(desc="training", total=n_epochs, unit="epoch", **options) as bar,
    ):
        counter = Path(folder) / "epochs"
        counter.touch()

        def watch():
            while not stop.wait(0.3):
                if bar.n != counter.stat().st_size:
                    bar.update(counter.stat().st_size - bar.n)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield bar, counter
        finally:
            stop.set()
            thread.join()


def _train(name, parts, recipe, data, seed, policy, counter):
    """The run's name and its files, name to bytes: a worker may share no disk with the cache."""

    def count(epoch, row):
        with suppress(OSError):  # on another machine there is no such file
            file = os.open(counter, os.O_WRONLY | os.O_APPEND)
            os.write(file, b".")
            os.close(file)

    if getattr(recipe.loss, "func", None) is _loss:
        recipe = replace(recipe, loss=recipe.loss())
    model, history = fitting.train_here(recipe, data, seed, policy, after_epoch=count)
    y_prob = model.predict(model_input(data.x_test), batch_size=1000, verbose=0)
    about = {
        "name": name,
        "recipe": recipe.name,
        "seed": seed,
        "data": f"{data.name}, SHA-256 {data.sha256}",
        "processor": processor(),
        "versions": {package: version(package) for package in VERSIONED},
        "date": datetime.now(UTC).date().isoformat(),
    }
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        leave_to_keras(model)
        model.save(folder / "model.keras")
        np.save(folder / "y_prob.npy", y_prob)
        np.save(folder / "y_pred.npy", y_prob.argmax(axis=1).astype(np.uint8))
        history.to_csv(folder / "history.csv")
        (folder / "run.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
        (folder / "made_of.json").write_text(json.dumps(parts), encoding="utf-8")
        return name, {path.name: path.read_bytes() for path in folder.iterdir()}


def keep_run(files, path, *, anew=False):
    """Leave the files of a run at `path`, with their hashes, whole or not at all.

    anew : let them take the place of a run that is there; else that one stays
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=path.parent) as folder:
        draft = Path(folder) / "run"
        draft.mkdir()
        for name, content in (files | {"SHA256SUMS": _sums(files)}).items():
            (draft / name).write_bytes(content)
        if anew and path.exists():
            path.rename(Path(folder) / "older")
        try:
            draft.rename(path)
        except OSError:
            if not path.exists():  # else another process finished the same run first
                raise


def remove_run(path):
    """Delete a kept run, so that nobody meets a part of it."""
    with (
        tempfile.TemporaryDirectory(prefix="unfinished-", dir=path.parent) as folder,
        suppress(FileNotFoundError),  # another process was first
    ):
        path.rename(Path(folder) / "run")


def load_run(path):
    """The `Run` kept at `path`; DamagedRunError unless it is what `keep_run` wrote there.

    Raises FileNotFoundError where nothing is kept.
    """
    entries = [*path.iterdir()]
    try:
        files = {entry.name: entry.read_bytes() for entry in entries if entry.is_file()}
        about = json.loads(files["run.json"])
        if files.pop("SHA256SUMS") != _sums(files) or about["name"] != path.name:
            raise ValueError("its hashes or its name are others")
        y_pred = np.lib.format.read_array(io.BytesIO(files["y_pred.npy"]))
        if y_pred.dtype != np.uint8 or y_pred.ndim != 1:
            raise ValueError(f"y_pred is {y_pred.dtype} of shape {y_pred.shape}, expected digits")
        return Run(
            history=pd.read_csv(path / "history.csv", index_col="epoch"),
            y_pred=y_pred,
            path=path,
            **{field: about[field] for field in ("recipe", "seed", "processor")},
        )
    except Exception as error:  # a file is missing, or holds anything
        text = f"{path}: damaged, or not the run that its name says ({error})"
        raise DamagedRunError(text) from error


def _sums(files):
    """The hashes of a run's files, as `sha256sum` writes them."""
    lines = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)]
    return "".join(lines).encode()


def cache_folder():
    """Where finished runs are kept: the folder that DIGITLIB_CACHE names, or the user's.

    Where the user's cannot be written to, a folder beside the system's temporary files, with a
    warning; raises OSError where DIGITLIB_CACHE names one that cannot, or another user made it.
    """
    chosen = os.environ.get("DIGITLIB_CACHE")
    folder = Path(chosen) if chosen else platformdirs.user_cache_path("digitlib")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        if chosen:
            advice = "runs cannot be kept there; name another folder in DIGITLIB_CACHE"
            raise OSError(f"DIGITLIB_CACHE={chosen}: {error}; {advice}") from error
        owner = getattr(os, "getuid", int)()  # Windows has none, and a folder for each user
        folder = Path(tempfile.gettempdir()) / f"digitlib-{owner}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.lstat().st_uid != owner:
            message = f"{folder}: another user's; name a folder of your own in DIGITLIB_CACHE"
            raise PermissionError(message) from error
        warnings.warn(f"{error}; trained runs are kept in {folder}", stacklevel=3)
    return folder
