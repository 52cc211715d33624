"""Numbers on paper as strangers send them, made from MNIST's digits: to develop and test with.

`made_page` draws a page of one of `KINDS`. The handwriting is MNIST's; the page is new.
"""

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

HEIGHT = 48  # pixels of a digit on the page, give or take a sixth
SIGNS = {"dash": "-", "comma": ",", "point": ".", "slashes": "/", "divided": "÷"}


def drawn(image, height):
    """An MNIST image large and with sharp edges, cropped to its ink: float (h, w) in [0, 1]."""
    zoom = height / np.ptp(np.flatnonzero((image > 60).any(1)))
    ink = ndimage.gaussian_filter(ndimage.zoom(image / 255, zoom, order=3), 0.4 * zoom)
    ink = ((ink - 0.5) * zoom + 0.5).clip(0, 1)
    rows, columns = (np.flatnonzero((ink > 0.2).any(axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def side_by_side(inks, gap):
    """Inks on one line, `gap` pixels between their boxes, less than 0 where these overlap."""
    tall = max(map(len, inks))
    canvas = np.zeros((tall, sum(ink.shape[1] + max(gap, 0) for ink in inks)))
    left = 0
    for ink in inks:
        top = (tall - len(ink)) // 2
        area = canvas[top : top + len(ink), left : left + ink.shape[1]]
        area[:] = np.maximum(area, ink)
        left += ink.shape[1] + gap
    return canvas[:, : left - gap]


def sign(kind, width):
    """A sign beside digits of HEIGHT, as high as these: ink, float (HEIGHT, w)."""
    canvas = Image.new("L", (28, HEIGHT))
    draw = ImageDraw.Draw(canvas)

    def dot(x, y):
        draw.ellipse([x - width * 0.7, y - width * 0.7, x + width * 0.7, y + width * 0.7], 255)

    if kind in ("dash", "divided"):
        draw.line([(4, HEIGHT / 2), (24, HEIGHT / 2)], 255, width)
    if kind == "divided":
        dot(14, HEIGHT * 0.25)
        dot(14, HEIGHT * 0.75)
    if kind == "point":
        dot(14, HEIGHT - width)
    if kind == "comma":
        draw.line([(15, HEIGHT - 11), (10, HEIGHT - 1)], 255, width)
    if kind == "slashes":
        draw.line([(24, 0), (4, HEIGHT)], 255, width)
    return np.asarray(canvas) / 255


def number(digits, rng, kind=None, gap=None):
    """Ink of a number and its text: a list of (image, label), with a sign within or none."""
    inks = [drawn(image, int(HEIGHT * rng.uniform(0.83, 1.17))) for image, _ in digits]
    text = "".join(str(label) for _, label in digits)
    if kind in SIGNS:
        at = len(digits) // 2
        inks.insert(at, sign(kind, int(rng.integers(3, 6))))
        text = text[:at] + SIGNS[kind] + text[at:]
    return side_by_side(inks, int(rng.integers(5, 16)) if gap is None else gap), text


def sheet_of(lines, margin=40, leading=36):
    """Lines of ink one under another on one sheet, and the rows where each begins."""
    width = max(line.shape[1] for line in lines) + 2 * margin
    height = sum(len(line) + leading for line in lines) - leading + 2 * margin
    sheet, tops, top = np.zeros((height, width)), [], margin
    for line in lines:
        sheet[top : top + len(line), margin : margin + line.shape[1]] = line
        tops.append(top)
        top += len(line) + leading
    return sheet, tops


def rule(sheet, rows, thick, slope=0.0):
    """Draw lines across the sheet at these rows."""
    y, x = np.indices(sheet.shape)
    for row in rows:
        sheet[np.abs(y - row - slope * (x - sheet.shape[1] / 2)) < thick / 2] = 1


def box(sheet, top, left, bottom, right, thick):
    """Draw a rectangle."""
    for part in (
        sheet[top : top + thick, left:right],
        sheet[bottom - thick : bottom, left:right],
        sheet[top:bottom, left : left + thick],
        sheet[top:bottom, right - thick : right],
    ):
        part[:] = 1


def _plain(lines, rng):
    return sheet_of(lines)[0]


def _ruled(count):
    def draw(lines, rng):
        sheet, tops = sheet_of(lines)
        ends = [
            top + len(line) + int(rng.integers(-6, 10))
            for top, line in zip(tops, lines, strict=True)
        ]
        if count == 2:
            ends += [top - int(rng.integers(2, 10)) for top in tops]
        if count == 9:
            ends = np.arange(rng.integers(5, 30), len(sheet), rng.integers(30, 70))
        rule(sheet, ends, rng.integers(1, 4) + 0.1, rng.uniform(-0.02, 0.02))
        return sheet

    return draw


def _squared(lines, rng):
    sheet, _ = sheet_of(lines)
    step, thick = rng.integers(24, 60), rng.integers(1, 3) + 0.1
    for side in (sheet, sheet.T):
        rule(side, np.arange(rng.integers(step), len(side), step), thick)
    return sheet


def _boxed(lines, rng):
    sheet, tops = sheet_of(lines)
    for top, line in zip(tops, lines, strict=True):
        margin = int(rng.integers(8, 16))
        box(
            sheet,
            top - margin,
            40 - margin,
            top + len(line) + margin,
            40 + line.shape[1] + margin,
            int(rng.integers(1, 4)),
        )
    return sheet


def _framed(lines, rng):
    sheet, _ = sheet_of(lines)
    inset = int(rng.integers(0, 8))
    box(sheet, inset, inset, len(sheet) - inset, sheet.shape[1] - inset, int(rng.integers(1, 4)))
    return sheet


KINDS = {
    "plain": _plain,
    "one rule": _ruled(1),
    "two rules": _ruled(2),
    "ruled": _ruled(9),
    "squared": _squared,
    "boxed": _boxed,
    "framed": _framed,
}
PAPERS = ("clean", "photo", "dark corners", "dark canvas", "light margin", "gradient")


def made_page(kind, digits, rng, rows=1):
    """A picture of a number or a page, uint8 (h, w, 3), and its text, lines apart.

    kind : of `KINDS`, `SIGNS` or `PAPERS`, "forms" or "table"
    digits : list of (image, label)
    """
    if kind in ("forms", "table"):
        return _in_cells(kind, digits, rng, rows)
    parts = [digits[i::rows] for i in range(rows)]
    lines, texts = zip(*(number(part, rng, kind) for part in parts), strict=True)
    sheet = KINDS.get(kind, _plain)(list(lines), rng)
    return on_paper(sheet, kind, rng), "\n".join(texts)


def _in_cells(kind, digits, rng, rows):
    """A form: each digit in a box of its own; a table: numbers of two digits in ruled cells."""
    size = 1 if kind == "forms" else 2
    groups = [digits[i : i + size] for i in range(0, len(digits) // size * size, size)]
    columns = -(-len(groups) // rows)
    high, wide = int(HEIGHT * 1.6), int(HEIGHT * (0.6 + 0.9 * size))
    gap = int(rng.choice([0, 6, 14])) if kind == "forms" else 0
    sheet = np.zeros((60 + rows * (high + gap), 60 + columns * (wide + gap)))
    thick, texts = int(rng.integers(1, 4)), [[] for _ in range(rows)]
    for k, group in enumerate(groups):
        row, column = divmod(k, columns)
        ink, text = number(group, rng, gap=4)
        top, left = 30 + row * (high + gap), 30 + column * (wide + gap)
        y = top + int(rng.integers(4, max(5, high - len(ink) - 3)))
        x = left + int(rng.integers(4, max(5, wide - ink.shape[1] - 3)))
        area = sheet[y : y + len(ink), x : x + ink.shape[1]]
        area[:] = np.maximum(area, ink[: len(area), : area.shape[1]])
        box(sheet, top, left, top + high + 1, left + wide + 1, thick)
        texts[row].append(text)
    return on_paper(sheet, kind, rng), "\n".join("".join(t) for t in texts if t)


def on_paper(sheet, kind, rng):
    """The ink on paper, lit and photographed as `kind` says: uint8 (h, w, 3)."""
    y, x = np.indices(sheet.shape)
    y, x = y / len(sheet) - 0.5, x / sheet.shape[1] - 0.5
    paper = np.full((*sheet.shape, 3), rng.uniform(225, 255))
    ink = np.array([rng.uniform(0, 70), rng.uniform(0, 70), rng.uniform(0, 120)])
    if kind == "gradient":
        ends = rng.uniform(90, 255, (2, 3))
        paper = ends[0] + (ends[1] - ends[0]) * (x + 0.5)[..., None]
        ink = ink / 2
    if kind == "dark canvas" or kind == "light margin":
        paper, ink = np.full((*sheet.shape, 3), 10.0), np.full(3, 245.0)
    picture = paper + sheet[..., None] * (ink - paper)
    if kind == "light margin":
        side = int(rng.integers(8, 40))
        picture = np.pad(picture, ((side, side), (side, side), (0, 0)), constant_values=240)
    if kind == "photo":
        picture *= (0.9 + 0.3 * (x * rng.uniform(-1, 1) + y))[..., None]
        picture = ndimage.gaussian_filter(picture, (1, 1, 0))
    if kind == "dark corners":
        distance = np.hypot(x, y) / 0.7
        picture *= (1 - 0.75 * distance.clip(0.55, 1) ** 2 + 0.23)[..., None].clip(0, 1)
    picture += rng.normal(0, rng.choice([0, 2, 4]), picture.shape)
    return picture.clip(0, 255).astype(np.uint8)
