"""Other data sets: what is stored comes out as digits, and nothing else passes for them."""

import gzip
import os
import pickle
import tracemalloc
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from PIL import Image

from digitlib.data import DownloadError
from digitlib.datasets import USPS_COUNTS, load_images, load_test_set, load_uci, load_usps, to_form
from digitlib.formats import DataError
from digitlib.geometry import ink_geometry
from digitlib.reader.network import load_network


def idx_bytes(array, code=8):
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.tobytes()


def write_idx(folder, images, labels, *, ending=""):
    pack = gzip.compress if ending else bytes
    path = folder / f"some-images-idx3-ubyte{ending}"
    path.write_bytes(pack(idx_bytes(images)))
    (folder / f"some-labels-idx1-ubyte{ending}").write_bytes(pack(idx_bytes(labels)))
    return path


@pytest.fixture(scope="module")
def digits(sample):
    """Twenty real digits, of every class two, and their labels."""
    return sample.x_test[:20], sample.y_test[:20]


@pytest.fixture
def saved(tmp_path):
    """Writes an .npz file: its path."""

    def save(**arrays):
        np.savez(tmp_path / "some.npz", **arrays)
        return tmp_path / "some.npz"

    return save


def usps_like():
    """Images and labels that have all that is known of the USPS test set but the digits."""
    x = np.full((2007, 16, 16), -1, np.float32)
    x[:, 3:13, 7:9] = 1
    return x, np.repeat(np.arange(10), USPS_COUNTS)


def test_npz_is_loaded_as_it_is(saved, digits):
    x, y = digits
    loaded = load_images(saved(x=x, y=y.astype(np.int64)))
    assert loaded.name == "some.npz" and loaded.labels.dtype == np.uint8
    np.testing.assert_array_equal(loaded.images, x)
    np.testing.assert_array_equal(loaded.labels, y)


@pytest.mark.parametrize(
    ("stored", "convert"),
    [
        (lambda x: x / 255, ()),
        (lambda x: (x / 255).astype(np.float32), ()),
        (lambda x: x.astype(float), ("rescale",)),
        (lambda x: x.astype(np.int16), ("rescale",)),
        (lambda x: x / 127.5 - 1, ("rescale",)),
        (lambda x: 255 - x, ("invert",)),
        (lambda x: 1 - x / 127.5, ("rescale", "invert")),
        (lambda x: x.reshape(20, 784), ()),
        (lambda x: x[..., np.newaxis], ()),
        (lambda x: x[:, np.newaxis], ()),
        (lambda x: x.transpose(0, 2, 1), ("transpose",)),
        (
            lambda x: 1 - x.transpose(0, 2, 1).reshape(20, 784) / 255,
            ("invert", "transpose"),
        ),
    ],
)
def test_each_form_of_storage_gives_the_same_images(saved, digits, stored, convert):
    x, y = digits
    loaded = load_images(saved(x=stored(x), y=y), convert=convert)
    assert loaded.images.dtype == np.uint8
    np.testing.assert_array_equal(loaded.images, x)
    if convert:
        with pytest.raises(DataError, match=rf"ask for .*\(--convert\) '{convert[0]}'"):
            load_images(saved(x=stored(x), y=y))


def test_many_images_are_converted_in_little_memory(saved, sample):
    x = np.tile(sample.x_train, (10, 1, 1))
    path = saved(x=x, y=np.tile(sample.y_train, 10))
    tracemalloc.start()
    try:
        load_images(path, convert=("rescale",))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * x.nbytes


@pytest.mark.parametrize(
    ("stored", "convert"),
    [
        (lambda y: y.astype(float), ()),
        (lambda y: np.eye(10)[y], ()),
        (lambda y: y + 1, ("labels-from-1",)),
        (lambda y: np.where(y == 0, 10, y), ("ten-is-zero",)),
    ],
)
def test_each_coding_of_labels_gives_the_same_digits(saved, digits, stored, convert):
    x, y = digits
    np.testing.assert_array_equal(load_images(saved(x=x, y=stored(y)), convert=convert).labels, y)
    if convert:
        with pytest.raises(DataError, match=f"label 10 .* '{convert[0]}'"):
            load_images(saved(x=x, y=stored(y)))


