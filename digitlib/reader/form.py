"""The ink of one digit as MNIST would show it: 28 x 28."""

import numpy as np
from PIL import Image
from scipy import ndimage

INK_SIDE = 20  # MNIST's form: the longest side of the ink ...
CENTRE = 14  # ... and its centre of mass, both in pixels (QMNIST paper, arXiv 1905.10498)
MOST_SIDE = 160  # pixels of a digit; larger ones are reduced to it first
MIN_STROKE = 1.4  # pixels; 99 % of MNIST's strokes are wider


def to_mnist_form(ink) -> np.ndarray:
    """Ink of one digit, float (h, w) in [0, 1], as MNIST would show it: uint8 (28, 28).

    The longest side of the ink becomes 20 pixels, its centre of mass pixel (14, 14); strokes that
    would be thinner than MNIST's are thickened first (form: QMNIST paper, arXiv 1905.10498).
    """
    form = np.zeros((28, 28), np.uint8)
    ink = cropped(ink)
    if not ink.size:
        return form
    ink = _thicken(_full(_smaller(ink), 0.9))
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


def in_mnist_form(pixels):
    """A grey picture, or its negative, that has MNIST's form already, uint8 (28, 28); else None."""
    if pixels.shape[:2] != (28, 28):
        return None
    grey = pixels if pixels.ndim == 2 else pixels.max(2)
    image = grey if grey[0].mean() < 128 else 255 - grey
    if image.max() < 128:
        return None
    side = max(np.ptp(np.flatnonzero((image > 50).any(axis))) + 1 for axis in (0, 1))
    centre = np.array(ndimage.center_of_mass(image))
    return image if abs(side - INK_SIDE) <= 2 and np.abs(centre - CENTRE).max() < 1 else None


def _smaller(ink):
    """The ink at most 160 pixels long: blocks averaged, or their most ink, that hairlines stay."""
    k = -(-max(ink.shape) // MOST_SIDE)
    if k == 1:
        return ink
    height, width = (-(-n // k) for n in ink.shape)
    padded = np.pad(ink, ((0, height * k - len(ink)), (0, width * k - ink.shape[1])))
    blocks = padded.reshape(height, k, width, k)
    return blocks.mean((1, 3)) if stroke_width(ink) > 2 * k else blocks.max((1, 3))


def _full(ink, share):
    """The ink scaled so that a share of the inside of its strokes is below 1, and cut off there."""
    strong = ink[ink > 0.5 * ink.max()]
    k = int(share * (strong.size - 1))
    return (ink / np.partition(strong, k)[k]).clip(0, 1).astype(np.float32)


def cropped(ink):
    """The ink without the empty rows and columns around it."""
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if rows.size else ink[:0]


def stroke_width(ink):
    """Mean width of the strokes in pixels: twice the area over the length of the outline."""
    padded = _framed(ink, 1)
    down, right = np.diff(padded, axis=0)[:, :-1], np.diff(padded, axis=1)[:-1]
    return 2 * ink.sum() / np.hypot(down, right).sum()


def _framed(ink, margin):
    """The ink with a margin of paper; np.pad takes ten times as long for so small an image."""
    framed = np.zeros([side + 2 * margin for side in ink.shape], ink.dtype)
    framed[margin:-margin, margin:-margin] = ink
    return framed


def _thicken(ink):
    """The ink, its strokes at least MIN_STROKE wide once its longest side is 20 pixels."""
    side, width = max(ink.shape), stroke_width(ink)
    if width * INK_SIDE / side >= MIN_STROKE:
        return ink
    if side < 4 * INK_SIDE:
        zoom = 4 * INK_SIDE / side
        sides = (round(n * zoom) for n in ink.shape[::-1])
        ink = np.asarray(Image.fromarray(ink).resize(tuple(sides), Image.Resampling.BICUBIC))
        width *= zoom
    radius = (MIN_STROKE * max(ink.shape) / INK_SIDE - width) / 2
    ink = _framed(ink, int(radius) + 1)
    distance = ndimage.distance_transform_edt(ink < 0.5)
    return cropped(np.maximum(ink, (radius + 0.5 - distance).clip(0, 1)).astype(np.float32))
