"""A picture to a reading of it: which digits it shows, where, and how surely."""

import base64
import io
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from PIL import Image

from digitlib.reader.form import in_mnist_form
from digitlib.reader.ink import Picture, find_inks, load_picture
from digitlib.reader.judging import DOUBT, Judged, judge, typical
from digitlib.reader.network import load_network
from digitlib.reader.pieces import joined, piece_of
from digitlib.reader.rules import judged_between_rules
from digitlib.reader.spelling import lines_of

SURE = 0.9  # a digit read with less confidence is worth a second look
ENOUGH = (0.6, 0.6, 0.2, 0, 0)  # the mean score of a page's pieces that ends the search for ink
FEW = 20  # pieces, such as dots, that may be the strokes of a single digit


class Read(NamedTuple):
    """A piece of a picture: the digit or "?", how surely (0 to 1), where, and the image judged."""

    text: str
    confidence: float
    box: tuple[int, int, int, int]
    image: np.ndarray
    probabilities: np.ndarray


class Reading(NamedTuple):
    """What a picture says, lines apart; `sure` if every piece of its ink is a certain digit."""

    text: str
    digits: list[Read]
    sure: bool


class _Way(NamedTuple):
    """One way to read a picture: which ink, turned by how many right angles, and what it says."""

    ink: np.ndarray
    turn: int
    lines: list[list[Judged]]
    is_whole: bool  # no ink left out as too faint

    @property
    def pieces(self):
        return [one for line in self.lines for one in line]

    @property
    def score(self):
        """Digits count by their confidence from -1 to 1, other ink against the reading."""
        if not self.lines:
            return -1
        return sum(2 * one.confidence - 1 if one.is_digit else -0.3 for one in self.pieces)

    @property
    def is_clear(self):
        """Whether all pieces but short marks are digits beyond doubt, and most of them are."""
        height = max((one.piece.height for one in self.pieces), default=0)
        digits = [one for one in self.pieces if one.is_digit]
        return len(digits) > len(self.pieces) / 2 and all(
            one.confidence > DOUBT if one.is_digit else one.piece.height < 0.45 * height
            for one in self.pieces
        )


def read(picture: Picture, predict: Callable) -> Reading:
    """The digits of a picture, line by line, with "?" for ink in a line that is no digit.

    `predict` takes uint8 (n, 28, 28) and gives probabilities, float (n, 10); what a row lacks of 1
    is the probability that the image is no digit. Which ink is writing, whether a line is a rule,
    whether the page lies on its side, and where digits that touch are parted is decided by how
    well it then reads. Words, and lines of other writing, are left out.
    """
    form = in_mnist_form(picture.pixels)
    if form is not None:
        ink = form / np.float32(255)
        judged = Judged(piece_of(ink), form, predict(form[np.newaxis])[0])
        if judged.probabilities.sum() > 0.1:
            return _reading(_Way(ink, 0, [[judged]], True), 1)
    predict, best = _remembering(predict), None
    for i, ink in enumerate(find_inks(picture.pixels)):
        for way in _ways(ink, i < 2, predict):
            margin = -0.3 if way.is_clear else 1 + 0.1 * len(way.pieces)
            if best is None or way.score > best.score + margin:
                best = way
        count = len(best.pieces)
        if best.is_clear or (count > 3 and best.score > ENOUGH[i] * count):
            break
    return _reading(best, picture.size[0] / best.ink.shape[1])


def _remembering(predict):
    """`predict` that asks the network only once about images that are the same."""
    known = {}

    def remembered(images):
        keys = [image.tobytes() for image in images]
        new = {key: image for key, image in zip(keys, images, strict=True) if key not in known}
        if new:
            known.update(zip(new, predict(np.stack([*new.values()])), strict=True))
        return np.stack([known[key] for key in keys])

    return remembered


