"""digitlib.evaluation against slow versions, published examples and properties."""

import subprocess
import sys
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import softmax

from digitlib.calibration import (
    apply_temperature,
    brier,
    calibrated_ece,
    ece,
    fit_temperature,
    nll,
    reliability_table,
    risk_coverage,
)
from digitlib.evaluation import (
    McNemar,
    clustered_difference,
    clustered_interval,
    mcnemar,
    metrics,
    per_class_metrics,
    wilson_interval,
)


def random_model(seed, n=400, sharpness=4.0):
    """Labels, every digit among them, and probabilities that are right more often than not."""
    rng = np.random.default_rng(seed)
    y_true = rng.permutation(np.arange(n) % 10)
    logits = rng.normal(size=(n, 10)) + sharpness * rng.random((n, 1)) * np.eye(10)[y_true]
    return y_true, softmax(1.5 * logits, axis=1)


def calibrated_labels(y_prob, rng):
    """Labels drawn from the probabilities themselves."""
    return (y_prob.cumsum(axis=1) < rng.random((len(y_prob), 1))).sum(axis=1).clip(max=9)


def ten_columns(y_prob):
    """Probabilities of fewer classes, with zeros for the digits that the example lacks."""
    y_prob = np.array(y_prob)
    return np.pad(y_prob, [(0, 0), (0, 10 - y_prob.shape[1])])


def models_that_are(rows, counts):
    """y_true and predictions of models that are right (1) or wrong (0) as a table counts it."""
    right = np.repeat(rows, counts, axis=0).T
    return np.zeros(right.shape[1], int), 1 - right


models = st.integers(0, 10_000).map(random_model)
quick = settings(max_examples=10, deadline=None, derandomize=True)


# Metrics and their intervals


@quick
@given(models)
def test_metrics_are_those_of_counting(model):
    y_true, y_prob = model
    y_pred = y_prob.argmax(axis=1)
    table = per_class_metrics(y_true, y_pred)
    for digit in range(10):
        both = sum(t == p == digit for t, p in zip(y_true, y_pred, strict=True))
        n_true, n_pred = sum(y_true == digit), sum(y_pred == digit)
        assert table.loc[digit, "n"] == n_true
        assert table.loc[digit, "precision"] == pytest.approx(both / n_pred)
        assert table.loc[digit, "recall"] == pytest.approx(both / n_true)
        assert table.loc[digit, "f1"] == pytest.approx(2 * both / (n_true + n_pred))
        assert tuple(table.loc[digit, ["recall_low", "recall_high"]]) == pytest.approx(
            wilson_interval(both, n_true)
        )
        assert tuple(table.loc[digit, ["precision_low", "precision_high"]]) == pytest.approx(
            wilson_interval(both, n_pred)
        )
    means = metrics(y_true, y_pred)
    assert means["accuracy"] == np.mean(y_true == y_pred)
    for name in ("precision", "recall", "f1"):
        assert means[name] == pytest.approx(table[name].mean())


@quick
@given(models)
def test_class_intervals_contain_the_estimate(model):
    y_true, y_prob = model
    table = per_class_metrics(y_true, y_prob.argmax(axis=1))
    for name in ("precision", "recall", "f1"):
        assert (table[f"{name}_low"] < table[name] + 1e-12).all()
        assert (table[name] < table[f"{name}_high"] + 1e-12).all()
        assert (table[f"{name}_high"] - table[f"{name}_low"] > 0.01).all()


def test_f1_interval_is_that_of_a_bootstrap_over_images():
    y_true, y_prob = random_model(0, n=5000)
    y_pred = y_prob.argmax(axis=1)
    rng = np.random.default_rng(0)
    draws = []
    for images in rng.integers(5000, size=(1000, 5000)):
        is_3, taken_for_3 = y_true[images] == 3, y_pred[images] == 3
        draws.append(2 * (is_3 & taken_for_3).sum() / (is_3.sum() + taken_for_3.sum()))
    row = per_class_metrics(y_true, y_pred).loc[3]
    assert [row["f1_low"], row["f1_high"]] == pytest.approx(
        np.quantile(draws, [0.025, 0.975]), abs=0.004
    )
    assert row["f1_high"] - row["f1_low"] > 0.03  # ten times the tolerance is at stake


