"""Properties of the way from any picture to MNIST's form, on real MNIST images."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageDraw
from scipy import ndimage
from sklearn.datasets import load_digits

from digitlib.reader.form import stroke_width, to_mnist_form
from digitlib.reader.ink import WORK_SIDE, PictureError, load_picture
from digitlib.reader.network import _convolve, load_network
from digitlib.reader.reading import read
from digitlib.studies.made_pages import drawn, made_page
from digitlib.studies.score_reader import in_place


@pytest.fixture(scope="module", params=["data", "sample"])
def digits(request, data):
    """200 real MNIST images of digits in one piece that the network reads beyond doubt."""
    if data.is_sample and request.param == "sample":
        pytest.skip("the data are the sample")
    images = request.getfixturevalue(request.param).x_test[:400]
    predict = load_network()
    whole = [x for x in images if ndimage.label(x > 25, np.ones((3, 3)))[1] == 1]
    return np.array([x for x in whole if predict(x[np.newaxis]).max() > 0.99])[:200]


def first_of_each(data, labels):
    """For each label the first real MNIST image of it."""
    return [data.x_test[np.argmax(data.y_test == label)] for label in labels]


def digits_on(source):
    """What is read on a picture, by the shipped network."""
    return read(load_picture(source), load_network()).digits


def only_digit(source):
    found = digits_on(source)
    assert len(found) == 1, f"{len(found)} digits found"
    return found[0]


def likeness(a, b):
    """Cosine similarity of two images, one of them moved by up to a pixel for the best match."""
    b = b / np.linalg.norm(b.astype(float))
    moved = (np.roll(a.astype(float), shift, (0, 1)) for shift in np.ndindex(3, 3))
    return max((np.roll(m, (-1, -1), (0, 1)) * b).sum() for m in moved) / np.linalg.norm(
        a.astype(float)
    )


def saved(image, suffix, **options):
    file = io.BytesIO()
    image.save(file, suffix, **options)
    return file.getvalue()


def page_of(digits, columns, cell=60, jitter=6, seed=0):
    """Digits in lines on white paper, and their boxes."""
    rng = np.random.default_rng(seed)
    rows = -(-len(digits) // columns)
    page, boxes = np.full((rows * cell, columns * cell), 255, np.uint8), []
    for k, digit in enumerate(digits):
        top, left = np.array(divmod(k, columns)) * cell + 16 + rng.integers(-jitter, jitter, 2)
        page[top : top + 28, left : left + 28] -= digit
        y, x = np.nonzero(digit > 50)
        boxes.append((left + x.min(), top + y.min(), left + x.max() + 1, top + y.max() + 1))
    return page, np.array(boxes)


# --- MNIST's form ------------------------------------------------------------------------------


def test_an_mnist_image_is_read_as_it_is(data):
    predict = load_network()
    for image, probabilities in zip(data.x_test[:200], predict(data.x_test[:200]), strict=True):
        for picture in (image, 255 - image, np.stack([image] * 3, 2)):
            found = only_digit(picture)
            assert np.array_equal(found.image, image)
            assert found.text == str(probabilities.argmax())


def test_ink_is_20_pixels_long_and_centred(digits):
    for digit in digits[:50]:
        drawing = Image.fromarray(digit).resize((140, 84), Image.Resampling.BICUBIC)
        image = only_digit(np.asarray(drawing)).image
        y, x = np.nonzero(image)
        assert max(np.ptp(y), np.ptp(x)) + 1 == 20
        weights = image / image.sum()
        rows, columns = np.indices(image.shape)
        assert abs((rows * weights).sum() - 14) <= 0.51
        assert abs((columns * weights).sum() - 14) <= 0.51


@settings(max_examples=50, deadline=None)
@given(arrays(np.float32, st.tuples(*[st.integers(1, 60)] * 2), elements=st.floats(0, 1, width=16)))
def test_any_ink_gets_a_form(ink):
    form = to_mnist_form(ink)
    assert form.shape == (28, 28) and form.dtype == np.uint8
    assert form.any() == ink.any()


@pytest.mark.parametrize("side", [100, 400, 1500])
def test_a_hairline_stays_a_stroke(side):
    canvas = Image.new("L", (side, side), 255)
    ImageDraw.Draw(canvas).line([(0.3 * side, 0.2 * side), (0.6 * side, 0.8 * side)], 0, 1)
    image = only_digit(np.asarray(canvas)).image
    assert 1.2 < stroke_width(image / 255) < 2.2


# --- moving, scaling, inverting, dimming ---------------------------------------------------------


def test_moving_changes_nothing(digits):
    for k, digit in enumerate(digits[:100]):
        canvas = np.zeros((90, 100), np.uint8)
        top, left = k % 62, 7 * k % 72
        canvas[top : top + 28, left : left + 28] = digit
        assert likeness(only_digit(canvas).image, digit) > 0.95


@pytest.mark.parametrize("scale", [2, 5, 20])
def test_scaling_changes_little(digits, scale):
    for digit in digits[:60]:
        large = Image.fromarray(digit).resize((28 * scale, 28 * scale), Image.Resampling.BICUBIC)
        assert likeness(only_digit(np.asarray(large)).image, digit) > 0.88


def test_inverting_changes_nothing(digits):
    for digit in digits:
        assert np.array_equal(only_digit(255 - digit).image, only_digit(digit).image)


@pytest.mark.parametrize(("contrast", "paper"), [(0.1, 0), (0.5, 100), (-0.2, 200), (-0.4, 140)])
def test_dimming_changes_little(digits, contrast, paper):
    for digit in digits[:100]:
        dimmed = (paper + contrast * digit).round().astype(np.uint8)
        assert likeness(only_digit(dimmed).image, digit) > 0.95


@pytest.mark.parametrize(
    "paper, ink", [((40, 90, 50), (240, 230, 120)), ((200, 40, 40), (40, 200, 40))]
)
def test_coloured_paper(digits, paper, ink):
    for digit in digits[:40]:
        share = digit[..., None] / 255
        colour = (np.array(paper) * (1 - share) + np.array(ink) * share).astype(np.uint8)
        assert likeness(only_digit(colour).image, digit) > 0.95


def test_shadow_and_grain(digits):
    rng = np.random.default_rng(0)
    y, x = np.indices((280, 280))
    for digit in digits[:40]:
        ink = np.asarray(Image.fromarray(digit).resize((140, 140), Image.Resampling.BICUBIC)) / 255
        photo = 220 - 60 * x / 280 - 50 / (1 + np.exp((180 - x - 0.3 * y) / 4))
        photo[70:210, 70:210] *= 1 - 0.6 * ink
        photo += rng.normal(0, 3, photo.shape)
        found = digits_on(photo.clip(0, 255).astype(np.uint8))
        largest = max(found, key=lambda found: found.box[3] - found.box[1])
        assert likeness(largest.image, digit) > 0.85


# --- pages ---------------------------------------------------------------------------------------


def test_reading_order_and_boxes(digits):
    page, boxes = page_of(digits[:40], 8)
    found = digits_on(page)
    assert len(found) == 40
    assert np.abs(np.array([d.box for d in found]) - boxes).max() <= 2
    assert all(likeness(d.image, digit) > 0.9 for d, digit in zip(found, digits, strict=False))


def test_lines_may_be_untidy(digits):
    for seed in range(8):
        page, boxes = page_of(digits[8 * seed :][:40], 8, seed=seed)
        found = digits_on(page)
        assert len(found) == 40
        assert np.abs(np.array([d.box for d in found]) - boxes).max() <= 2


def test_boxes_are_in_pixels_of_the_whole_picture(digits):
    page, boxes = page_of(digits[:6], 3)
    large = Image.fromarray(page).resize((page.shape[1] * 20, page.shape[0] * 20))
    found = digits_on(saved(large, "PNG"))
    assert np.abs(np.array([d.box for d in found]) - 20 * boxes).max() <= 40


def test_a_digit_in_two_pieces_is_one(data):
    (digit,) = first_of_each(data, [7])
    broken = np.kron(digit, np.ones((4, 4), np.uint8))
    broken[48:54] = 0
    assert likeness(only_digit(broken).image, digit) > 0.85


@pytest.mark.parametrize("label", [0, 2, 3, 5, 7, 8])
def test_a_broken_digit_among_whole_ones_is_one(data, digits, label):
    page, boxes = page_of([*digits[:3], *first_of_each(data, [label]), *digits[3:5]], 3)
    left, top, right, bottom = boxes[3]
    middle = (top + bottom) // 2
    page[middle - 1 : middle + 2, left:right] = 255
    found = digits_on(page)
    assert len(found) == 6
    assert np.abs(np.array([d.box for d in found]) - boxes).max() <= 2


@pytest.mark.parametrize("squared", [False, True])
def test_ruled_paper(digits, squared):
    whole = 0
    for dozen in digits[:120].reshape(10, 12, 28, 28):
        page, _ = page_of(dozen, 4, cell=80)
        for line in range(15, page.shape[0], 40):
            page[line : line + 2] = np.minimum(page[line : line + 2], 60)
        if squared:
            for line in range(15, page.shape[1], 40):
                page[:, line : line + 2] = np.minimum(page[:, line : line + 2], 60)
        found = digits_on(page)
        alike = [likeness(d.image, digit) for d, digit in zip(found, dozen, strict=False)]
        whole += len(found) == 12 and np.mean(alike) > 0.8
    assert whole >= 8


@pytest.mark.parametrize("slope", [-0.03, 0.03])
def test_ruled_paper_may_lie_askew(digits, slope):
    page, boxes = page_of(digits[:12], 4, cell=80)
    y, x = np.indices(page.shape)
    lines = (y - np.round(slope * (x - 160))) % 40
    page[(lines >= 15) & (lines < 17)] = 60
    found = digits_on(page)
    assert len(found) == 12
    assert np.abs(np.array([d.box for d in found]) - boxes).max() <= 8


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_a_page_on_its_side_is_turned(digits, turn):
    page, boxes = page_of(digits[:9], 3)
    known = digits[:9]

    def predict(images):
        """Digit k is the k-th image of the page, as surely as it looks like that."""
        alike = np.array([[likeness(image, digit) for digit in known] for image in images])
        return np.where(alike > 0.9, alike, 0.05)

    reading = read(load_picture(np.rot90(page, turn)), predict)
    assert reading.text == "012\n345\n678"
    left, top, right, bottom = boxes[0]
    marked = np.zeros(page.shape)
    marked[top:bottom, left:right] = 1
    y, x = np.nonzero(np.rot90(marked, turn))
    assert np.abs(np.array(reading.digits[0].box) - (x.min(), y.min(), x.max(), y.max())).max() <= 3


def test_two_digits_that_touch_are_taken_apart(digits):
    left, right = digits[0], digits[4]
    start = np.flatnonzero(left.any(0))[-1] - np.flatnonzero(right.any(0))[0]
    canvas = np.zeros((40, 70), np.uint8)
    canvas[6:34, 6:34] = left
    area = canvas[6:34, 6 + start : 34 + start]
    area[:] = np.maximum(area, right)

    def predict(images):
        alike = np.array([[likeness(image, digit) for digit in (left, right)] for image in images])
        return np.where(alike > 0.85, alike, 0.05)

    reading = read(load_picture(canvas), predict)
    assert reading.text == "01"
    first, second = (digit.box for digit in reading.digits)
    columns = [6 + np.flatnonzero(digit.any(0)) for digit in (left, right)]
    assert first[0] == pytest.approx(columns[0][0], abs=1)
    assert first[0] < second[0] <= first[2] < second[2]  # a cut may wind
    assert second[2] == pytest.approx(columns[1][-1] + start + 1, abs=1)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_only_pictures_of_three_digits_and_more_are_turned(data, count):
    known = first_of_each(data, [7, 2, 4, 3][:count])
    page, _ = page_of(known, count)

    def predict(images):
        """Every digit is read as one that stands upright, and hardly on its side."""
        alike = [max(likeness(image, digit) for digit in known) for image in images]
        return np.pad(np.array(alike)[:, np.newaxis] > 0.9, [(0, 0), (0, 9)]) * 0.98 + 0.002

    first, *others = (read(load_picture(np.rot90(page, k)), predict).digits for k in range(4))
    upright = [min(digit.confidence for digit in found) > 0.9 for found in others]
    assert min(digit.confidence for digit in first) > 0.9
    assert upright == 3 * [count >= 3]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 80), st.integers(28, 60), st.integers(0, 170))
def test_the_upper_line_comes_first_wherever_it_begins(digits, top, between, indent):
    upper, lower = digits[:2]
    page = np.zeros((240, 200), np.uint8)
    page[top : top + 28, indent : indent + 28] = upper
    page[top + 28 + between :][:28, 170 - indent :][:, :28] = lower
    found = digits_on(page)
    assert [d.box[1] > top + 28 for d in found] == [False, True]


def test_what_predict_calls_no_digit_is_not_sure(digits):
    reading = read(load_picture(digits[0]), lambda images: np.full((len(images), 10), 0.01))
    assert not reading.sure and len(reading.text) == 1


@pytest.mark.parametrize("level", [0, 128, 255])
def test_blank_paper_holds_no_digit(level):
    paper = np.full((300, 200, 3), level, np.uint8)
    assert read(load_picture(paper), None) == ("", [], False)


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [(mode, "PNG") for mode in ("L", "LA", "RGB", "RGBA", "P", "I;16")]
    + [(mode, "TIFF") for mode in ("L", "RGB", "CMYK", "I;16", "I", "F")]
    + [("RGB", "BMP"), ("P", "GIF"), ("RGB", "WEBP"), ("RGBA", "WEBP")]
    + [("L", "JPEG"), ("RGB", "JPEG"), ("CMYK", "JPEG"), ("RGB", "AVIF"), ("RGBA", "AVIF")],
)
def test_formats_and_modes(digits, mode, suffix):
    for digit in digits[:3]:
        paper = Image.fromarray(255 - np.kron(digit, np.ones((6, 6), np.uint8)))
        if mode in ("I;16", "I", "F"):
            values = np.asarray(paper).astype(np.uint16) * 257
            kind = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
            image = Image.fromarray(values.astype(kind))
        else:
            image = paper.convert(mode)
        expected = only_digit(saved(paper, "PNG")).image
        assert likeness(only_digit(saved(image, suffix)).image, expected) > 0.97


@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_deep_picture_with_values_up_to_255_is_no_black_one(digits, mode):
    white = 255 - np.kron(digits[0], np.ones((6, 6), np.uint8))
    kind = {"I;16": np.uint16, "I": np.int32}[mode]
    for paper in (white, white.clip(max=220)):
        deep = saved(Image.fromarray(paper.astype(kind)), "TIFF")
        assert np.array_equal(load_picture(deep).pixels, paper)


@pytest.mark.parametrize("most", [1, 255, 1000])
def test_picture_of_floats_is_as_bright_as_its_brightest_pixel(digits, most):
    paper = 255 - np.kron(digits[0], np.ones((6, 6), np.uint8))
    floats = saved(Image.fromarray(paper.astype(np.float32) * (most / 255)), "TIFF")
    assert np.abs(load_picture(floats).pixels.astype(int) - paper).max() <= 1


@pytest.mark.parametrize("kind", [np.int64, np.uint16, np.int8])
def test_array_may_hold_any_integers_from_0_to_255(digits, kind):
    paper = 127 - digits[0] // 2
    for array in (paper.astype(kind), paper[..., np.newaxis].astype(kind)):
        assert np.array_equal(load_picture(array).pixels, paper)


@pytest.mark.parametrize("array", [np.full((28, 28), 0.5), np.full((28, 28), 256)])
def test_array_of_other_numbers_is_refused(array):
    with pytest.raises(PictureError, match="expected integers from 0 to 255"):
        load_picture(array)


def test_a_crop_of_a_1_may_be_narrow(data):
    crops = []
    for one in data.x_test[data.y_test == 1][:200]:
        rows, columns = (np.flatnonzero((one > 60).any(axis)) for axis in (1, 0))
        crops.append(np.pad(one[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1))
    narrow = [crop for crop in crops if 4 <= crop.shape[1] < 8]
    readings = [read(load_picture(crop), load_network()).text for crop in narrow]
    assert len(narrow) > 10 and np.mean(np.array(readings) == "1") > 0.95


@pytest.mark.parametrize("ink", [0, 255])
def test_ink_on_transparent_paper(digits, ink):
    layers = np.full((28, 28, 4), ink, np.uint8)
    layers[..., 3] = digits[0]
    assert likeness(only_digit(saved(Image.fromarray(layers), "PNG")).image, digits[0]) > 0.97


def test_first_frame_of_a_gif(digits):
    first, second = (Image.fromarray(d) for d in digits[:2])
    file = saved(first, "GIF", save_all=True, append_images=[second])
    assert likeness(only_digit(file).image, digits[0]) > 0.97


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_picture(digits, orientation):
    wide = np.zeros((200, 300), np.uint8)
    wide[20:160, 10:150] = np.kron(digits[0], np.ones((5, 5), np.uint8))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transpositions
    stored = Image.fromarray(wide)
    if orientation > 1:
        stored = stored.transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    digit = only_digit(saved(stored, "JPEG", exif=exif, quality=95))
    assert likeness(digit.image, digits[0]) > 0.95
    assert np.abs(np.array(digit.box) - only_digit(wide).box).max() <= 3


def png_header(width, height):
    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def truncated():
    noise = np.random.default_rng(0).integers(0, 255, (200, 200), np.uint8)
    return saved(Image.fromarray(noise), "PNG")[:5000]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (b"", "not a PNG"),
        (b"hello, I am a text", "not a PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n", "not a PNG"),
        (truncated(), "damaged"),
        (png_header(100, 100), "damaged"),
        (png_header(60_000, 60_000), "too large"),
        (png_header(8_000, 8_000), "8000 x 8000 pixels; .* at most 25 million"),
        (png_header(1, 1), "1 x 1"),
        (png_header(1, 20_000), "1 x 20000"),
        (png_header(20, 2_020), "20 x 2020"),
        (png_header(7, 7), "7 x 7"),
        (png_header(3, 20), "3 x 20"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC, .* save it as JPEG"),
    ],
)
def test_bad_input_is_named(source, says):
    with pytest.raises(PictureError, match=says):
        load_picture(source)


def test_a_file_is_what_it_holds_and_not_what_it_is_named(tmp_path):
    path = tmp_path / "note.png"
    path.write_text("no picture")
    with pytest.raises(PictureError, match=r"note\.png is not a PNG"):
        load_picture(path)
    path.write_bytes(b"\0\0\0\x18ftypheix\0\0\0\0mif1heix")
    with pytest.raises(PictureError, match=r"note\.png is HEIC"):
        load_picture(path)
    with pytest.raises(FileNotFoundError):
        load_picture(tmp_path / "absent.png")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_files_raise_nothing_else(data):
    image = Image.effect_mandelbrot((60, 40), (-3, -2, 2, 2), 50)
    suffix = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "AVIF"]))
    content = bytearray(saved(image, suffix))
    for _ in range(data.draw(st.integers(1, 20))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        picture = load_picture(bytes(content))
    except PictureError:
        return
    read(picture, load_network())


def test_large_pictures_are_reduced():
    photo = Image.new("RGB", (6000, 4000), "white")
    picture = load_picture(saved(photo, "JPEG"))
    assert picture.size == (6000, 4000)
    assert max(picture.pixels.shape) == WORK_SIDE


def test_a_picture_full_of_specks_is_not_read():
    specks = (255 * (np.random.default_rng(0).random((900, 1600)) > 0.97)).astype(np.uint8)
    assert not read(load_picture(specks), load_network()).sure


# --- predictor and score -------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "stride"), [(5, 2), (3, 1), (3, 2)])
def test_convolution_against_loops(size, stride):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 14, 14, 3)), rng.normal(size=(size, size, 3, 4))
    out = -(-14 // stride)
    before = max((out - 1) * stride + size - 14, 0) // 2
    padded = np.pad(x, ((0, 0), (before, size), (before, size), (0, 0)))
    slow = np.array(
        [
            [
                [
                    np.einsum("hwc,hwcf->f", padded[n, i : i + size, j : j + size], kernel)
                    for j in range(0, out * stride, stride)
                ]
                for i in range(0, out * stride, stride)
            ]
            for n in range(2)
        ]
    )
    assert np.allclose(_convolve(x, kernel, stride), slow)


def test_digits_of_the_uci_set_drawn_large_are_read():
    """13 people's handwriting that everyone may show (CC BY 4.0), of 8 x 8 pixels, as pictures."""
    x, y = load_digits(return_X_y=True)
    ink = np.pad(12 * x[:200].reshape(-1, 8, 8), ((0, 0), (2, 2), (2, 2)))
    pages = map(Image.fromarray, (235 - ink).astype(np.uint8))
    pictures = [page.resize((144, 144), Image.Resampling.BICUBIC) for page in pages]
    readings = [read(load_picture(np.asarray(picture)), load_network()) for picture in pictures]
    right = np.array([r.text == str(digit) for r, digit in zip(readings, y, strict=False)])
    sure = np.array([reading.sure for reading in readings])
    assert right.mean() > 0.95 and sure.mean() > 0.7 and (sure & ~right).sum() <= 2


