"""Images of what is not one digit: to learn from, and, of other kinds, to be tested on."""

from pathlib import Path
from string import ascii_letters

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from sklearn.datasets import load_sample_images

from digitlib.reader.form import to_mnist_form
from digitlib.studies.strokes import write
from digitlib.studies.wrong_cuts import cut_wrongly, halves, several, turned, with_marks

# Letters that people write as they write a digit (O 0, I 1, Z 2, S 5, b 6, g 9 ...) are left out.
LETTERS = "ACEFHKLMNPRTUVWXYacdefhkmnprtuvwx&?#%@+=$"
WORDS = ["hello", "MNIST", "paper", "Freude", "thanks", "maths", "exam", "Hund", "pen & ink"]

CIRCLE = "50 21 04 17 49 78 95 82 50"
# Letters and signs as strokes of a pen, written as ALLOGRAPHS are, with "; " between.
SIGNS = [
    strokes
    for some in (
        "09 50/99,26 76; 91 50 10 04 18 49 98; 90 00/09/99,04 64; 90 00/09,04 64",  # A C E F
        "00 09,90 99,04 94; 00 09,90 04/99; 00 09/99; 09 00/45/90/99",  # H K L M
        "09 00/99/90; 09 00/60 82 44 05/99; 90 00,50 59; 00 49/90",  # N R T V
        "00 29/50/79/90; 00 99,90 09; 00 44/90,44 49; 00 45/90,45 49",  # W X Y
        "72 42 05 28 69 83,82 79 99; 82 41 05 38 89; 05 85/82 50 12 06 28 59 88",  # a c e
        "90 60 42 49,15 75; 00 09,05 42 74 79; 00 09,82 05/89",  # f h k
        "02 07 39 78 82,82 89; 09 20 50 79; 00 90,20 29,70 79; 09 00/90",  # u n Π Γ
        "09 02,04 22 44 49,45 63 84 89; 09 02,05 42 74 79; 03 09,05 32 72",  # m n r
        "40 48 69 88,13 83; 02 29/44/69/82; 02 99,92 09",  # t w x
        "02 92/97/07/02,50 59; 00 90,05 95,09 99,50 59",
        "50 59/38,23 15,75 97; 00 90/59/20,05 95",
        "04 39/90; 06 28/90; 03 27/91; 14 38/99 50",  # ticks
        "05 95,73 95/77; 95 05,23 05/27; 50 59,22 50/82; 50 59,27 59/87; 09 90,40 90/95",
        "42 20 02 05 49 95 92 70 42; 42 10 01 04 49/94 91 80 42",  # hearts
        "40 09/99/40; 00 90/49/00; 00 09/99/00; 00 99/09/00; 00 90/99/09/00,50 59,05 95",
        "50 59,05 95; 40 49,05 85; 05 95; 05 95,41 42,48 49; 03 93,07 97",  # + - ÷ =
        "02 92,05 95,08 98; 00 40 44 04 00,90 09,55 95 99 59 55; 50 59,02 97,92 07",  # ≡ % *
        "40 00/09/49; 00 40/49/09; 60 32 34 05 36 38 69; 90 05/99; 00 95/09",  # [ ] { < >
        "06 23 55 84 93; 05 33 57 85; 30 29,70 69,03 93,06 96",  # ~ #
        "11 12,18 19; 14 15,54 55,94 95; 00 09,40 49,80 89; 01 91,50 59,18 98",
        "05 22/48/62/98; 06 20/49/61/99; 04 94,50 09,55 99",
    )
    for strokes in some.split("; ")
]
FACES = [
    CIRCLE + inside
    for inside in (
        *(",33 34,63 64,26 47 66", ",33 34,63 64,27 46 67", ",33 34,63 64,26 66", ",33 34,63 64"),
        *(",33 34,63 64,44 55,27 48 67", ",24 43,54 73,26 48 76", ",33 34,63 64,36 66 58 38 36"),
        *(",45 55 56 45", ",34 44 35 34,65 75 66", ",50 59,05 95", ",21 88,72 17", ",45 42,45 75"),
        *(",45 32,45 62,45 49", ",43 25 47 65 43", ",33 53 65 57 37 25 33", ",25 75,45 47"),
        *(",20 00,70 90,33 34,63 64,37 67", ",33 63/66/36/33", ",46 24/64/46"),
    )
]