def test_f1_interval_covers():
    rng = np.random.default_rng(1)
    true_f1 = 0.97  # the share of right ones: a digit is taken for others as they are for it
    covered = []
    for _ in range(50):
        y_true = np.arange(2000) % 10
        shifted = (y_true + rng.integers(1, 10, size=2000)) % 10
        y_pred = np.where(rng.random(2000) < true_f1, y_true, shifted)
        table = per_class_metrics(y_true, y_pred)
        covered += [(table["f1_low"] <= true_f1) & (table["f1_high"] >= true_f1)]
    assert 0.92 <= np.mean(covered) <= 0.98


def test_a_digit_never_predicted_has_no_precision():
    y_true = np.arange(100) % 10
    y_pred = np.where(y_true == 7, 1, y_true)
    row = per_class_metrics(y_true, y_pred).loc[7]
    assert row[["precision", "precision_low", "precision_high"]].isna().all()
    assert row["recall"] == row["f1"] == 0
    assert np.isnan(metrics(y_true, y_pred)["precision"])


@pytest.mark.parametrize(
    ("k", "n", "interval"),
    [
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_wilson_interval_of_newcombe(k, n, interval):
    """Newcombe (1998), Statistics in Medicine 17, 857-872, Table I, method 3."""
    assert wilson_interval(k, n) == pytest.approx(interval, abs=5e-5)


def test_wilson_interval_of_arrays():
    low, high = wilson_interval([81, 0, 0], [263, 20, 0])
    assert low[:2] == pytest.approx([0.2553, 0], abs=5e-5)
    assert high[:2] == pytest.approx([0.3662, 0.1611], abs=5e-5)
    assert np.isnan([low[2], high[2]]).all()


def test_wilson_interval_covers():
    n_wrong, n = np.arange(101), 10_000
    low, high = wilson_interval(n_wrong, n)
    covered = (low <= 0.004) & (high >= 0.004)
    assert 0.94 <= stats.binom.pmf(n_wrong, n, 0.004)[covered].sum() <= 0.965


# Draws


def test_random_procedures_repeat_with_their_seed():
    y_true, y_prob = random_model(6)
    for estimate in (
        lambda seed: clustered_interval(y_true, y_true + 9, n_draws=50, seed=seed),
        lambda seed: calibrated_ece(y_prob, n_draws=50, seed=seed),
    ):
        assert estimate(1) == estimate(1) != estimate(2)


def test_mcnemar_of_fay():
    """Fay, "Exact McNemar's test and matching confidence intervals", vignette of R's exact2x2."""
    y_true, y_preds = models_that_are([[1, 1], [1, 0], [0, 1], [0, 0]], [21, 2, 9, 12])
    assert mcnemar(y_true, *y_preds) == McNemar(21, 2, 9, 12, pytest.approx(0.06543, abs=5e-6))


def test_mcnemar_counts_digits_below_and_above_the_true_one_as_wrong():
    assert mcnemar([5, 5, 5], [4, 5, 6], [6, 4, 5])[:4] == (0, 1, 1, 1)


@quick
@given(st.integers(0, 30), st.integers(0, 30))
def test_mcnemar_is_a_fair_coin(n_a, n_b):
    y_true, y_preds = models_that_are([[1, 1], [1, 0], [0, 1]], [5, n_a, n_b])
    n, fewer = n_a + n_b, min(n_a, n_b)
    tail = sum(comb(n, i) for i in range(fewer + 1)) / 2**n
    result = mcnemar(y_true, *y_preds)
    assert result.p_value == pytest.approx(min(1, 2 * tail))
    assert (result.only_a_right, result.only_b_right) == (n_a, n_b)
    assert mcnemar(y_true, *y_preds[::-1]).p_value == pytest.approx(result.p_value)


def test_clustered_interval_of_clusters_of_one_is_a_bootstrap():
    wrong = np.arange(400) < 40
    low, high = clustered_interval(wrong, np.ones(400))
    assert low == pytest.approx(0.1 - 1.96 * 0.015, abs=0.004)
    assert high == pytest.approx(0.1 + 1.96 * 0.015, abs=0.004)


def test_clustered_difference_is_that_of_the_rates_and_of_nothing_against_itself_none():
    rng = np.random.default_rng(1)
    n = rng.integers(20, 60, size=100)
    k = rng.binomial(n, 0.1)
    assert clustered_difference((k, n), (k, n)) == (0, 0, 0)
    value, low, high = clustered_difference((k + 2, n), (k, n))
    assert value == pytest.approx(200 / n.sum()) and 0 < low < value < high
    zero = np.zeros(100)
    assert clustered_difference((k, n), (zero, n))[1:] == clustered_interval(k, n)


def test_clustered_interval_covers_where_images_of_a_cluster_are_alike():
    rng = np.random.default_rng(0)
    n = rng.integers(20, 60, size=100)
    covered = {"clustered": 0, "simple": 0}
    for _ in range(200):
        k = rng.binomial(n, rng.beta(0.5, 4.5, size=100))  # 0.1 on average, by very unequal hands
        for name, (low, high) in {
            "clustered": clustered_interval(k, n, n_draws=500),
            "simple": wilson_interval(k.sum(), n.sum()),
        }.items():
            covered[name] += low < 0.1 < high
    assert covered["clustered"] > 180 and covered["simple"] < 120


# Calibration


def test_brier_of_brier():
    """Brier (1950), Table 1: ten forecasts of rain or no rain, score 0.19."""
    rain = np.array([0.7, 0.9, 0.8, 0.4, 0.2, 0, 0, 0, 0, 0.1])
    it_rained = np.array([0, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    assert brier(it_rained, ten_columns(np.c_[1 - rain, rain])) == pytest.approx(0.19)


@quick
@given(models)
def test_nll_and_brier_are_their_sums(model):
    y_true, y_prob = model
    one_hot = np.eye(10)[y_true]
    assert nll(y_true, y_prob) == pytest.approx(-(one_hot * np.log(y_prob)).sum() / 400)
    assert brier(y_true, y_prob) == pytest.approx(((y_prob - one_hot) ** 2).sum() / 400)


def test_ece_of_pavlovic_with_two_classes():
    """Pavlovic (2023), "Expected Calibration Error (ECE): a step by step visual explanation"."""
    second = [0.22, 0.64, 0.92, 0.42, 0.51, 0.15, 0.70, 0.37, 0.83]
    y_prob = ten_columns([[1 - p, p] for p in second])
    assert ece([0, 1, 0, 0, 0, 0, 1, 1, 1], y_prob, n_bins=5) == pytest.approx(0.10444, abs=5e-6)


def test_ece_of_mccaffrey_with_five_classes():
    """McCaffrey (2021), "How to calculate expected calibration error for multi-class
    classification", with Pavlovic's (2023) result, which is that of three bins.
    """
    y_prob = [
        [0.25, 0.2, 0.22, 0.18, 0.15],
        [0.16, 0.06, 0.5, 0.07, 0.21],
        [0.06, 0.03, 0.8, 0.07, 0.04],
        [0.02, 0.03, 0.01, 0.04, 0.9],
        [0.4, 0.15, 0.16, 0.14, 0.15],
        [0.15, 0.28, 0.18, 0.17, 0.22],
        [0.07, 0.8, 0.03, 0.06, 0.04],
        [0.1, 0.05, 0.03, 0.75, 0.07],
        [0.25, 0.22, 0.05, 0.3, 0.18],
        [0.12, 0.09, 0.02, 0.17, 0.6],
    ]
    y_true = [0, 2, 3, 4, 2, 0, 1, 3, 3, 2]
    assert ece(y_true, ten_columns(y_prob), n_bins=3) == pytest.approx(0.192)


@quick
@given(models, st.integers(1, 40))
def test_ece_and_reliability_are_those_of_a_loop_over_bins(model, n_bins):
    y_true, y_prob = model
    confidence, right = y_prob.max(axis=1), y_prob.argmax(axis=1) == y_true
    table = reliability_table(y_true, y_prob, n_bins=n_bins)
    assert len(table) == n_bins
    slow = 0
    for row in table.itertuples():
        inside = (row.above < confidence) & (confidence <= row.up_to)
        assert row.n == inside.sum()
        if row.n:
            assert row.confidence == pytest.approx(confidence[inside].mean())
            assert row.accuracy == pytest.approx(right[inside].mean())
            assert row.accuracy_low <= row.accuracy <= row.accuracy_high + 1e-12
            slow += row.n / 400 * abs(row.accuracy - row.confidence)
        else:
            assert np.isnan([row.confidence, row.accuracy, row.accuracy_low]).all()
    assert table["n"].sum() == 400
    assert ece(y_true, y_prob, n_bins=n_bins) == pytest.approx(slow)
    assert 0 <= slow <= 1


def test_bins_hold_their_upper_edge():
    y_prob = ten_columns([[0.5, 0.5], [1, 0], [0.6, 0.4]])
    assert reliability_table([0, 0, 0], y_prob, n_bins=2)["n"].tolist() == [1, 2]


def test_ece_of_certainty():
    certain = np.eye(10)
    assert ece(np.arange(10), certain) == 0
    assert ece((np.arange(10) + 1) % 10, certain) == 1


def test_calibration_is_measured_in_fifteen_bins_unless_told_otherwise():
    y_true, y_prob = random_model(18)
    assert len(reliability_table(y_true, y_prob)) == 15
    assert ece(y_true, y_prob) == ece(y_true, y_prob, n_bins=15) != ece(y_true, y_prob, n_bins=16)
    few = {"n_draws": 20}
    assert calibrated_ece(y_prob, **few) == calibrated_ece(y_prob, n_bins=15, **few)


def test_calibrated_ece_of_one_confidence_is_binomial():
    y_prob = np.tile([0.82, *[0.02] * 9], (200, 1))
    n_right = np.arange(201)
    chance = stats.binom.pmf(n_right, 200, 0.82)
    gap = np.abs(n_right / 200 - 0.82)
    mean, low, high = calibrated_ece(y_prob, n_draws=5000)
    assert mean == pytest.approx((chance * gap).sum(), rel=0.03)
    assert chance[gap < low - 1e-9].sum() < 0.03
    assert chance[gap > high + 1e-9].sum() < 0.03 < chance[gap > high - 0.01].sum()


def test_calibrated_ece_is_what_a_calibrated_model_shows():
    rng = np.random.default_rng(14)
    _, y_prob = random_model(14, n=1000)
    _, low, high = calibrated_ece(y_prob, n_draws=500)
    shown = np.array([ece(calibrated_labels(y_prob, rng), y_prob) for _ in range(300)])
    assert 0.90 <= ((low <= shown) & (shown <= high)).mean() <= 0.99


@quick
@given(models, st.floats(0.2, 5))
def test_temperature_divides_logits(model, temperature):
    _, y_prob = model
    logits = np.log(y_prob) + 3  # logits are free up to a constant
    assert apply_temperature(y_prob, temperature) == pytest.approx(softmax(logits / temperature, 1))
    assert apply_temperature(y_prob, 1) == pytest.approx(y_prob)
    cooled = apply_temperature(y_prob, temperature)
    assert (cooled.argmax(axis=1) == y_prob.argmax(axis=1)).all()


def test_temperature_of_a_certain_model():
    certain = np.eye(10, dtype=np.float32)
    assert apply_temperature(certain, 1) == pytest.approx(certain)
    heated = apply_temperature(certain, 100)
    assert (heated.argmax(axis=1) == np.arange(10)).all()
    assert heated.min() > 0.01


@pytest.mark.parametrize("true_temperature", [0.6, 1.7])
def test_fit_temperature_finds_the_one_that_made_the_labels(true_temperature):
    rng = np.random.default_rng(15)
    _, y_prob = random_model(15, n=20_000)
    y_true = calibrated_labels(apply_temperature(y_prob, true_temperature), rng)
    temperature = fit_temperature(y_true, y_prob)
    assert temperature == pytest.approx(true_temperature, rel=0.03)
    best = nll(y_true, apply_temperature(y_prob, temperature))
    for other in (temperature * 0.99, temperature * 1.01):
        assert best < nll(y_true, apply_temperature(y_prob, other))


def test_fit_temperature_needs_errors():
    _, y_prob = random_model(16)
    for all_right in (y_prob, np.eye(10)[y_prob.argmax(axis=1)]):
        with pytest.raises(ValueError, match="y_prob: every prediction is right"):
            fit_temperature(y_prob.argmax(axis=1), all_right)
    with pytest.raises(ValueError, match=r"y_prob: no temperature .* accuracy is 0\.0"):
        fit_temperature(y_prob.argmin(axis=1), y_prob)


def test_float32_may_leave_a_confidence_above_one():
    y_prob = np.full((10, 10), 1e-9)
    y_prob[np.arange(10), np.arange(10)] = 1.0000001
    table = reliability_table(np.arange(10), y_prob, n_bins=4)
    assert table.n.tolist() == [0, 0, 0, 10] and table.confidence[3] == 1


# Declining


@quick
@given(st.integers(0, 10_000))
def test_risk_coverage_is_that_of_accepting(seed):
    y_true, y_prob = random_model(seed, n=100)
    y_prob = np.repeat(y_prob[:50], 2, axis=0)  # every confidence twice, with other labels
    confidence, wrong = y_prob.max(axis=1), y_prob.argmax(axis=1) != y_true
    table = risk_coverage(y_true, y_prob)
    assert len(table) == 50
    for row in table.itertuples():
        accepted = confidence >= row.threshold
        assert row.coverage == pytest.approx(accepted.mean())
        assert row.risk == pytest.approx(wrong[accepted].mean())
    assert table["coverage"].is_monotonic_increasing
    assert table.iloc[-1]["coverage"] == 1
    assert table.iloc[-1]["risk"] == wrong.mean()


def test_error_that_remains_when_one_image_in_ten_is_declined():
    y_true = np.arange(10)
    y_prob = np.eye(10) * 0.8 + 0.02
    y_prob[4] = ten_columns([[0.5, 0, 0, 0, 0.3, 0.2]])[0]  # unsure and wrong
    y_prob[5] = ten_columns([[0.95, 0, 0, 0, 0, 0.05]])[0]  # sure and wrong
    table = risk_coverage(y_true, y_prob)
    assert table[table["coverage"] >= 0.9].iloc[0].tolist() == pytest.approx([0.82, 0.9, 1 / 9])


# What all functions share


@quick
@given(models, st.randoms(use_true_random=False))
def test_order_of_images_does_not_matter(model, random):
    y_true, y_prob = model
    images = np.array(random.sample(range(400), 400))
    y_pred = y_prob.argmax(axis=1)
    preds = np.array([y_pred, np.roll(y_pred, 1), np.where(np.arange(400) % 3, y_true, y_pred)])
    for number in (nll, brier, ece):
        assert number(y_true[images], y_prob[images]) == pytest.approx(number(y_true, y_prob))
    for table in (reliability_table, risk_coverage):
        expected = table(y_true, y_prob).to_numpy(float)
        assert table(y_true[images], y_prob[images]).to_numpy(float) == pytest.approx(
            expected, nan_ok=True
        )
    for table in (metrics, per_class_metrics):
        assert table(y_true[images], y_pred[images]).equals(table(y_true, y_pred))
    assert mcnemar(y_true[images], *preds[:2, images]) == mcnemar(y_true, *preds[:2])


def test_float32_and_small_integers_give_the_same():
    y_true, y_prob = random_model(17)
    small_true, small_prob = y_true.astype(np.uint8), y_prob.astype(np.float32)
    assert ece(small_true, small_prob) == pytest.approx(ece(y_true, y_prob), rel=1e-5)
    assert nll(small_true, small_prob) == pytest.approx(nll(y_true, y_prob), rel=1e-5)
    y_pred = y_prob.argmax(axis=1)
    expected = per_class_metrics(y_true, y_pred)
    assert per_class_metrics(small_true, y_pred.astype(np.uint8)).equals(expected)


LABELS = np.arange(20) % 10
CERTAIN = np.eye(10)[LABELS]


def with_row(*values):
    y_prob = CERTAIN.copy()
    y_prob[3, : len(values)] = values
    return y_prob


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nll(LABELS, with_row(0.5)), r"^y_prob: .*sum 1\.5 at index 3"),
        (lambda: nll(LABELS, with_row(-0.5, 0.5)), r"^y_prob: .*\[-0\.5, 0\.5, .* at index 3"),
        (lambda: nll(LABELS, with_row(np.nan)), r"^y_prob: .*\[nan, .* at index 3"),
        (lambda: nll(LABELS, CERTAIN[:-1]), "^y_prob: expected 20 images, .*got 19"),
        (lambda: nll(LABELS, CERTAIN[:, :9]), r"^y_prob: .*shape \(20, 9\)"),
        (lambda: nll(LABELS, np.pad(CERTAIN, [(0, 0), (0, 1)])), r"^y_prob: .*shape \(20, 11\)"),
        (lambda: nll(LABELS[:10], LABELS[:10]), r"^y_prob: .*shape \(10,\)"),
        (lambda: ece(CERTAIN, CERTAIN), r"^y_true: .*shape \(20, 10\)"),
        (lambda: ece([], np.empty((0, 10))), r"^y_true: .*shape \(0,\)"),
        (lambda: calibrated_ece(np.empty((0, 10))), r"^y_prob: .*shape \(0, 10\)"),
        (lambda: risk_coverage(LABELS + 1, CERTAIN), "^y_true: .*got 10 at index 9"),
        (lambda: metrics(LABELS, LABELS - 1), "^y_pred: .*got -1 at index 0"),
        (lambda: metrics(LABELS, LABELS + 0.5), r"^y_pred: .*got 0\.5 at index 0"),
        (lambda: metrics(LABELS, LABELS.astype(str)), "^y_pred: .*got 0 at index 0"),
        (lambda: metrics(LABELS, LABELS[1:]), "^y_pred: expected 20 images, .*got 19"),
        (lambda: ece(LABELS, CERTAIN[LABELS], n_bins=0), "^n_bins: expected 1 or more, got 0"),
        (lambda: mcnemar(LABELS, LABELS, LABELS[1:]), "^y_pred_b: expected 20 images, .*got 19"),
        (lambda: wilson_interval(5, 3), r"k \(5\) must not be greater than n \(3\)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_import_is_light():
    code = (
        "import sys, digitlib.calibration, digitlib.evaluation\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'mlxtend', 'scipy', 'matplotlib'}\n"
        "print(*heavy & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "\n", done.stderr


def test_digit_without_an_image_has_no_recall():
    y_true, y_pred = np.array([0, 1, 2, 2]), np.array([0, 1, 2, 9])
    table = per_class_metrics(y_true, y_pred)
    assert table.recall.dropna().to_dict() == {0: 1, 1: 1, 2: 0.5}
    assert table.precision.dropna().to_dict() == {0: 1, 1: 1, 2: 1, 9: 0}
    means = metrics(y_true, y_pred)
    assert means.accuracy == 0.75 and means[["precision", "recall", "f1"]].isna().all()
