"""A reference study of handwritten digit recognition: what its notebooks share.

    >>> import digitlib
    >>> mnist = digitlib.load_mnist()
    >>> run = digitlib.train(digitlib.get_recipe("p3"), mnist)
    >>> digitlib.metrics(mnist.y_test, run.y_pred)
    >>> digitlib.read_picture("my_seven.png")["text"]

The names in HOMES can be had from here. All else is in the modules:

    data         MNIST, or its sample
    datasets     other people's digits
    formats      arrays out of files that anybody may have made
    writers      who wrote MNIST, and training images that hold out writers
    training     a recipe, data and a seed give a run, which is kept
    fitting      how one network learns
    naming       what a run is named after
    workers      where runs are trained: on cores or a cluster
    archive      runs that need no training
    networks     other people's networks, shown what they were trained on
    opening      their files, which anybody may have made
    evaluation   numbers from labels and predictions
    calibration  numbers from labels and probabilities
    geometry     ink, size, place and slant of digits
    plotting     arrays or tables in, Axes out
    report       one page on any network
    notebooks    executes them
    recipes      the five projects' networks and ours; augmentation
    reader       a picture to the digits on it, and the page that does so
    studies      what takes hours, and what trains and scores the reader

On the command line: python -m digitlib --help
"""

from importlib import import_module
from importlib.metadata import version

HOMES = {
    "load_mnist": "data",
    "model_input": "data",
    "Recipe": "recipes",
    "RECIPES": "recipes",
    "get_recipe": "recipes",
    "train": "training",
    "load_runs": "archive",
    "metrics": "evaluation",
    "plot_digits": "plotting",
    "plot_confusion_matrix": "plotting",
    "save_figure": "plotting",
    "read_picture": "reader.reading",
}
__version__ = version("digitlib")


def __getattr__(name):
    if name not in HOMES:
        raise AttributeError(f"digitlib has no {name}; it has {', '.join(HOMES)}, and modules")
    return getattr(import_module(f"digitlib.{HOMES[name]}"), name)


def __dir__():
    return [*globals(), *HOMES]
