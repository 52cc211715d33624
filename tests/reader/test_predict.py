"""`predict` as a user types it, and the answers behind it."""

import base64
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sample_pictures import bad_pictures, png, written

from digitlib.reader.reading import SURE, read_picture


@pytest.fixture
def predict(tmp_path):
    def run(*arguments, stdin=None):
        command = [sys.executable, "-m", "digitlib", "predict", *arguments]
        return subprocess.run(command, cwd=tmp_path, stdin=stdin, capture_output=True, text=True)

    return run


def test_one_line_a_picture(predict, tmp_path, sample):
    (tmp_path / "a.png").write_bytes(written(sample, "42"))
    (tmp_path / "b.png").write_bytes(written(sample, "7"))
    (tmp_path / "blank.png").write_bytes(png(np.full((60, 60), 255, np.uint8)))
    done = predict("a.png", "b.png", "blank.png")
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first.split()[:2] == ["a.png", "42"] and second.split()[:2] == ["b.png", "7"]
    assert first.split()[2].endswith("%")
    assert third == "blank.png  not sure: no digit found"


@pytest.mark.skipif(sys.platform == "win32", reason="a closed pipe is another error there")
def test_who_has_seen_enough_is_told_nothing(tmp_path, sample):
    (tmp_path / "a.png").write_bytes(written(sample, "42"))
    command = [sys.executable, "-m", "digitlib", "predict", tmp_path / "a.png"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


def test_unread_ink_and_lines_are_kept_apart(predict, tmp_path, sample):
    (tmp_path / "a.png").write_bytes(written(sample, "12-34\n567"))
    assert predict("a.png").stdout.startswith("a.png  12?34 / 567  ")
    (answer,) = json.loads(predict("--json", "a.png").stdout)
    assert answer["text"] == "12?34\n567" and not answer["sure"]
    lowest = min(digit["confidence"] for digit in answer["digits"] if digit["text"] != "?")
    assert predict("a.png").stdout.endswith(f"  {lowest:.1%}  not sure\n")


def test_a_folder_holds_pictures(predict, tmp_path, sample):
    (tmp_path / "mine" / "deeper").mkdir(parents=True)
    pictures = {"b.PNG": "7", "a.jpg": "42", ".hidden.png": "1", "deeper/c.png": "1"}
    for name, text in pictures.items():
        (tmp_path / "mine" / name).write_bytes(written(sample, text))
    (tmp_path / "mine" / "notes.txt").write_text("no picture")
    done = predict("mine")
    assert done.returncode == 0 and done.stderr == ""
    read = [line.split("  ")[:2] for line in done.stdout.splitlines()]
    assert read == [[str(Path("mine", "a.jpg")), "42"], [str(Path("mine", "b.PNG")), "7"]]


def test_a_folder_without_pictures_and_a_phone_s(predict, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "phone").mkdir()
    (tmp_path / "phone" / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    done = predict("empty", "phone")
    assert done.returncode == 1 and done.stdout == ""
    empty, phone = done.stderr.splitlines()
    assert empty == "error: empty: no picture in this folder"
    assert phone.startswith(f"error: {Path('phone', 'IMG_1.HEIC')} is HEIC")


def test_standard_input(predict, tmp_path, sample):
    (tmp_path / "a.png").write_bytes(written(sample, "30"))
    with (tmp_path / "a.png").open("rb") as stdin:
        assert predict("-", stdin=stdin).stdout.split()[:2] == ["-", "30"]
    with (tmp_path / "a.png").open("rb") as stdin:
        (answer,) = json.loads(predict("--json", "-", stdin=stdin).stdout)
    assert answer == {"path": "-", **read_picture(tmp_path / "a.png")}
    done = predict("-", stdin=subprocess.DEVNULL)
    assert done.returncode == 1 and done.stderr.startswith("error: the picture is not a PNG")


def test_json_for_programs(predict, tmp_path, sample):
    (tmp_path / "a.png").write_bytes(written(sample, "42"))
    done = predict("--json", "a.png", "absent.png", "a.png")
    assert done.returncode == 1 and done.stderr == ""
    first, absent, second = json.loads(done.stdout)
    assert absent == {"path": "absent.png", "error": "absent.png: no such file"}
    assert first == second == {"path": "a.png", **read_picture(tmp_path / "a.png")}


def test_bad_files_are_reported_and_the_rest_is_read(predict, tmp_path, sample):
    for name, content in bad_pictures().items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "good.png").write_bytes(written(sample, "7"))
    (tmp_path / "folder").mkdir()
    done = predict(*bad_pictures(), "folder", "good.png")
    assert done.returncode == 1
    assert done.stdout.split()[:2] == ["good.png", "7"]
    for name in [*bad_pictures(), "folder"]:
        assert f"error: {name}" in done.stderr
    assert len(done.stderr.splitlines()) == len(bad_pictures()) + 1


def test_an_answer_shows_what_was_judged(sample):
    found = read_picture(written(sample, "4-2"))
    assert found["text"] == "4?2" and len(found["digits"]) == 3 and not found["sure"]
    starts, ends = (0, 144, 200), (144, 200, 344)
    for start, end, read, text in zip(starts, ends, found["digits"], "4?2", strict=True):
        left, top, right, bottom = read["box"]
        assert start < left < right < end and 0 <= top < bottom <= 112
        assert set(read) == {"text", "confidence", "sure", "box", "probabilities", "image"}
        assert read["text"] == text and len(read["probabilities"]) == 10
        expected = read["probabilities"][int(text)] if text != "?" else 0
        assert read["confidence"] == expected and read["sure"] == (expected >= SURE)
        image = np.asarray(Image.open(io.BytesIO(base64.b64decode(read["image"]))))
        assert image.shape == (28, 28) and image.max() > 200 and image[0, 0] == 0


def test_an_answer_without_unread_ink_is_as_sure_as_its_digits(sample):
    found = read_picture(written(sample, "42"))
    assert found["text"] == "42" and found["sure"] == all(read["sure"] for read in found["digits"])
