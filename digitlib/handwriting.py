"""Ink to 28 x 28 images that look as MNIST's do, in reading order, and to a reading of them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from digitlib.pictures import FAINT, Picture, find_ink

MAX_PIECES = 300  # the largest; what has more is no page of digits
INK_SIDE = 20  # MNIST's form: the longest side of the ink ...
CENTRE = 14  # ... and its centre of mass, both in pixels (QMNIST paper, arXiv 1905.10498)
MIN_STROKE = 1.4  # pixels; 99 % of MNIST's strokes are wider
SURE = 0.9  # a digit read with less confidence is worth a second look


class Digit(NamedTuple):
    """One digit: `image`, uint8 (28, 28), and `box` (left, top, right, bottom) in pixels."""

    image: np.ndarray
    box: tuple[int, int, int, int]


def find_digits(picture: Picture) -> list[Digit]:
    """What may be digits in a picture, in reading order; empty for a blank picture."""
    ink = find_ink(picture.pixels)
    scale = picture.size[0] / ink.shape[1]
    return [
        Digit(to_mnist_form(crop), _scaled(box, scale))
        for line in _lines_of_pieces(ink)
        for crop, box in line
    ]


def _scaled(box, scale):
    rows, columns = box
    sides = (columns.start, rows.start, columns.stop, rows.stop)
    return tuple(round(side * scale) for side in sides)


def _lines_of_pieces(ink):
    """The ink of each possible digit, cropped, with its box as slices: a list for each line."""
    labels, n = ndimage.label(ink > FAINT, np.ones((3, 3)))
    if n == 0:
        return []
    boxes = ndimage.find_objects(labels)
    ids = [i for i in np.unique(labels[ink > 0.5]) if i]
    if not ids:
        return []
    ids = sorted(ids, key=lambda i: _size(boxes[i - 1]))[-MAX_PIECES:]
    sizes = np.array([_size(boxes[i - 1]) for i in ids])
    typical = sizes[np.searchsorted(sizes.cumsum(), sizes.sum() / 2)]  # specks weigh little
    groups = [([i], boxes[i - 1]) for i, size in zip(ids, sizes, strict=True) if size > typical / 4]
    return [
        [(_cut_out(ink[box], labels[box], members), box) for members, box in line]
        for line in _rows(_merged(groups, typical))
    ]


def _cut_out(ink, labels, members):
    """The ink of the members among the labels, with its soft edges."""
    mask = np.isin(labels, members) if len(members) > 1 else labels == members[0]
    return np.where(ndimage.maximum_filter(mask, 3), ink, 0)


def _size(box):
    return max(map(_length, box))


def _length(side):
    return side.stop - side.start


def _merged(groups, typical):
    """The groups of strokes (members, box), those of one digit put together."""
    groups = sorted(groups, key=lambda group: -_size(group[1]))
    done = []
    while groups:
        members, box = groups.pop(0)
        near = [group for group in groups if _one_digit(box, group[1], typical)]
        if not near:
            done.append((members, box))
            continue
        groups = [group for group in groups if group not in near]
        joined = sum((group[0] for group in near), members)
        groups.insert(0, (joined, _union([box] + [group[1] for group in near])))
    return done


def _union(boxes):
    return tuple(
        slice(min(s.start for s in sides), max(s.stop for s in sides))
        for sides in zip(*boxes, strict=True)
    )


def _overlap(a, b):
    """How many pixels two slices share; negative across a gap."""
    return min(a.stop, b.stop) - max(a.start, b.start)


def _one_digit(a, b, typical):
    """Whether two boxes hold parts of one digit: one above the other, or a scrap beside it.

    Two boxes of the typical size must all but touch, for lines of writing do not keep far apart.
    Digits side by side are about as tall as each other; the bar of a 5 or the foot of a 1 is not.
    """
    low, tall = sorted(_length(box[0]) for box in (a, b))
    narrow = min(_length(box[1]) for box in (a, b))
    down, across = (-_overlap(*sides) / typical for sides in zip(a, b, strict=True))
    reach = 0.3 if min(_size(a), _size(b)) < 0.75 * typical else 0.05
    above = -across * typical > 0.4 * narrow and down < reach
    return above or (low < 0.5 * tall and max(down, across) < 0.2)


def _rows(groups):
    """The groups line by line from the top, each line from the left."""
    rows = []
    for group in sorted(groups, key=lambda group: group[1][1].start):
        here = group[1][0]
        fits = [(_overlap(here, row[-1][1][0]) / (here.stop - here.start), row) for row in rows]
        share, row = max(fits, key=lambda fit: fit[0], default=(0, None))
        if share > 0.3:
            row.append(group)
        else:
            rows.append([group])
    rows.sort(key=lambda row: np.mean([group[1][0].start + group[1][0].stop for group in row]))
    return rows


def to_mnist_form(ink) -> np.ndarray:
    """Ink of one digit, float (h, w) in [0, 1], as MNIST would show it: uint8 (28, 28).

    The longest side of the ink becomes 20 pixels, its centre of mass pixel (14, 14); strokes that
    would be thinner than MNIST's are thickened first (form: QMNIST paper, arXiv 1905.10498).
    """
    form = np.zeros((28, 28), np.uint8)
    ink = _crop(ink)
    if not ink.size:
        return form
    ink = _thicken(_full(ink, 0.9))
    side = max(ink.shape)
    height, width = (max(1, round(INK_SIDE * n / side)) for n in ink.shape)
    small = np.asarray(Image.fromarray(ink).resize((width, height), Image.Resampling.BILINEAR))
    small = _full(small, 0.75)
    rows, columns = np.indices(small.shape)
    top, left = (
        int(np.clip(round(CENTRE - (axis * small).sum() / small.sum()), 0, 28 - n))
        for axis, n in ((rows, height), (columns, width))
    )
    form[top : top + height, left : left + width] = np.round(255 * small)
    return form


def _full(ink, share):
    """The ink scaled so that a share of the inside of its strokes is below 1, and cut off there."""
    strong = ink[ink > 0.5 * ink.max()]
    k = int(share * (strong.size - 1))
    return (ink / np.partition(strong, k)[k]).clip(0, 1).astype(np.float32)


def _crop(ink):
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if rows.size else ink[:0]


def stroke_width(ink):
    """Mean width of the strokes in pixels: twice the area over the length of the outline."""
    padded = np.pad(ink, 1)
    down, right = np.diff(padded, axis=0)[:, :-1], np.diff(padded, axis=1)[:-1]
    return 2 * ink.sum() / np.hypot(down, right).sum()


def _thicken(ink):
    """The ink, its strokes at least MIN_STROKE wide once its longest side is 20 pixels."""
    side = max(ink.shape)
    if stroke_width(ink) * INK_SIDE / side >= MIN_STROKE:
        return ink
    if side < 4 * INK_SIDE:
        zoom = 4 * INK_SIDE / side
        height, width = (round(n * zoom) for n in ink.shape)
        ink = np.asarray(Image.fromarray(ink).resize((width, height), Image.Resampling.BICUBIC))
    radius = (MIN_STROKE * max(ink.shape) / INK_SIDE - stroke_width(ink)) / 2
    ink = np.pad(ink, int(radius) + 1)
    distance = ndimage.distance_transform_edt(ink < 0.5)
    return _crop(np.maximum(ink, (radius + 0.5 - distance).clip(0, 1)).astype(np.float32))


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
    kept = [d._replace(box=_scaled(_turned_back(d.box, turn, ink.shape), scale)) for d in kept]
    sure = bool(kept) and min(digit.confidence for digit in found) >= SURE
    return Reading("".join(str(digit.digit) for digit in kept), kept, sure)


def _mean_log(lines):
    """Mean log-confidence, no digit counting as less than one in a hundred."""
    return np.mean(
        [np.log(max(digit.confidence, 0.01)) for line in lines for digit in line] or [-5]
    )


def _read_lines(ink, predict):
    """Every piece of the ink read, those that touch taken apart: lists of Read, boxes as slices."""
    lines = _lines_of_pieces(ink)
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
