"""Rules, boxes and tables taken from the ink, by how well what is left can be read."""

import numpy as np
from scipy import ndimage

from digitlib.reader.judging import DOUBT, certain, is_line, judge
from digitlib.reader.pieces import FAINT, overlap, pieces_of, typical_size

ROUNDS = 6  # a table in a frame on a ruled sheet needs three
CROWD = 60  # pieces; of more than these, half of all but specks are digits, or it is a texture


def judged_between_rules(ink, predict):
    """The pieces of the ink but for rules and boxes: list of Judged; none of a mere texture."""
    judged, settled = judge(pieces_of(ink), predict), []
    digits = certain(judged)
    speck = typical_size([one.piece for one in judged]) / 3
    others = sum(one.piece.size > speck for one in judged) - len(digits)
    if len(judged) > CROWD and others > len(digits):
        return []
    size = typical_size(digits)
    for _ in range(ROUNDS):
        parts = []
        for one in judged:
            is_box = _encloses(one.piece, judged)
            is_rule = is_box or (one.piece.size > 1.5 * size if digits else is_line(one.piece))
            doubtful = is_box or (one.confidence < DOUBT and one.piece.size > size)
            rest = _best_rest(one.piece, predict) if doubtful else None
            least = 0 if is_rule else 0.5 + one.confidence / 2
            if rest is None or max((part.confidence for part in rest), default=0) < least:
                settled.append(one)
            else:
                parts += rest
        judged = parts
    return settled + judged


def _encloses(piece, judged):
    """Whether a piece has another of some size in its box."""
    rows, columns = piece.box
    return any(
        other.piece.size > 0.1 * piece.size
        and overlap(rows, other.piece.box[0]) == other.piece.height < piece.height
        and overlap(columns, other.piece.box[1]) == other.piece.width < piece.width
        for other in judged
    )


def _best_rest(piece, predict):
    """What is left of a piece without its rules, in the way that reads best; None if it has none.

    What is as thin as a rule does not count, and is doubted: it may be one that is left.
    """
    best, most = None, -np.inf
    for rest, thin in without_rules(piece):
        rest = judge(rest, predict)
        score = sum(2 * part.confidence - 1 for part in rest if min(part.piece.ink.shape) > thin)
        rest = [part.doubted() if min(part.piece.ink.shape) <= thin else part for part in rest]
        if score > most + 0.5:
            best, most = rest, score
    return best


def without_rules(piece):
    """What may be left of a piece without its long straight lines, and how broad they are.

    A pair for each way: without lines across and down, or across, or down. Lines stay where strokes
    cross them. What is left must be shorter than the lines, or they would be strokes of a digit;
    lines of less than six tenths of the piece are taken for rules where many pieces are left.
    """
    mask = piece.ink > FAINT
    nothing = np.zeros_like(mask)
    rows, columns = list(_lines(mask)), list(_lines(mask.T))
    ways = []
    for share, least in ((0.6, 0), (0.3, 6), (0.15, 12)):
        across, long, thick = _longer(rows, share, mask)
        down, tall, stout = _longer(columns, share, mask.T)
        choices = []
        if long and tall:
            is_box = min(long, tall) > 0.8 * piece.size
            choices.append((across, down.T, min(long, tall) / (1 if is_box else 1.2)))
        if long:
            choices.append((across, nothing, long / 2))
        if tall:
            choices.append((nothing, down.T, tall / 2))
        for one, other, most in choices:
            rest = _between(piece, one, other, thick, stout)
            if typical_size(rest) < most and len(rest) >= least:
                ways.append((rest, 1.5 * max(thick, stout) + 1))
    return ways


def _between(piece, across, down, thick, stout):
    """The pieces without these lines, but for what crosses them or goes on behind them."""
    rest = (piece.ink > FAINT) & ~across & ~down
    crossed = _closed(rest, int(thick) + 3, axis=0)
    passed = _closed(rest, int(stout) + 3, axis=1)
    lines = (across & ~crossed) | (down & ~passed)
    parts = pieces_of(np.where(lines, 0, piece.ink), piece.top, piece.left)
    typical, pen = typical_size(parts), 1.5 * max(thick, stout) + 1
    return [p for p in parts if min(p.ink.shape) > pen or p.size < 1.2 * typical]


def _closed(mask, k, axis):
    """The mask with gaps of less than k pixels filled (a closing)."""
    return ndimage.minimum_filter1d(
        ndimage.maximum_filter1d(mask, k, axis), k, axis, origin=k % 2 - 1
    )


def _longer(lines, share, mask):
    """The lines longer than that share of the mask: as a mask, the longest's length, thickness."""
    found = np.zeros_like(mask)
    longest = thickness = 0
    for place, line, thick in lines:
        if line.shape[1] >= share * mask.shape[1]:
            found[place] |= line
            longest, thickness = max(longest, line.shape[1]), max(thickness, thick)
    return found, longest, thickness


def _lines(mask):
    """The straight lines across a mask: for each its place, its pixels there and its thickness.

    A line is ink that an opening with a short straight stroke leaves, joined up. Its course is
    taken from where it is thin, or strokes that lie on it would count as its own.
    """
    stroke = max(4, mask.shape[1] // 10, min(mask.shape[1] // 3, 24))
    straight = ~_closed(~ndimage.maximum_filter1d(mask, 3, axis=0), stroke, axis=1)
    labels, _ = ndimage.label(straight, np.ones((3, 3)))
    for i, place in enumerate(ndimage.find_objects(labels), 1):
        line = (labels[place] == i) & mask[place]
        count, length = line.sum(0), line.shape[1]
        if length < 0.15 * mask.shape[1] or not count.any():
            continue
        thick = np.quantile(count[count > 0], 0.1)
        thin = np.flatnonzero((count > 0) & (count <= thick + 1))
        if thick * 8 > length or thin.size < 0.2 * length:
            continue
        y = np.arange(len(line))[:, None]
        course = np.interp(np.arange(length), thin, ((y * line).sum(0)[thin] / count[thin]))
        course = ndimage.median_filter(course, 2 * (length // 16) + 1, mode="nearest")
        yield place, line & (np.abs(y - course) <= thick / 2 + 1), thick
