"""A drawing read from its strokes: digits that touch, in any order, and strict JSON."""

import json
import random

import numpy as np
import pytest

from digitlib.reader.ink import PictureError
from digitlib.reader.strokes import MAX_POINTS, MAX_STROKES, read_drawing

# The corners of each stroke, in tenths of a digit's height
DIGITS = {
    "0": [[(3, 0), (1, 2), (0, 5), (1, 8), (3, 10), (5, 8), (6, 5), (5, 2), (3, 0)]],
    "1": [[(0, 0), (0, 10)]],
    "2": [[(0, 2), (2, 0), (4, 0), (5, 2), (4, 5), (0, 10), (6, 10)]],
    "4": [[(2, 0), (0, 6), (6, 6)], [(4, 2), (4, 10)]],
    "5": [[(1, 0), (0, 4), (3, 4), (5, 6), (5, 8), (3, 10), (0, 9)], [(1, 0), (6, 0)]],
    "7": [[(0, 0), (6, 0), (2, 10)], [(2, 5), (6, 5)]],
}


def strokes_of(text, tall=70, gap=0, left=10, top=40):
    """The strokes of a number from left to right, `gap` tenths between the paths of its digits."""
    strokes = []
    for digit in text:
        for stroke in DIGITS[digit]:
            strokes.append([[left + tall * x / 10, top + tall * y / 10] for x, y in stroke])
        left += tall * (gap + max(x for stroke in DIGITS[digit] for x, _ in stroke)) / 10
    return strokes


def drawing(strokes, **changes):
    return json.dumps({"width": 320, "height": 240, "strokes": strokes} | changes).encode()


def text_of(strokes):
    return read_drawing(drawing(strokes))["text"]


@pytest.mark.parametrize("digit", DIGITS)
def test_a_digit_in_its_place(digit):
    answer = read_drawing(drawing(strokes_of(digit, 150)))
    assert answer["text"] == digit and answer["sure"] and len(answer["digits"]) == 1
    right = 10 + 15 * max(x for stroke in DIGITS[digit] for x, _ in stroke)
    np.testing.assert_allclose(answer["digits"][0]["box"], [6, 36, right + 4, 194], atol=2)


@pytest.mark.parametrize("text", ["450", "5047", "7542", "2040", "55"])
def test_digits_that_touch_are_told_apart(text):
    assert text_of(strokes_of(text)) == text


@pytest.mark.parametrize("text", ["4501", "1547", "752"])
def test_strokes_may_come_in_any_order(text):
    strokes = strokes_of(text, gap=2)
    for seed in range(4):
        assert text_of(random.Random(seed).sample(strokes, len(strokes))) == text


def test_a_stroke_may_run_through_two_digits():
    (two,), (other,) = DIGITS["2"], DIGITS["0"]
    stroke = [[40 + 9 * x, 60 + 9 * y] for x, y in [*two, *((x + 8, y) for x, y in other)]]
    answer = read_drawing(drawing([stroke]))
    assert answer["text"] == "20" and not answer["sure"], "where to cut is a guess"


def test_lines_of_a_drawing_stay_apart():
    answer = read_drawing(drawing(strokes_of("42", gap=2) + strokes_of("57", gap=2, top=145)))
    assert answer["text"] == "42\n57" and len(answer["digits"]) == 4


@pytest.mark.parametrize("mark", [[[250, 75], [280, 75]], [[250, 108]]])
def test_a_mark_keeps_its_place_and_forbids_sure(mark):
    answer = read_drawing(drawing([*strokes_of("42", gap=2), mark]))
    assert answer["text"] == "42?" and not answer["sure"]


def test_what_lies_outside_the_drawing_is_not_read():
    outside = [[400, 300], [500, 300]]
    assert read_drawing(drawing([outside])) == {"text": "", "sure": False, "digits": []}
    assert text_of([outside, *strokes_of("7", 150)]) == "7"


DOT = [[1, 2]]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "expected JSON"),
        (b"\xff", "expected JSON"),
        (b"[" * 100_000, "expected JSON"),
        (b"[]", "expected JSON"),
        (b'{"strokes": [[[1, 2]]]}', "expected JSON"),
        (drawing([[1, 2]]), "expected JSON"),
        (drawing([[[1, 2, 3]]]), "expected JSON"),
        (drawing([DOT], width=5000), "whole numbers from 16 to 400"),
        (drawing([DOT], height="240"), "whole numbers from 16 to 400"),
        (drawing([DOT], height=True), "whole numbers from 16 to 400"),
        (drawing([]), "has 0 strokes"),
        (drawing([[]]), "of one point or more"),
        (drawing([DOT] * (MAX_STROKES + 1)), "has 101 strokes"),
        (drawing([DOT * (MAX_POINTS + 1)]), "more than 20000 points"),
        (drawing([DOT * 200_000]), "at most 1,000,000"),
        (drawing([[["1", "2"]]]), "not two numbers"),
        (drawing([[[float("nan"), 2]]]), "not two numbers"),
        (drawing([[[10**400, 2]]]), "not two numbers"),
    ],
)
def test_what_is_no_drawing_is_refused_in_words(body, says):
    with pytest.raises(PictureError, match=says):
        read_drawing(body)
