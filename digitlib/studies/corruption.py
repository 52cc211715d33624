"""The fifteen corruptions of MNIST-C: digits that a person still reads, and many models do not.

Operations, strengths and default severities are those of Mu and Gilmer (2019), "MNIST-C: A
Robustness Benchmark for Computer Vision", and its code, https://github.com/google-research/mnist-c;
the random numbers are others, so what is random differs from the images published there.
"""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from digitlib.data import checked_images

BLOCK = 100  # images corrupted at a time; one of fog's maps has 83 times the pixels of an image
EACH = (1, 2)  # the axes of one image in a batch


class Corruption(NamedTuple):
    """One of the fifteen.

    apply : takes images, float64 (n, 28, 28) in [0, 1], a random generator and the parameters;
        gives new images, whose values may leave [0, 1]. It draws once, with an axis of images
        first, so that what happens to an image does not depend on how many follow it
    severity : that of MNIST-C, 1 to 5, or None where there is a single strength
    parameters : for each of them its values at severities 1 to 5
    """

    apply: Callable
    severity: int | None
    parameters: Mapping[str, tuple]


CORRUPTIONS = {}  # by name, in MNIST-C's order


def corrupt(images, name, *, severity=None, seed=0):
    """The images, each corrupted in the way of that name: uint8, shape (n, 28, 28).

    images : uint8, shape (n, 28, 28); 0 is background
    name : one of CORRUPTIONS
    severity : 1 to 5, or None for MNIST-C's; stripe, dotted_line, zigzag and canny_edges have a
        single strength and take none
    seed : the same gives the same images, and the first images whatever follows them; each
        corruption draws numbers of its own from it

    Raises ValueError for images of another kind, an unknown name, and a severity that does not
    exist.
    """
    images = checked_images(images)
    if name not in CORRUPTIONS:
        raise ValueError(f"unknown corruption {name!r}; there are {', '.join(CORRUPTIONS)}")
    corruption = CORRUPTIONS[name]
    allowed = (None, 1, 2, 3, 4, 5) if corruption.severity else (None,)
    if severity not in allowed:
        expected = ", ".join(map(str, allowed))
        raise ValueError(f"{name}: expected a severity among {expected}, got {severity!r}")
    level = severity or corruption.severity
    parameters = {key: values[int(level) - 1] for key, values in corruption.parameters.items()}
    rng = np.random.default_rng([seed, *name.encode()])
    corrupted = np.empty_like(images)
    for start in range(0, len(images), BLOCK):
        block = slice(start, start + BLOCK)
        result = corruption.apply(images[block] / 255, rng, **parameters)
        corrupted[block] = np.rint(255 * result.clip(0, 1))
    return corrupted


def _corruption(severity=None, **parameters):
    def register(apply):
        CORRUPTIONS[apply.__name__.removeprefix("_")] = Corruption(apply, severity, parameters)
        return apply

    return register


@_corruption(severity=5, photons=(60, 25, 12, 5, 3))
def _shot_noise(images, rng, photons):
    """Ink as counted from few photons: Poisson noise, `photons` for full ink."""
    return rng.poisson(images * photons) / photons


@_corruption(severity=4, amount=(0.03, 0.06, 0.09, 0.17, 0.27))
def _impulse_noise(images, rng, amount):
    """Salt and pepper: that share of the pixels becomes black or white."""
    chance = rng.random(images.shape)
    return np.where(chance < amount / 2, 0, np.where(chance < 1 - amount / 2, images, 1))


@_corruption(
    severity=1, sigma=(0.7, 0.9, 1, 1.1, 1.5), reach=(1, 2, 2, 3, 4), rounds=(2, 1, 3, 2, 2)
)
def _glass_blur(images, rng, sigma, reach, rounds):
    """Blurred, half of the pixels swapped with near ones, and blurred again.

    The blur runs along the columns only, as published: MNIST-C's code has scikit-image take the
    second axis for colour channels. The swaps reach one pixel less down and right than up and left.
    """
    blur = partial(ndimage.gaussian_filter, sigma=sigma, mode="nearest", axes=1)
    near = np.arange(-reach, reach)
    shifts = np.add.outer(28 * near, near).ravel()
    line = np.arange(28 - reach, reach, -1)
    places = np.tile(np.add.outer(28 * line, line).ravel(), rounds)
    partners = places + rng.choice([*shifts, *(0 * shifts)], (len(images), len(places)))
    pixels = np.floor(255 * blur(images)).reshape(-1, 784).T.copy()
    each = np.arange(len(images))
    for place, partner in zip(places, partners.T, strict=True):
        pixels[place], pixels[partner, each] = pixels[partner, each], pixels[place].copy()
    return blur(pixels.T.reshape(-1, 28, 28) / 255)


