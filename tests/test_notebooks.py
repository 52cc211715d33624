"""The notebooks as files, and the command that executes them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from notebook_outputs import Output, picture_distance
from test_figures import TOLERANCES

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_was_executed_in_order(path):
    """nbval compares nothing in a cell that has no execution count."""
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_saved_outputs_hold_no_noise(path):
    outputs = [out for cell in code_cells(path) for out in cell.outputs]
    assert outputs
    assert not [out for out in outputs if out.output_type == "error" or out.get("name") == "stderr"]
    assert str(Path.home()) not in json.dumps(outputs)
    assert path.stat().st_size < 1.5e6


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_training_decides_is_not_compared_to_the_pixel(path):
    """Another kind of processor draws it a little differently."""
    for cell in code_cells(path):
        drawn = set(re.findall(r'"(\d\d_\w+)"', cell.source)) & set(TOLERANCES)
        tags = set(cell.metadata.get("tags", []))
        assert not drawn or tags & {"trained", "nbval-ignore-output"}, drawn


ELSEWHERE = {"kernelspec": {"name": "conda-env-mine-py", "display_name": "mine"}}


def test_notebook_saved_under_another_kernel_is_tested_in_this_environment(tmp_path):
    notebook = new_notebook(cells=[new_code_cell("import digitlib")], metadata=ELSEWHERE)
    nbformat.write(notebook, tmp_path / "a.ipynb")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", "-p", "conftest", tmp_path],
        cwd=ROOT,
        env=os.environ | {"DIGITLIB_DATASET": "sample"},
        capture_output=True,
        text=True,
    )
    assert "1 passed" in done.stdout, done.stdout


@pytest.fixture
def house(tmp_path):
    """A repository with one notebook, and a way to execute it on the sample."""

    def execute(source, dataset="sample"):
        (tmp_path / "notebooks").mkdir(exist_ok=True)
        path = tmp_path / "notebooks" / "01_test.ipynb"
        notebook = new_notebook(cells=[new_code_cell(source, id="only")], metadata=ELSEWHERE)
        nbformat.write(notebook, path)
        done = subprocess.run(
            [sys.executable, "-m", "digitlib", "figures"],
            cwd=tmp_path,
            env=os.environ | {"DIGITLIB_DATASET": dataset},
            capture_output=True,
            text=True,
        )
        return done, path

    return execute


def test_sample_run_leaves_the_notebook_alone(house, tmp_path):
    say = "print({!r}, file=sys.{}, flush=True)\n"
    said = ("out", "stdout"), ("err", "stderr"), ("more", "stdout")
    done, path = house("import sys\n" + "".join(say.format(*each) for each in said))
    assert done.returncode == 0, done.stderr
    assert code_cells(path)[0].execution_count is None
    executed = nbformat.read(tmp_path / "figures" / "sample" / path.name, as_version=4)
    assert [out.text for out in executed.cells[0].outputs] == ["out\nmore\n"]
    assert executed.metadata.kernelspec.name == "python3"


def test_full_run_saves_the_notebook_in_place(house, mnist):
    done, path = house("print('out')", dataset="mnist")
    assert done.returncode == 0, done.stderr
    assert code_cells(path)[0].outputs[0].text == "out\n"


def test_failing_cell_is_reported_and_nothing_is_saved(house, tmp_path):
    done, path = house("print('out')\n1 / 0")
    assert done.returncode != 0
    assert "01_test.ipynb" in done.stderr and "ZeroDivisionError" in done.stderr
    assert not (tmp_path / "figures").exists() and code_cells(path)[0].outputs == []


@pytest.mark.parametrize(
    ("old", "new", "trained", "same"),
    [
        ("error 1.05 %", "error 1.05 %", False, True),
        ("error 1.05 %", "error 1.06 %", False, False),
        ("error 1.05 %", "error 1.25 %", True, True),
        ("error 1.05 %", "error 10.5 %", True, False),
        ("error 1.05 %", "mistake 1.05 %", True, False),
        ("a  9.5\nb 10.5", "a 10.5\nb  9.5", True, True),
        ("1,234 images", "4,321 images", True, False),
    ],
)
def test_outputs_differ_only_where_it_matters(old, new, trained, same):
    assert (Output.of(old, trained) == new) is same
    assert (Output.of(old, trained) != new) is not same


def test_a_changed_bar_is_seen(tmp_path):
    import matplotlib.pyplot as plt

    pictures = []
    for heights in ([1, 2, 3], [1, 2, 3], [1, 2.2, 3]):
        fig, ax = plt.subplots()
        ax.bar(range(3), heights)
        fig.savefig(tmp_path / "bar.png")
        plt.close(fig)
        pictures.append((tmp_path / "bar.png").read_bytes())
    assert picture_distance(pictures[0], pictures[1]) == 0
    assert picture_distance(pictures[0], pictures[2]) > 5
