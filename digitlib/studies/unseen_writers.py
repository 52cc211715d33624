"""The study of notebook 03: does it matter that a network has seen the hand that it reads?"""

from dataclasses import replace

import numpy as np
import pandas as pd

from digitlib.data import Digits
from digitlib.recipes import get_recipe
from digitlib.training import train_many
from digitlib.writers import load_writers


def writers(data, recipes=("p2", "p3", "p4", "plain"), splits=range(5)):
    """Errors on the same training images, read by networks that know their writers and do not.

    Each split draws a fifth of the writers. Half of what they wrote is measured; the other half
    is learned from, or as many images by other people in its place. The test images play no part.

    Returns split (also the seed), hands ("known" or "unseen"), network, writer, n and n_wrong.
    """
    recipes = [replace(get_recipe(name), validation=0) for name in recipes]
    writer = load_writers(data)[0].writer.to_numpy()
    tables = []
    for split in splits:
        measured, learned = _split(writer, np.random.default_rng(split))
        for hands, kept in learned.items():
            part = Digits(
                f"{data.name}, {hands} hands, split {split}",
                data.x_train[kept], data.y_train[kept],
                data.x_train[measured], data.y_train[measured], data.is_sample,
            )  # fmt: skip
            for run in train_many(recipes, part, [split]):
                wrong = pd.Series(run.y_pred != part.y_test).groupby(writer[measured])
                table = wrong.agg(n="size", n_wrong="sum").rename_axis("writer").reset_index()
                columns = {"split": split, "hands": hands, "network": run.recipe}
                tables.append(pd.DataFrame(columns, table.index).join(table))
    return pd.concat(tables, ignore_index=True)


def _split(writer, rng):
    """Places of the images that are measured, and of those to learn from, by whose hands."""
    drawn = rng.permutation(np.unique(writer))
    of_drawn = np.isin(writer, drawn[: len(drawn) // 5])
    mine, others = (rng.permutation(np.flatnonzero(part)) for part in (of_drawn, ~of_drawn))
    measured, second = np.split(mine, [len(mine) // 2])
    known = np.concatenate([second, others[len(second) :]])
    return measured, {"known": np.sort(known), "unseen": np.sort(others)}
