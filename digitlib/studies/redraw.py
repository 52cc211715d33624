"""Digits drawn again inside the training step, as another hand and pen might have drawn them."""

import tensorflow as tf

from digitlib.recipes.augmentation import sample, uniform


def redraw(images):
    """The images as another hand and another pen might have drawn them, float32 (n, 28, 28, 1).

    images : float32, shape (n, 28, 28, 1), in [0, 1]
    Each is bent and slanted, drawn thinner or thicker,
    blurred, sometimes cut or scarred, and brought to MNIST's form again, as a picture is before it
    is read.
    """
    drawn = _bend(images)
    drawn = _restroke(drawn)
    drawn = _to_form(_ruled(_cut(drawn)))
    return _reblur(drawn)


def _bend(images):
    """Affine and elastic distortion, onto a canvas of twice the resolution: (n, 56, 56)."""
    n = tf.shape(images)[0]
    turn, slant = uniform(n, -0.15, 0.15, 1), uniform(n, -0.2, 0.2, 1)
    zoom, stretch = uniform(n, 1.0, 1.25, 1), tf.exp(uniform(n, -0.15, 0.15, 1))
    cos, sin = tf.cos(turn), tf.sin(turn)
    line = (tf.range(56, dtype=tf.float32) - 27.5) / 2
    x, y = (tf.reshape(c, (1, -1)) for c in tf.meshgrid(line, line))
    wave = tf.random.normal((n, 6, 6, 2)) * uniform(n, 0.0, 0.8, 1, 1, 1)
    wave = tf.reshape(tf.image.resize(wave, (56, 56), "bicubic"), (n, -1, 2))
    across = zoom * stretch * (cos * x + (slant * cos - sin) * y) + wave[..., 0]
    down = zoom / stretch * (sin * x + (slant * sin + cos) * y) + wave[..., 1]
    places = tf.stack([across, down], 2) + 13.5
    return tf.reshape(sample(images, places), (n, 56, 56, 1))


def _restroke(drawn):
    """Strokes up to 1 pixel of MNIST's thinner or 2 thicker, by grey erosion and dilation."""
    n = tf.shape(drawn)[0]
    thin = -tf.nn.max_pool2d(-drawn, 3, 1, "SAME")
    thick = tf.nn.max_pool2d(drawn, 3, 1, "SAME")
    thicker = tf.nn.max_pool2d(thick, 3, 1, "SAME")
    amount = uniform(n, -0.7, 1.6, 1, 1, 1)
    ramp = [tf.clip_by_value(1 - tf.abs(amount - step), 0, 1) for step in (-1, 0, 1, 2)]
    return sum(w * image for w, image in zip(ramp, (thin, drawn, thick, thicker), strict=True))


def _cut(drawn):
    """One in eight loses up to 6 of its 56 columns or rows of canvas on one side of the ink."""
    n = tf.shape(drawn)[0]
    edge = uniform(n, 8.0, 14.0, 1, 1, 1) * tf.cast(uniform(n, 0, 1, 1, 1, 1) < 0.125, tf.float32)
    line = tf.range(56, dtype=tf.float32)
    line = tf.stack([line, 55 - line])[tf.random.uniform((), 0, 2, tf.int32)]
    across = tf.random.uniform(()) < 0.5
    line = tf.where(across, tf.reshape(line, (1, 56, 1, 1)), tf.reshape(line, (1, 1, 56, 1)))
    return drawn * tf.cast(line >= edge, tf.float32)


def _ruled(drawn):
    """Where a ruled line was removed: one in ten lost a thin band, one in ten kept a bit of line.

    The band is 1 to 2 pixels of MNIST's wide, the bit 2 to 5 long, where the line meets the ink.
    """
    n = tf.shape(drawn)[0]
    quarter = tf.random.uniform((), 0, 4, tf.int32)
    drawn = tf.image.rot90(drawn, quarter)[..., 0]
    line = tf.range(56.0)
    level = uniform(n, 14, 42, 1, 1) + uniform(n, -0.1, 0.1, 1, 1) * (line - 27.5)
    distance = tf.abs(line[:, None] - level)
    band = tf.clip_by_value(uniform(n, 1.5, 2.5, 1, 1) - distance, 0, 1)
    lost = tf.reduce_sum(drawn * band, (1, 2), keepdims=True)
    slight = lost < 0.2 * tf.reduce_sum(drawn, (1, 2), keepdims=True)
    meets = tf.reduce_max(drawn * band, 1, keepdims=True) > 0.25
    first = tf.cast(tf.argmax(meets, 2, tf.int32), tf.float32)[..., None]
    bit = (line >= first - uniform(n, 4, 10, 1, 1)) & (line <= first + 2) & (first > 0)
    stub = tf.where(bit, tf.clip_by_value(uniform(n, 1.0, 2.0, 1, 1) - distance, 0, 1), 0)
    chance = uniform(n, 0, 1, 1, 1)
    gone = tf.where(slight & (chance < 0.1), drawn * (1 - band), drawn)
    drawn = tf.where(chance > 0.9, tf.maximum(drawn, stub), gone)
    return tf.image.rot90(drawn[..., None], 4 - quarter)


def _to_form(drawn):
    """MNIST's form: ink 20 pixels long, its centre of mass at 14; (n, 28, 28, 1)."""
    n = tf.shape(drawn)[0]
    line = tf.range(56, dtype=tf.float32)
    sides, centres = [], []
    for axis in (2, 1):
        inked = tf.reduce_max(drawn, (axis, 3)) > 0.25
        first = tf.reduce_min(tf.where(inked, line, 55.0), 1)
        sides.append(tf.reduce_max(tf.where(inked, line, 0.0), 1) - first + 1)
        mass = tf.reduce_sum(drawn, (axis, 3))
        centres.append(tf.reduce_sum(mass * line, 1) / (tf.reduce_sum(mass, 1) + 1e-6))
    scale = tf.maximum(tf.maximum(*sides), 8.0) / 40
    jitter = uniform(n, -1.0, 1.0, 2)  # MNIST's centres of mass lie within half a pixel of 14
    top, left = (c - (28.5 + jitter[:, i]) * scale for i, c in enumerate(centres))
    zero = tf.zeros(n)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=drawn,
        transforms=tf.stack([scale, zero, left, zero, scale, top, zero, zero], 1),
        output_shape=(56, 56),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return tf.nn.avg_pool2d(moved, 2, 2, "SAME")


def _reblur(drawn):
    """From crisp to blurred edges, and from pale to full ink."""
    n = tf.shape(drawn)[0]
    soft = tf.nn.avg_pool2d(drawn, 3, 1, "SAME")
    drawn += uniform(n, -0.6, 0.7, 1, 1, 1) * (soft - drawn)
    drawn /= tf.reduce_max(drawn, (1, 2, 3), keepdims=True) + 1e-6
    return tf.clip_by_value(drawn * uniform(n, 0.85, 1.3, 1, 1, 1), 0, 1)
