"""A drawing to a reading of it, from its strokes: which of them make a digit together."""

import json

import numpy as np
from PIL import Image, ImageDraw

from digitlib.reader.ink import Picture, PictureError
from digitlib.reader.judging import GUESS, judge
from digitlib.reader.network import load_network
from digitlib.reader.pieces import joined, piece_of, rows_of, typical_size
from digitlib.reader.reading import SURE, Reading, as_json, as_read, read
from digitlib.reader.spelling import upright

SIDES = 16, 400  # of a drawing, in its own units
MAX_BYTES = 1_000_000  # of the JSON; more is no drawing, and would fill the memory
MAX_STROKES = 100
MAX_POINTS = 20_000
REACH = 10_000  # units; how far from the origin a point may lie
PEN = 8  # units; the width of a stroke
FINE = 4  # times as large a stroke is drawn first, for soft edges

MOST = 4  # strokes of a digit
A_DIGIT = -0.4  # cost of every digit of a reading, in nats: more of them are likelier
NO_DIGIT = 4.3  # cost of a stroke of a digit's height that is no digit
A_MARK = 1.5  # cost of a shorter one
SHORT = 0.45  # of the height of digits: what is less is a mark
A_GAP = 12.0  # cost of a gap within a digit as wide as digits are high
AN_OVERLAP = -6.0  # cost of an overlap as wide; what is more than 0.3 of it does not count
A_SHORT = 5.0  # cost of a digit of no height beside digits of the usual one
A_TALL = 1.0  # cost of a digit whose strokes are each nearly as high as all: they may be digits
WEAK = 0.1  # strokes that read with less confidence leave it to the pixels


def read_drawing(source) -> dict:
    """What a drawing says, as `read_picture` answers; PictureError for what is no drawing.

    source : JSON as bytes, {"width": w, "height": h, "strokes": [[[x, y], ...], ...]}: at most 100
        strokes of together 20,000 points, in the order in which they were drawn with a pen 8 units
        wide. Width and height are whole numbers from 16 to 400, and `box` is in the same units.
    """
    return as_json(read_strokes(*_checked(source), load_network()))


def read_strokes(strokes, width, height, predict) -> Reading:
    """The reading by groups of strokes; by pixels alone where they agree, or strokes say little.

    Where the two differ, what the pixels say is doubted. `strokes` is a list of lists of points
    (x, y); `predict` as for `read`.
    """
    pieces = [piece for stroke in strokes if (piece := _piece(stroke, width, height))]
    if not pieces:
        return Reading("", [], False)
    by_strokes = _reading(_grouped(pieces, predict), pieces)
    if by_strokes.sure:
        return by_strokes
    page, ink = np.full((height, width), 255, np.uint8), joined(pieces)
    page[ink.box] = np.round(255 - 255 * ink.ink)
    by_pixels = read(Picture(page, (width, height)), predict)
    if by_pixels.text == by_strokes.text:
        return max(by_strokes, by_pixels, key=_lowest)
    if _lowest(by_strokes) < min(WEAK, _lowest(by_pixels)):
        return Reading(by_pixels.text, [_doubted(one) for one in by_pixels.digits], False)
    return by_strokes


def _checked(source):
    """The strokes, width and height in the JSON of a drawing."""
    if len(source) > MAX_BYTES:
        raise PictureError(
            f"the drawing has {len(source):,} bytes, expected at most {MAX_BYTES:,}: undo some"
        )
    try:
        drawing = json.loads(source)
        sides = drawing["width"], drawing["height"]
        strokes = [[(x, y) for x, y in stroke] for stroke in drawing["strokes"]]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        message = 'expected JSON {"width": w, "height": h, "strokes": [[[x, y], ...], ...]}'
        raise PictureError(f"the drawing cannot be read: {message}") from error
    if any(type(side) is not int or not SIDES[0] <= side <= SIDES[1] for side in sides):
        raise PictureError(
            f"the drawing has width and height {sides!s:.50}: expected whole numbers from "
            f"{SIDES[0]} to {SIDES[1]}"
        )
    if not 1 <= len(strokes) <= MAX_STROKES or not all(strokes):
        raise PictureError(
            f"the drawing has {len(strokes)} strokes: expected 1 to {MAX_STROKES}, of one point "
            "or more each; undo some"
        )
    if sum(map(len, strokes)) > MAX_POINTS:
        raise PictureError(f"the drawing has more than {MAX_POINTS} points: send fewer")
    numbers = (number for stroke in strokes for point in stroke for number in point)
    if not all(type(number) in (int, float) and abs(number) <= REACH for number in numbers):
        raise PictureError(f"a point of the drawing is not two numbers from -{REACH} to {REACH}")
    return strokes, *sides


