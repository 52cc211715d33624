"""The studies of notebooks 02 and 03, on the sample with networks that learn in a moment."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import TINY

from digitlib.recipes.matched import MATCHED
from digitlib.studies import mlp_vs_cnn, unseen_writers
from digitlib.writers import load_writers


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    monkeypatch.setenv("DIGITLIB_CACHE", str(tmp_path))
    short = tuple(replace(recipe, epochs=1) for recipe in MATCHED)
    monkeypatch.setattr(mlp_vs_cnn, "MATCHED", short)


def test_matched_networks_in_place_and_shuffled(sample, monkeypatch):
    monkeypatch.setattr(mlp_vs_cnn, "SEEDS", {"linear": 2, "mlp": 1})
    monkeypatch.setattr(mlp_vs_cnn, "SHUFFLED_SEEDS", {"mlp": 1})
    table = mlp_vs_cnn.matched(sample)
    rows = table[["network", "pixels", "seed", "parameters"]].to_numpy().tolist()
    assert rows == [
        ["linear", "in place", 0, 7850],
        ["linear", "in place", 1, 7850],
        ["mlp", "in place", 0, 224767],
        ["mlp", "shuffled", 0, 224767],
    ]
    assert table.test_error.between(5, 80).all() and table.val_error.between(5, 80).all()
    assert table.test_error[2] != table.test_error[3]  # other images for the same weights


def test_rates_are_tried_with_every_seed(sample):
    table = mlp_vs_cnn.rates(sample, {"mlp": (2, (1e-3, 1e-9)), "linear": (1, (1e-3,))})
    tried = table[["network", "peak", "seed"]].to_numpy().tolist()
    mlp = [["mlp", 1e-3, 0], ["mlp", 1e-3, 1], ["mlp", 1e-9, 0], ["mlp", 1e-9, 1]]
    assert tried == [*mlp, ["linear", 1e-3, 0]]
    table = table[table.network == "mlp"]
    learned, not_learned = table.groupby("peak", sort=False).val_error.mean()
    assert learned + 20 < not_learned


def test_hands_are_known_or_unseen_and_the_measured_images_the_same(sample, monkeypatch):
    learned = []
    train_many = unseen_writers.train_many

    def watched(recipes, part, seeds):
        learned.append(part)
        return train_many(recipes, part, seeds)

    monkeypatch.setattr(unseen_writers, "train_many", watched)
    monkeypatch.setattr(unseen_writers, "get_recipe", lambda name: TINY)
    table = unseen_writers.writers(sample, ["tiny"], [0])

    writer = dict(zip(map(bytes, sample.x_train), load_writers(sample)[0].writer, strict=True))
    known, unseen = learned
    assert np.array_equal(known.x_test, unseen.x_test)
    assert len(known.x_train) == len(unseen.x_train)
    assert not set(map(bytes, known.x_train)) & set(map(bytes, known.x_test))
    measured = {writer[bytes(image)] for image in known.x_test}
    assert not measured & {writer[bytes(image)] for image in unseen.x_train}
    assert len(measured & {writer[bytes(image)] for image in known.x_train}) > len(measured) / 2

    assert table.groupby("hands").n.sum().to_dict() == dict.fromkeys(
        ("known", "unseen"), len(known.x_test)
    )
    assert table.n_wrong.between(0, table.n).all() and table.n_wrong.sum() > 0
