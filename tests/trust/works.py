"""Pieces of work that are broken on purpose, and all that a folder holds, read whole."""

import io
import json
import multiprocessing
import os
import resource
import sys
import traceback
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import h5py
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import psutil
from command import call
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image
from tiny import TINY, few_digits

from digitlib import archive
from digitlib.notebooks import execute_notebooks
from digitlib.plotting import save_figure
from digitlib.recipes import RECIPES
from digitlib.studies.search import search
from digitlib.training import keep_run, load_run, train_many

FORKS = multiprocessing.get_context("forkserver")  # what starts them has imported all of these
FORKS.set_forkserver_preload(["pytest", "digitlib.quiet", "works"])
FEW = few_digits()


def nothing(folder):
    """A work that starts from an empty folder."""


def train(folder):
    train_many([TINY], FEW, range(3))


def train_in_threads(folder):
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(train, [folder, folder]))


def train_command(folder):
    RECIPES["tiny"] = TINY
    done = call("train", "tiny", "--out", "a.keras", folder=folder, DIGITLIB_DATASET="sample")
    print(done.stderr, file=sys.stderr)
    assert done.returncode == 0


def keep(folder):
    y_pred = io.BytesIO()
    np.save(y_pred, np.zeros(8000, np.uint8))
    for i in range(100):
        about = {"name": f"run{i}", "recipe": "tiny", "seed": i, "processor": "any"}
        files = {"run.json": json.dumps(about).encode(), "y_pred.npy": y_pred.getvalue()}
        keep_run(files | {"history.csv": b"epoch,loss\n1,0.5\n"}, folder / "cache" / f"run{i}")


def write_archive(folder):
    archive.FOLDER = folder / "runs"
    archive.RECIPES = {"tiny": TINY}
    archive._entries = lambda: [(TINY, seed, "model.keras") for seed in range(3)]
    for _ in range(10):
        archive.reproduce(replace(FEW, name="MNIST", is_sample=False), write=True)


def older_archive(folder):
    write_archive(folder)
    for path in (folder / "runs").iterdir():
        files = {file.name: file.read_bytes() for file in path.iterdir()}
        del files["SHA256SUMS"]
        files["run.json"] = files["run.json"].replace(b"reproduce --write", b"older")
        keep_run(files, path, anew=True)


def draw(folder, height=2, n=1):
    for name in n * "abc":
        fig, ax = plt.subplots()
        ax.bar(range(3), [1, height, 3])
        table = pd.DataFrame({"height": [1, height, 3]})
        save_figure(fig, table, name, data=FEW, folder=folder)
        plt.close(fig)


def older_figures(folder):
    draw(folder, height=1)


def look_for_settings(folder, recipe, n_trials, storage):
    search(recipe, FEW, n_trials, storage=storage)


CELLS = """
from tiny import TINY, few_digits
from works import draw
from digitlib.training import train
---
print(train(TINY, few_digits()).y_pred)
---
draw(None)
"""


def older_notebook(folder):
    draw(folder / "figures", height=1)
    (folder / "notebooks").mkdir()
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in CELLS.split("---\n")])
    nbformat.write(notebook, folder / "notebooks" / "01_test.ipynb")


def execute_notebook(folder):
    execute_notebooks([folder / "notebooks" / "01_test.ipynb"], is_sample=False)


class Work(NamedTuple):
    older: callable  # writes what stands in the folder before
    do: callable


WORKS = {
    "training": Work(nothing, train),
    "train": Work(nothing, train_command),
    "keeping runs": Work(nothing, keep),
    "archive": Work(older_archive, write_archive),
    "figures": Work(older_figures, draw),
    "notebook": Work(older_notebook, execute_notebook),
}


def start(do, folder, *arguments, largest_file=resource.RLIM_INFINITY):
    """A process that does a work; `left_of` finds what it has started."""
    folder.mkdir(exist_ok=True)
    process = FORKS.Process(target=_do, args=(do, folder, arguments, largest_file))
    process.start()
    return process


def _do(do, folder, arguments, largest_file):
    log = (folder.with_suffix(".log")).open("ab")
    os.dup2(log.fileno(), 2)
    os.environ["DIGITLIB_CACHE"] = str(folder / "cache")
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))
    status = 1
    try:
        do(folder, *arguments)
        status = 0
    except BaseException:
        traceback.print_exc()
    os._exit(status)  # joblib would wait for its workers: such a process calls nothing of atexit


def left_of(folder):
    """The processes that a work in that folder has started, or those have started."""
    cache = str(folder / "cache")
    found = psutil.process_iter(["environ"])
    return [each for each in found if (each.info["environ"] or {}).get("DIGITLIB_CACHE") == cache]


def read(folder):
    """All that stands in a folder, by name, less times and drafts; an error where it is half."""
    readers = {"run.json": _run, ".png": _figure, ".ipynb": _notebook, ".keras": _network}
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        is_draft = any(part.startswith((".", "unfinished-")) for part in name.parts)
        reader = readers.get(path.name) or readers.get(path.suffix)
        if reader and not is_draft:
            found[str(name)] = reader(path)
    return found


def _run(path):
    run = load_run(path.parent)
    history = run.history.drop(columns="seconds", errors="ignore").to_csv()
    return history, run.y_pred.tobytes(), json.loads(path.read_bytes()).get("command")


def _figure(path):
    with Image.open(path) as picture:
        return picture.tobytes(), path.with_suffix(".csv").read_text(encoding="utf-8")


def _notebook(path):
    return [cell.outputs for cell in nbformat.read(path, as_version=4).cells]


def _network(path):
    """Its weights; the names of layers in the file count the networks that a process has built."""
    weights = {}

    def add(name, part):
        if isinstance(part, h5py.Dataset):
            weights[name] = part[()].tobytes()

    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        h5py.File(io.BytesIO(file.read("model.weights.h5"))).visititems(add)
    return weights