# --- what strangers write ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "share"),
    [(kind, 0.9) for kind in ("plain", "one rule", "two rules", "ruled", "boxed", "framed")]
    + [(kind, 0.85) for kind in ("squared", "forms", "table", "dark corners", "light margin")],
)
def test_numbers_on_ruled_paper_in_boxes_and_in_bad_light(digits, data, kind, share):
    rng = np.random.default_rng(1)
    predict = load_network()
    labels = predict(digits).argmax(axis=1)
    found = wanted = 0
    for start in range(0, 60, 6):
        six = [(digits[i], labels[i]) for i in range(start, start + 6)]
        page, text = made_page(kind, six, rng)
        found += in_place(text, read(load_picture(page), predict).text)
        wanted += len(text)
    assert found / wanted >= share


@pytest.mark.parametrize("kind", ["dash", "comma", "point", "divided"])
def test_a_sign_stays_in_its_place_and_forbids_sure(digits, kind):
    rng = np.random.default_rng(2)
    predict = load_network()
    labels = predict(digits).argmax(axis=1)
    readings = []
    for start in range(0, 40, 4):
        page, text = made_page(kind, [(digits[i], labels[i]) for i in range(start, start + 4)], rng)
        reading = read(load_picture(page), predict)
        assert not (reading.sure and "?" not in reading.text and len(reading.text) != 4)
        readings.append(reading.text == text.translate(str.maketrans("-,.÷", "????")))
    assert sum(readings) >= 8


