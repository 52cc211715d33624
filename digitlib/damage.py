"""Digits damaged inside the training step, so that a network learns to read through it."""

from dataclasses import dataclass

import tensorflow as tf

from digitlib.augmentation import Distortion


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
