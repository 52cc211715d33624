"""Pieces to lines of digits: strokes put together, digits that touch cut, what reads best kept."""

from itertools import pairwise

import numpy as np

from digitlib.reader.judging import DOUBT, certain, is_line, judge, typical
from digitlib.reader.pieces import FAINT, cut, joined, overlap, rows_of

MAX_PAIRS = 600  # of pieces that are tried as one
MAX_ATOMS = 14  # of a digit
A_PIECE = 0.3  # cost of every piece of a reading, in nats
A_MARK = 1.0  # cost of a short piece that is no digit
NO_DIGIT = 3.0  # cost of a piece of a digit's size that is no digit
A_CUT = 1.0  # cost of cutting a piece once
LEANS = 0.25  # columns a row, more than other digits
A_GAP = 6.0  # cost of a gap as wide as a digit is high within a piece


def lines_of(judged, predict):
    """The likeliest reading of pieces: for each line a list of Judged, some of them no digits."""
    if not judged:
        return []
    size = typical(judged)
    judged = [one for one in judged if one.piece.size > 0.08 * size]
    if certain(judged):
        judged = [one for one in judged if not _is_of_rule(one, judged, size)]
    judged = _mended(judged, size, predict)
    size = typical(judged)
    known = {id(one.piece): one for one in judged}
    rows = rows_of([one.piece for one in judged], size)
    return [upright(_spell([known[id(piece)] for piece in row], size, predict)) for row in rows]


def _is_of_rule(one, judged, size):
    """Whether a piece is a long line, or one of three in a column, or too high for a line's ink."""
    piece = one.piece
    if not is_line(piece):
        slender = piece.height > 3 * piece.width
        return piece.height > 2.2 * size and (slender or one.confidence < DOUBT)
    column = [
        other
        for other in judged
        if is_line(other.piece)
        and other.piece.height > other.piece.width
        and overlap(piece.box[1], other.piece.box[1]) > -piece.width
    ]
    return piece.size > 1.8 * size or len(column) > 2


def _cost(confidence):
    return -np.log(max(confidence, 1e-3))


def _mended(judged, size, predict):
    """The pieces, those put together that are near each other and read better as one."""
    while True:
        pairs = _near(judged, size)[:MAX_PAIRS]
        wholes = judge([joined([judged[i].piece, judged[j].piece]) for i, j in pairs], predict)
        costs = [_own_cost(one, size) for one in judged]
        gains = [
            costs[i] + costs[j] - A_PIECE - _cost(whole.confidence)
            for (i, j), whole in zip(pairs, wholes, strict=True)
        ]
        used = set()
        for k in np.argsort(gains)[::-1]:
            if gains[k] > 0 and used.isdisjoint(pairs[k]):
                used.update(pairs[k])
                judged.append(wholes[k])
        few = len(used) < len(judged) / 20
        judged = [one for i, one in enumerate(judged) if i not in used]
        if few:
            return judged


def _near(judged, size):
    """Pairs of pieces that may be of one digit: one is none by itself, or they nearly touch."""
    boxes = np.array([(*one.piece.ink.shape, *one.piece[1:]) for one in judged])
    height, width, top, left = boxes.T
    bottom, right = top + height, left + width
    down = np.maximum(top, top[:, None]) - np.minimum(bottom, bottom[:, None])
    across = np.maximum(left, left[:, None]) - np.minimum(right, right[:, None])
    above = (-across > 0.4 * np.minimum(width, width[:, None])) & (down < 0.3 * size)
    low = np.minimum(height, height[:, None]) < 0.5 * size
    whole = np.array([one.confidence > DOUBT and one.piece.size > 0.6 * size for one in judged])
    reach = np.where(whole | whole[:, None], 0.08, 0.2) * size  # a digit needs no scrap beside it
    near = above | (low & (np.maximum(down, across) < reach))
    near &= np.maximum(bottom, bottom[:, None]) - np.minimum(top, top[:, None]) < 2 * size
    torn = above & (np.abs(down) < 0.06 * size)  # a 6 may come as a 1 on a 0
    return np.argwhere(np.triu(near & (torn | ~(whole & whole[:, None])), 1)).tolist()


