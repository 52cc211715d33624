"""Executes notebooks in order and saves what they show, less what varies by itself."""

import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from tqdm import tqdm

from digitlib.data import load_mnist
from digitlib.files import written_whole

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def settle_environment():
    """Let every kernel started from here find what this process finds: gives the `Digits`.

    Folders named in the environment become absolute, as kernels start in the notebooks' folder,
    and the choice between MNIST and the sample is made once. Their progress bars stay away.
    """
    os.environ["TQDM_DISABLE"] = "1"
    for name in ("DIGITLIB_DATA", "DIGITLIB_HANDWRITING", "DIGITLIB_CACHE"):
        if os.environ.get(name):
            os.environ[name] = str(Path(os.environ[name]).resolve())
    data = load_mnist()
    os.environ["DIGITLIB_DATASET"] = "sample" if data.is_sample else "mnist"
    return data


def execute_notebooks(paths, is_sample):
    """Execute notebooks in a fresh kernel each, save them, and let them write their figures.

    paths : notebook files, each in a folder beside `figures/`
    is_sample : send the executed copies to figures/sample/ and leave the originals alone

    Raises RuntimeError for a cell that fails; that notebook's file stays as it was.
    """
    notebooks = [nbformat.read(path, as_version=4) for path in paths]
    n_cells = sum(cell.cell_type == "code" for nb in notebooks for cell in nb.cells)
    with tqdm(total=n_cells, unit="cell") as progress:  # disabled for kernels, not for this process
        for path, notebook in zip(paths, notebooks, strict=True):
            progress.set_description(path.stem)
            figures = path.resolve().parents[1] / "figures"
            os.environ["DIGITLIB_FIGURES"] = str(figures)
            _execute(path, notebook, progress)
            _save(notebook, figures / "sample" / path.name if is_sample else path)


def _execute(path, notebook, progress):
    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name=KERNEL["name"],
        record_timing=False,
        coalesce_streams=True,  # how a cell's text is cut into pieces differs from run to run
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_executed=lambda **_: progress.update(),
    )
    try:
        client.execute()
    except CellExecutionError as error:
        raise RuntimeError(f"{path}: a cell failed, nothing was saved\n{error}") from error


def _save(notebook, path):
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
    notebook.metadata.kernelspec = KERNEL  # whatever it was called where the notebook was edited
    notebook.metadata.language_info = {"name": "python"}
    with written_whole(path) as draft:
        nbformat.write(notebook, draft)
