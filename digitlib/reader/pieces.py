"""Ink to the pieces that may be digits, in reading order, each as MNIST would show it: 28 x 28."""

from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from digitlib.reader.ink import FAINT, Picture, find_ink

MAX_PIECES = 300  # the largest; what has more is no page of digits
INK_SIDE = 20  # MNIST's form: the longest side of the ink ...
CENTRE = 14  # ... and its centre of mass, both in pixels (QMNIST paper, arXiv 1905.10498)
MIN_STROKE = 1.4  # pixels; 99 % of MNIST's strokes are wider


class Digit(NamedTuple):
    """One digit: `image`, uint8 (28, 28), and `box` (left, top, right, bottom) in pixels."""

    image: np.ndarray
    box: tuple[int, int, int, int]


def find_digits(picture: Picture) -> list[Digit]:
    """What may be digits in a picture, in reading order; empty for a blank picture."""
    ink = find_ink(picture.pixels)
    scale = picture.size[0] / ink.shape[1]
    return [
        Digit(to_mnist_form(crop), scaled(box, scale))
        for line in lines_of_pieces(ink)
        for crop, box in line
    ]


def scaled(box, scale):
    rows, columns = box
    sides = (columns.start, rows.start, columns.stop, rows.stop)
    return tuple(round(side * scale) for side in sides)


def lines_of_pieces(ink):
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
