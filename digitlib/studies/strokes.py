"""Digits drawn stroke by stroke, as hands write them that MNIST, America of the 1990s, lacks."""

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.interpolate import make_interp_spline

from digitlib.reader.form import to_mnist_form

# How people write each digit. A point is its column and row, 0 to 9 from the top left. A curve runs
# through its points; "/" is a corner, from where the pen goes on; "," is where the pen is lifted.
ALLOGRAPHS = {
    0: [
        "50 21 04 17 49 78 95 82 50",
        "40 11 04 17 49 78 95 82 60",  # open at the top
        "50 21 04 17 49 78 95 83 72",
        "70 31 04 17 49 78 95 82 50 21",  # more than once around
        "81 40 12 05 28 59 87 94 71 40 10",
        "50 21 04 17 49 78 95 82 50,72 27",  # slashed
        "50 21 04 17 49 78 95 82 50,90 09",
        "44 62 50 21 04 17 49 78 95 82 50",  # a curl inside
        "00 90/99/09/00",
    ],
    1: [
        "50 59",
        "32 50/59",  # a flag, short to long
        "23 50/59",
        "14 50/59",
        "06 50/59",
        "07 50/59",
        "13 32 50/59",
        "23 50/59,29 89",
        "14 50/59,19 89",
        "06 50/59,29 89",
        "50 59,29 89",
        "50 59,20 80,29 89",
        "32 50/58 49 28 37 67 98",  # a loop at the base
    ],
    2: [
        "02 20 60 83 55 09/99",
        "12 30 70 83 55 09/18 38 69 98",
        "12 30 70 83 64 37 19 08 17 48 79 97",  # a loop at the base
        "12 30 70 83 64 28 09 07 28 59 99",
        "01 80/09/99",
        "00 70 83 09/99",
        "00 90/95/05/09/99",
    ],
    3: [
        "11 40 71 73 44/75 87 69 29 08",
        "03 11 40 71 73 44/75 87 59 29 07",
        "00 80/44/75 87 69 29 08",  # a flat top
        "00 90/43/85 87 59 08",
        "11 40 71 63 35 24 44 75 87 59 19 08",  # a loop at the waist
        "11 40 71 73 44 34 45 75 87 69 29 08",
        "00 90/99/09,24 94",
    ],
    4: [
        "20 06/96,73 79",
        "10 05/85,60 69",
        "00 05/95,80 89",
        "00 05/75,71 79",
        "60 06/96,60 69",  # closed
        "60 05/65,60 69",  # closed, the stem at its side
        "60 03/63,60 69",
        "50 06/96,50 59",
        "60 05/85,60 69",
        "69 60/06/96",
        "50 07/97,64 69",
        "20 05/45 80/59",  # in one go
        "10 04 15 55 84 90/69",
        "30 06/56 84 72 60/59",  # looped
        "30 04 16 46 96,62 69",  # round
        "60 32 05 26 96,60 69",
    ],
    5: [
        "80 10/14/43 85 88 49 08",
        "10 14/43 85 88 49 08,10 90",
        "10 14/43 85 88 49 08,30 90",  # its bar stands away
        "11 14/43 85 88 49 08,40 90",
        "10 14/43 85 88 49 08,10 40",
        "80 20/04/54 86 78 49 08",
        "81 50 11 13 44 75 87 59 08",
        "80 40 12 24 64 86 78 49 08",
        "90 00/04/94/99/09",
        "80 10/14/64/86/78/09",
    ],
    6: [
        "60 23 06 29 69 87 65 35 07",
        "81 60 23 06 29 69 87 65 35 07",
        "50 06 29 69 87 65 35 07",
        "60 12 06 29 69 96 73 33 06",  # a big loop
        "60 24 07 19 49 58 46 26 07",  # a tiny one
        "60 23 06 29 69 87 75 46",
        "80 00/09/99/95/05",
        "50 05/19/89/85/15",
        "10 09/89/84/04",
    ],
    7: [
        "00 90/39",
        "00 90/64 49",
        "00 90/39,25 85",  # crossed
        "00 90/64 49,35 95",
        "02 00/90/39",  # a serif
        "02 00/90/39,25 85",
        "02 10 41 70 90/39",
        "02 10 41 70 90/39,25 85",
        "00 50 81 64 39",
        "00 50 81 64 39,25 85",
        "00 80/79",
        "00 80/79,55 95",
    ],
    8: [
        "71 40 11 23 44 76 88 59 18 16 44 73 71",
        "44 13 11 40 71 73 44 16 18 49 78 76 44",
        "60 20 11 23 44 76 78 49 18 16 44 72 80",  # open at the top
        "70 40 12 24 55 77 69 39 27 45 71 80",
        "40 11 13 44 73 71 40,44 16 18 49 78 76 44",  # two circles
        "40 21 23 44 63 61 40,44 15 07 18 49 78 87 75 44",
        "40 11 13 44 73 71 40,45 16 18 49 78 76 45",
        "00 90/99/09/00,04 94",
    ],
    9: [
        "82 50 11 03 35 65 82/79",
        "80 89,82 50 11 03 35 65 83",
        "82 50 11 03 35 65 82/87 69 38 17",  # its tail like that of a g
        "82 50 11 03 35 65 82/87 59 29 08",
        "61 40 21 23 43 61/59",
        "61 40 21 23 43 61/67 49 28",
        "21 13 34 63 71/80 86 69 28",  # open at the top
        "21 13 34 63 81,80 87 59 28",
        "73 45 13 11 40 71 74 67 39",
        "72 45 14 11 40 71/74 58 19",
        "95 05/00/90/99/09",
        "95 05/00/90/99",
    ],
}


