"""Images of what is not one digit: to learn from, and, of other kinds, to be tested on."""

from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps
from scipy import ndimage
from sklearn.datasets import load_sample_images

from digitlib.reader.pieces import stroke_width, to_mnist_form

# Letters that people write as they write a digit (O 0, I 1, Z 2, S 5, b 6, g 9 ...) are left out.
LETTERS = "ACEFHKLMNPRTUVWXYacdefhkmnprtuvwx&?#%@+=$"
WORDS = ["hello", "MNIST", "paper", "Freude", "thanks", "maths", "exam", "Hund", "pen & ink"]


def training_set(digits, labels, rng):
    """uint8 (n, 28, 28): letters, scribbles, textures, polygons, turned digits, pairs."""
    return np.concatenate(
        [
            letters(rng, 8000, matplotlib_fonts("DejaVuSans")),
            scribbles(rng, 4000),
            textures(rng, 3000),
            polygons(rng, 3000),
            turned(digits, labels, rng, 4000),
            pairs(digits, rng, 4000),
        ]
    )


def flagged_ones(ones, rng):
    """Ones as many people outside America write them, with a flag, some with a foot: uint8.

    ones : uint8, shape (n, 28, 28); MNIST has few such ones, and takes them for 7s
    The flag leaves the top of the stroke to the lower left, 25 to 60 degrees from the vertical.
    """
    images = []
    for image in ones:
        canvas = Image.fromarray(image).resize((112, 112), Image.Resampling.BICUBIC)
        rows, columns = np.nonzero(np.asarray(canvas) > 128)
        height, width = np.ptp(rows) + 1, max(4, int(2 * stroke_width(image / np.float32(255)) * 2))
        top = (columns[rows == rows.min()].mean(), rows.min() + width / 2)
        angle, length = np.radians(rng.uniform(25, 60)), rng.uniform(0.2, 0.55) * height
        flag = (top[0] - length * np.sin(angle), top[1] + length * np.cos(angle))
        canvas = ImageOps.expand(canvas, 40)
        draw = ImageDraw.Draw(canvas)
        draw.line([(x + 40, y + 40) for x, y in (top, flag)], 255, width)
        if rng.random() < 0.3:
            foot, reach = columns[rows == rows.max()].mean() + 40, rng.uniform(0.15, 0.35) * height
            level = rows.max() + 40 - width / 2
            draw.line([(foot - reach, level), (foot + reach, level)], 255, width)
        images.append(to_mnist_form(np.asarray(canvas) / np.float32(255)))
    return np.stack(images)


def matplotlib_fonts(name):
    """The paths of those of matplotlib's own fonts whose names begin so."""
    fonts = Path(matplotlib.get_data_path(), "fonts/ttf").glob(f"{name}*.ttf")
    return sorted(path for path in fonts if "Display" not in path.name)  # those lack most letters


def letters(rng, n, fonts, alphabet=LETTERS):
    """Letters and signs, one an image."""
    fonts = [ImageFont.truetype(str(path), 64) for path in fonts]
    images = []
    for _ in range(n):
        canvas = Image.new("L", (128, 128))
        draw = ImageDraw.Draw(canvas)
        draw.text((32, 24), rng.choice(list(alphabet)), 255, fonts[rng.integers(len(fonts))])
        images.append(to_mnist_form(np.asarray(canvas) / np.float32(255)))
    return np.stack(images)


def scribbles(rng, n):
    """Smooth strokes that go nowhere: through 8 to 24 points, jumping or wandering."""
    images = []
    for _ in range(n):
        points = rng.random((rng.integers(8, 25), 2))
        if rng.random() < 0.5:
            points = rng.normal(size=points.shape).cumsum(0)
        points = ndimage.zoom(points, (8, 1), order=3)
        points = 20 + 88 * (points - points.min(0)) / np.ptp(points, axis=0).max()
        canvas = Image.new("L", (128, 128))
        ImageDraw.Draw(canvas).line([tuple(p) for p in points], 255, int(rng.integers(6, 14)))
        images.append(to_mnist_form(np.asarray(canvas) / np.float32(255)))
    return np.stack(images)


def polygons(rng, n):
    """Closed outlines of 3 to 6 random corners, and heaps of 3 to 6 random lines."""
    images = []
    for _ in range(n):
        corners = [tuple(point) for point in rng.uniform(20, 108, (2 * rng.integers(3, 7), 2))]
        canvas, width = Image.new("L", (128, 128)), int(rng.integers(5, 14))
        if rng.random() < 0.5:
            angle = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 7)))
            corners = [(64 + 44 * np.cos(a), 64 + 44 * np.sin(a)) for a in angle]
            corners = [corner for corner in corners + corners[:1] for _ in (0, 1)][1:-1]
        for start, stop in zip(corners[::2], corners[1::2], strict=True):
            ImageDraw.Draw(canvas).line([start, stop], 255, width)
        images.append(to_mnist_form(np.asarray(canvas) / np.float32(255)))
    return np.stack(images)


