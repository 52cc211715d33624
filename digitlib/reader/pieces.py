"""Ink to pieces: what hangs together, on which line it stands, and where it may be cut."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

FAINT = 0.2  # of the ink of a full stroke: fainter pixels are paper
MAX_PIECES = 300  # the largest; what has more is no page of digits


class Piece(NamedTuple):
    """Ink cut out of a picture: `ink`, float (h, w), and the pixel where it begins."""

    ink: np.ndarray
    top: int
    left: int

    @property
    def height(self):
        return self.ink.shape[0]

    @property
    def width(self):
        return self.ink.shape[1]

    @property
    def size(self):
        return max(self.ink.shape)

    @property
    def box(self):
        """Rows and columns, as slices."""
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )


def pieces_of(ink, top=0, left=0):
    """What hangs together in the ink of a picture, at most the 300 largest: list of Piece."""
    labels, n = ndimage.label(ink > FAINT, np.ones((3, 3)))
    if n == 0:
        return []
    boxes = ndimage.find_objects(labels)
    full = [i for i in np.unique(labels[ink > 0.5]) if i]
    full = sorted(full, key=lambda i: max(map(_length, boxes[i - 1])))[-MAX_PIECES:]
    pieces = []
    for i in full:
        rows, columns = boxes[i - 1]
        near = ndimage.maximum_filter(labels[rows, columns] == i, 3)  # with its soft edges
        crop = np.where(near, ink[rows, columns], 0)
        pieces.append(Piece(crop, top + rows.start, left + columns.start))
    return pieces


def piece_of(ink, top=0, left=0):
    """All ink as one piece, without the empty rows and columns around it; None if there is none."""
    rows, columns = (np.flatnonzero((ink > FAINT).any(axis)) for axis in (1, 0))
    if rows.size:
        crop = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return Piece(crop, top + int(rows[0]), left + int(columns[0]))


def _length(side):
    return side.stop - side.start


def overlap(a, b):
    """How many pixels two slices share; negative across a gap."""
    return min(a.stop, b.stop) - max(a.start, b.start)


def joined(pieces):
    """Several pieces as one."""
    if len(pieces) == 1:
        return pieces[0]
    top, left = min(p.top for p in pieces), min(p.left for p in pieces)
    bottom, right = (max(p.box[axis].stop for p in pieces) for axis in (0, 1))
    ink = np.zeros((bottom - top, right - left), np.float32)
    for piece in pieces:
        rows, columns = piece.top - top, piece.left - left
        area = ink[rows : rows + piece.height, columns : columns + piece.width]
        np.maximum(area, piece.ink, out=area)
    return Piece(ink, top, left)


def typical_size(pieces):
    """The size at which half of the summed sizes is reached: specks and fragments weigh little."""
    sizes = np.sort([piece.size for piece in pieces] or [0])
    return sizes[np.searchsorted(sizes.cumsum(), sizes.sum() / 2)]


def rows_of(pieces, typical):
    """The pieces line by line from the top, each line from the left: lists of Piece.

    Digits make the lines; each is compared with a line's last two, so that lines may slope.
    What is shorter than half of a typical digit joins the line beside which it stands.
    """
    rows = []
    for piece in sorted((p for p in pieces if p.height >= typical / 2), key=lambda p: p.left):
        away = [min(abs(_middle(piece) - _middle(p)) for p in row[-2:]) for row in rows]
        if away and min(away) < 0.8 * typical:
            rows[int(np.argmin(away))].append(piece)
        else:
            rows.append([piece])
    digits = [list(row) for row in rows]
    for piece in (p for p in pieces if p.height < typical / 2):
        distances = [_distance(piece, row, typical) for row in digits]
        if distances and min(distances) < 1.5 * typical:
            rows[int(np.argmin(distances))].append(piece)
        else:
            rows.append([piece])
    rows.sort(key=lambda row: np.mean([_middle(p) for p in row]))
    return [sorted(row, key=lambda p: p.left + p.width / 2) for row in rows]


def _middle(piece):
    return piece.top + piece.height / 2


def _distance(piece, row, typical):
    """How far a short piece is from a line of digits: beside it counts less than above or below."""
    y, x = _middle(piece), piece.left + piece.width / 2
    near = min(row, key=lambda p: abs(p.left + p.width / 2 - x))
    down = max(near.top - 0.3 * typical - y, y - near.top - near.height - 0.4 * typical, 0)
    across = max(near.left - x, x - near.left - near.width, 0)
    return 4 * down + across / 2


def cut(piece):
    """A piece in parts from left to right, cut from top to bottom where little ink is in the way.

    Cuts may wind: each is the path of least ink through a band of the piece (dynamic programming).
    """
    step = max(piece.height // 8, 2)
    zoom = max(piece.height // 40, 1)
    small = piece.ink[::zoom, ::zoom]
    paths = []
    for middle in range(step, piece.width - step // 2, step):
        path = np.repeat(_path(small, middle / zoom, 1.5 * step / zoom), zoom) * zoom
        if not paths or np.abs(path - paths[-1]).max() > step / 2:
            paths.append(path)
    columns = np.arange(piece.width)
    part = sum(columns >= path[: piece.height, np.newaxis] for path in paths)
    inks = (np.where(part == k, piece.ink, 0) for k in range(len(paths) + 1))
    parts = (piece_of(ink, piece.top, piece.left) for ink in inks)
    return [part for part in parts if part]


def _path(ink, middle, reach):
    """The columns, one a row, of the path of least ink within reach of a column."""
    first = max(int(middle - reach), 0)
    band = ink[:, first : int(middle + reach) + 1]
    bend = 0.02 * np.abs(first + np.arange(band.shape[1]) - middle) / reach
    cost = band + bend
    came = np.zeros(band.shape, int)
    for row in range(1, len(cost)):
        ways = np.pad(cost[row - 1], 1, constant_values=np.inf)
        ways = np.stack([ways[:-2] + 0.01, ways[1:-1], ways[2:] + 0.01])
        came[row] = ways.argmin(0) - 1
        cost[row] += ways.min(0)
    column = int(cost[-1].argmin())
    path = [column]
    for row in range(len(cost) - 1, 0, -1):
        column += came[row, column]
        path.append(column)
    return first + np.array(path[::-1])