@pytest.mark.parametrize(
    ("change", "convert", "message"),
    [
        (lambda x, y: {"images": x, "y": y}, (), "arrays x, y"),
        (lambda x, y: {"x": x, "y": y.astype(object)}, (), "arrays x, y"),
        (lambda x, y: {"x": x[:0], "y": y[:0]}, (), r"\(0, 28, 28\)"),
        (lambda x, y: {"x": x[:7], "y": y}, (), "7 images, but 20 labels"),
        (lambda x, y: {"x": x[0, 0, 0], "y": y}, (), r"shape \(\)"),
        (lambda x, y: {"x": x[:, :7], "y": y}, (), "8 to 1,000 pixels a side"),
        (lambda x, y: {"x": np.repeat(x[..., None], 4, 3), "y": y}, (), r"28, 4\).*a side$"),
        (lambda x, y: {"x": x.astype(str), "y": y}, (), "expected numbers"),
        (lambda x, y: {"x": x * 0, "y": y}, ("rescale",), "from 0 to 0"),
        (lambda x, y: {"x": np.where(x, np.nan, 0.0), "y": y}, ("rescale",), "nan"),
        (lambda x, y: {"x": x // 255, "y": y}, (), "uint8 from 0 to 1, .*'rescale'"),
        (lambda x, y: {"x": x, "y": y}, ("invert",), "20 of 20 .* leave out"),
        (lambda x, y: {"x": np.concatenate([x[:15], 255 - x[15:]]), "y": y}, (), "5 of 20"),
        (lambda x, y: {"x": x, "y": y * 3}, (), "label 12 at index 4, expected digits 0 to 9$"),
        (lambda x, y: {"x": x, "y": y}, ("labels-from-1",), "label -1"),
        (lambda x, y: {"x": x, "y": y + 0.5}, (), "label 0.5"),
        (lambda x, y: {"x": x, "y": 2 * np.eye(10)[y]}, (), r"\(20, 10\)"),
        (lambda x, y: {"x": x, "y": np.eye(10)[y] + np.eye(10)[0]}, (), r"\(20, 10\)"),
        (lambda x, y: {"x": x, "y": y}, ("transpose",), "swapped, .* leave out .*'transpose'"),
        (lambda x, y: {"x": x, "y": y.astype(str)}, (), "labels of type <U"),
    ],
)
def test_what_is_not_digits_is_refused_by_name(saved, digits, change, convert, message):
    with pytest.raises(DataError, match=message) as error:
        load_images(saved(**change(*digits)), convert=convert)
    assert "some.npz" in str(error.value)


@pytest.mark.parametrize("convert", [("upside-down",), "invert"])
def test_unknown_conversion_is_refused(saved, digits, convert):
    with pytest.raises(ValueError, match="transpose"):
        load_images(saved(x=digits[0], y=digits[1]), convert=convert)


@pytest.mark.parametrize("damage", [lambda c: c[:-300], lambda c: c[:100], lambda c: b"", None])
def test_damaged_npz_is_refused_by_name(saved, digits, damage):
    path = saved(x=digits[0], y=digits[1])
    path.write_bytes(damage(path.read_bytes()) if damage else b"404: not found")
    with pytest.raises(DataError, match=r"some\.npz"):
        load_images(path)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_emnist_is_read_and_turned_when_asked(tmp_path, digits, ending):
    x, y = digits
    path = write_idx(tmp_path, np.ascontiguousarray(x.transpose(0, 2, 1)), y, ending=ending)
    np.testing.assert_array_equal(load_images(path, convert=["transpose"]).images, x)
    with pytest.raises(DataError, match=r"\d+% with rows and columns swapped.*ask .*'transpose'"):
        load_images(path)


def test_qmnist_labels_are_the_first_of_eight_columns(tmp_path, digits):
    x, y = digits
    (tmp_path / "q-images-idx3-ubyte").write_bytes(idx_bytes(x))
    columns = np.arange(1000, 1160).reshape(20, 8)
    columns[:, 0] = y
    labels = gzip.compress(idx_bytes(columns.astype(">i4"), code=0x0C))
    (tmp_path / "q-labels-idx2-int.gz").write_bytes(labels)
    loaded = load_images(tmp_path / "q-images-idx3-ubyte")
    np.testing.assert_array_equal(loaded.labels, y)
    assert loaded.labels.dtype == np.uint8


def test_idx_without_labels_says_what_it_looked_for(tmp_path, digits):
    path = write_idx(tmp_path, *digits)
    (tmp_path / "some-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"some-labels-idx1-ubyte or .*some-labels-idx2-int\.gz"):
        load_images(path)


@pytest.mark.parametrize("part", ["images-idx3", "labels-idx1"])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_truncated_idx_is_refused_by_name(tmp_path, digits, part, ending):
    path = write_idx(tmp_path, *digits, ending=ending)
    damaged = tmp_path / f"some-{part}-ubyte{ending}"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    with pytest.raises(DataError, match=f"some-{part}"):
        load_images(path)


def write_pictures(folder, images, labels):
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / str(label) / f"img_{i}.png")
    return folder


def write_csv(path, images, labels, header=""):
    table = np.column_stack([labels, images.reshape(len(images), -1)])
    np.savetxt(path, table, "%d", ",", header=header, comments="")
    return path


def write_pickle(path, images, labels):
    """As M. Nielsen has it: training, validation and test data."""
    parts = [((x / np.float32(256)).reshape(-1, 784), y) for x, y in [(images, labels)] * 3]
    content = pickle.dumps(parts, protocol=3).replace(b"numpy._core", b"numpy.core")
    path.write_bytes(gzip.compress(content))
    return path


def write_npz(path, images, labels):
    np.savez(path, x_train=images[:0], y_train=labels[:0], x_test=images, y_test=labels)
    return path


def write_nested(folder, images, labels):
    """As Kaggle's archive has it: each file in a folder of its own name."""
    for name, array in (("t10k-images-idx3-ubyte", images), ("t10k-labels-idx1-ubyte", labels)):
        (folder / name).mkdir(parents=True)
        (folder / name / name).write_bytes(idx_bytes(array))
    return folder / "t10k-images-idx3-ubyte" / "t10k-images-idx3-ubyte"


def write_dotted(folder, images, labels):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "t10k-images.idx3-ubyte").write_bytes(idx_bytes(images))
    (folder / "t10k-labels.idx1-ubyte").write_bytes(idx_bytes(labels))
    return folder / "t10k-images.idx3-ubyte"


@pytest.mark.parametrize(
    "write",
    [
        lambda folder, *digits: write_pictures(folder / "test", *digits),
        lambda folder, *digits: write_pictures(folder / "a" / "a", *digits).parents[1],
        lambda folder, *digits: write_csv(folder / "train.csv", *digits, header="label,pixel0"),
        lambda folder, *digits: write_csv(folder / "train.csv", *digits),
        lambda folder, *digits: write_pickle(folder / "mnist.pkl.gz", *digits),
        lambda folder, *digits: write_npz(folder / "a.npz", *digits),
        lambda folder, *digits: write_nested(folder / "archive", *digits),
        lambda folder, *digits: write_nested(folder / "archive", *digits).parents[1],
        lambda folder, *digits: write_dotted(folder, *digits),
        lambda folder, *digits: write_dotted(folder / "MNIST" / "raw", *digits).parents[2],
    ],
)
def test_each_kind_of_data_gives_the_same_digits(tmp_path, digits, write):
    folder = tmp_path / "data"
    folder.mkdir()
    loaded = load_images(write(folder, *digits))
    pairs = [
        sorted((label, image.tobytes()) for image, label in zip(*each, strict=True))
        for each in ((loaded.images, loaded.labels), digits)
    ]
    assert pairs[0] == pairs[1]


def two_sets(folder, x, y):
    write_pictures(folder / "training", x, y)
    write_pictures(folder / "testing", x, y)


def two_sizes(folder, x, y):
    write_pictures(folder, x, y)
    Image.fromarray(x[0]).resize((30, 40)).save(folder / "3" / "other.png")


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a", two_sets, r"a: holds 2 sets; name one of .*testing, .*training"),
        ("a", two_sizes, r"a: pictures of 2 sizes, from \(28, 28\) to \(40, 30\).*resize"),
        ("a", lambda path, x, y: None, r"a: expected .* this folder is and holds none"),
        ("a.csv", lambda path, x, y: path.write_text("1,2,3"), r"a\.csv: .*3 columns"),
        ("a.csv", lambda path, x, y: path.write_text("a,b\n1,2"), r"a\.csv: .*784 pixels.*'a'"),
        ("a.csv", lambda path, x, y: write_csv(path, x * 2.0, y), r"a\.csv: .*784 pixels"),
        ("a.pkl.gz", lambda path, x, y: path.write_bytes(b"no"), r"a\.pkl\.gz: not a whole gzip"),
        ("a.mat", lambda path, x, y: path.write_bytes(b"MATLAB"), r"a\.mat: .*np\.savez\('dig"),
    ],
)
def test_other_data_are_refused_by_name_with_a_way_out(tmp_path, digits, name, write, message):
    if "." not in name:
        (tmp_path / name).mkdir()
    write(tmp_path / name, *digits)
    with pytest.raises(DataError, match=message):
        load_images(tmp_path / name)


