"""How pytest treats the notebooks: strictly on MNIST, leniently on the sample, figures last."""

import os
import re
import shutil
import tempfile
from functools import cache

import pytest
from nbval.plugin import IPyNbCell, IPyNbFile
from notebook_outputs import Output

from digitlib.data import load_sample
from digitlib.datasets import load_usps
from digitlib.notebooks import settle_environment

DATA = pytest.StashKey()
SLOW = {  # they start processes
    f"test_{name}.py"
    for name in (
        "app",
        "bench",
        "beyond_mnist",
        "cluster",
        "command_line",
        "faults",
        "hostile_files",
        "hostile_pictures",
        "hostile_requests",
        "notebooks",
        "page",
        "predict",
        "train_reader",
        "report",
        "search",
        "soak",
        "committee",
        "faster_and_better",
        "mlp_vs_cnn",
        "training",
    )
}


def pytest_configure(config):
    data = settle_environment()
    config.option.nbval, config.option.nbval_lax = not data.is_sample, data.is_sample
    config.option.nbval_current_env = True  # whatever kernel a notebook was saved under
    config.stash[DATA] = data
    os.environ["DIGITLIB_FIGURES"] = tempfile.mkdtemp(prefix="digitlib-figures-")
    config.pluginmanager.register(NotebookRules())
    # What nbval has sanitized it compares by ==, so this is where to say what counts as equal.
    IPyNbCell.sanitize = lambda cell, text: Output.of(text, "trained" in tags(cell))


def pytest_unconfigure():
    shutil.rmtree(os.environ["DIGITLIB_FIGURES"], ignore_errors=True)


def tags(item):
    return item.cell.metadata.get("tags", [])


class NotebookRules:
    """Registered rather than left as hooks of this file, whose reach would end at tests/."""

    def pytest_collectstart(self, collector):
        if isinstance(collector, IPyNbFile):
            kept = set(collector.skip_compare) - {"image/png"}
            collector.skip_compare = (*kept, "stderr")  # TensorFlow's log lines differ by place

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        items.sort(key=_turn)
        for item in items:
            if isinstance(item, IPyNbCell) and "needs-usps" in tags(item) and not has_usps():
                item.options["check"] = False


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Let pytest-xdist run a notebook, and then what judges its figures, in one process."""
    from xdist.scheduler import LoadFileScheduling

    class ByNotebook(LoadFileScheduling):
        def _split_scope(self, nodeid):
            notebook = re.search(r"(\d\d)_\w+\.ipynb::|test_figures\.py::\w+\[(\d\d)_", nodeid)
            return notebook[1] or notebook[2] if notebook else super()._split_scope(nodeid)

    return ByNotebook(config, log)


@cache
def has_usps():
    """Whether USPS is here or can be fetched; cells that need it are judged only then."""
    try:
        return bool(load_usps())
    except OSError:
        return False


def _turn(item):
    """Fast tests first, then slow ones, then notebooks, then what judges their figures."""
    if isinstance(item, IPyNbCell):
        return 2
    return {"test_figures.py": 3}.get(item.path.name, int(item.path.name in SLOW))


@pytest.fixture(scope="session")
def data(pytestconfig):
    """MNIST, or the sample where there is no MNIST."""
    return pytestconfig.stash[DATA]


@pytest.fixture(scope="session")
def mnist(data):
    if data.is_sample:
        pytest.skip("needs all of MNIST")
    return data


@pytest.fixture(scope="session")
def sample(data):
    return data if data.is_sample else load_sample()
