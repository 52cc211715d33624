"""Any picture to the ink on it: load_picture opens the file, find_inks parts ink from paper."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy import ndimage

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
MAX_PIXELS = 25_000_000  # a 24-megapixel camera, with a margin
MIN_SIDES = 4, 8  # pixels; a 1 cut out by itself is narrow
MAX_RATIO = 100  # of the sides; longer strips would be reduced to nothing
FAINT = 0.2  # of the ink of a full stroke: fainter pixels are paper
WORK_SIDE = 1600  # pixels; larger pictures are reduced to it while they are decoded


class PictureError(ValueError):
    """The source is no picture that can be read; the message says why."""


class Picture(NamedTuple):
    """An upright picture: `pixels`, uint8 (h, w) or (h, w, 3); `size` before any reduction."""

    pixels: np.ndarray
    size: tuple[int, int]  # width, height


def load_picture(source) -> Picture:
    """The picture in a path, bytes or an array, upright and at most 1600 pixels wide and high.

    An array is grey, shape (h, w) or (h, w, 1), or RGB, (h, w, 3), of integers from 0 to 255.
    Reads the first frame of PNG, JPEG, WebP, BMP, GIF, TIFF and AVIF in any mode, turns it by its
    EXIF flag and puts transparency on white. Raises PictureError for what is not a picture, and for
    pictures of less than 4 x 8 pixels, with one side more than 100 times the other, or of more than
    25 megapixels, before decoding them.
    """
    name = str(source) if isinstance(source, str | Path) else "the picture"
    image = _opened(source, name)
    width, height = image.size
    short, long = sorted(image.size)
    small = short < MIN_SIDES[0] or long < MIN_SIDES[1]
    if small or long > MAX_RATIO * short or width * height > MAX_PIXELS:
        raise PictureError(
            f"{name} has {width} x {height} pixels; expected at least {MIN_SIDES[0]} x "
            f"{MIN_SIDES[1]}, one side at most {MAX_RATIO} times the other, and at most "
            f"{MAX_PIXELS // 10**6} million: crop or resize it"
        )
    try:
        image = _eight_bit(image)
        image.thumbnail((WORK_SIDE, WORK_SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
        turned = ImageOps.exif_transpose(image)
    except MemoryError:
        raise
    except Exception as error:  # decoders raise whatever they like on damaged files
        raise PictureError(f"{name} is damaged and cannot be decoded: {error}") from error
    if (turned.size[0] > turned.size[1]) != (image.size[0] > image.size[1]):
        width, height = height, width
    return Picture(np.asarray(_flat(turned)), (width, height))


def _opened(source, name):
    """The image of a source, not decoded yet; PictureError, with the name, where it is none."""
    try:
        if isinstance(source, np.ndarray):
            return Image.fromarray(_as_pixels(source))
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        return Image.open(file, formats=FORMATS)
    except (FileNotFoundError, PictureError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise PictureError(f"{name} is too large ({error}): resize it") from error
    except UnidentifiedImageError as error:
        if _start(source)[4:11] in (b"ftyphei", b"ftyphev", b"ftypmif"):
            kind = "HEIC, which is not read: open it in a viewer and save it as JPEG (an iPhone "
            kind += "takes JPEG with Settings, Camera, Formats, Most Compatible)"
        else:
            kind = "not a PNG, JPEG, WebP, BMP, GIF, TIFF or AVIF picture"
        raise PictureError(f"{name} is {kind}") from error
    except Exception as error:  # of the system, or of a decoder
        raise PictureError(f"{name} cannot be opened: {error}") from error


def _start(source):
    """The first bytes of a file, as far as it can be opened."""
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as file:
            return file.read(12)
    except (OSError, TypeError):
        return b""


def _as_pixels(array):
    """An array as Pillow takes it."""
    if array.dtype.kind not in "ui" or (array != array.clip(0, 255)).any():
        raise PictureError(f"an array of {array.dtype}: expected integers from 0 to 255")
    return array.astype(np.uint8).squeeze(axis=2 if array.shape[2:] == (1,) else ())


def _eight_bit(image):
    """The image in a mode that Pillow can resize: L, LA, RGB, RGBA or CMYK."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = image if image.mode == "F" else image.convert("I")
        image = image.reduce(max(1, max(image.size) // (2 * WORK_SIDE)))  # 4 bytes for each pixel
        values = np.asarray(image, np.float32)
        top = 65535 if values.max() > 255 else 255  # some programs keep 8 bits in 16
        top = top if image.mode != "F" else max(values.max(), 1e-9)
        return Image.fromarray((values.clip(0, top) * (255 / top)).astype(np.uint8))
    if image.mode in ("P", "PA"):
        return image.convert("RGBA")
    return image if image.mode in ("L", "LA", "RGB", "RGBA", "CMYK") else image.convert("RGB")


def _flat(image):
    """The image as L or RGB, on white; on black where its ink is white itself."""
    if image.mode in ("LA", "RGBA"):
        image = image.convert("RGBA")
        for paper in ("white", "black"):
            flat = Image.alpha_composite(Image.new("RGBA", image.size, paper), image).convert("RGB")
            if max(high - low for low, high in flat.getextrema()) > 8:
                break
        image = flat
    return image if image.mode == "L" else image.convert("RGB")


def find_inks(pixels):
    """How much ink each pixel holds, in five ways; the likelier come first.

    Each is float32 (h, w), 0 on paper, about 1 where strokes are full: dark or bright ink; each
    of these without what is fainter than half a full stroke; so, too, dark ink on the largest
    bright area of a large picture, such as a sheet on a carpet. Paper is what a square wider
    than the strokes fits into (a morphological opening), so shading and broad shadows are paper
    too. The square is chosen from the strokes seen with a wide one.
    """
    grey = _ink_is_bright(_grey(pixels.astype(np.float32)))
    inks = []
    for sign in (1, -1):
        inks.append(_ink(sign * grey))
        yield inks[-1]
    for ink in inks:
        yield np.where(ink < 0.5, 0, ink)
    if min(grey.shape) > 256:
        grey = pixels if pixels.ndim == 2 else pixels.mean(2)
        sheet = _sheet(grey.astype(np.float32))
        if sheet.any():
            ink = _ink(-np.where(sheet, grey, np.median(grey[sheet])).astype(np.float32))
            yield np.where(ink < 0.5, 0, ink)


def _sheet(grey):
    """The largest bright area of a picture and what it encloses: a mask."""
    small, _ = _shrink(grey)
    level = small.mean()
    for _ in range(10):  # isodata (Ridler and Calvard, 1978)
        bright = small > level
        level = (small[bright].mean() + small[~bright].mean()) / 2 if bright.any() else level
    square = np.ones((5, 5))
    labels, _ = ndimage.label(ndimage.binary_opening(bright, square))
    area = labels == np.bincount(labels.ravel(), minlength=2)[1:].argmax() + 1
    area = ndimage.binary_closing(np.pad(area, 40), square, 6)[40:-40, 40:-40]
    area = ndimage.binary_opening(ndimage.binary_fill_holes(area), square, 3)  # smooth its edge
    area = ndimage.binary_erosion(area, square, 2)
    large = Image.fromarray(area).resize(grey.shape[::-1], Image.Resampling.NEAREST)
    return np.asarray(large)


def _ink(grey):
    noise = _noise(grey)
    wide = 0.4 * max(grey.shape)
    ink = _above_paper(grey, wide)
    square = max(6 * _run_length(ink > 0.5 * _level(ink, noise)), 0.2 * wide)
    if square < 0.7 * wide:
        ink = _above_paper(grey, square)
    ink[_frame(ink > 0.4 * _level(ink, noise))] = 0
    ink[ink < 3 * noise] = 0
    return np.minimum(ink / _level(ink, noise), 1)


def _noise(grey):
    """Standard deviation of the pixel noise, from what no straight edge or shading explains."""
    twist = grey[1:, 1:] - grey[1:, :-1] - grey[:-1, 1:] + grey[:-1, :-1]
    return np.median(np.abs(twist)) / 0.6745 / 2


def _level(ink, noise):
    """The value of a full stroke; infinite where nothing stands out from the paper."""
    strong = ink[ink > max(4 * noise, 4)].astype(np.float64)
    if not strong.size:
        return np.inf
    mean = (strong**3).sum() / (strong**2).sum()
    return np.median(strong[strong > 0.95 * mean])


def _run_length(mask):
    """The median length of the horizontal and vertical runs of a mask, in pixels."""
    runs = []
    for lines in (mask, mask.T):
        edges = np.flatnonzero(np.diff(np.pad(lines, ((0, 0), (1, 1))).ravel()))
        runs.append(edges[1::2] - edges[::2])
    runs = np.concatenate(runs)
    return np.median(runs) if runs.size else np.inf


def _frame(mask):
    """What lies along the edge of the picture, such as a desk or the line of a box: a mask."""
    labels, n = ndimage.label(mask, np.ones((3, 3)))
    boxes = ndimage.find_objects(labels)
    border = np.concatenate([labels[0], labels[-1], labels[1:-1, 0], labels[1:-1, -1]])
    contact = np.bincount(border, minlength=n + 1)
    frame = [0] + [
        contact[i + 1] > 0.75 * max(s.stop - s.start for s in boxes[i]) for i in range(n)
    ]
    frame = np.array(frame, bool)
    return frame[labels] if not frame[1:].all() else np.zeros_like(mask)


def _grey(pixels):
    """Colour projected on the direction in which it varies most from its surroundings, (h, w)."""
    if pixels.ndim == 2:
        return pixels
    if (pixels[..., :1] == pixels[..., 1:]).all():
        return pixels[..., 0]
    small, _ = _shrink(pixels)
    side = max(small.shape) // 4
    difference = (small - ndimage.uniform_filter(small, (side, side, 0))).reshape(-1, 3)
    difference *= np.linalg.norm(difference, axis=1, keepdims=True)
    axis = np.linalg.eigh(difference.T @ difference)[1][:, -1]
    return pixels @ (axis / np.abs(axis).sum()).astype(np.float32)


def _shrink(pixels):
    """The picture averaged to at most 256 pixels a side, and how many of its pixels one is now."""
    step = -(-max(pixels.shape) // 256)
    mean = ndimage.uniform_filter(pixels, (step, step, 0)[: pixels.ndim], mode="nearest")
    return mean[step // 2 :: step, step // 2 :: step], step


def _ink_is_bright(grey):
    """The picture or its negative: the one in which bright strokes are more.

    Opening with a square of side s removes what is narrower than s. Over s squared, summed over
    s = 2, 4, 8 ..., that area counts a stroke by how often its width goes into its length, and
    the holes of digits, the paper between them, stains and reflections as one or two each. The rim
    of the picture, where ink is rare, tips the balance by up to three.
    """
    small, _ = _shrink(grey)
    least = max(4 * _noise(small), 4)
    rim = -(-max(small.shape) // 28)
    rim = np.mean(
        [small[:rim].mean(), small[-rim:].mean(), small[:, :rim].mean(), small[:, -rim:].mean()]
    )
    rim = (rim - small.min()) / max(np.ptp(small), least)
    strokes = {1: 0, -1: 0}
    for sign in strokes:
        for side in 2 ** np.arange(1, int(np.log2(max(small.shape)))):
            narrow = _top_hat(sign * small, side)
            strokes[sign] += narrow[narrow > least].sum() / side**2
    return grey if strokes[1] * (1.5 - rim) >= strokes[-1] * (0.5 + rim) else -grey


def _top_hat(grey, side):
    return grey - ndimage.grey_opening(grey, (side, side), mode="nearest")


def _above_paper(grey, side):
    """How far each pixel is brighter than the paper, with an opening of that side in pixels."""
    small, step = _shrink(grey)
    side = max(3, round(side / step))
    paper = ndimage.grey_opening(small, (side, side), mode="nearest")
    if step > 1:
        paper = Image.fromarray(paper).resize(grey.shape[::-1], Image.Resampling.BILINEAR)
    above = grey - np.asarray(paper)
    return np.maximum(above - np.median(above), 0)
