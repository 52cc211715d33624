"""Digits distorted, damaged or redrawn inside the training step, a batch at a time."""

import math
from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Distortion:
    """For `Recipe.augment`: every image distorted by its own random amounts, up to those given.

    shift : pixels in each direction
    rotation : degrees to either side
    scale : width and height, each by itself, by up to this fraction more or less
    shear : pixels across for each pixel down
    elastic : pixels, the standard deviation of a smooth random field on a grid of 5 x 5
    stroke : up to this share of a pixel on each side of a stroke thicker or thinner

    Called with float32 images (n, 28, 28, 1) in [0, 1] it gives images of the same kind.
    Source: Simard, Steinkraus and Platt (2003), "Best practices for convolutional neural networks
    applied to visual document analysis", with a field on a grid for their blurred noise.
    """

    shift: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    elastic: float = 0.0
    stroke: float = 0.0

    def __call__(self, images):
        n = tf.shape(images)[0]
        if self.stroke:
            images = self._restroked(images, n)
        return tf.reshape(_sample(images, self._places(n)), (n, 28, 28, 1))

    def _places(self, n):
        """Where each pixel of the distorted images comes from: x and y, (n, 784, 2)."""
        angle, shear = (
            _uniform(n, -reach, reach, 1) for reach in (self.rotation * math.pi / 180, self.shear)
        )
        shift, scale = (_uniform(n, -reach, reach, 1, 2) for reach in (self.shift, self.scale))
        cos, sin = tf.cos(angle), tf.sin(angle)
        line = tf.range(28, dtype=tf.float32) - 13.5
        x, y = (tf.reshape(c, (1, -1)) for c in tf.meshgrid(line, line))
        turned = [cos * x + (shear * cos - sin) * y, sin * x + (shear * sin + cos) * y]
        places = tf.stack(turned, 2) * tf.exp(scale) + shift + 13.5
        if self.elastic:
            field = tf.random.normal((n, 5, 5, 2), stddev=self.elastic)
            places += tf.reshape(tf.image.resize(field, (28, 28), "bicubic"), (n, 784, 2))
        return places

    def _restroked(self, images, n):
        """Towards the grey dilation of the images, or towards their grey erosion."""
        amount = _uniform(n, -self.stroke, self.stroke, 1, 1, 1)
        thick = tf.nn.max_pool2d(images, 3, 1, "SAME")
        thin = -tf.nn.max_pool2d(-images, 3, 1, "SAME")
        return images + tf.abs(amount) * (tf.where(amount > 0, thick, thin) - images)


def redraw(images):
    """The images as another hand and another pen might have drawn them, float32 (n, 28, 28, 1).

    images : float32, shape (n, 28, 28, 1), in [0, 1]
    Each is bent and slanted, drawn thinner or thicker,
    blurred, sometimes cut, and brought to MNIST's form again, as a picture is before it is read.
    """
    drawn = _bend(images)
    drawn = _restroke(drawn)
    drawn = _to_form(_cut(drawn))
    return _reblur(drawn)


def _uniform(n, low, high, *shape):
    return tf.random.uniform((n, *shape), low, high)


def _bend(images):
    """Affine and elastic distortion, onto a canvas of twice the resolution: (n, 56, 56)."""
    n = tf.shape(images)[0]
    turn, slant = _uniform(n, -0.15, 0.15, 1), _uniform(n, -0.2, 0.2, 1)
    zoom, stretch = _uniform(n, 1.0, 1.25, 1), tf.exp(_uniform(n, -0.15, 0.15, 1))
    cos, sin = tf.cos(turn), tf.sin(turn)
    line = (tf.range(56, dtype=tf.float32) - 27.5) / 2
    x, y = (tf.reshape(c, (1, -1)) for c in tf.meshgrid(line, line))
    wave = tf.random.normal((n, 6, 6, 2)) * _uniform(n, 0.0, 0.8, 1, 1, 1)
    wave = tf.reshape(tf.image.resize(wave, (56, 56), "bicubic"), (n, -1, 2))
    across = zoom * stretch * (cos * x + (slant * cos - sin) * y) + wave[..., 0]
    down = zoom / stretch * (sin * x + (slant * sin + cos) * y) + wave[..., 1]
    places = tf.stack([across, down], 2) + 13.5
    return tf.reshape(_sample(images, places), (n, 56, 56, 1))


def _sample(images, places):
    """The images' bilinear values at x and y, (n, m, 2), or at the nearest place inside: (n, m)."""
    places = tf.clip_by_value(places, 0.0, 26.999)
    corner = tf.floor(places)
    x, y = tf.unstack(places - corner, axis=2)
    first = 784 * tf.range(tf.shape(images)[0])[:, None]
    start = first + tf.cast(corner[..., 1] * 28 + corner[..., 0], tf.int32)
    flat = tf.reshape(images, (-1,))
    a, b, c, d = (tf.gather(flat, start + step) for step in (0, 1, 28, 29))
    return (a * (1 - x) + b * x) * (1 - y) + (c * (1 - x) + d * x) * y


