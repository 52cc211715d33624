"""The committee: its members see what they should, and its numbers are those of their runs."""

import numpy as np
import pytest
from tiny import TINY, few_digits

from digitlib.data import load_sample
from digitlib.geometry import upright
from digitlib.studies import committee as study
from digitlib.studies.committee import committee, members, misses
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


def test_members_see_digits_as_they_are_or_upright(few):
    runs = members(few, TINY, **SEEDS)
    assert [run.seed for run in runs] == [0, 1, 2]
    x = upright(few.x_test)[..., None] / 255
    y_pred = runs[2].load_model().predict(x, verbose=0).argmax(axis=1)
    assert (y_pred == runs[2].y_pred).mean() > 0.98


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


def test_views_are_compared_on_the_last_sixth_after_unseen_writers(monkeypatch):
    sample = load_sample()
    asked = []
    monkeypatch.setattr(study, "committee", lambda *args: asked.append(args) or committee(*args))
    monkeypatch.setattr(study, "BEST", TINY)
    monkeypatch.setattr(study, "SHORT", TINY)
    table = study.views(sample, [0], [1])
    assert list(table) == ["as_it_is", "no_slant", "seeds", "val_error"]
    data = asked[0][0]
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
