"""Pictures for the tests, as the bytes of a file; the digits on them are real ones from MNIST."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def png(pixels):
    """Any uint8 array as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def written(data, text):
    """Digits and dashes in black on white; each digit is the first of its kind in the test data."""
    lines = [np.concatenate([_sign(data, sign) for sign in line], 1) for line in text.split("\n")]
    width = max(line.shape[1] for line in lines)
    ink = [np.pad(line, ((0, 0), (0, width - line.shape[1]))) for line in lines]
    page = Image.fromarray(255 - np.concatenate(ink))
    return png(np.asarray(page.resize((4 * page.width, 4 * page.height), Image.Resampling.BICUBIC)))


def _sign(data, sign):
    if sign == "-":
        return np.pad(np.full((3, 10), 255, np.uint8), ((13, 12), (2, 2)))
    return np.pad(data.x_test[np.flatnonzero(data.y_test == int(sign))[0]], ((0, 0), (4, 4)))


def bomb():
    """A PNG of a few hundred bytes that promises 30,000 x 30,000 pixels."""

    def chunk(name, content):
        body = name + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(100_000))
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def bad_pictures():
    """Name and bytes of what is no picture that can be read."""
    noise = np.random.default_rng(0).integers(0, 256, (200, 200), np.uint8)
    return {
        "text.png": b"this is text\n" * 100,
        "truncated.png": png(noise)[:10_000],
        "bomb.png": bomb(),
        "1x1.png": png(np.zeros((1, 1), np.uint8)),
        "1x20000.png": png(np.zeros((20_000, 1), np.uint8)),
        "8x20000.png": png(np.zeros((20_000, 8), np.uint8)),
        "empty.png": b"",
    }