@_corruption(severity=1, radius=(10, 15, 15, 15, 20), sigma=(3, 5, 8, 12, 15))
def _motion_blur(images, rng, radius, sigma):
    """Smeared to one side along a direction within 45 degrees of the horizontal.

    ImageMagick's method: the mean of 2 radius + 1 pixels along that direction, each the one
    nearest to its place, with half a Gaussian for weights.
    """
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-((steps / sigma) ** 2) / 2)
    angle = np.radians(rng.uniform(-45, 45, (len(images), 1)))
    down, right = (np.rint(steps * along(angle)).astype(int).T for along in (np.sin, np.cos))
    moved = _movable(images, 2 * radius, "edge")
    return sum(w * moved(*by) for w, *by in zip(weights, down, right, strict=True)) / weights.sum()


@_corruption(severity=2, angle=(0.2, 0.4, 0.6, 0.8, 1))
def _shear(images, rng, angle):
    """Slanted to either side; its matrix also makes the digit taller, by 1 / cos(angle)."""
    return _turned_either_way(images, rng, [[np.cos(angle), 0], [-np.sin(angle), 1]])


@_corruption(severity=3, size=(0.9, 0.8, 0.7, 0.6, 0.5))
def _scale(images, rng, size):
    """Shrunk to that fraction of its size about the centre of the image."""
    return _warp(images, np.eye(2) / size)


@_corruption(severity=2, angle=(0.2, 0.4, 0.6, 0.8, 1))
def _rotate(images, rng, angle):
    """Turned by that angle, in radians, to either side about the centre of the image."""
    cos, sin = np.cos(angle), np.sin(angle)
    return _turned_either_way(images, rng, [[cos, sin], [-sin, cos]])


def _turned_either_way(images, rng, matrix):
    """Each image warped by the matrix, or by the one for the angle of the other sign."""
    other_way = np.array(matrix) * [[1, -1], [-1, 1]]
    first = rng.random((len(images), 1, 1)) < 0.5
    return np.where(first, _warp(images, matrix), _warp(images, other_way))


def _warp(images, matrix):
    """Images whose (row, column) shows what was at matrix @ (row, column), from the centre."""
    batch_matrix = np.eye(3)
    batch_matrix[1:, 1:] = matrix
    centre = np.array([0, 13.5, 13.5])
    offset = centre - batch_matrix @ centre
    return ndimage.affine_transform(images, batch_matrix, offset, order=1, mode="grid-constant")


def _movable(images, margin, mode):
    """A function of (down, right): each image moved up and left by its own numbers of pixels."""
    padded = np.pad(images, ((0, 0), (margin, margin), (margin, margin)), mode)
    views = sliding_window_view(padded, (28, 28), EACH)
    return lambda down, right: views[np.arange(len(images)), margin + down, margin + right]


@_corruption(severity=5, amount=(0.1, 0.2, 0.3, 0.4, 0.5))
def _brightness(images, rng, amount):
    """Lighter by that amount everywhere."""
    return images + amount


@_corruption(severity=3, distance=(1, 2, 3, 4, 5))
def _translate(images, rng, distance):
    """Moved by that many pixels up or down, and as many left or right."""
    moved = _movable(images, distance, "constant")
    return moved(*rng.choice([-distance, distance], (len(images), 2)).T)


@_corruption()
def _stripe(images, rng):
    """Inverted but for the middle half of the columns."""
    return np.where(np.abs(np.arange(28) - 13.5) < 7, images, 1 - images)


@_corruption(severity=5, thickness=(1.5, 2, 2.5, 2.5, 3), smoothness=(2, 2, 1.7, 1.5, 1.4))
def _fog(images, rng, thickness, smoothness):
    """Behind a corner of a random cloud (a plasma fractal), and dimmed so that ink stays ink."""
    peak = images.max(axis=EACH, keepdims=True)
    cloud = _plasma_fractal(rng, len(images), smoothness)[:, :28, :28]
    return (images + thickness * cloud) * peak / (peak + thickness)


