"""Pictures that were made to do harm, from a seed: lies, damage, and small files of much work."""

import io
import json
import struct
import zlib

import numpy as np
from PIL import Image
from sample_pictures import bad_pictures, written

SIDE = 4_990  # pixels; its square is just below what is decoded
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")


def hostile_pictures(sample, n, seed=0):
    """n pairs of a name and a file's bytes: those with much work first, then damaged ones."""
    crafted = [*bad_pictures().items(), *heavy(), *_drawings()]
    return crafted[:n] + _damaged(sample, max(0, n - len(crafted)), np.random.default_rng(seed))


def _file(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def heavy():
    """Files of some kilobytes and 25 million pixels, in every form that Pillow writes."""
    grey = Image.new("L", (SIDE, SIDE), 200)
    progressive = _file(grey.convert("RGB"), "JPEG", progressive=True)
    last = progressive[progressive.rindex(b"\xff\xda") : -2]
    yield "JPEG whose last scan comes 2,000 times", progressive[:-2] + 2_000 * last + b"\xff\xd9"
    noise = np.random.default_rng(0).integers(0, 2, (SIDE, SIDE), bool)
    yield "PNG of noise", _file(Image.fromarray(noise), "PNG", compress_level=1)
    for form in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        yield f"PNG {form}", _file(grey.convert(form), "PNG", compress_level=1)
    for form in ("L", "RGB", "CMYK"):
        yield f"progressive JPEG {form}", _file(grey.convert(form), "JPEG", progressive=True)
    for form in ("L", "RGBA", "CMYK", "I;16", "I", "F"):
        image = grey.convert("F" if form == "F" else "I").convert(form) if form in "IF" else None
        image = image or grey.convert(form)
        yield f"TIFF {form}", _file(image, "TIFF", compression="tiff_adobe_deflate")
    for kind in ("WEBP", "GIF", "AVIF"):
        yield f"{kind}, 25 million pixels", _file(grey.convert("RGB"), kind)
    for width, height in ((250_000, 100), (100, 250_000), (25_000, 999)):
        yield f"PNG, {width} x {height}", _file(Image.new("L", (width, height)), "PNG")
    page = np.full((1_600, 1_600), 255, np.uint8)
    page[::8, ::8] = page[1::8, ::8] = page[2::8, ::8] = 0
    yield "PNG of 40,000 strokes", _file(Image.fromarray(page), "PNG")
    page[::24], page[:, ::24] = 0, 0
    yield "PNG of ruled squares", _file(Image.fromarray(page), "PNG")
    dots = np.random.default_rng(1).integers(0, 256, (1_600, 1_600), np.uint8)
    yield "PNG of grey noise", _file(Image.fromarray(dots), "PNG")


def _drawings():
    """JSON as the page sends it, of as many strokes and points as are allowed, and of nonsense."""
    rng = np.random.default_rng(0)
    for strokes, points in ((1, 20_000), (20, 1_000), (100, 200), (100, 1)):
        places = rng.integers(0, 400, (strokes, points, 2)).tolist()
        yield f"drawing of {strokes} strokes", _json(400, 400, places)
    for width, strokes in {
        400: [[[1e308, 1]]], 401: [[[1, 1]]], 16: [[]], 17: [[[None, 1]]], 18: [[[True, 1]]],
        19: {"a": 1}, 20: "1234", 21: [[[1, 2, 3]]], -1: [[[1, 1]]],
    }.items():  # fmt: skip
        yield f"drawing, {width}", _json(width, 100, strokes)
    yield "drawing, not a number", _json(320, 320, [[[float("nan"), float("inf")]]])
    yield "drawing, deep", b'{"width": 320, "height": 320, "strokes": ' + b"[" * 200_000


def _json(width, height, strokes):
    return json.dumps({"width": width, "height": height, "strokes": strokes}).encode()


def _damaged(sample, n, rng):
    """Digits written in each format, then damaged by one to three blows."""
    image = Image.open(io.BytesIO(written(sample, "42"))).convert("RGB")
    whole = {kind: _file(image, kind) for kind in FORMATS}
    whole["JPEG"] = _file(image, "JPEG", progressive=True)
    blows = (_flipped, _cut, _spliced, _lied)
    damaged = []
    for i in range(n):
        kind = FORMATS[i % len(FORMATS)]
        content = whole[kind]
        for blow in rng.choice(blows, 1 + i % 3):
            content = blow(content, rng)
        damaged.append((f"{kind} damaged, {i}", content))
    return damaged


def _flipped(content, rng):
    bits = np.unpackbits(np.frombuffer(content, np.uint8))
    bits[rng.integers(0, len(bits), 1 + len(bits) // 20_000)] ^= 1
    return np.packbits(bits).tobytes()


def _cut(content, rng):
    return content[: rng.integers(1, len(content) + 1)]


def _spliced(content, rng):
    start, stop, place = np.sort(rng.integers(0, len(content) + 1, 3))
    return content[:start] + content[start:stop] * 2 + content[place:]


def _lied(content, rng):
    """A number in the head is another one; a PNG's head gets the checksum that goes with it."""
    content = bytearray(content)
    place = rng.integers(0, max(1, min(60, len(content) - 4)))
    content[place : place + 4] = struct.pack(
        ">I", rng.choice([0, 1, 5_000, 2**16, 2**31, 2**32 - 1])
    )
    if content[12:16] == b"IHDR":
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)