def test_absent_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"absent\.npz: no such file"):
        load_images("absent.npz")


def test_uci_digits():
    uci = load_uci()
    assert uci.images.shape == (1797, 8, 8) and uci.images.dtype == np.uint8
    assert uci.labels[:12].tolist() == [*range(10), 0, 1]
    assert np.unique(uci.images).tolist() == [round(255 * k / 16) for k in range(17)]
    assert np.bincount(uci.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_usps_for_real():
    path = Path(os.environ.get("DIGITLIB_DATA", ""), "usps_test.npz")
    if not path.exists():
        pytest.skip("needs usps_test.npz in DIGITLIB_DATA")
    usps = load_usps()
    assert usps.labels[:10].tolist() == [9, 6, 3, 6, 6, 0, 0, 0, 6, 9]
    np.testing.assert_allclose(usps.images, (np.load(path)["x"] + 1) * 127.5, atol=0.501)


def test_usps_from_openml_is_the_last_part_with_labels_from_one(monkeypatch, tmp_path):
    x, y = usps_like()
    x[:, 5, 5] = np.linspace(-1, 1, 2007)
    all_x = np.concatenate([np.zeros((7291, 256)), x.reshape(2007, 256)])
    all_y = np.concatenate([np.full(7291, "5"), (y + 1).astype(str)]).astype(object)
    monkeypatch.setenv("DIGITLIB_DATA", str(tmp_path))
    monkeypatch.setattr("sklearn.datasets.fetch_openml", lambda **options: (all_x, all_y))
    usps = load_usps()
    np.testing.assert_allclose(usps.images, (x + 1) * 127.5, atol=0.501)
    np.testing.assert_array_equal(usps.labels, y)


def test_usps_out_of_reach_says_what_to_do(monkeypatch):
    def fetch(**options):
        raise URLError("no route")

    monkeypatch.delenv("DIGITLIB_DATA", raising=False)
    monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch)
    with pytest.raises(DownloadError, match=r"no route.*usps_test\.npz.*DIGITLIB_DATA"):
        load_usps()


