"""Networks made elsewhere: shown what they were trained on, or refused with a way out."""

import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from digitlib.data import one_hot
from digitlib.networks import FORMS, open_network


def trained(sample, path, *, form="pixels from 0 to 1", shape=(28, 28, 1), last="softmax"):
    """A network saved at `path`, trained for a moment in that form, and its test outputs."""
    keras.utils.set_random_seed(0)

    def inputs(images):
        shown = FORMS[form](images.astype(np.float32))
        return np.stack([shown] * 3, -1) if shape[-1] == 3 else shown.reshape(-1, *shape)

    hidden = layers.Dense(64, "relu")
    model = keras.Sequential([keras.Input(shape), layers.Flatten(), hidden, layers.Dense(10, last)])
    losses = {"softmax": "categorical_crossentropy", "sigmoid": "binary_crossentropy"}
    loss = losses.get(last, keras.losses.CategoricalCrossentropy(from_logits=True))
    model.compile(optimizer="adam", loss=loss)
    model.fit(inputs(sample.x_train), one_hot(sample.y_train), epochs=4, verbose=0)
    model.save(path)
    return model.predict(inputs(sample.x_test), batch_size=1000, verbose=0)


@pytest.mark.parametrize("form", FORMS)
def test_network_is_shown_the_form_that_it_was_trained_on(sample, tmp_path, form):
    expected = trained(sample, tmp_path / "a.keras", form=form)
    predict, how = open_network(tmp_path / "a.keras")
    assert how.startswith(f"shown {form} in the shape (28, 28, 1)")
    np.testing.assert_allclose(predict(sample.x_test), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(784,), (28, 28), (1, 28, 28), (28, 28, 3)])
def test_network_is_shown_images_of_its_shape(sample, tmp_path, shape):
    expected = trained(sample, tmp_path / "a.keras", shape=shape)
    predict, how = open_network(tmp_path / "a.keras")
    assert f"in the shape {shape}" in how
    np.testing.assert_allclose(predict(sample.x_test), expected, atol=1e-6)


def saved(path, shape, *inner):
    keras.Sequential([keras.Input(shape), *inner]).save(path)
    return path


def test_network_for_images_of_any_size_is_shown_28_by_28(sample, tmp_path):
    inner = layers.GlobalMaxPooling2D(), layers.Dense(10, "softmax")
    predict, how = open_network(saved(tmp_path / "a.keras", (None, None, 1), *inner))
    assert predict(sample.x_test[:3]).shape == (3, 10)
    assert "(28, 28, 1)" in how and how.endswith("none of the forms that are tried fits it")


@pytest.mark.parametrize(("last", "name"), [("linear", "logits"), ("sigmoid", "ten single prob")])
def test_outputs_become_probabilities(sample, tmp_path, last, name):
    outputs = trained(sample, tmp_path / "a.keras", last=last)
    predict, how = open_network(tmp_path / "a.keras")
    y_prob = predict(sample.x_test)
    assert name in how and (y_prob.argmax(axis=1) == outputs.argmax(axis=1)).all()
    np.testing.assert_allclose(y_prob.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "n_outputs", "message"),
    [((28, 28), 5, r"ten outputs an image, got \(1000, 5\)"), ((32, 32), 10, r"\(None, 32, 32\)")],
)
def test_network_for_something_else_is_refused(tmp_path, shape, n_outputs, message):
    path = saved(tmp_path / "a.keras", shape, layers.Flatten(), layers.Dense(n_outputs))
    with pytest.raises(ValueError, match=rf"a\.keras: .*{message}"):
        open_network(path)


def hdf5(path, **attributes):
    with h5py.File(path, "w") as file:
        file.attrs.update(attributes)


def zipped(path, **metadata):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("metadata.json", json.dumps(metadata))
        file.writestr("config.json", "{}")


def folder(path):
    path.mkdir()
    (path / "saved_model.pb").touch()


OLD = {"keras_version": "2.2.4", "model_config": "{}"}


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a.model", folder, r"SavedModel folder.*tf_keras\.models\.load_model\('.*a\.model'"),
        ("a.h5", lambda path: hdf5(path, **OLD), r"HDF5 file of Keras 2\.2\.4.*tf_keras"),
        ("a.model", lambda path: hdf5(path, **OLD), r"HDF5 file of Keras 2\.2\.4.*tf_keras"),
        (
            "a.model",
            lambda path: hdf5(path, keras_version="3.3.3", model_config="{}"),
            r"HDF5 file, .* ends in \.h5: copy it",
        ),
        ("a.h5", lambda path: hdf5(path, keras_version="2.12.0"), "weights without .*load_weights"),
        ("a.keras", lambda path: zipped(path, keras_version="2.13.1"), r"tensorflow==2\.13\.1`"),
        ("a.keras", lambda path: zipped(path, keras_version="3.3.3"), "not a Keras network"),
        (
            "a.tflite",
            lambda path: path.write_bytes(b"\x1c\0\0\0TFL3"),
            "TensorFlow Lite .*made from",
        ),
        ("a.keras", lambda path: path.write_bytes(b"not a zip"), "not a Keras network"),
    ],
)
def test_file_that_keras_does_not_open_is_refused_with_a_way_out(tmp_path, name, write, message):
    path = tmp_path / name
    write(path)
    with pytest.raises(ValueError, match=message) as error:
        open_network(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
