"""Pieces as the network judges them."""

from typing import NamedTuple

import numpy as np

from digitlib.reader.form import to_mnist_form
from digitlib.reader.pieces import Piece, typical_size

DOUBT = 0.8  # pieces read with less confidence are tried in other ways
GUESS = 0.85  # times its probabilities, for a piece that may be none


class Judged(NamedTuple):
    """A piece, its image in MNIST's form, and the probabilities that it is each of the digits."""

    piece: Piece
    image: np.ndarray
    probabilities: np.ndarray
    is_digit: bool = True

    @property
    def confidence(self):
        return float(self.probabilities.max())

    @property
    def text(self):
        return str(self.probabilities.argmax()) if self.is_digit else "?"

    def doubted(self):
        return self._replace(probabilities=GUESS * self.probabilities)


def judge(pieces, predict):
    """The pieces, judged: list of Judged. What is much wider than high is no digit."""
    images = [to_mnist_form(piece.ink) for piece in pieces]
    slender = [[piece.width < 1.7 * piece.height] for piece in pieces]
    probabilities = predict(np.stack(images)) * slender if pieces else []
    return [Judged(*each) for each in zip(pieces, images, probabilities, strict=True)]


def certain(judged):
    """The pieces that are digits beyond doubt, but for lines, which may be rules or edges."""
    return [one.piece for one in judged if one.confidence > DOUBT and not is_line(one.piece)]


def typical(judged):
    """The size of a typical digit among them, in pixels."""
    return typical_size(certain(judged) or [one.piece for one in judged])


def is_line(piece):
    """Whether a piece is more than eight times as long as broad."""
    return max(piece.ink.shape) > 8 * min(piece.ink.shape)