def _restroke(drawn):
    """Strokes up to 1 pixel of MNIST's thinner or 2 thicker, by grey erosion and dilation."""
    n = tf.shape(drawn)[0]
    thin = -tf.nn.max_pool2d(-drawn, 3, 1, "SAME")
    thick = tf.nn.max_pool2d(drawn, 3, 1, "SAME")
    thicker = tf.nn.max_pool2d(thick, 3, 1, "SAME")
    amount = _uniform(n, -0.7, 1.6, 1, 1, 1)
    ramp = [tf.clip_by_value(1 - tf.abs(amount - step), 0, 1) for step in (-1, 0, 1, 2)]
    return sum(w * image for w, image in zip(ramp, (thin, drawn, thick, thicker), strict=True))


def _cut(drawn):
    """One in eight loses up to 6 of its 56 columns or rows of canvas on one side of the ink."""
    n = tf.shape(drawn)[0]
    edge = _uniform(n, 8.0, 14.0, 1, 1, 1) * tf.cast(_uniform(n, 0, 1, 1, 1, 1) < 0.125, tf.float32)
    line = tf.range(56, dtype=tf.float32)
    line = tf.stack([line, 55 - line])[tf.random.uniform((), 0, 2, tf.int32)]
    across = tf.random.uniform(()) < 0.5
    line = tf.where(across, tf.reshape(line, (1, 56, 1, 1)), tf.reshape(line, (1, 1, 56, 1)))
    return drawn * tf.cast(line >= edge, tf.float32)


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
    jitter = _uniform(n, -1.0, 1.0, 2)  # MNIST's centres of mass lie within half a pixel of 14
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
    drawn += _uniform(n, -0.6, 0.7, 1, 1, 1) * (soft - drawn)
    drawn /= tf.reduce_max(drawn, (1, 2, 3), keepdims=True) + 1e-6
    return tf.clip_by_value(drawn * _uniform(n, 0.85, 1.3, 1, 1, 1), 0, 1)


@dataclass(frozen=True)
class Damage:
    """For `Recipe.augment`: distorted, and then half of the images damaged in generic ways.

    distortion : what happens to every image first
    noise : the largest standard deviation of Gaussian noise
    contrast : the smallest share of the full contrast that is left
    patches : how many rectangles at most get a tone of their own

    Of the damaged images half are blurred, half get another tone (a lighter paper, paler ink,
    light ink on dark paper or the reverse), and all get noise. None of these is one of MNIST-C's
    corruptions; several are simpler relatives of some of them.
    """

    distortion: Distortion
    noise: float
    contrast: float
    patches: int

    def __call__(self, images):
        images = self.distortion(images)
        n = tf.shape(images)[0]
        damaged = tf.where(_chance(n, 0.5), _blurred(images), images)
        damaged = tf.where(_chance(n, 0.5), self._retoned(damaged), damaged)
        for _ in range(self.patches):
            damaged = tf.where(_chance(n, 0.5) & _rectangles(n), self._retoned(damaged), damaged)
        spread = tf.random.uniform((n, 1, 1, 1), 0, self.noise)
        damaged += spread * tf.random.normal(tf.shape(images))
        return tf.where(_chance(n, 0.5), tf.clip_by_value(damaged, 0, 1), images)

    def _retoned(self, images):
        """Each with its own black and white inside [0, 1], every other one inverted."""
        n = tf.shape(images)[0]
        contrast = tf.random.uniform((n, 1, 1, 1), self.contrast, 1)
        lowest = tf.random.uniform((n, 1, 1, 1)) * (1 - contrast)
        return lowest + contrast * tf.where(_chance(n, 0.5), 1 - images, images)


def _chance(n, share):
    return tf.random.uniform((n, 1, 1, 1)) < share


def _blurred(images):
    soft = tf.nn.avg_pool2d(images, 3, 1, "SAME")
    return tf.nn.avg_pool2d(soft, 3, 1, "SAME")


def _rectangles(n):
    """True in a random rectangle of each image, or outside of it: bool, (n, 28, 28, 1)."""
    line = tf.range(28.0)
    inside = True
    for shape in ((n, 28, 1, 1), (n, 1, 28, 1)):
        ends = tf.random.uniform((n, 2), -14, 42)
        low, high = tf.reduce_min(ends, 1, keepdims=True), tf.reduce_max(ends, 1, keepdims=True)
        inside &= tf.reshape((low <= line) & (line <= high), shape)
    return inside ^ _chance(n, 0.5)
