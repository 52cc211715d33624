"""When two outputs of a notebook cell, or two pictures, count as the same."""

import base64
import io
import re

import matplotlib.image
import numpy as np

NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?%?")
TRAINED_PICTURES = 60  # how far they may lie apart, as `picture_distance` measures it
PNG_AS_BASE64 = "iVBORw0KGgo"


class Output(str):
    """An output of a cell, as nbval hands it round: unequal to another one only if it matters.

    Text must agree to the letter, and pictures to the pixel but for rounding. In a cell tagged
    `trained` the words must agree, and the numbers within 0.3 + 30 %: training drifts between
    kinds of processors; the tolerances that matter stand in the checks of the notebooks and in
    test_figures.py.
    """

    @classmethod
    def of(cls, text, trained):
        if not isinstance(text, str):
            return text
        output = cls(text)
        output.trained = trained
        return output

    def __eq__(self, other):
        if self.startswith(PNG_AS_BASE64) and other.startswith(PNG_AS_BASE64):
            limit = TRAINED_PICTURES if self.trained else 1
            return picture_distance(*(base64.b64decode(text) for text in (self, other))) <= limit
        return _nearly_same(self, other) if self.trained else str(self) == str(other)

    def __ne__(self, other):
        return not self == other

    __hash__ = str.__hash__


def picture_distance(png_a, png_b):
    """Root mean square difference of two PNGs (bytes), 0 to 255; infinite if the sizes differ."""
    a, b = (matplotlib.image.imread(io.BytesIO(png))[..., :3] for png in (png_a, png_b))
    return 255 * np.sqrt(np.mean((a - b) ** 2)) if a.shape == b.shape else np.inf


def _nearly_same(text_a, text_b):
    words_a, words_b = (
        re.sub(r"\s+|-{3,}", " ", NUMBER.sub("#", text)) for text in (text_a, text_b)
    )
    numbers_a, numbers_b = (
        np.array([float(n.rstrip("%").replace(",", "")) for n in NUMBER.findall(text)])
        for text in (text_a, text_b)
    )
    return words_a == words_b and np.allclose(numbers_a, numbers_b, atol=0.3, rtol=0.3)
