"""Who wrote MNIST's images, and training images that hold out writers."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from digitlib.data import Digits

PATH = Path(__file__).with_name("mnist_writers.csv.gz")


def load_writers(data: Digits):
    """Who wrote the training and the test images: two DataFrames of writer and series, a row each.

    data : MNIST or the sample, in its own order
    writer : NIST's number; series : 0 or 4, NIST's collections hsf_0 and hsf_4
    Source: Yadav and Bottou (2019), "Cold case: the lost MNIST digits"; what the file's first
    lines say.
    """
    import pandas as pd

    table = pd.read_csv(PATH, comment="#")
    if data.is_sample:
        table = table.dropna().sort_values("sample", ignore_index=True)
    if len(table) != len(data.x_train) + len(data.x_test):
        raise ValueError(f"{data.name}: its writers are not known, only those of all MNIST")
    table = table[["writer", "series"]]
    n = len(data.x_train)
    return table[:n], table[n:].reset_index(drop=True)


def unseen_writers_last(data: Digits) -> Digits:
    """The same `Digits`, the last sixth of the training images by writers of no earlier one.

    So `Recipe.validation` of 1 / 6 holds out hands that training has not seen. The order is
    MNIST's but for that; writers are drawn at random, always the same.
    """
    writer = load_writers(data)[0].writer.to_numpy()
    names, n_images = np.unique(writer, return_counts=True)
    rng = np.random.default_rng(0)
    room = len(writer)
    while room:  # until a draw of writers fills the sixth exactly
        room, held_out = round(len(writer) / 6), []
        for i in rng.permutation(len(names)):
            if n_images[i] <= room:
                room -= n_images[i]
                held_out.append(names[i])
    order = np.argsort(np.isin(writer, held_out), kind="stable")
    return replace(
        data,
        name=f"{data.name}, unseen writers last",
        x_train=data.x_train[order],
        y_train=data.y_train[order],
    )
