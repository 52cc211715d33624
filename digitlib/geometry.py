"""Digit images in numbers, ink, size, place and slant; and without their slant."""

import numpy as np
import pandas as pd

from digitlib.data import checked_images


def ink_geometry(images: np.ndarray) -> pd.DataFrame:
    """Ink, size, place and slant of each image: a DataFrame of n rows.

    images : uint8, shape (n, 28, 28), none of them empty
    Columns: ink, 0 (an empty image) to 1 (a black one); longest_side of the box around the ink,
    in pixels; x and y of the centre of mass, in pixels from the centre of the first; slant in
    degrees from the second moments, positive where the digit leans forward, as / does.
    """
    images = checked_images(images)
    grid = np.arange(28, dtype=np.float32)
    by_row = images.sum(axis=2).astype(float)
    x_by_row = (images.astype(np.float32) @ grid).astype(float)
    total = by_row.sum(axis=1)
    if not total.all():
        raise ValueError(f"images: the one at index {total.argmin()} is empty")
    x, y = x_by_row.sum(axis=1) / total, by_row @ grid / total
    covariance_xy = x_by_row @ grid / total - x * y
    variance_y = by_row @ grid**2 / total - y**2
    sides = []
    for inked in (images.any(axis=1), images.any(axis=2)):
        sides.append(28 - inked.argmax(axis=1) - inked[:, ::-1].argmax(axis=1))
    columns = {
        "ink": total / (255 * 28 * 28),
        "longest_side": np.maximum(*sides),
        "x": x,
        "y": y,
        "slant": np.degrees(np.arctan2(-covariance_xy, variance_y)),
    }
    return pd.DataFrame(columns)


def upright(images: np.ndarray) -> np.ndarray:
    """Images without their slant: their rows of pixels moved sideways until the ink does not lean.

    images : uint8, shape (n, 28, 28), none of them empty
    Returns images of the same kind, of slant 0 and with the centre of mass 14 pixels from the left,
    but for rounding and for ink that reaches the border: there the outermost pixels are repeated.
    Source: the deslanted images of LeCun, Bottou, Bengio and Haffner (1998), "Gradient-based
    learning applied to document recognition".
    """
    x, y, slant = ink_geometry(images)[["x", "y", "slant"]].to_numpy().T
    lean = -np.tan(np.radians(slant))  # pixels across for each pixel down
    shift = x - 14 - lean * y
    n_parts = len(images) // 1000 + 1  # for memory
    parts = zip(*(np.array_split(each, n_parts) for each in (images, lean, shift)), strict=True)
    return np.concatenate([_moved(*part) for part in parts])


def _moved(images, lean, shift):
    """Rows moved to the left, by `shift` and by `lean` more for each row down."""
    grid = np.arange(28)
    places = grid + lean[:, None, None] * grid[:, None] + shift[:, None, None]
    places = places.clip(0, 26.999)
    left = places.astype(int)
    ink = images.astype(float)
    near, far = (np.take_along_axis(ink, left + i, axis=2) for i in (0, 1))
    return np.round(near + (places - left) * (far - near)).astype(np.uint8)
