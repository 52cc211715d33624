"""The archive: the runs that notebooks 02 and 03 draw, and networks of ours with their weights.

It lies in figures/runs/ of the repository. A run that it holds is known by what it is made of, so
a recipe, layer or augmentation that differs in anything is trained. `python -m digitlib reproduce`
trains what of it this machine has not trained before.
"""

import json
import os
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from digitlib.data import Digits
from digitlib.naming import file_name, names_of
from digitlib.recipes import RECIPES
from digitlib.training import DamagedRunError, Run, keep_run, load_run, train_jobs

FOLDER = Path(__file__).parents[1] / "figures" / "runs"
PROJECTS = ("p0", "p1", "p2", "p3", "p4")
LIVE = [("p2", 0), ("p3", 0)]  # on MNIST always trained here, so that nothing need be believed
NEED_Y_PROB = [(name, seed) for name in ("p2", "p3") for seed in (1, 2)]  # notebook 03
SHIPPED = ("fast", "plain", "best", "tiny", "minute", "robust")  # with weights, seed 0


def load_runs(recipes, data: Digits, seeds, *, file: str = "y_pred.npy") -> list[Run]:
    """Every recipe with every seed out of the archive, or trained: a list of `Run`, by recipe.

    On MNIST, P2 and P3 with seed 0 are always trained here, if this machine has not done it
    before; so is everything where DIGITLIB_RUNS is "train", and on the sample. An entry that is
    damaged, or another run than its name says, is named in a warning and trained instead.

    file : what is needed of each: "y_pred.npy", "y_prob.npy" or "model.keras"; a run that was
        archived without it is trained
    """
    wanted = os.environ.get("DIGITLIB_RUNS", "")
    if wanted not in ("", "train"):
        raise ValueError(f"DIGITLIB_RUNS={wanted!r}: expected 'train', or nothing")
    jobs = [(recipe, seed) for recipe in recipes for seed in seeds]
    runs = []
    for name, (recipe, seed) in zip(names_of(jobs, data), jobs, strict=True):
        is_live = data.name == "MNIST" and (recipe.name, seed) in LIVE
        train_it = wanted or is_live or data.is_sample or not (FOLDER / name / file).exists()
        runs.append(None if train_it else _archived(name))
    missing = [job for job, run in zip(jobs, runs, strict=True) if run is None]
    trained = iter(train_jobs(missing, data))
    return [run or next(trained) for run in runs]


def closeness(runs, recipes, data):
    """How far runs that were trained here lie from the archive's: a row for each that it has.

    runs : each of one of the recipes, on these data
    Returns data, recipe, seed, error and archived_error (percent), differently_read (percent of
    the test images), processor and archived_processor.
    """
    rows = []
    recipes = {recipe.name: recipe for recipe in recipes}
    names = names_of([(recipes[run.recipe], run.seed) for run in runs], data)
    for run, kept in zip(runs, map(_archived, names), strict=True):
        if kept and not is_archived(run):
            errors = [100 * np.mean(each.y_pred != data.y_test) for each in (run, kept)]
            differ = 100 * np.mean(run.y_pred != kept.y_pred)
            rows.append(
                (data.name, run.recipe, run.seed, *errors, differ, run.processor, kept.processor)
            )
    columns = ["data", "recipe", "seed", "error", "archived_error", "differently_read"]
    return pd.DataFrame(rows, columns=[*columns, "processor", "archived_processor"])


def is_archived(run):
    """Whether a run comes from the archive, and was not trained here."""
    return run.path.parent == FOLDER


def shipped_network(name):
    """The file of a network of ours that comes with its weights; ValueError for another name."""
    if name not in SHIPPED:
        raise ValueError(f"{name}: no such file, and no network of ours ({', '.join(SHIPPED)})")
    found = [path for path in FOLDER.glob(f"{name}-seed0-*") if _archived(path.name)]
    if not found:
        raise FileNotFoundError(f"{FOLDER}: {name} is not there, or damaged; `train {name}` it")
    return found[0] / "model.keras"


def reproduce(mnist, *, write=False):
    """Train all that the archive holds, or this machine has not yet: how close each run came.

    write : let the new runs take the place of the archive's
    """
    entries = _entries()
    jobs = [(recipe, seed) for recipe, seed, _ in entries]
    names = names_of(jobs, mnist)
    kept = [run for name in names if (run := _archived(name))]
    if kept:
        seconds = sum(run.history.seconds.sum() for run in kept)
        print(
            f"{len(kept)} runs; on one core of {kept[0].processor} they took "
            f"{seconds / 60:.0f} minutes, and {joblib.cpu_count()} cores share them here. "
            "Runs that this machine has trained before come from its cache.",
            flush=True,
        )
    runs = train_jobs(jobs, mnist)
    table = closeness(runs, RECIPES.values(), mnist)
    if write:
        for run, name, (*_, file) in zip(runs, names, entries, strict=True):
            _write(run, name, file)
    return table


def _entries():
    """All that is archived: a recipe, a seed, and the file that it needs besides."""
    projects = [
        (RECIPES[name], seed, "y_prob.npy" if (name, seed) in NEED_Y_PROB else None)
        for name in PROJECTS
        for seed in range(10)
    ]
    return projects + [(RECIPES[name], 0, "model.keras") for name in SHIPPED]


def _archived(name):
    """The `Run` of that name in the archive, or None."""
    path = FOLDER / name
    if not path.exists():
        return None
    try:
        run = load_run(path)
        parts = json.loads((path / "made_of.json").read_text(encoding="utf-8"))
        if file_name(run.recipe, run.seed, [parts]) != name:
            raise DamagedRunError(f"{path}: of another recipe, data or seed than its name says")
        return run
    except Exception as error:  # made_of.json may hold anything
        warnings.warn(f"{error}; {path} is not used", stacklevel=3)


def _write(run, name, file):
    """Keep of a run what figures draw."""
    wanted = filter(None, ("made_of.json", "history.csv", "y_pred.npy", file))
    files = {each: (run.path / each).read_bytes() for each in wanted}
    about = json.loads((run.path / "run.json").read_text(encoding="utf-8"))
    about |= {"name": name, "command": "python -m digitlib reproduce --write"}
    files["run.json"] = json.dumps(about, indent=1).encode()
    keep_run(files, FOLDER / name, anew=True)
