"""The package that stands beside the reader, with a stand-in where it is not installed."""

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from digitlib.studies import peer

CHARACTERS = ["blank", "l", *"0123456789"]


@pytest.fixture
def seen():
    """What the stand-in was shown."""
    return []


@pytest.fixture
def engine(seen):
    """A stand-in that takes every line for an l, failing that a 7, failing that a 1."""

    def session(lines):
        scores = np.zeros((len(lines), 3, len(CHARACTERS)))
        scores[:, 1, [CHARACTERS.index(c) for c in "l71"]] = 0.6, 0.3, 0.1
        return scores

    def norm(line, max_wh_ratio):
        seen.append(line)
        return line

    recogniser = SimpleNamespace(
        session=session,
        resize_norm_img=norm,
        postprocess_op=SimpleNamespace(character=CHARACTERS),
    )
    peer.hold_to_digits(recogniser)

    class Engine:
        text_rec = recogniser

        def __call__(self, page):
            seen.append(page)
            return SimpleNamespace(txts=("12", "3") if page.shape[1] > 200 else None)

    return Engine()


def picture(path, size, paper, ink):
    """A small square of ink in the middle of paper."""
    image = Image.new("RGBA", size, paper)
    image.paste(ink, [size[0] // 2 - 3, size[1] // 2 - 3, size[0] // 2 + 3, size[1] // 2 + 3])
    image.save(path)
    return path


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(SystemExit, match=r"pip install rapidocr==3\.10\.0 onnxruntime"):
        peer.load_peer()


def test_only_digits_and_the_blank_keep_their_scores(engine):
    scores = engine.text_rec.session(np.zeros(2))
    assert scores.shape == (2, 3, 12)
    assert scores.max() == 0.3 and (scores[..., CHARACTERS.index("l")] == 0).all()


@pytest.mark.parametrize("paper, ink", [("black", "white"), ("white", "navy"), ("#fff0", "black")])
def test_it_sees_dark_ink_on_light_paper(engine, seen, tmp_path, paper, ink):
    path = picture(tmp_path / "a.png", (28, 20), paper, ink)
    assert peer.read_digit(engine, path) == "7"
    assert peer.read_page(engine, path) == ""
    digit, page = seen
    assert digit.shape == (69 + 24, 96 + 24, 3) and page.shape == (96, 134)
    for shown in (digit[..., 0], page):
        assert shown[0, 0] == 255 and shown[shown.shape[0] // 2, shown.shape[1] // 2] < 40


def test_a_folder_gives_a_row_a_picture(engine, tmp_path):
    for pictures, labels in {"single": ["1", "7"], "multi": ["123", "31"]}.items():
        (tmp_path / pictures).mkdir()
        files = [f"{label}.png" for label in labels]
        for file in files:
            picture(tmp_path / pictures / file, (300, 100), "white", "black")
        table = pd.DataFrame({"file": files, "label": labels, "notes": ["", "as a multiset"]})
        table.to_csv(tmp_path / f"{pictures}.csv")
    table = peer.read_folder(engine, tmp_path)
    assert list(table) == ["folder", "pictures", "file", "label", "text", "in_place"]
    assert set(table.folder) == {tmp_path.name}
    assert table.pictures.tolist() == ["single", "single", "multi", "multi"]
    assert table.text.tolist() == ["7", "7", "123", "123"]
    assert table.in_place.tolist() == [0, 1, 3, 2]