def test_a_slash_is_hardly_ever_surely_a_1(digits):
    rng = np.random.default_rng(2)
    predict = load_network()
    labels = predict(digits).argmax(axis=1)
    sure = 0
    for start in range(0, 120, 6):
        six = [(digits[i], labels[i]) for i in range(start, start + 6)]
        sure += read(load_picture(made_page("slashes", six, rng)[0]), predict).sure
    assert sure <= 4


@pytest.mark.parametrize("turn", [0, 4])
def test_a_sheet_lies_on_a_carpet(digits, turn):
    rng = np.random.default_rng(0)
    predict = load_network()
    for six in digits[:24].reshape(4, 6, 28, 28):
        labels = predict(six).argmax(axis=1)
        page, text = made_page("plain", list(zip(six, labels, strict=True)), rng)
        sheet = Image.fromarray(page).convert("RGBA").rotate(turn, expand=True)
        carpet = ndimage.gaussian_filter(rng.normal(size=(900, 1200)), (6, 3))
        carpet = Image.fromarray((120 + 40 * carpet / carpet.std()).clip(0, 255).astype(np.uint8))
        carpet = carpet.convert("RGB")
        carpet.paste(sheet, (300, 320), sheet)
        assert read(load_picture(np.asarray(carpet)), predict).text == text


