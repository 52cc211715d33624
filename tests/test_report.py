"""The report: it holds the numbers that `metrics` gives, and all that it links to is there."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import keras
import matplotlib
import numpy as np
import pandas as pd
import pytest
from command import call
from tiny import tiny_network

from digitlib.calibration import brier, nll
from digitlib.data import model_input, one_hot
from digitlib.evaluation import metrics, per_class_metrics, wilson_interval
from digitlib.report import write_report

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def trained(sample, tmp_path_factory):
    """A small network, trained for a moment, as a file, and its probabilities."""
    keras.utils.set_random_seed(0)
    model = tiny_network()
    model.compile(optimizer="adam", loss="categorical_crossentropy")
    model.fit(model_input(sample.x_train), one_hot(sample.y_train), epochs=2, verbose=0)
    path = tmp_path_factory.mktemp("trained") / "tiny.keras"
    model.save(path)
    return path, model.predict(model_input(sample.x_test), batch_size=1000, verbose=0)


@pytest.fixture
def page(trained, sample, tmp_path):
    return write_report(trained[1], sample, tmp_path, title="a < b")


class Links(HTMLParser):
    """What a page links to or loads."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("href", "src")]


def test_report_holds_the_numbers_of_metrics(trained, sample, page):
    y_true, y_pred = sample.y_test, trained[1].argmax(axis=1)
    table = pd.read_csv(page.with_name("metrics.csv"), index_col="metric")
    for name, value in metrics(y_true, y_pred).items():
        assert table.value[name] == pytest.approx(value, abs=1e-5)
        assert f"{value:.4f}" in page.read_text(encoding="utf-8")
    assert table.value["NLL"] == pytest.approx(nll(y_true, trained[1]), rel=1e-4)
    assert table.value["Brier"] == pytest.approx(brier(y_true, trained[1]), rel=1e-4)
    low, high = wilson_interval((y_true == y_pred).sum(), len(y_true))
    assert f"({low:.4f} to {high:.4f})" in page.read_text(encoding="utf-8")
    per_class = pd.read_csv(page.with_name("per_class.csv"), index_col="digit")
    pd.testing.assert_frame_equal(per_class, per_class_metrics(y_true, y_pred), rtol=1e-5)
    confusion = pd.read_csv(page.with_name("confusion.csv"), index_col="y_true")
    assert np.trace(confusion) == (y_true == y_pred).sum()


def test_everything_linked_lies_beside_the_page(page):
    links = Links(page.read_text(encoding="utf-8")).found
    assert len(links) == len(set(links)) == 10  # six tables and four pictures
    assert {page.with_name(link) for link in links} == set(page.parent.iterdir()) - {page}


def test_report_on_the_sample_stays_apart_and_title_is_escaped(page, tmp_path):
    assert page.parent == tmp_path / "sample"
    assert "<h1>a &lt; b</h1>" in page.read_text(
        encoding="utf-8"
    ) and "MNIST sample" in page.read_text(encoding="utf-8")


def test_every_name_is_escaped(trained, sample, tmp_path):
    named = replace(sample, name="<b>&")
    page = write_report(trained[1], named, tmp_path, title="<i>&").read_text(encoding="utf-8")
    assert "&lt;b&gt;&amp;, 1,000 test images" in page and "<h1>&lt;i&gt;&amp;</h1>" in page


def test_errors_come_with_the_surest_first(page):
    errors = pd.read_csv(page.with_name("confident_errors.csv"))
    assert len(errors) == 20 and errors.confidence.is_monotonic_decreasing
    assert (errors.y_true != errors.y_pred).all()


def test_sentence_on_declining_speaks_of_one_image_in_a_hundred(trained, sample, page):
    text = page.read_text(encoding="utf-8")
    share, risk = re.search(r"Declining the (\S+)% .* leaves (\S+)% errors", text).groups()
    kept = np.argsort(trained[1].max(axis=1))[10:]  # 990 of 1,000, no two equally sure
    wrong = trained[1].argmax(axis=1)[kept] != sample.y_test[kept]
    assert (float(share), float(risk)) == (1.0, pytest.approx(100 * wrong.mean(), abs=0.006))


def test_network_without_errors_has_a_report(sample, tmp_path):
    page = write_report(one_hot(sample.y_test), sample, tmp_path, title="perfect")
    assert len(pd.read_csv(page.with_name("confident_errors.csv"))) == 0
    assert all(
        page.with_name(link).exists() for link in Links(page.read_text(encoding="utf-8")).found
    )


def evaluate(*arguments, folder):
    return call("evaluate", *arguments, folder=folder, DIGITLIB_DATASET="sample")


def test_command_writes_the_report(trained, tmp_path):
    done = evaluate(trained[0], "--report", tmp_path / "report", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    page = tmp_path / "report" / "sample" / "report.html"
    assert str(page) in done.stdout and "tiny.keras" in page.read_text(encoding="utf-8")
