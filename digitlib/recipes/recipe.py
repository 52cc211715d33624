"""What defines an experiment: the network, its training settings, and what its source claims."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import keras


@dataclass(frozen=True)
class Recipe:
    """Everything that defines a training run except the data and the seed.

    build : gives a new, untrained network: images (n, 28, 28, 1) in [0, 1] to 10 probabilities
    validation : the last fraction of the training images held out, as Keras's validation_split
        does it; 0 to learn from all of them and watch nothing; or "test" where the source
        watches the test set while it trains
    optimizer : a name, or a function from the number of gradient steps to a new Keras optimizer
        with its schedule, such as `one_cycle` gives
    augment : redraws a batch of training images, float32 (n, 28, 28, 1), inside the compiled step
    claims : what the source says its network reaches on the test set
    choices : what the source leaves open, what we chose, and why

    >>> Recipe("mine", "my MLP", build=my_network, epochs=5, batch_size=64, validation=0.1)
    """

    name: str
    title: str
    build: Callable[[], keras.Model]
    epochs: int
    batch_size: int  # images per gradient step
    validation: float | str = 0
    source: str = "this project"
    claims: Mapping[str, float] = field(default_factory=dict)
    choices: str = ""
    optimizer: str | Callable[[int], keras.Optimizer] = "adam"
    augment: Callable | None = None
    loss: str | keras.losses.Loss = "categorical_crossentropy"

    def n_fitted(self, n):
        """How many of n training images it learns from; the last ones are held out."""
        return n if self.validation == "test" else round(n * (1 - self.validation))

    def new_optimizer(self, n):
        """A new Keras optimizer, its schedule as long as training on n images takes."""
        if isinstance(self.optimizer, str):
            return keras.optimizers.get(self.optimizer)
        return self.optimizer(self.epochs * math.ceil(self.n_fitted(n) / self.batch_size))


def classifier(*stack):
    """A network of these layers on images (n, 28, 28, 1), and ten probabilities."""
    last = keras.layers.Dense(10, activation="softmax")
    return keras.Sequential([keras.Input((28, 28, 1)), *stack, last])


def one_cycle(peak, optimizer=keras.optimizers.Adam, **settings):
    """For `Recipe.optimizer`: a rate that rises for a fifth of the steps, then falls to zero.

    It rises linearly from a tenth of its peak and falls as a cosine.

    optimizer, settings : a class of Keras, and what it takes besides the learning rate
    Source: after Smith and Topin (2018), "Super-convergence", with a cosine for their lines.
    """

    def new_optimizer(n_steps):
        n_rising = n_steps // 5
        rate = keras.optimizers.schedules.CosineDecay(
            peak / 10,
            decay_steps=n_steps - n_rising,  # Keras counts them from the peak
            warmup_target=peak,
            warmup_steps=n_rising,
        )
        return optimizer(rate, **settings)

    return new_optimizer