def _plasma_fractal(rng, n, smoothness, side=256):
    """Random maps that repeat at their edges, float32 (n, side, side), each from 0 to 1.

    The diamond-square algorithm: the middle of each square, then of each of its sides, is the
    mean of its four neighbours plus noise, which shrinks by smoothness² as the squares halve.
    Source: Fournier, Fussell and Carpenter (1982), "Computer rendering of stochastic models".
    """
    maps = rng.random((n, side, side), np.float32) - np.float32(0.5)
    step, noise = side, 1.0
    while step > 1:
        half = step // 2
        corners, centres = maps[:, ::step, ::step], maps[:, half::step, half::step]
        tops, lefts = maps[:, ::step, half::step], maps[:, half::step, ::step]
        across, down = corners + np.roll(corners, -1, 2), corners + np.roll(corners, -1, 1)
        centres[:] = noise * centres + (across + np.roll(across, -1, 1)) / 4
        tops[:] = noise * tops + (across + centres + np.roll(centres, 1, 1)) / 4
        lefts[:] = noise * lefts + (down + centres + np.roll(centres, 1, 2)) / 4
        step, noise = half, noise / smoothness**2
    maps -= maps.min(axis=EACH, keepdims=True)
    return maps / maps.max(axis=EACH, keepdims=True)


@_corruption(
    severity=4,
    mean=(0.65, 0.65, 0.65, 0.65, 0.67),
    spread=(0.3, 0.3, 0.3, 0.3, 0.4),
    sigma=(4, 3, 2, 1, 1),
    level=(0.69, 0.68, 0.68, 0.65, 0.65),
    softness=(0.6, 0.6, 0.5, 1.5, 1.5),
)
def _spatter(images, rng, mean, spread, sigma, level, softness):
    """Spots of dark grey mud: where smoothed noise exceeds the level, smoothed again."""
    blur = partial(ndimage.gaussian_filter, mode="nearest", axes=EACH)
    wet = blur(rng.normal(mean, spread, images.shape), sigma) > level
    mud = blur(wet.astype(float), softness)
    mud[mud < 0.8] = 0
    return images * (1 - mud) + mud * 63 / 255


@_corruption()
def _dotted_line(images, rng):
    """A dotted straight line from the left edge to the right, two columns on, two off."""
    left, right = rng.integers(0, 27, (len(images), 2)).T
    dots = np.arange(28) // 2 % 2
    return images + dots * _line(0, left, 27, right)


@_corruption()
def _zigzag(images, rng):
    """A zigzag from column 2 to 25, which climbs or falls by at most 5 rows."""
    start, rise = rng.integers((0, -5), (27, 5), (len(images), 2)).T
    length = np.hypot(rise, 23)
    points = [(0, 0), (2, 2), (6, -2), (10, 2), (14, -2), (18, 2), (22, -2)]
    points.append((length, 1 / (20 - length)))
    cos, sin = 23 / length, rise / length
    knots = [(2 + cos * x - sin * y, start + sin * x + cos * y) for x, y in points]
    return images + sum(_line(*a, *b) for a, b in pairwise(knots))


def _line(left, top, right, bottom):
    """Ink of lines, about three pixels thick, from (left, top) to (right, bottom)."""
    columns = np.arange(28)
    left, top, right, bottom = (np.reshape(x, (-1, 1, 1)) for x in (left, top, right, bottom))
    height = top + (bottom - top) / (right - left) * (columns - left)
    distance = np.abs(columns[:, np.newaxis] - height)
    ink = 1 + np.log1p(-np.minimum(distance / 2.3, 0.9))
    return ink.clip(0) * (columns >= np.floor(left)) * (columns < np.ceil(right))


@_corruption()
def _canny_edges(images, rng):
    """Outlines one pixel thick: what Canny's detector finds, step by step as in scikit-image.

    An edge is where Sobel's gradient is at least 0.1 and no larger one step along its direction, if
    it is joined to one of at least 0.2. The outermost pixels are never edges.
    Source: Canny (1986), "A computational approach to edge detection".
    """
    inside = ndimage.gaussian_filter(np.ones((28, 28)), 1, mode="constant")
    smooth = ndimage.gaussian_filter(images, 1, mode="constant", axes=EACH) / inside
    sobel = partial(ndimage.correlate1d, weights=[-1, 0, 1])
    gradient = [sobel(ndimage.correlate1d(smooth, [1, 2, 1], 3 - axis), axis=axis) for axis in EACH]
    size = np.hypot(*gradient)
    image, *place = np.nonzero((size >= 0.1) & np.pad(np.ones((26, 26), bool), 1))
    step = np.array([g[image, *place] for g in gradient])
    step /= np.abs(step).max(axis=0)
    beside = [ndimage.map_coordinates(size, [image, *(place + s)], order=1) for s in (step, -step)]
    weak = np.zeros(images.shape, bool)
    weak[image, *place] = size[image, *place] >= np.maximum(*beside)
    lines, n_lines = ndimage.label(weak, [np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))])
    strong = np.zeros(n_lines + 1)
    strong[lines[weak & (size >= 0.2)]] = 1
    return strong[lines]
