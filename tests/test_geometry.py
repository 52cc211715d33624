"""Ink, size, place and slant of digit images, against what was drawn; and no slant any more."""

import numpy as np
import pytest
from scipy import ndimage

from digitlib.geometry import ink_geometry, upright


def drawn(*boxes):
    images = np.zeros((len(boxes), 28, 28), np.uint8)
    for image, (rows, columns) in zip(images, boxes, strict=True):
        image[rows, columns] = 255
    return images


def test_a_box_is_measured():
    ink = ink_geometry(drawn((slice(4, 24), slice(10, 15)), (slice(0, 1), slice(0, 28))))
    assert ink.ink.tolist() == pytest.approx([100 / 784, 28 / 784])
    assert ink.longest_side.tolist() == [20, 28]
    assert ink[["x", "y"]].to_numpy().tolist() == [[12, 13.5], [13.5, 0]]
    assert ink.slant.tolist() == [0, 0]


@pytest.mark.parametrize(("shift", "slant"), [(1, 45), (-1, -45), (0, 0)])
def test_a_diagonal_leans(shift, slant):
    image = np.zeros((1, 28, 28), np.uint8)
    for y in range(4, 24):
        image[0, y, 14 - shift * (y - 14)] = 200
    assert ink_geometry(image).slant[0] == pytest.approx(slant)


def test_real_digits_agree_with_scipy(sample):
    images = sample.x_test[:50]
    ink = ink_geometry(images)
    centres = [ndimage.center_of_mass(image.astype(float)) for image in images]
    np.testing.assert_allclose(ink[["y", "x"]], centres, rtol=1e-5)
    assert ink.longest_side.eq(20).mean() > 0.98


def test_moving_a_digit_moves_its_centre_alone(sample):
    images = sample.x_test[~sample.x_test[:, :, -3:].any(axis=(1, 2))]
    ink, moved = ink_geometry(images), ink_geometry(np.roll(images, 3, axis=2))
    np.testing.assert_allclose(moved.x - ink.x, 3, atol=1e-4)
    np.testing.assert_allclose(moved.slant, ink.slant, atol=1e-2)
    assert (moved[["ink", "longest_side"]] == ink[["ink", "longest_side"]]).all(axis=None)


def test_an_empty_image_is_named():
    with pytest.raises(ValueError, match="index 1"):
        ink_geometry(drawn((slice(4, 24), slice(10, 15)), (slice(0), slice(0))))


def test_other_images_are_refused():
    for images in (np.ones((2, 28, 28), np.float32), np.ones((2, 16, 16), np.uint8)):
        with pytest.raises(ValueError, match=r"images: expected uint8 of shape \(n, 28, 28\), got"):
            ink_geometry(images)


def test_upright_digits_have_no_slant_all_their_ink_and_stand_in_the_middle(data):
    images = data.x_test[:1000]
    straight = upright(images)
    before, after = ink_geometry(images), ink_geometry(straight)
    rows = (some.sum(axis=2, dtype=float) for some in (images, straight))
    moved = np.abs(np.subtract(*rows)).max(axis=1)  # ink that went to another row, or got lost
    right = (after.slant.abs() < 0.5) & ((after.x - 14).abs() < 0.01) & (moved < 15)
    assert before.slant.abs().mean() > 10 and right.mean() > 0.98  # some nearly lie, and leave


def test_a_stroke_that_leans_stands_upright():
    y = np.arange(5, 23)
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, y, 20 - y // 2] = 255
    straight = upright(image)[0]
    assert (straight[y, 13:16].sum(axis=1) == 255).all() and not straight[:, [*range(12), 17]].any()


def test_a_dot_and_a_flat_line_are_only_moved():
    dot, line = upright(drawn((slice(5, 6), slice(20, 21)), (slice(5, 6), slice(5, 12))))
    assert dot[5, 14] == 255 and (line[5, 11:18] == 255).all()
    assert (dot.sum(), line.sum()) == (255, 7 * 255)


def test_ink_at_the_border_is_repeated():
    (image,) = upright(drawn((slice(5, 6), slice(27, 28))))
    assert (image[5, 14:] == 255).all() and not image[5, :14].any() and not image[6:].any()


def test_many_images_are_made_upright_one_by_one(sample):
    images = sample.x_train[:2500]
    some = [0, 999, 1000, 1001, 2499]
    assert np.array_equal(upright(images)[some], upright(images[some]))


def test_a_blank_image_is_named():
    images = np.full((1500, 28, 28), 9, np.uint8)
    images[1234] = 0
    with pytest.raises(ValueError, match="the one at index 1234 is empty"):
        upright(images)