def training_set(digits, labels, rng, n):
    """What is no digit, about n images, uint8 (n, 28, 28).

    digits : uint8 (n, 28, 28), of which parts, heaps and turned ones are made, with their labels
    """
    fonts = matplotlib_fonts("DejaVuSans")
    kinds = [
        (0.12, letters, fonts),
        (0.04, words, fonts),
        (0.16, signs, SIGNS),
        (0.07, signs, FACES),
        (0.06, scribbles),
        (0.05, textures),
        (0.05, polygons),
        (0.03, solids),
    ]
    made_of_digits = [
        (0.06, turned, digits, labels),
        (0.12, several, digits),
        (0.08, cut_wrongly, digits),
        (0.06, halves, digits, labels),
        (0.10, with_marks, digits, labels),
    ]
    return np.concatenate(
        [make(rng, round(share * n), *of) for share, make, *of in kinds]
        + [make(*of, rng, round(share * n)) for share, make, *of in made_of_digits]
    )


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


def words(rng, n, fonts):
    """Two to five letters that touch or nearly do."""
    fonts = [ImageFont.truetype(str(path), 64) for path in fonts]
    images = []
    for _ in range(n):
        canvas, font = Image.new("L", (360, 128)), fonts[rng.integers(len(fonts))]
        x, tight = 20, rng.uniform(0.75, 1)
        for letter in rng.choice(list(ascii_letters), rng.integers(2, 6)):
            ImageDraw.Draw(canvas).text((x, 24), letter, 255, font)
            x += tight * font.getlength(letter)
        images.append(to_mnist_form(np.asarray(canvas) / np.float32(255)))
    return np.stack(images)


def signs(rng, n, strokes):
    """Signs drawn by hand, from their strokes."""
    return np.stack([to_mnist_form(write(rng.choice(strokes), rng, 0.9)) for _ in range(n)])


def solids(rng, n):
    """Filled discs, blocks and bars; none is upright and narrow, as a 1 is."""
    images = []
    for _ in range(n):
        canvas, wide = Image.new("L", (160, 160)), np.exp(rng.uniform(np.log(0.5), np.log(12)))
        box = [80 - 60 * min(1, wide), 80 - 60 / max(1, wide)]
        box += [160 - side for side in box]
        pen = ImageDraw.Draw(canvas)
        (pen.ellipse if wide < 2 and rng.random() < 0.6 else pen.rectangle)(box, 255)
        canvas = canvas.rotate(rng.normal(0, 10), Image.Resampling.BILINEAR)
        soft = ndimage.gaussian_filter(np.asarray(canvas) / np.float32(255), rng.uniform(0, 6))
        images.append(to_mnist_form(soft))
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
    """Triangles, and heaps of 4 to 6 random lines; closed outlines of more corners are like a 0."""
    images = []
    for _ in range(n):
        corners = rng.uniform(20, 108, (rng.integers(4, 7), 2, 2))
        if rng.random() < 0.5:
            angle = 2 * np.pi * (rng.random() + np.arange(3) / 3) + rng.normal(0, 0.3, 3)
            triangle = 64 + 44 * np.stack([np.cos(angle), np.sin(angle)], 1)
            corners = np.stack([triangle, np.roll(triangle, 1, axis=0)], 1)
        canvas, width = Image.new("L", (128, 128)), int(rng.integers(5, 14))
        for line in corners:
            ImageDraw.Draw(canvas).line([*map(tuple, line)], 255, width)
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