def test_a_digit_in_dashes_is_one_digit(digits):
    predict = load_network()
    labels = predict(digits[:40]).argmax(axis=1)
    right = 0
    for digit, label in zip(digits, labels, strict=False):
        ink = np.pad(drawn(digit, 120), 30)
        dashed = np.where(np.indices(ink.shape).sum(0) % 24 < 7, 0, ink)
        page = (255 * (1 - dashed)).astype(np.uint8)
        right += read(load_picture(page), predict).text == str(label)
    assert right >= 26


@pytest.mark.parametrize("degrees", [-12, 12])
def test_a_line_may_slope(digits, degrees):
    predict = load_network()
    six = list(zip(digits[:6], predict(digits[:6]).argmax(axis=1), strict=True))
    page, text = made_page("plain", six, np.random.default_rng(0))
    sloping = Image.fromarray(page).rotate(degrees, expand=True, fillcolor=tuple(page[0, 0]))
    reading = read(load_picture(np.asarray(sloping)), predict)
    assert reading.text == text


def test_textures_and_blank_grainy_paper_are_not_read_for_long():
    rng = np.random.default_rng(0)
    for deviation in (2, 12, 60):
        paper = rng.normal(180, deviation, (700, 900)).clip(0, 255).astype(np.uint8)
        assert not read(load_picture(paper), load_network()).sure
