"""How far a model's confidence can be trusted, and what it gains by declining to answer.

Everywhere, `y_true` holds digits, 0 to 9, shape (n,), and `y_prob` probabilities, shape (n, 10),
each row summing to one. Anything else raises a ValueError that names the argument and the value.
Calibration errors and risks are fractions, not percent; what is random repeats with its `seed`.
"""

import numpy as np
import pandas as pd

from digitlib.evaluation import DIGITS, Estimate, central_95, checked, wilson_interval


def nll(y_true, y_prob):
    """The mean negative log-likelihood of the true digits, in nats; 0 is perfect."""
    from sklearn.metrics import log_loss

    y_true, y_prob = checked(y_true=y_true, y_prob=y_prob)
    return float(log_loss(y_true, _normalised(y_prob), labels=DIGITS))


def brier(y_true, y_prob):
    """The mean squared distance of the probabilities from the truth, 0 (perfect) to 2.

    Source: Brier (1950), "Verification of forecasts expressed in terms of probability".
    """
    from sklearn.metrics import brier_score_loss

    y_true, y_prob = checked(y_true=y_true, y_prob=y_prob)
    y_prob = _normalised(y_prob)
    return float(brier_score_loss(y_true, y_prob, labels=DIGITS, scale_by_half=False))


def reliability_table(y_true, y_prob, *, n_bins=15):
    """Confidence, the largest probability, against accuracy; a row for each bin of confidence.

    Returns the columns above and up_to (the bin's edges), n, confidence (its mean), accuracy,
    accuracy_low and accuracy_high (Wilson); NaN where the bin is empty.
    """
    confidence, right, bins = _confidence_right_bins(y_true, y_prob, n_bins)
    edges = np.linspace(0, 1, n_bins + 1)
    n, n_right = np.bincount(bins, minlength=n_bins), np.bincount(bins[right], minlength=n_bins)
    table = pd.DataFrame({"above": edges[:-1], "up_to": edges[1:], "n": n})
    table["confidence"] = np.bincount(bins, confidence, n_bins) / table["n"]
    table["accuracy"] = n_right / table["n"]
    table["accuracy_low"], table["accuracy_high"] = wilson_interval(n_right, n)
    return table


def ece(y_true, y_prob, *, n_bins=15):
    """The expected calibration error: the mean distance of accuracy from confidence, 0 to 1.

    A perfectly calibrated model does not show 0 on finitely many images: see `calibrated_ece`.
    Source: Guo et al. (2017), "On calibration of modern neural networks".
    """
    confidence, right, bins = _confidence_right_bins(y_true, y_prob, n_bins)
    return _ece(right - confidence, bins)


def calibrated_ece(y_prob, *, n_bins=15, n_draws=1000, seed=0):
    """The ECE that a perfectly calibrated model with these confidences shows: mean and range.

    Every draw makes each prediction right with the probability that the model gives it.
    Source: Bröcker and Smith (2007), "Increasing the reliability of reliability diagrams".
    """
    (y_prob,) = checked(y_prob=y_prob)
    confidence, bins = _confidence_bins(y_prob, n_bins)
    rng = np.random.default_rng(seed)
    redrawn = (rng.random(len(bins)) < confidence for _ in range(n_draws))
    draws = [_ece(right - confidence, bins) for right in redrawn]
    return Estimate(float(np.mean(draws)), *central_95(draws))


def fit_temperature(y_true, y_prob):
    """The temperature that minimises the NLL, to be fitted on validation data.

    Above 1 the model is too confident. ValueError where every prediction is right, as the lower
    the better then, and where none from 0.05 to 20 is the best: they are no better than chance.
    Source: Guo et al. (2017), "On calibration of modern neural networks".
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature):
        return nll(y_true, apply_temperature(y_prob, np.exp(log_temperature)))

    accuracy = np.mean(np.argmax(y_prob, axis=1) == y_true)
    if accuracy == 1:
        raise ValueError("y_prob: every prediction is right; fit on more images, some misread")
    low, high = np.log([0.05, 20])
    best = minimize_scalar(loss, bounds=(low, high)).x
    if not low + 0.01 < best < high - 0.01:
        raise ValueError(f"y_prob: no temperature is the best; the accuracy is {accuracy}")
    return float(np.exp(best))


def apply_temperature(y_prob, temperature):
    """The probabilities that a network gives when its logits are divided by the temperature.

    The logarithms of its probabilities are as good as logits: a constant in each row cancels.
    Returns float64, shape (n, 10).
    """
    from scipy.special import softmax

    (y_prob,) = checked(y_prob=y_prob)
    smallest = np.finfo(np.float32).tiny  # what a softmax in float32 cannot tell from 0
    return softmax(np.log(np.maximum(y_prob, smallest)) / temperature, axis=1)


def risk_coverage(y_true, y_prob):
    """The error that remains when the model declines the images it is least sure of.

    Returns a row for each confidence, highest first: threshold (accept what is at least so
    sure), coverage (the share accepted) and risk (the error among these). The first row with
    coverage >= 0.99 answers what remains when 1 % may be declined.
    Source: Geifman and El-Yaniv (2017), "Selective classification for deep neural networks".
    """
    y_true, y_prob = checked(y_true=y_true, y_prob=y_prob)
    confidence, wrong = y_prob.max(axis=1), y_prob.argmax(axis=1) != y_true
    order = np.argsort(-confidence)
    confidence, n_wrong = confidence[order], wrong[order].cumsum()
    last = np.flatnonzero(np.diff(confidence, append=-1))  # of those that are equally sure
    n_accepted = last + 1
    columns = {"threshold": confidence[last], "coverage": n_accepted / len(y_true)}
    return pd.DataFrame(columns | {"risk": n_wrong[last] / n_accepted})


def _normalised(y_prob):
    # What float32 leaves of the sums is enough for scikit-learn to warn.
    return y_prob / y_prob.sum(axis=1, keepdims=True)


def _confidence_right_bins(y_true, y_prob, n_bins):
    y_true, y_prob = checked(y_true=y_true, y_prob=y_prob)
    confidence, bins = _confidence_bins(y_prob, n_bins)
    return confidence, y_prob.argmax(axis=1) == y_true, bins


def _confidence_bins(y_prob, n_bins):
    if n_bins < 1:
        raise ValueError(f"n_bins: expected 1 or more, got {n_bins}")
    confidence = y_prob.max(axis=1).clip(max=1)  # float32 leaves some a little above
    return confidence, np.digitize(confidence, np.linspace(0, 1, n_bins + 1), right=True) - 1


def _ece(gaps, bins):
    return float(np.abs(np.bincount(bins, weights=gaps)).sum() / len(gaps))