def _own_cost(one, size):
    is_short = one.piece.size < 0.45 * size
    return A_PIECE + (A_MARK if is_short else min(_cost(one.confidence), NO_DIGIT))


def _spell(row, size, predict):
    """The cheapest reading of a line, from left to right (dynamic programming): list of Judged."""
    atoms, judged = [], {}  # parts, each with whether a cut parts it from the last
    for one in row:
        parts = _parts(one, size)
        if len(parts) == 1:
            judged[len(atoms), len(atoms) + 1] = one
        atoms += [(part, k > 0) for k, part in enumerate(parts)]
    spans = [
        (i, j)
        for i in range(len(atoms))
        for j in range(i + 1, min(i + MAX_ATOMS, len(atoms)) + 1)
        if _may_be_one(atoms[i:j], size)
    ]
    new = [span for span in spans if span not in judged]
    wholes = judge([joined([piece for piece, _ in atoms[i:j]]) for i, j in new], predict)
    judged |= zip(new, wholes, strict=True)
    best = [(0.0, [])] + [(np.inf, [])] * len(atoms)
    for i, j in spans:
        whole, (before, spelled) = judged[i, j], best[i]
        cost, is_digit = _span_cost(whole, atoms[i:j], size)
        if any(is_cut for _, is_cut in [atoms[i], *atoms[j : j + 1]]):
            whole = whole.doubted()  # where to cut was a guess
        if before + cost < best[j][0]:
            best[j] = before + cost, [*spelled, whole._replace(is_digit=is_digit)]
    return best[-1][1]


def upright(line):
    """The line, its 1s that lean far more than its other digits doubted: they may be slashes."""
    lean = np.array([_lean(one.piece.ink) for one in line])
    others = lean[[one.is_digit and one.text != "1" for one in line]]
    usual = np.median(others) if others.size else np.inf
    return [
        one.doubted() if one.text == "1" and leans > usual + LEANS else one
        for one, leans in zip(line, lean, strict=True)
    ]


def _lean(ink):
    """How many columns the ink goes to the right from row to row upwards, by its moments."""
    y, x = np.nonzero(ink > FAINT)
    y = y - y.mean()
    return -(x * y).sum() / max((y**2).sum(), 1)


def _parts(one, size):
    """A piece, or its parts if it may be cut, from the left."""
    wide = (0.8 if one.confidence < DOUBT else 1.2) * min(one.piece.height, 1.3 * size)
    may_be_cut = one.piece.width > wide and one.piece.height > 0.6 * size
    return cut(one.piece) if may_be_cut else [one.piece]


def _may_be_one(atoms, size):
    """Whether atoms are near enough to each other, and narrow enough, for one digit."""
    left, right = atoms[0][0].left, atoms[0][0].left
    for piece, is_cut in atoms:
        if piece is not atoms[0][0] and not is_cut and piece.left - right > 0.25 * size:
            return False
        left, right = min(left, piece.left), max(right, piece.left + piece.width)
    return len(atoms) == 1 or right - left < 1.6 * size


def _span_cost(whole, atoms, size):
    """What it costs to read atoms as one piece, and whether as a digit."""
    gaps = [
        max(piece.left - last.left - last.width, 0)
        for (last, _), (piece, is_cut) in pairwise(atoms)
        if not is_cut
    ]
    gap = A_PIECE + A_CUT * atoms[0][1] + A_GAP * sum(gaps) / size
    is_short = whole.piece.height < 0.45 * size and whole.piece.width < 0.8 * size
    uncut = len(atoms) == 1 and not atoms[0][1]
    as_digit = gap + _cost(whole.confidence) + 2 * is_short
    as_mark = gap + (A_MARK if is_short and uncut else NO_DIGIT)
    return min(as_mark, as_digit), as_digit < as_mark