def _ways(ink, is_whole, predict):
    """The ink read upright; few pieces as one digit; turned, where they then look like digits."""
    judged = judged_between_rules(ink, predict)
    upright = _Way(ink, 0, lines_of(judged, predict), is_whole)
    yield upright
    if not upright.is_clear and 1 < len(judged) <= FEW:
        (one,) = judge([joined([each.piece for each in judged])], predict)
        yield _Way(ink, 0, [[one.doubted()]], is_whole)
    turn = _turn(judged, predict) if is_whole and not upright.is_clear else 0
    if turn:
        judged = judged_between_rules(np.rot90(ink, turn), predict)
        yield _Way(ink, turn, lines_of(judged, predict), is_whole)


def _turn(judged, predict):
    """By how many right angles the pieces of three and more read far better; 0 if none."""
    size = typical(judged) if judged else 0
    images = [one.image for one in judged if one.piece.size > size / 2]
    if len(images) < 3:
        return 0
    turned = [predict(np.rot90(np.stack(images), k, (1, 2))).max(1).mean() for k in range(4)]
    return int(np.argmax(turned)) if max(turned) > turned[0] + 0.1 else 0


def _reading(way, scale):
    lines = [
        [one for word in _words(line) if _is_written(word, 2) for one in word] for line in way.lines
    ]
    lines = [line for line in lines if line and _is_written(line, 0)]
    if way.lines and not lines:
        likeliest = max(way.pieces, key=lambda one: one.confidence)
        lines = [[likeliest._replace(is_digit=True)]]
    reads = [
        [as_read(one, _turned_back(one.piece.box, way.turn, way.ink.shape), scale) for one in line]
        for line in lines
    ]
    text = "\n".join("".join(one.text for one in line) for line in reads)
    digits = [one for line in reads for one in line]
    complete = way.is_whole and len(digits) == len(way.pieces) > 0
    sure = complete and min(one.confidence for one in digits) >= SURE
    return Reading(text, digits, bool(sure))


def _words(line):
    """The pieces of a line, those together that are nearer to each other than half their height."""
    words = [line[:1]]
    for last, one in pairwise(line):
        gap = one.piece.left - last.piece.left - last.piece.width
        if gap < 0.5 * max(one.piece.height, last.piece.height):
            words[-1].append(one)
        else:
            words.append([one])
    return words


def _is_written(word, few):
    """Whether most pieces but short marks are digits, or no more than a few are any."""
    tall = max(one.piece.height for one in word) / 2
    read = [one.is_digit and one.confidence > 0.7 for one in word if one.piece.height > tall]
    return len(read) <= few or np.mean(read) >= 0.5


def as_read(one, box, scale=1):
    """A piece as a reading has it, its box from rows and columns to left, top, right, bottom."""
    rows, columns = box
    sides = (columns.start, rows.start, columns.stop, rows.stop)
    confidence = one.confidence if one.is_digit else 0.0
    sides = tuple(round(side * scale) for side in sides)
    return Read(one.text, confidence, sides, one.image, one.probabilities)


def _turned_back(box, turns, shape):
    """A box found after np.rot90(ink, turns), on the ink of that shape itself."""
    for k in range(turns, 0, -1):
        rows, columns = box
        side = shape[k % 2]  # the width before the k-th turn
        box = columns, slice(side - rows.stop, side - rows.start)
    return box


def read_picture(source) -> dict:
    """What is written on a picture, `as_json`; PictureError where it is no picture.

    source : what `load_picture` takes: a path, bytes or an array
    """
    return as_json(read(load_picture(source), load_network()))


def as_json(reading: Reading) -> dict:
    """A reading as JSON's types.

    It has `text`, with a line break between lines; `sure`; and `digits` in the same order,
    each with `text` ("0" to "9", or "?" for a piece of ink not read as a digit), `confidence` (0
    to 1; of "?" 0), `sure`, `box` (left, top, right, bottom in pixels of the upright picture),
    `probabilities` of 0 to 9 (what they lack of 1 is the probability that it is no digit), and
    `image`, the 28 x 28 image judged, a PNG in base64.
    """
    digits = [
        {
            "text": digit.text,
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
