"""The committee: its members see what they should, and its numbers are those of their runs."""

import numpy as np
import pandas as pd
import pytest
from tiny import TINY, few_digits

from digitlib.data import load_sample
from digitlib.geometry import upright
from digitlib.recipes.ours import BEST
from digitlib.studies import committee as study
from digitlib.studies.committee import committee, members, misses
from digitlib.studies.faster_and_better import SHORT
from digitlib.writers import load_writers

SEEDS = {"as_it_is": range(2), "no_slant": range(2, 3)}


@pytest.fixture(scope="module")
def few():
    return few_digits()


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIGITLIB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def test_members_see_digits_as_they_are_or_upright_in_training_and_reading(few, monkeypatch):
    asked = []
    monkeypatch.setattr(study, "train_many", lambda *args: asked.append(args) or [*args[2]])
    assert members(few) == list(range(9))
    (recipes, seen, seeds), (again, upright_ones, others) = asked
    assert recipes == again == [BEST] and (*seeds, *others) == tuple(range(9)) and len(others) == 4
    assert seen == few
    for part in ("x_train", "x_test"):
        assert np.array_equal(getattr(upright_ones, part), upright(getattr(few, part)))
    assert np.array_equal(upright_ones.y_train, few.y_train)


def test_a_committee_of_one_is_the_network_itself(few):
    table = committee(few, TINY, **SEEDS)
    assert list(table) == ["as_it_is", "no_slant", "seeds", "test_error"]
    assert table.seeds.tolist() == ["0", "1", "2", "0 1", "0 2", "1 2", "0 1 2"]
    assert table.as_it_is.tolist() == [1, 1, 0, 2, 1, 1, 2]
    assert table.no_slant.tolist() == [0, 0, 1, 0, 1, 1, 1]
    runs = members(few, TINY, **SEEDS)
    alone = [100 * np.mean(run.y_pred != few.y_test) for run in runs]
    assert table.test_error[:3].tolist() == pytest.approx(alone)
    together = sum(run.y_prob for run in runs).argmax(axis=1)
    assert table.test_error[6] == pytest.approx(100 * np.mean(together != few.y_test))
    same_seed = committee(few, TINY, as_it_is=[0], no_slant=[0])
    assert same_seed.no_slant.tolist() == [0, 1, 1]


def test_views_are_compared_on_the_last_sixth_after_unseen_writers(monkeypatch):
    sample = load_sample()
    asked = []
    tried = pd.DataFrame({"seeds": ["0"], "test_error": [0.5]})
    monkeypatch.setattr(study, "committee", lambda *args: asked.append(args) or tried)
    table = study.views(sample, [0], [1])
    assert list(table) == ["seeds", "val_error"]
    assert asked[0][2:] == ([0], [1])
    data, recipe = asked[0][:2]
    assert (recipe.build, recipe.epochs) == (SHORT.build, 8)
    learned, held_out = (set(map(bytes, images)) for images in (data.x_train, data.x_test))
    assert len(data.x_test) == round(len(sample.x_train) / 6) and not learned & held_out
    assert learned | held_out == set(map(bytes, sample.x_train))
    writer = dict(zip(map(bytes, sample.x_train), load_writers(sample)[0].writer, strict=True))
    assert not {writer[image] for image in learned} & {writer[image] for image in held_out}


def test_misses_are_what_a_direct_count_finds(few):
    table = misses(few, TINY, **SEEDS).set_index("test_index")
    assert list(table) == ["y_true", "y_pred", "confidence", "votes"]
    runs = members(few, TINY, **SEEDS)
    for i, label in enumerate(few.y_test):
        y_prob = (runs[0].y_prob[i] + runs[1].y_prob[i] + runs[2].y_prob[i]) / 3
        assert (i in table.index) == (np.argmax(y_prob) != label)
        if i in table.index:
            right = sum(run.y_pred[i] == label for run in runs)
            found = [label, np.argmax(y_prob), pytest.approx(y_prob.max(), rel=1e-5), right]
            assert table.loc[i].tolist() == found