@pytest.mark.parametrize(
    "change",
    [
        lambda x, y: (x[1:], y[1:]),
        lambda x, y: (x, 9 - y),
        lambda x, y: (x / 2 + 0.5, y),
        lambda x, y: (x[:, :, 1:], y),
        lambda x, y: (x[:, :, 4:12], y),
        lambda x, y: (-x, y),
        lambda x, y: (x.reshape(2007, 256), y),
    ],
)
def test_a_file_that_is_not_usps_is_refused(monkeypatch, tmp_path, change):
    monkeypatch.setenv("DIGITLIB_DATA", str(tmp_path))
    x, y = usps_like()
    np.savez(tmp_path / "usps_test.npz", x=x, y=y)
    assert load_usps().images.shape == (2007, 16, 16)
    x, y = change(x, y)
    np.savez(tmp_path / "usps_test.npz", x=x, y=y)
    with pytest.raises(DataError, match=r"usps_test\.npz"):
        load_usps()


def test_mnist_form_is_mnists():
    ink = ink_geometry(to_form(load_uci().images, "mnist"))
    assert ink.longest_side.eq(20).all()
    assert ink[["x", "y"]].sub(14).abs().max(axis=None) < 0.6


def test_resized_is_bilinear():
    image = load_uci().images[3].astype(float)
    expected = np.empty((28, 28))
    for i, j in np.ndindex(28, 28):
        y, x = (np.clip((k + 0.5) * 8 / 28 - 0.5, 0, 7) for k in (i, j))
        top, left = min(int(y), 6), min(int(x), 6)
        down, right = y - top, x - left
        upper, lower = image[top : top + 2, left : left + 2] @ [1 - right, right]
        expected[i, j] = (1 - down) * upper + down * lower
    np.testing.assert_allclose(to_form(load_uci().images, "resized")[3], expected, atol=1.5)


def test_padded_stands_in_the_middle_twenty():
    images = np.full((2, 16, 10), 255, np.uint8)
    padded = to_form(images, "padded")
    assert (padded[:, 4:24, 4:24] == 255).all() and padded.sum() == 2 * 400 * 255


def test_as_is_changes_nothing_and_wants_28_by_28(digits):
    np.testing.assert_array_equal(to_form(digits[0], "as-is"), digits[0])
    with pytest.raises(ValueError, match=r"28 x 28, got \(8, 8\)"):
        to_form(load_uci().images, "as-is")


def test_other_forms_and_images_are_refused(digits):
    with pytest.raises(ValueError, match="'square': expected mnist, padded"):
        to_form(digits[0], "square")
    with pytest.raises(ValueError, match="float64"):
        to_form(digits[0] / 255, "mnist")


def test_a_reader_of_mnist_reads_best_what_has_its_form():
    predict, right = load_network(), {}
    for form in ("mnist", "padded", "resized"):
        test = load_test_set("uci", form=form)
        right[form] = (predict(test.x_test).argmax(axis=1) == test.y_test).mean()
    assert right["mnist"] > 0.95 and right["mnist"] > right["padded"] > right["resized"]


def test_a_test_set_says_what_was_done_to_it(saved, digits):
    x, y = digits
    test = load_test_set(saved(x=255 - x, y=y), convert=["invert"], form="as-is")
    assert test.name == "some.npz (invert; form as-is)" and not test.is_sample
    np.testing.assert_array_equal(test.x_test, x)
    assert len(test.x_train) == len(test.y_train) == 0 and len(test.sha256) == 64
    with pytest.raises(ValueError, match="uci needs no conversion, got invert"):
        load_test_set("uci", convert=["invert"])
