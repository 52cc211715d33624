"""Readings of a folder of pictures, and how they are counted."""

from types import SimpleNamespace

import pandas as pd
import pytest

from digitlib.studies import score_reader

READINGS = {
    "7.png": SimpleNamespace(text="7", sure=True),
    "1.png": SimpleNamespace(text="?1", sure=False),
    "4.png": SimpleNamespace(text="9", sure=True),
    "12-3.png": SimpleNamespace(text="12?\n35", sure=False),
    "90.png": SimpleNamespace(text="09", sure=True),
    "88.png": SimpleNamespace(text="", sure=False),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three pictures of one digit and three pages, and a stand-in that reads them."""
    monkeypatch.setattr(score_reader, "load_picture", lambda path: path.name)
    monkeypatch.setattr(score_reader, "read", lambda name, predict: READINGS[name])
    labels = {"single": ["7", "1", "4"], "multi": ["123", "90", "88"]}
    for pictures, names in {"single": list(READINGS)[:3], "multi": list(READINGS)[3:]}.items():
        table = pd.DataFrame({"file": names, "label": labels[pictures], "notes": None})
        table.assign(maker="a", medium="photo").to_csv(tmp_path / f"{pictures}.csv")
    return tmp_path


def test_a_folder_gives_a_row_a_picture(folder):
    table = score_reader.read_folder(folder, None)
    columns = "folder pictures kind file label text in_place sure maker medium"
    assert list(table) == columns.split()
    assert table.pictures.tolist() == 3 * ["single"] + 3 * ["multi"]
    assert table.kind.tolist() == 3 * ["digit"] + 3 * ["mixed"]
    assert table.text.tolist() == ["7", "?1", "9", "12?|35", "09", ""]
    assert table.in_place.tolist() == [1, 1, 0, 3, 1, 0]


def test_kinds_are_those_of_the_list_and_strewn_digits_count_anywhere(folder):
    table = pd.read_csv(folder / "multi.csv", dtype=str, index_col=0)
    table["kind"], table["notes"] = ["operators", "number", "number"], "compare as a multiset"
    table.to_csv(folder / "multi.csv")
    table = score_reader.read_folder(folder, None)
    assert table.kind.tolist()[3:] == ["operators", "number", "number"]
    assert table.in_place.tolist()[3:] == [3, 2, 0]


def test_a_reading_is_right_as_a_whole_or_not(folder):
    digit, mixed = score_reader.summary(score_reader.read_folder(folder, None)).itertuples(False)
    assert digit == (3, 1, 2, 1, 3, 2, 1)
    assert mixed == (3, 0, 1, 1, 7, 4, 2)


@pytest.mark.parametrize(
    ("label", "text", "expected"),
    [("123", "123", 3), ("123", "23", 2), ("123", "0123", 3), ("12", "21", 1), ("12", "", 0)],
)
def test_digits_in_place_survive_an_alignment(label, text, expected):
    assert score_reader.in_place(label, text) == expected


def test_what_is_read_surely_was_not_declined(monkeypatch):
    pictures = {"words": [0, 1], "blank paper": [1]}
    monkeypatch.setattr(score_reader, "test_pictures", lambda rng: pictures)
    monkeypatch.setattr(score_reader, "load_picture", lambda picture: picture)
    monkeypatch.setattr(
        score_reader, "read", lambda picture, predict: SimpleNamespace(text="3", sure=picture == 0)
    )
    table = score_reader.score_others(None)
    assert table.declined.tolist() == [False, True, True]
