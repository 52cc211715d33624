"""The README says what the results say, and names what exists."""

import json
import re
import tomllib
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
WORDS = " ".join(re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", README).split())  # without its links


def test_table_is_that_of_the_results():
    results = pd.read_csv(ROOT / "figures" / "02_error_by_model.csv").round(2)
    lines = [
        "| network | parameters | test error, mean ± sd | 95 % interval |",
        "|---|--:|--:|--:|",
    ]
    lines += [
        f"| {row.network} | {row.parameters:,} | {row.error_mean:.2f} ± {row.error_std:.2f} % "
        f"| {row.wilson_low:.2f} to {row.wilson_high:.2f} % |"
        for row in results.itertuples()
    ]
    assert "\n".join(["", *lines, ""]) in README


def test_readings_of_other_peoples_pictures_are_those_of_the_results():
    digits = pd.read_csv(ROOT / "figures" / "06_real_pictures.csv", dtype=str)
    squeezed, in_form = (
        100 * (digits[f"P3: {way}"] == digits.label).mean()
        for way in ("always inverted", "MNIST's form")
    )
    sentence = (
        f"reads only {squeezed:.0f} % of {len(digits)} pictures by other people if they are "
        f"squeezed to 28 x 28, but {in_form:.0f} % of them"
    )
    assert sentence in WORDS


def test_the_reader_and_the_package_beside_it_are_those_of_the_tables():
    ours, peers = (
        pd.read_csv(
            ROOT / "figures" / "studies" / f"{name}.csv", dtype=str, keep_default_na=False
        ).astype({"in_place": int})
        for name in ("reader", "peer")
    )
    single, digits = ours.pictures == "single", ours.label.str.len()
    right = [100 * (table.text == table.label)[single].mean() for table in (ours, peers)]
    in_place = [
        100 * table.in_place[~single].sum() / digits[~single].sum() for table in (ours, peers)
    ]
    makers, makers_of_pages = (ours.maker[which].nunique() for which in (single, ~single))
    sentence = (
        f"Of {single.sum()} single digits by {makers} makers it reads {right[0]:.1f} %, a general "
        f"OCR package (PP-OCRv6 small) {right[1]:.1f} %; of {digits[~single].sum()} digits on "
        f"pages by {makers_of_pages} makers, {in_place[0]:.1f} and {in_place[1]:.1f} % are in "
        "their place;"
    )
    assert sentence in WORDS


def test_how_close_training_again_came_is_what_its_table_says():
    runs = pd.read_csv(ROOT / "figures" / "studies" / "reproduced.csv")
    elsewhere = (runs.processor != runs.archived_processor).sum()
    sentence = (
        f"When all {len(runs)} were last trained again, {elsewhere} of them on another make of "
        f"processor than the archive's, {runs.differently_read.sum()} of their "
        f"{len(runs) * 10_000:,} answers to the test images differed."
    )
    assert sentence in WORDS
    assert len(runs) == len(list((ROOT / "figures" / "runs").glob("*-seed*")))


def test_what_our_networks_reach_is_what_the_studies_say():
    records, committees, damaged = (
        pd.read_csv(ROOT / "figures" / "studies" / f"{name}.csv")
        for name in ("records", "committee", "corruptions")
    )
    fast = 100 - records[records.recipe == "fast"].test_error.mean()
    everyone = committees.iloc[-1]
    assert (everyone.as_it_is + everyone.no_slant, everyone.no_slant) == (9, 4)
    published = damaged[damaged.severity.isna() & (damaged.corruption != "clean")]
    errors = published[~published.stretched].groupby("network").test_error.mean()
    sentence = (
        f"One epoch of a network made for speed reads {fast:.1f} %, nine networks made for "
        f"accuracy, four of which see digits without their slant, together "
        f"{100 - everyone.test_error:.2f} %; under "
        f"fifteen kinds of damage, P3's CNN misreads {errors.p3:.0f} % and a "
        f"network trained on damaged digits {errors.robust:.0f} %."
    )
    assert sentence in WORDS


def test_matched_networks_are_those_of_the_study():
    matched = pd.read_csv(ROOT / "figures" / "studies" / "matched.csv")
    mean = matched.groupby(["pixels", "network"]).test_error.mean()
    of, shuffled = mean["in place"], mean["shuffled"]
    sentence = (
        f"a convolutional network (CNN) misreads {of.cnn:.2f} % and a multilayer perceptron (MLP) "
        f"{of.mlp:.2f} %; an MLP that takes as many seconds {of.wide_mlp:.2f} %. Shuffle the "
        f"pixels, and the CNN misreads {shuffled.cnn:.2f} %, the MLP {shuffled.mlp:.2f} %"
    )
    assert sentence in WORDS


def test_links_into_notebooks_lead_to_headings():
    links = re.findall(r"\]\((notebooks/[^)#]+)#([^)]+)\)", README)
    assert len(links) > 8
    for path, anchor in links:
        cells = json.loads((ROOT / path).read_text(encoding="utf-8"))["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells)
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        assert anchor in {heading.replace(" ", "-") for heading in headings}, (path, anchor)


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_file_that_is_linked_exists(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!http)([^)#]+)[^)]*\)", text)
    assert all((ROOT / link).exists() for link in links), links


def test_requirements_name_what_the_study_needs_and_the_lock_pins_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    named = {line for line in lines if ">=" in line}
    assert "-e .[study,app]" in lines
    assert named <= {*project["dependencies"], *extras["study"], *extras["dev"]}
    pinned = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for needed in (
        *project["dependencies"],
        *(each for extra in extras.values() for each in extra),
    ):
        assert f"\n{needed.split('>=')[0]}==" in pinned


def test_readme_stays_short():
    assert README.count("\n") < 120
