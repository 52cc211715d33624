"""What is not one digit though made of digits: turned ones, several at once, parts, dirt beside."""

import numpy as np
from PIL import Image, ImageDraw

from digitlib.reader.form import cropped, to_mnist_form


def turned(digits, labels, rng, n):
    """Digits that lie on their side or head, where that is no digit: 2 3 4 5 7, and 3 4 7."""
    chosen = rng.choice(np.flatnonzero(np.isin(labels, (2, 3, 4, 5, 7))), n)
    turns = np.where(
        np.isin(labels[chosen], (3, 4, 7)), rng.integers(1, 4, n), rng.choice((1, 3), n)
    )
    return np.stack([np.rot90(image, k) for image, k in zip(digits[chosen], turns, strict=True)])


def several(digits, rng, n):
    """Two or three digits that overlap, touch or stand close: up to 6 pixels either way."""
    images = []
    for _ in range(n):
        ink = _ink(digits, rng)
        for _ in range(1 if rng.random() < 0.8 else 2):
            ink = _beside(ink, _ink(digits, rng), rng.integers(-6, 7))
        images.append(to_mnist_form(ink))
    return np.stack(images)


def cut_wrongly(digits, rng, n):
    """A digit with 15 to 60 % of the ink of a neighbour, to its left or right."""
    images = []
    for _ in range(n):
        side = rng.choice((-1, 1))
        whole, part = (_ink(digits, rng)[:, ::side] for _ in (0, 1))
        amount = part.sum(0).cumsum() / part.sum()
        part = part[:, : np.searchsorted(amount, rng.uniform(0.15, 0.6)) + 1]
        images.append(to_mnist_form(_beside(whole, part, rng.integers(-3, 4))[:, ::side]))
    return np.stack(images)


def halves(digits, labels, rng, n):
    """Digits cut from top to bottom, 30 to 50 % of the ink left, where that is no digit.

    The left half of 0, 2, 3, 5 and 8, if it is broader than a 1 and taller than the loop of a 2.
    """
    rows, columns = np.indices((28, 28))
    usable = digits[np.isin(labels, (0, 2, 3, 5, 8))]
    images = []
    while len(images) < n:
        ink = rng.choice(usable) / np.float32(255)
        place = columns + rng.uniform(-0.45, 0.45) * (rows - 14)
        order = np.argsort(place, axis=None)
        amount = ink.ravel()[order].cumsum() / ink.sum()
        edge = place.ravel()[order][np.searchsorted(amount, rng.uniform(0.3, 0.5))]
        ink = cropped(ink * (place < edge))
        if ink.shape[0] > 14 and ink.shape[1] > 0.45 * ink.shape[0]:
            images.append(to_mnist_form(ink))
    return np.stack(images)


def with_marks(digits, labels, rng, n):
    """A digit with a dot, comma or dash beside it, or a long rule under, over or through it."""
    images = []
    ruled = digits[~np.isin(labels, (1, 7))]  # a 1 or 7 with a rule is still one, or a 2
    for _ in range(n):
        rule = rng.random() < 0.4
        ink = _ink(ruled if rule else digits, rng)
        height, width = ink.shape
        canvas = Image.fromarray(np.pad(ink, 30))
        pen, thick = ImageDraw.Draw(canvas), int(rng.integers(2, 4)) + (not rule)
        if rule:
            level = 30 + rng.choice((-2, height / 2, height + 1)) + rng.uniform(-1, 1)
            reach = rng.uniform(0.3, 1, 2) * max(width, 12)
            pen.line((30 - reach[0], level, 30 + width + reach[1], level + rng.normal()), 1, thick)
        else:
            x = 30 + width + rng.uniform(2, 5) if rng.random() < 0.7 else 30 - rng.uniform(4, 8)
            y, kind = 30 + height * rng.uniform(0.2, 1), rng.integers(3)
            right, down = ((0.1, 0.1), (-2, 4), (rng.uniform(4, 9), rng.uniform(-1, 1)))[kind]
            if x < 30:
                right = -right
            pen.line((x, y, x + right, y + down), 1, thick)
            pen.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), 1)
        images.append(to_mnist_form(np.asarray(canvas)))
    return np.stack(images)


def _ink(digits, rng):
    """The ink of one of the digits, cropped: float32 in [0, 1]."""
    return cropped(rng.choice(digits) / np.float32(255))


def _beside(left, right, gap):
    """The ink of two side by side, level at their middle, with a gap or an overlap of pixels.

    They share no more than a third of the narrower one, lest two 1s become one.
    """
    gap = max(gap, -min(left.shape[1], right.shape[1]) // 3)
    start, height = left.shape[1] + gap, max(len(left), len(right))
    ink = np.zeros((height, start + right.shape[1]), np.float32)
    top = (height - len(left)) // 2
    ink[top : top + len(left), : left.shape[1]] = left
    top = (height - len(right)) // 2
    place = ink[top : top + len(right), start:]
    np.maximum(place, right, out=place)
    return ink
