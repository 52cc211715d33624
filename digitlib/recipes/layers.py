"""The one layer of our networks that Keras does not have, and loading networks that hold it."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("digitlib")
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


def load_network(path):
    """The network in a file that Keras saved, compiled as it was, with layers of ours if any."""
    return keras.saving.load_model(path)
