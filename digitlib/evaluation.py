"""Numbers from labels and predictions: metrics, intervals, paired tests.

Everywhere, `y_true` and `y_pred` are digits, 0 to 9, shape (n,). Anything else raises a
ValueError that names the argument and the value. An interval covers 95 %, and what is random
repeats with its `seed`. Errors are fractions, not percent.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

DIGITS = range(10)


class Estimate(NamedTuple):
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


class McNemar(NamedTuple):
    """On how many images two models agree and differ, and the p-value of their being as good."""

    both_right: int
    only_a_right: int
    only_b_right: int
    both_wrong: int
    p_value: float


def metrics(y_true, y_pred) -> pd.Series:
    """Accuracy, and precision, recall and F1 as means over the ten digits (macro averages).

    They are NaN where a digit has no image or is never predicted.
    """
    y_true, y_pred = checked(y_true=y_true, y_pred=y_pred)
    scores = [scores.mean() for scores in _precision_recall_f1(y_true, y_pred)]
    names = ["accuracy", "precision", "recall", "f1"]
    return pd.Series([(y_true == y_pred).mean(), *scores], index=names)


def per_class_metrics(y_true, y_pred) -> pd.DataFrame:
    """A row a digit: n, and precision, recall and F1, each with its `_low` and `_high` (Wilson).

    F1 is 2 J / (1 + J), where J is the share of right ones among the images that are the digit
    or are taken for it; J has a Wilson interval, and so F1 has one.
    Recall is NaN where a digit has no image, precision where it is never predicted.
    Source: Hand, Christen and Kirielle (2021), "F*: an interpretable transformation of the
    F-measure".
    """
    from sklearn.metrics import confusion_matrix

    y_true, y_pred = checked(y_true=y_true, y_pred=y_pred)
    precision, recall, f1 = _precision_recall_f1(y_true, y_pred)
    confusion = confusion_matrix(y_true, y_pred, labels=DIGITS)
    right, n_true, n_pred = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    jaccard_interval = np.array(wilson_interval(right, n_true + n_pred - right))
    table = pd.DataFrame({"n": n_true}, index=pd.Index(DIGITS, name="digit"))
    for name, values, interval in [
        ("precision", precision, wilson_interval(right, n_pred)),
        ("recall", recall, wilson_interval(right, n_true)),
        ("f1", f1, 2 * jaccard_interval / (1 + jaccard_interval)),
    ]:
        table[name] = values
        table[f"{name}_low"], table[f"{name}_high"] = interval
    return table


def wilson_interval(k, n):
    """The 95 % interval (low, high) for a proportion of which k out of n were seen.

    k, n : integers, single or in arrays; where n is 0 the interval is (NaN, NaN)
    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference".
    """
    from scipy.stats import binomtest

    def interval(k, n):
        return binomtest(k, n).proportion_ci(0.95, "wilson") if n else (np.nan, np.nan)

    low, high = np.vectorize(interval, otypes=[float, float])(k, n)
    return low[()], high[()]


def clustered_interval(k, n, *, n_draws=2000, seed=0):
    """The 95 % interval (low, high) for k / n where images come in clusters, such as writers.

    Clusters are drawn anew, so that images of one hand count as what they are: alike.

    k, n : shape (n_clusters,); of a cluster's n images, how many, or the difference of two counts
    Source: Field and Welsh (2007), "Bootstrapping clustered data".
    """
    draws = _clusters_drawn(len(n), n_draws, seed)
    return tuple(central_95((draws @ np.asarray(k)) / (draws @ np.asarray(n))))


def clustered_difference(one, other, *, n_draws=2000, seed=0):
    """k / n of one part less k / n of another as an `Estimate`, where both come in clusters.

    one, other : pairs of k and n as for `clustered_interval`, of the same clusters
    """
    draws = _clusters_drawn(len(one[1]), n_draws, seed)
    (k_one, n_one), (k_other, n_other) = one, other
    value = np.sum(k_one) / np.sum(n_one) - np.sum(k_other) / np.sum(n_other)
    drawn = (draws @ k_one) / (draws @ n_one) - (draws @ k_other) / (draws @ n_other)
    return Estimate(float(value), *central_95(drawn))


def _clusters_drawn(n_clusters, n_draws, seed):
    """How often each cluster is drawn when as many as there are are drawn anew, a row a draw."""
    share = np.full(n_clusters, 1 / n_clusters)
    return np.random.default_rng(seed).multinomial(n_clusters, share, size=n_draws)


def mcnemar(y_true, y_pred_a, y_pred_b) -> McNemar:
    """Whether two trained models are equally often right on the same images: the exact test.

    Source: McNemar (1947), "Note on the sampling error of the difference between correlated
    proportions or percentages".
    """
    from mlxtend.evaluate import mcnemar, mcnemar_table

    arrays = checked(y_true=y_true, y_pred_a=y_pred_a, y_pred_b=y_pred_b)
    table = mcnemar_table(*arrays)
    return McNemar(*table.ravel().tolist(), float(mcnemar(table, exact=True)[1]))


def _precision_recall_f1(y_true, y_pred):
    from sklearn.metrics import precision_recall_fscore_support

    return precision_recall_fscore_support(y_true, y_pred, labels=DIGITS, zero_division=np.nan)[:3]


def central_95(draws):
    """The bounds, low and high, of the middle 95 % of random draws."""
    return np.quantile(draws, [0.025, 0.975]).tolist()


def checked(**arrays):
    """Digits, and `y_prob` as float64, in arrays of one length; ValueError for anything else."""
    checked = []
    for name, values in arrays.items():
        check = _probabilities if name == "y_prob" else _digits
        checked.append(check(name, np.asarray(values)))
        n, n_first = len(checked[-1]), len(checked[0])
        if n != n_first:
            raise ValueError(f"{name}: expected {n_first} images, as y_true has, got {n}")
    return checked


def _digits(name, values):
    if values.ndim != 1 or not len(values):
        raise ValueError(f"{name}: expected digits of shape (n,), got shape {values.shape}")
    bad = ~np.isin(values, DIGITS)
    if bad.any():
        i = bad.argmax()
        raise ValueError(f"{name}: expected digits 0 to 9, got {values[i]} at index {i}")
    return values


def _probabilities(name, values):
    if values.ndim != 2 or values.shape[1] != 10 or not len(values):
        raise ValueError(f"{name}: expected shape (n, 10), got shape {values.shape}")
    values = values.astype(float)
    sums = values.sum(axis=1)
    bad = ~((values >= 0).all(axis=1) & (np.abs(sums - 1) < 1e-3))
    if bad.any():
        i = bad.argmax()
        raise ValueError(
            f"{name}: expected probabilities that sum to 1, got {values[i].tolist()} with the "
            f"sum {sums[i]} at index {i}"
        )
    return values
