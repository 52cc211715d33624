"""A committee of networks, some of which see a digit as it is and some without its slant."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd

from digitlib.geometry import upright
from digitlib.recipes.ours import BEST
from digitlib.studies.faster_and_better import SHORT, tested_on_held_out
from digitlib.training import train_many
from digitlib.writers import unseen_writers_last

AS_IT_IS = range(5)  # seeds of the members that see digits so
NO_SLANT = range(5, 9)  # of those that see them upright


def members(data, recipe=BEST, as_it_is=AS_IT_IS, no_slant=NO_SLANT):
    """The runs of a committee: of those that see digits as they are, then of those without slant.

    as_it_is, no_slant : their seeds
    """
    straight = replace(
        data,
        name=f"{data.name}, upright",
        x_train=upright(data.x_train),
        x_test=upright(data.x_test),
    )
    return train_many([recipe], data, as_it_is) + train_many([recipe], straight, no_slant)


def committee(data, recipe=BEST, as_it_is=AS_IT_IS, no_slant=NO_SLANT):
    """Every committee that the members can form, by the mean of their probabilities: a row each.

    Returns as_it_is and no_slant (how many members see digits so), seeds (as text) and test_error
    (percent).
    """
    runs = members(data, recipe, as_it_is, no_slant)
    y_prob = np.stack([run.y_prob for run in runs])
    rows = []
    for n in range(1, len(runs) + 1):
        for group in combinations(range(len(runs)), n):
            n_upright = sum(i >= len(as_it_is) for i in group)
            seeds = " ".join(str(runs[i].seed) for i in group)
            y_pred = y_prob[list(group)].mean(axis=0).argmax(axis=1)
            error = 100 * (y_pred != data.y_test).mean()
            rows.append((n - n_upright, n_upright, seeds, error))
    return pd.DataFrame(rows, columns=["as_it_is", "no_slant", "seeds", "test_error"])


def views(data, as_it_is=range(4), no_slant=range(4, 8)):
    """As `committee`, of smaller networks, on training images by writers whom they have not seen.

    So the second view is judged on other images than the test images. Returns val_error for
    test_error.
    """
    small = replace(BEST, build=SHORT.build, epochs=8)
    held_out = tested_on_held_out(unseen_writers_last(data))
    table = committee(held_out, small, as_it_is, no_slant)
    return table.rename(columns={"test_error": "val_error"})


def misses(data, recipe=BEST, as_it_is=AS_IT_IS, no_slant=NO_SLANT):
    """The test images that all members misread by the mean of their probabilities: a row each.

    Returns test_index, y_true, y_pred, confidence, and votes (members that read it as labelled).
    """
    runs = members(data, recipe, as_it_is, no_slant)
    y_prob = np.mean([run.y_prob for run in runs], axis=0)
    votes = sum(run.y_pred == data.y_test for run in runs)
    wrong = np.flatnonzero(y_prob.argmax(axis=1) != data.y_test)
    columns = {
        "test_index": wrong,
        "y_true": data.y_test[wrong],
        "y_pred": y_prob[wrong].argmax(axis=1),
        "confidence": y_prob[wrong].max(axis=1),
        "votes": votes[wrong],
    }
    return pd.DataFrame(columns)