def textures(rng, n):
    """Blobs, flecks and grain: thresholded noise of random coarseness."""
    images = []
    for _ in range(n):
        noise = ndimage.gaussian_filter(rng.normal(size=(40, 40)), np.exp(rng.uniform(-1, 1.8)))
        top = np.quantile(noise, rng.uniform(0.4, 0.9))
        ink = ((noise - top) / noise.std() * rng.uniform(1, 4)).clip(0, 1)
        images.append(to_mnist_form(ink.astype(np.float32)))
    return np.stack(images)


def turned(digits, labels, rng, n):
    """Digits that lie on their side or head, where that is no digit: 2 3 4 5 7, and 3 4 7."""
    chosen = rng.choice(np.flatnonzero(np.isin(labels, (2, 3, 4, 5, 7))), n)
    turns = np.where(
        np.isin(labels[chosen], (3, 4, 7)), rng.integers(1, 4, n), rng.choice((1, 3), n)
    )
    return np.stack([np.rot90(image, k) for image, k in zip(digits[chosen], turns, strict=True)])


def pairs(digits, rng, n):
    """Two digits that touch or nearly do."""
    images = []
    for left, right in digits[rng.integers(len(digits), size=(n, 2))]:
        canvas = np.zeros((28, 56), np.float32)
        canvas[:, :28] = left
        first = np.flatnonzero(right.any(0))[0]
        start = np.flatnonzero(left.any(0))[-1] + rng.integers(-2, 3) - first
        canvas[:, start : start + 28] = np.maximum(canvas[:, start : start + 28], right)
        images.append(to_mnist_form(canvas / 255))
    return np.stack(images)


def test_pictures(rng, n=100):
    """Whole pictures of kinds that training_set does not hold: a dictionary of lists of arrays."""
    fonts = [
        path
        for name in ("DejaVuSerif", "STIXGeneral", "cmr10", "cmti10", "cmtt10")
        for path in matplotlib_fonts(name)
    ]
    photos = [*load_sample_images().images]
    photos.append(np.asarray(Image.open(matplotlib.cbook.get_sample_data("grace_hopper.jpg"))))
    return {
        "letters of other fonts": list(255 - letters(rng, n, fonts)),
        "words": [_written(rng, rng.choice(WORDS), fonts) for _ in range(n)],
        "shapes": [_shape(rng) for _ in range(n)],
        "photographs": photos + [_part(rng, photos[rng.integers(3)]) for _ in range(n - 3)],
        "blank paper": [_blank(rng) for _ in range(n)],
    }


def _written(rng, text, fonts):
    canvas = Image.new("L", (400, 120), 255)
    font = ImageFont.truetype(str(fonts[rng.integers(len(fonts))]), 60)
    ImageDraw.Draw(canvas).text((20, 20), text, 0, font)
    return np.asarray(canvas)


def _shape(rng):
    """A star, a flower or a spiral, drawn with a pen."""
    kind, width = rng.integers(5), int(rng.integers(3, 12))
    turn = rng.uniform(0, 2 * np.pi)
    if kind < 3:  # stars of 5, 7 and 8 corners
        corners, step = ((5, 2), (7, 3), (8, 3))[kind]
        angles, radius = turn + 2 * np.pi * step * np.arange(corners + 1) / corners, 55
    elif kind == 3:  # a flower
        angles = np.linspace(0, 2 * np.pi, 200)
        radius = 35 + 20 * np.cos(rng.integers(3, 8) * angles)
    else:  # a spiral of several turns
        angles = np.linspace(0, rng.uniform(15, 25), 200)
        radius = 2.6 * angles
    points = np.stack([80 + radius * np.cos(angles), 80 + radius * np.sin(angles)], axis=1)
    canvas = Image.new("L", (160, 160), 255)
    ImageDraw.Draw(canvas).line([*map(tuple, points.tolist())], 0, width)
    return np.asarray(canvas)


def _part(rng, photo):
    side = int(rng.integers(60, min(photo.shape[:2])))
    top, left = (rng.integers(n - side + 1) for n in photo.shape[:2])
    return photo[top : top + side, left : left + side]


def _blank(rng):
    """Paper with grain, shading and no writing."""
    height, width = rng.integers(28, 400, 2)
    paper = rng.uniform(40, 250) + rng.uniform(0, 4) * rng.normal(size=(height, width))
    paper += np.linspace(0, rng.uniform(-30, 30), width)
    paper += np.linspace(0, rng.uniform(-30, 30), height)[:, None]
    return paper.clip(0, 255).astype(np.uint8)