def draw(digit, rng):
    """One of ten digits as somebody may write it: float32 ink in [0, 1], about 100 pixels high."""
    return write(rng.choice(ALLOGRAPHS[digit]), rng, {1: 0.5, 7: 0.75}.get(digit, 0.65))


def drawn_digits(n, rng):
    """Digits in MNIST's form, n of each: images, uint8 (10 n, 28, 28), and labels, uint8."""
    labels = np.repeat(np.arange(10, dtype=np.uint8), n)
    return np.stack([to_mnist_form(draw(digit, rng)) for digit in labels]), labels


def write(strokes, rng, width=0.65):
    """Strokes, given as in ALLOGRAPHS, by a hand and a pen of its own: float32 ink in [0, 1].

    width : of the ten columns, as a share of the height
    """
    lines = _placed(_bent(strokes, rng), rng, width)
    canvas = Image.new("L", tuple(int(side) for side in np.concatenate(lines).max(0) + 60))
    pen, pressure = ImageDraw.Draw(canvas), rng.uniform(0, 0.3)
    radius = 200 * np.exp(rng.uniform(np.log(0.025), np.log(0.085)))
    for line in lines:
        swell = ndimage.gaussian_filter1d(rng.normal(size=len(line)), len(line) / 6)
        swell *= pressure / (np.abs(swell).max() + 1e-6)
        for (x, y), r in zip(line + 30, radius * (1 + swell), strict=True):
            pen.ellipse((x - r, y - r, x + r, y + r), 255)
    return np.asarray(canvas.reduce(2)) / np.float32(255)


def _bent(strokes, rng):
    """The path of the pen in each stroke, on the grid of ALLOGRAPHS: a list of (m, 2)."""
    shake, rounding = rng.uniform(0.1, 0.5), rng.choice((0.1, 0.1, 3, 8))
    degree = 1 if rng.random() < 0.12 else 3  # some hands are angular
    lines = []
    for stroke in strokes.split(","):
        points = np.array([[*map(int, point)] for point in stroke.replace("/", " ").split()])
        points = points + rng.normal(0, shake / 2, 2) + rng.normal(0, shake, points.shape)
        ends = np.cumsum([len(part.split()) for part in stroke.split("/")])
        curves = [
            _curve(points[max(start - 1, 0) : stop], degree)
            for start, stop in zip([0, *ends], ends, strict=False)
        ]
        lines.append(ndimage.gaussian_filter1d(np.concatenate(curves), rounding, 0, mode="nearest"))
    return lines


def _curve(points, degree):
    """Places along a curve through points: (m, 2)."""
    way = np.r_[0, np.hypot(*np.diff(points, axis=0).T).cumsum()]
    curve = make_interp_spline(way, points, min(degree, len(points) - 1))
    return curve(np.linspace(0, way[-1], max(2, int(8 * way[-1]))))


def _placed(lines, rng, width):
    """The lines on a canvas of some 200 pixels: higher or lower waist, wide, slanted, turned."""
    width *= np.exp(rng.normal(0, 0.25))
    waist, taper = np.exp(rng.normal(0, 0.15)), rng.normal(0, 0.12)
    slant, turn = rng.normal(0.1, 0.17), rng.normal(0, 0.06)
    cos, sin = np.cos(turn), np.sin(turn)
    placed = []
    for line in lines:
        x, y = line.T / 9 - 0.5
        y = np.sign(y + 0.5) * np.abs(y + 0.5) ** waist - 0.5
        x = width * x * (1 + taper * y) - slant * y
        placed.append(200 * np.stack([cos * x - sin * y, sin * x + cos * y], 1))
    corner = np.concatenate(placed).min(0)
    return [line - corner for line in placed]
