"""The README says what the results say, and names what exists."""

import re
from pathlib import Path

import pandas as pd
import pytest

from digitlib.notebooks import results_table, update_readme

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_table_is_that_of_the_results():
    assert results_table(pd.read_csv(ROOT / "figures" / "02_error_by_model.csv")) in README


def test_update_replaces_the_table_and_nothing_else(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(re.sub(r"\| P2: .*\n", "| P2: something old |\n", README))
    update_readme(readme, ROOT / "figures" / "02_error_by_model.csv")
    assert readme.read_text() == README


def test_update_refuses_a_readme_without_marks(tmp_path):
    (tmp_path / "README.md").write_text("no marks")
    with pytest.raises(ValueError, match="<!-- results -->"):
        update_readme(tmp_path / "README.md", ROOT / "figures" / "02_error_by_model.csv")


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_file_that_is_linked_exists(document):
    links = re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / document).read_text())
    assert all((ROOT / link).exists() for link in links), links


def test_readme_stays_short():
    assert README.count("\n") < 120
