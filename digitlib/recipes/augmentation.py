"""Digits distorted or damaged inside the training step, a batch at a time."""

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
        return tf.reshape(sample(images, self._places(n)), (n, 28, 28, 1))

    def _places(self, n):
        """Where each pixel of the distorted images comes from: x and y, (n, 784, 2)."""
        angle, shear = (
            uniform(n, -reach, reach, 1) for reach in (self.rotation * math.pi / 180, self.shear)
        )
        shift, scale = (uniform(n, -reach, reach, 1, 2) for reach in (self.shift, self.scale))
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
        amount = uniform(n, -self.stroke, self.stroke, 1, 1, 1)
        thick = tf.nn.max_pool2d(images, 3, 1, "SAME")
        thin = -tf.nn.max_pool2d(-images, 3, 1, "SAME")
        return images + tf.abs(amount) * (tf.where(amount > 0, thick, thin) - images)


def uniform(n, low, high, *shape):
    return tf.random.uniform((n, *shape), low, high)


def sample(images, places):
    """The images' bilinear values at x and y, (n, m, 2), or at the nearest place inside: (n, m)."""
    places = tf.clip_by_value(places, 0.0, 26.999)
    corner = tf.floor(places)
    x, y = tf.unstack(places - corner, axis=2)
    first = 784 * tf.range(tf.shape(images)[0])[:, None]
    start = first + tf.cast(corner[..., 1] * 28 + corner[..., 0], tf.int32)
    flat = tf.reshape(images, (-1,))
    a, b, c, d = (tf.gather(flat, start + step) for step in (0, 1, 28, 29))
    return (a * (1 - x) + b * x) * (1 - y) + (c * (1 - x) + d * x) * y


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
