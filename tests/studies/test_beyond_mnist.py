"""The studies of notebook 05, each on a few images with a network that learns in a second."""

from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from digitlib.data import DownloadError, model_input
from digitlib.datasets import ImageSet, to_form
from digitlib.recipes.recipe import Recipe
from digitlib.studies import beyond_mnist
from digitlib.studies.corruption import corrupt
from digitlib.training import train


def tiny_network():
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(10, "softmax"),
        ]
    )


TINY = Recipe("tiny", "a test", tiny_network, epochs=4, batch_size=32, validation=0)


@pytest.fixture(scope="module")
def few(sample, tmp_path_factory):
    """400 training and 200 test images, and a cache for what learns from them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIGITLIB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield replace(
            sample,
            x_train=sample.x_train[:400],
            y_train=sample.y_train[:400],
            x_test=sample.x_test[:200],
            y_test=sample.y_test[:200],
        )


@pytest.fixture
def others(sample, monkeypatch):
    """Two data sets instead of USPS and the UCI digits, at other sizes."""
    small = [ImageSet(name, sample.x_test[400:600, 4:24:step, 4:24:step], sample.y_test[400:600])
             for name, step in (("a", 1), ("b", 2))]  # fmt: skip
    monkeypatch.setattr(beyond_mnist, "OTHERS", {s.name: lambda s=s: s for s in small})
    return {s.name: s for s in small}


def test_stretched_contrast_is_full_and_clean_images_stay(sample):
    images = sample.x_test[:50]
    full = images[(images.max(axis=(1, 2)) == 255) & (images.min(axis=(1, 2)) == 0)]
    assert len(full) > 40 and np.array_equal(beyond_mnist.stretched(full), full)
    pale = (full // 3 + 90).astype(np.uint8)
    again = beyond_mnist.stretched(pale)
    assert (again.min(axis=(1, 2)) == 0).all() and (again.max(axis=(1, 2)) == 255).all()
    assert np.abs(again.astype(int) - full).max() <= 3
    flat = np.full((1, 28, 28), 77, np.uint8)
    assert not beyond_mnist.stretched(flat).any()


def test_corruptions_are_measured_one_by_one(few):
    table = beyond_mnist.corruptions(few, [TINY], [0, 1], names=["brightness", "stripe"])
    assert len(table) == 2 * 2 * (1 + 6 + 1)
    assert not table.duplicated(["seed", "stretched", "corruption", "severity"]).any()
    images, labels = few.x_test[:: beyond_mnist.EVERY], few.y_test[:: beyond_mnist.EVERY]
    bright = corrupt(images, "brightness", severity=4)
    for stretch, x in ((False, bright), (True, beyond_mnist.stretched(bright))):
        y_prob = train(TINY, few, 1).load_model().predict(model_input(x), verbose=0)
        row = table[(table.seed == 1) & (table.stretched == stretch) & (table.severity == 4)]
        assert row.test_error.item() == pytest.approx(100 * (y_prob.argmax(1) != labels).mean())
        assert row.confidence.item() == pytest.approx(100 * y_prob.max(1).mean(), rel=1e-4)


def test_clean_means_all_test_images(few):
    table = beyond_mnist.corruptions(few, [TINY], [0], names=["stripe"])
    run = train(TINY, few, 0)
    clean = table[table.corruption == "clean"].test_error.to_numpy()
    assert clean == pytest.approx(np.full(2, 100 * (run.y_pred != few.y_test).mean()), abs=2)


def test_published_severity_is_the_row_without_a_number(few):
    table = beyond_mnist.corruptions(few, [TINY], [0], names=["brightness"])
    of = table[(table.corruption == "brightness") & ~table.stretched].set_index("severity")
    assert of.test_error.iloc[0] == of.test_error.loc[5] and pd.isna(of.index[0])


def test_every_form_of_every_data_set_is_read(few, others):
    table = beyond_mnist.forms(few, [TINY], [0], names=["a", "b"])
    assert len(table) == 6
    images, labels = others["b"].images, others["b"].labels
    y_prob = (
        train(TINY, few, 0).load_model().predict(model_input(to_form(images, "padded")), verbose=0)
    )
    row = table[(table.dataset == "b") & (table.form == "padded")]
    assert row.error.item() == pytest.approx(100 * (y_prob.argmax(1) != labels).mean())


def test_missing_data_set_is_an_error(few, monkeypatch):
    def missing():
        raise DownloadError("no answer")

    monkeypatch.setattr(beyond_mnist, "OTHERS", {"usps": missing})
    with pytest.raises(DownloadError, match="no answer"):
        beyond_mnist.forms(few, [TINY], [0], names=["usps"])


def test_halves_share_no_image_and_stay_the_same(others):
    both = [beyond_mnist.halves(others["a"], "padded") for _ in range(2)]
    (pool, _), (rest, _) = both[0]
    assert len(pool) == len(rest) == 100
    as_bytes = [{image.tobytes() for image in half} for half in (pool, rest)]
    assert not as_bytes[0] & as_bytes[1]
    assert np.array_equal(both[0][1][0], both[1][1][0])


def test_images_that_are_learnt_from_are_not_those_measured(few, others, monkeypatch):
    learnt = set()

    def fine_tune(network, images, labels, method, seed):
        learnt.update(image.tobytes() for image in images)
        return network

    monkeypatch.setattr(beyond_mnist, "fine_tune", fine_tune)
    beyond_mnist.transfer(few, TINY, [0], names=["a"], per_class=[3])
    _, (measured, _) = beyond_mnist.halves(others["a"], "resized")
    assert learnt and not learnt & {image.tobytes() for image in measured}


def test_transfer_has_a_row_a_run(few, others, monkeypatch):
    monkeypatch.setattr(beyond_mnist, "fine_tune", lambda network, *rest, seed: network)
    table = beyond_mnist.transfer(few, TINY, [0, 1], names=["a"], per_class=[1, 3])
    assert len(table) == 2 * (1 + 2 * 3)
    assert table.groupby("seed").error.nunique().tolist() == [1, 1]  # nothing was learnt
    counts = table[table.seed == 0].images_per_class.value_counts()
    assert counts.to_dict() == {0: 1, 1: 3, 3: 3}
