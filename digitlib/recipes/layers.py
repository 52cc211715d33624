"""The one layer of our networks that Keras does not have, for as long as they are trained."""

import keras
import tensorflow as tf


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch normalisation over the last axis, trained by TensorFlow's one operation for it.

    Keras writes it as some ten operations and their gradients, each of which walks through all
    the numbers; on a processor they take several times as long. Images only: (n, h, w, channels).
    """

    def call(self, inputs, training=False):
        if not (training and self.trainable):
            return super().call(inputs)
        weights = (self.gamma, self.beta, self.moving_mean, self.moving_variance)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            *(tf.convert_to_tensor(weight) for weight in weights),
            epsilon=self.epsilon,
            exponential_avg_factor=1 - self.momentum,
        )
        self.moving_mean.assign(mean)
        self.moving_variance.assign(variance)
        return outputs


def leave_to_keras(model):
    """Make a trained network one that only reads, and that any Keras can load from its file."""
    for layer in model.layers:
        if isinstance(layer, FusedBatchNormalization):
            layer.__class__ = keras.layers.BatchNormalization  # alike in all but `call`
    model.optimizer, model.compiled = None, False


def fused_copy(layer):
    """For `keras.models.clone_model`: a new layer as that is, batch normalisation as ours."""
    normalizes = isinstance(layer, keras.layers.BatchNormalization)
    return (FusedBatchNormalization if normalizes else type(layer)).from_config(layer.get_config())
