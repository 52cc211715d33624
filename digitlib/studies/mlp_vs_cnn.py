"""The studies of notebook 02: an MLP and a CNN that differ in the question alone.

Both hold out the last sixth of the training images, by writers of no other; the test images are
read once, by `matched`, with the rate that `rates` found.
"""

from dataclasses import replace

import pandas as pd

from digitlib.data import permuted
from digitlib.recipes.matched import MATCHED
from digitlib.recipes.recipe import one_cycle
from digitlib.training import train_many
from digitlib.writers import unseen_writers_last

SEEDS = {"linear": 10, "mlp": 10, "wide_mlp": 10, "cnn": 10, "unshared": 3, "unpooled": 3}
SHUFFLED_SEEDS = {"mlp": 10, "cnn": 5}
RATES = {  # of each network, how many seeds and which highest rates
    "mlp": (5, (5e-4, 1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2)),
    "wide_mlp": (2, (2e-3, 4e-3, 8e-3)),
    "cnn": (2, (2e-3, 4e-3, 8e-3)),
}


def matched(data):
    """The matched networks, and two of them on shuffled pixels: a row a run.

    Returns network, pixels, seed, parameters, val_error and test_error (percent), epoch_seconds
    (of its quickest epoch, on one core) and processor.
    """
    in_place = unseen_writers_last(data)
    rows = []
    for pixels, part, n_seeds in (
        ("in place", in_place, SEEDS),
        ("shuffled", permuted(in_place), SHUFFLED_SEEDS),
    ):
        for recipe in (recipe for recipe in MATCHED if recipe.name in n_seeds):
            parameters = recipe.build().count_params()
            for run in train_many([recipe], part, range(n_seeds[recipe.name])):
                errors = _val_error(run), 100 * (run.y_pred != part.y_test).mean()
                about = recipe.name, pixels, run.seed, parameters
                rows.append((*about, *errors, run.history.seconds.min(), run.processor))
    columns = ["network", "pixels", "seed", "parameters", "val_error", "test_error"]
    return pd.DataFrame(rows, columns=[*columns, "epoch_seconds", "processor"])


def rates(data, tried=RATES):
    """Which highest rate suits the MLP of `matched`, and a look at two others: a row a run.

    tried : of each network by its name, how many seeds and which rates
    Returns network, peak, seed and val_error (percent).
    """
    data, of = unseen_writers_last(data), {recipe.name: recipe for recipe in MATCHED}
    rows = []
    for name, (n_seeds, peaks) in tried.items():
        for peak in peaks:
            recipe = replace(of[name], optimizer=one_cycle(peak))
            for run in train_many([recipe], data, range(n_seeds)):
                rows.append((name, peak, run.seed, _val_error(run)))
    return pd.DataFrame(rows, columns=["network", "peak", "seed", "val_error"])


def _val_error(run):
    return 100 * (1 - run.history.val_accuracy.iloc[-1])