def _piece(stroke, width, height):
    """The ink of a stroke, as far as it lies on the drawing; None if it does not."""
    canvas = Image.new("L", (FINE * width, FINE * height))
    pen, radius = ImageDraw.Draw(canvas), FINE * PEN / 2
    path = [(FINE * x, FINE * y) for x, y in stroke]
    pen.line(path, 255, FINE * PEN, joint="curve")
    for x, y in (path[0], path[-1]):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), 255)
    return piece_of(np.asarray(canvas.reduce(FINE)) / np.float32(255))


def _grouped(pieces, predict):
    """The cheaper of the likeliest groups in the order drawn and from left to right."""
    across = sorted(pieces, key=lambda piece: piece.left + piece.width / 2)
    is_new = any(one is not other for one, other in zip(pieces, across, strict=True))
    orders = [pieces, across] if is_new else [pieces]
    return min((_groups(order, predict) for order in orders), key=lambda found: found[0])[1]


def _groups(pieces, predict):
    """The cheapest way to group consecutive strokes into digits: its cost, and a list of Judged.

    Dynamic programming. The probabilities of a group are those of the network times the share
    of the group in all ways to group, each way weighed by exp(-cost).
    """
    n, size = len(pieces), typical_size(pieces)
    spans = [(i, j) for i in range(n) for j in range(i + 1, min(i + MOST, n) + 1)]
    groups = judge([joined(pieces[i:j]) for i, j in spans], predict)
    costs = [_cost(one, pieces[i:j], size) for (i, j), one in zip(spans, groups, strict=True)]
    best = [(0.0, [])] + [(np.inf, [])] * n
    before, after = np.full((2, n + 1), -np.inf)  # log of the weight of all ways up to, and from
    before[0] = after[n] = 0
    for k, (i, j) in enumerate(spans):
        before[j] = np.logaddexp(before[j], before[i] - costs[k])
        best[j] = min(best[j], (best[i][0] + costs[k], [*best[i][1], k]))
    for k, (i, j) in reversed([*enumerate(spans)]):
        after[i] = np.logaddexp(after[i], after[j] - costs[k])
    cost, chosen = best[n]
    shares = [
        np.exp(before[spans[k][0]] - costs[k] + after[spans[k][1]] - before[n]) for k in chosen
    ]
    return cost, [
        groups[k]._replace(
            probabilities=share * groups[k].probabilities,
            is_digit=costs[k] < _cost_of_none(pieces[slice(*spans[k])], size),
        )
        for k, share in zip(chosen, shares, strict=True)
    ]


def _cost(one, strokes, size):
    """What it costs to read strokes as one digit, or a single one as none."""
    cost = A_DIGIT - np.log(max(one.confidence, 1e-4))
    cost += A_SHORT * max(0, 1 - one.piece.height / size)
    across = _gap([(stroke.left, stroke.left + stroke.width) for stroke in strokes]) / size
    down = _gap([(stroke.top, stroke.top + stroke.height) for stroke in strokes]) / size
    cost += A_GAP * (max(across, 0) + max(down, 0)) + AN_OVERLAP * min(max(-across, 0), 0.3)
    if len(strokes) > 1 and min(stroke.height for stroke in strokes) > 0.8 * one.piece.height:
        cost += A_TALL
    return min(cost, _cost_of_none(strokes, size))


def _cost_of_none(strokes, size):
    """What it costs to read strokes as no digit: only one by itself may be none."""
    if len(strokes) > 1:
        return np.inf
    return A_MARK if strokes[0].height < SHORT * size else NO_DIGIT


def _gap(sides):
    """The widest gap between intervals, below 0 if all overlap; 0 for one."""
    (_, reached), *others = sorted(sides)
    gaps = []
    for start, stop in others:
        gaps.append(max(start - reached, start - stop))
        reached = max(reached, stop)
    return max(gaps, default=0)


def _reading(groups, pieces):
    """Groups as a Reading, line by line."""
    by_piece = {id(one.piece): one for one in groups}
    rows = rows_of([one.piece for one in groups], typical_size(pieces))
    lines = [upright([by_piece[id(piece)] for piece in row]) for row in rows]
    lines = [[as_read(one, one.piece.box) for one in line] for line in lines]
    digits = [one for line in lines for one in line]
    text = "\n".join("".join(one.text for one in line) for line in lines)
    return Reading(text, digits, min(one.confidence for one in digits) >= SURE)


def _lowest(reading):
    """The lowest confidence of what is no mark."""
    heights = [bottom - top for _, top, _, bottom in (one.box for one in reading.digits)]
    return min(
        (
            one.confidence
            for one, height in zip(reading.digits, heights, strict=True)
            if height >= SHORT * max(heights)
        ),
        default=0,
    )


def _doubted(one):
    return one._replace(confidence=GUESS * one.confidence, probabilities=GUESS * one.probabilities)
