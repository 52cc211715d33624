"""The reader as it is trained: its data, its redrawn digits, and the weights that it ships."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from scipy import ndimage

from digitlib.calibration import fit_temperature
from digitlib.data import model_input
from digitlib.reader.network import WEIGHTS, load_network
from digitlib.studies import train_reader
from digitlib.studies.redraw import redraw
from digitlib.studies.train_reader import NOT_A_DIGIT, READER, reader_data, save_reader


@pytest.fixture(scope="module")
def learned(sample):
    return reader_data(sample)


def test_validation_images_stay_last_and_untouched(learned, sample):
    np.testing.assert_array_equal(learned.x_train[-4000:], sample.x_train)
    np.testing.assert_array_equal(learned.y_train[-4000:], sample.y_train)
    assert learned.sha256 != sample.sha256


def test_made_images_go_with_mnists(learned, sample):
    made, labels = learned.x_train[:-4000], learned.y_train[:-4000]
    n = READER.n_fitted(4000)
    assert set(np.bincount(labels)[:10]) == {round(0.08 * n)}
    assert (labels == NOT_A_DIGIT).sum() == pytest.approx(0.7 * n, abs=10)
    assert made.dtype == np.uint8 and made.any(axis=(1, 2)).all()


def test_redrawn_digits_differ_and_stay_digits(sample):
    keras.utils.set_random_seed(0)
    x = model_input(sample.x_test[:200])
    first, second = redraw(x).numpy(), redraw(x).numpy()
    assert first.shape == x.shape and first.min() >= 0 and first.max() <= 1
    assert np.abs(first - second).mean() > 0.02
    predict = load_network()
    y_prob = predict((255 * first[..., 0]).astype(np.uint8))
    assert (y_prob.argmax(axis=1) == sample.y_test[:200]).mean() > 0.9


def test_kept_weights_predict_what_the_network_does(sample, tmp_path):
    keras.utils.set_random_seed(0)
    model = READER.build()
    for layer in model.layers:  # as if trained: statistics and scales that folding must respect
        if isinstance(layer, keras.layers.BatchNormalization):
            rng = np.random.default_rng(len(layer.name))
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    save_reader(model, 1, tmp_path / "weights.npz")
    images = sample.x_test[:50]
    expected = model.predict(model_input(images), verbose=0)[:, :NOT_A_DIGIT]
    np.testing.assert_allclose(load_network(tmp_path / "weights.npz")(images), expected, atol=5e-3)


def test_shipped_reader_is_small_and_reads_mnist(data):
    assert WEIGHTS.stat().st_size < 1e6
    y_prob = load_network()(data.x_test[:1000])
    assert (y_prob.argmax(axis=1) == data.y_test[:1000]).mean() > 0.98


class Reader:
    """The shipped weights as a network of Keras gives them."""

    def predict(self, x, **options):
        y_prob = load_network()(np.rint(255 * x[..., 0]).astype(np.uint8))
        return np.column_stack([y_prob, 1 - y_prob.sum(axis=1)])


def test_temperature_is_fitted_on_the_images_held_out(sample, monkeypatch):
    run = SimpleNamespace(load_model=Reader)
    monkeypatch.setattr(train_reader, "reader_data", lambda mnist: mnist)
    monkeypatch.setattr(train_reader, "train", lambda recipe, data: run)
    _, temperature, right = train_reader.train_reader(sample)
    n = READER.n_fitted(4000)
    held_out, labels = model_input(sample.x_train[n:]), sample.y_train[n:]
    y_prob = Reader().predict(held_out)[:, :NOT_A_DIGIT]
    expected = fit_temperature(labels, y_prob / y_prob.sum(axis=1, keepdims=True))
    assert temperature == pytest.approx(expected)
    assert right == (y_prob.argmax(axis=1) == labels).mean()


@pytest.fixture(scope="module")
def redrawn_discs():
    keras.utils.set_random_seed(0)
    disc = np.float32(np.hypot(*np.indices((28, 28)) - 13.5) < 11)
    return redraw(np.repeat(disc[None, ..., None], 2000, axis=0)).numpy()[..., 0]


def test_some_redrawn_digits_are_cut_straight(redrawn_discs):
    """A cut leaves a disc a long straight side, and nothing else does."""
    longest = np.zeros(2000)
    for turned in (np.rot90(redrawn_discs > 0.4, k, (1, 2)) for k in range(4)):
        rows = turned.sum(axis=2)
        first = rows[np.arange(2000), (rows > 0).argmax(axis=1)]
        longest = np.maximum(longest, first / rows.max(axis=1))
    assert 0.02 < (longest > 0.65).mean() < 0.125


def test_some_redrawn_digits_lost_a_band_or_kept_a_bit_of_line(redrawn_discs):
    """A band parts a disc; a bit of line is too thin to outlast the opening with a square."""
    ink = redrawn_discs > 0.2
    in_parts = np.array([ndimage.label(disc)[1] > 1 for disc in ink])
    assert 0.03 < in_parts.mean() < 0.15
    thin = ink & ~ndimage.binary_opening(ink, np.ones((1, 4, 4)))
    assert 0.02 < (thin[~in_parts].sum(axis=(1, 2)) > 9).mean() < 0.15
