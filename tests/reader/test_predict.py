"""`predict` as a user types it, and the answers behind it."""

import base64
import io
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from sample_pictures import bad_pictures, png, written

from digitlib.reader.reading import read_picture


@pytest.fixture
def predict(tmp_path):
    def run(*arguments):
        command = [sys.executable, "-m", "digitlib", "predict", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

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
    found = read_picture(written(sample, "42"))
    assert found["text"] == "42" and len(found["digits"]) == 2
    assert found["sure"] == all(digit["sure"] for digit in found["digits"])
    for start, digit in zip((0, 144), found["digits"], strict=True):
        left, top, right, bottom = digit["box"]
        assert start < left < right < start + 144 and 0 <= top < bottom <= 112
        assert set(digit) == {"digit", "confidence", "sure", "box", "probabilities", "image"}
        assert digit["probabilities"][digit["digit"]] == digit["confidence"]
        image = np.asarray(Image.open(io.BytesIO(base64.b64decode(digit["image"]))))
        assert image.shape == (28, 28) and image.max() > 200 and image[0, 0] == 0
