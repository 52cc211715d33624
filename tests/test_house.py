"""How the library is built: imports run one way, and the front is found at once."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import digitlib

HOUSE = Path(digitlib.__file__).parent
MAY_IMPORT = {
    "reader": {"reader"},
    "recipes": {"recipes"},
    "front": {"front", "recipes", "reader"},
    "studies": {"studies", "front", "recipes", "reader"},
    "command line": {"studies", "front", "recipes", "reader"},
}
READER_NEEDS = {"numpy", "PIL", "scipy", "starlette", "uvicorn"}  # the last two for its page


def modules():
    """The path of each module by its dotted name."""
    for path in HOUSE.rglob("*.py"):
        parts = path.relative_to(HOUSE.parent).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


def imported(path):
    """The dotted names that a module imports, also inside its functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in NAMES else node.module for name in inner)


NAMES = dict(modules())
IMPORTS = {name: set(imported(path)) for name, path in NAMES.items()}


def wing(name):
    if name == "digitlib.__main__":
        return "command line"
    part = name.split(".")[1] if "." in name else "front"
    return part if part in MAY_IMPORT else "front"


def test_imports_run_one_way():
    upward = {
        (name, other)
        for name, others in IMPORTS.items()
        for other in others & NAMES.keys()
        if wing(other) not in MAY_IMPORT[wing(name)]
    }
    assert not upward


def test_imports_have_no_circle():
    ours = {name: others & NAMES.keys() - {"digitlib"} for name, others in IMPORTS.items()}
    list(graphlib.TopologicalSorter(ours).static_order())  # raises CycleError


def test_the_reader_needs_three_packages_and_its_page_two_more():
    reader = [others for name, others in IMPORTS.items() if wing(name) == "reader"]
    packages = {other.partition(".")[0] for other in set().union(*reader)}
    assert packages - sys.stdlib_module_names - {"digitlib"} == READER_NEEDS


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import digitlib; digitlib.__version__, dir(digitlib)", "numpy"),
        ("import digitlib; digitlib.read_picture", "pandas"),
        ("import digitlib.evaluation, digitlib.calibration, digitlib.plotting", "tensorflow"),
    ],
)
def test_what_is_light_stays_light(code, absent):
    code += f"; import sys; assert {absent!r} not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_front_offers_what_it_names():
    offered = {name: getattr(digitlib, name) for name in digitlib.HOMES}
    assert offered["get_recipe"]("p3") is offered["RECIPES"]["p3"]
    assert set(dir(digitlib)) >= {*offered, "__version__"}
    with pytest.raises(AttributeError, match=r"digitlib has no lode_mnist; it has load_mnist"):
        digitlib.lode_mnist  # noqa: B018
