"""A picture to a reading of it: which digits it shows, where, and how surely."""

import base64
import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from digitlib.reader.ink import Picture, find_ink, load_picture
from digitlib.reader.network import load_network
from digitlib.reader.pieces import lines_of_pieces, scaled, to_mnist_form

SURE = 0.9  # a digit read with less confidence is worth a second look


class Read(NamedTuple):
    """A digit that was read: which, how surely (0 to 1), where, and the 28 x 28 image judged."""

    digit: int
    confidence: float
    box: tuple[int, int, int, int]
    image: np.ndarray
    probabilities: np.ndarray


class Reading(NamedTuple):
    """What a picture says; `sure` if there is ink and every piece of it is a certain digit."""

    text: str
    digits: list[Read]
    sure: bool


def read(picture: Picture, predict: Callable) -> Reading:
    """The digits of a picture, line by line.

    `predict` takes uint8 (n, 28, 28) and gives probabilities, float (n, 10); what a row lacks of 1
    is the probability that the image is no digit. Pictures of three digits and more are turned by
    90, 180 or 270 degrees where that makes the reading a hundred times as probable; lines of other
    writing, and pieces that are no digits, are left out where there are lines of digits.
    """
    ink = find_ink(picture.pixels)
    turn, lines = 0, _read_lines(ink, predict)
    count = sum(map(len, lines))
    if count >= 3 and _mean_log(lines) < np.log(0.9):
        turned = {k: _read_lines(np.rot90(ink, k), predict) for k in (1, 2, 3)}
        best = max(turned, key=lambda k: _mean_log(turned[k]))
        if (_mean_log(turned[best]) - _mean_log(lines)) * count > np.log(100):
            turn, lines = best, turned[best]
    kept = [
        digit
        for line in lines
        if np.median([digit.confidence for digit in line]) > 0.5
        for digit in line
        if digit.confidence > 0.5
    ]
    found = [digit for line in lines for digit in line]
    kept = kept or sorted(found, key=lambda digit: digit.confidence)[-1:]
    scale = picture.size[0] / ink.shape[1]
    kept = [d._replace(box=scaled(_turned_back(d.box, turn, ink.shape), scale)) for d in kept]
    sure = bool(kept) and min(digit.confidence for digit in found) >= SURE
    return Reading("".join(str(digit.digit) for digit in kept), kept, sure)


def _mean_log(lines):
    """Mean log-confidence, no digit counting as less than one in a hundred."""
    return np.mean(
        [np.log(max(digit.confidence, 0.01)) for line in lines for digit in line] or [-5]
    )


def _read_lines(ink, predict):
    """Every piece of the ink read, those that touch taken apart: lists of Read, boxes as slices."""
    lines = lines_of_pieces(ink)
    if not lines:
        return []
    whole = iter(_judge([piece for line in lines for piece in line], predict))
    return [
        [part for piece in line for part in _taken_apart(piece, next(whole), predict)]
        for line in lines
    ]


def _judge(pieces, predict):
    images = np.stack([to_mnist_form(crop) for crop, _ in pieces])
    return [
        Read(int(p.argmax()), float(p.max()), box, image, p)
        for p, image, (_, box) in zip(predict(images), images, pieces, strict=True)
    ]


def _taken_apart(piece, whole, predict):
    """The piece as two digits that touch, where that reads better than as one."""
    crop, (rows, columns) = piece
    height, width = crop.shape
    if whole.confidence > 0.8 or width < 0.8 * height:
        return [whole]
    quarter = width // 4
    cut = quarter + int(crop[:, quarter : width - quarter].sum(0).argmin())
    middle = columns.start + cut
    parts = _judge(
        [
            (crop[:, :cut], (rows, slice(columns.start, middle))),
            (crop[:, cut:], (rows, slice(middle, columns.stop))),
        ],
        predict,
    )
    better = min(part.confidence for part in parts) > max(0.8, whole.confidence)
    return parts if better else [whole]


def _turned_back(box, turns, shape):
    """A box found after np.rot90(ink, turns), on the ink of that shape itself."""
    for k in range(turns, 0, -1):
        rows, columns = box
        side = shape[k % 2]  # the width before the k-th turn
        box = columns, slice(side - rows.stop, side - rows.start)
    return box


def read_picture(source) -> dict:
    """What is written on a picture, as JSON's types; PictureError where it is no picture.

    source : what `load_picture` takes: a path, bytes or an array
    The answer has `text`, `sure`, and `digits` in reading order, each with `digit`, `confidence`
    (0 to 1), `sure`, `box` (left, top, right, bottom in pixels of the upright picture),
    `probabilities` of 0 to 9 (what they lack of 1 is the probability that it is no digit), and
    `image`, the 28 x 28 image judged, a PNG in base64.
    """
    reading = read(load_picture(source), load_network())
    digits = [
        {
            "digit": digit.digit,
            "confidence": round(digit.confidence, 4),
            "sure": digit.confidence >= SURE,
            "box": list(digit.box),
            "probabilities": [round(p, 4) for p in digit.probabilities.tolist()],
            "image": _png(digit.image),
        }
        for digit in reading.digits
    ]
    return {"text": reading.text, "sure": reading.sure, "digits": digits}


def _png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
