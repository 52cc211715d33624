"""Corruptions against slow versions of what MNIST-C's code does, and by its properties."""

import itertools

import numpy as np
import pytest
from scipy import ndimage

from digitlib.studies.corruption import CORRUPTIONS, corrupt

PUBLISHED = {  # in the paper's order: its severity, and the parameters at severities 1 to 5
    "shot_noise": (5, [60, 25, 12, 5, 3]),
    "impulse_noise": (4, [0.03, 0.06, 0.09, 0.17, 0.27]),
    "glass_blur": (1, [(0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)]),
    "motion_blur": (1, [(10, 3), (15, 5), (15, 8), (15, 12), (20, 15)]),
    "shear": (2, [0.2, 0.4, 0.6, 0.8, 1]),
    "scale": (3, [0.9, 0.8, 0.7, 0.6, 0.5]),
    "rotate": (2, [0.2, 0.4, 0.6, 0.8, 1]),
    "brightness": (5, [0.1, 0.2, 0.3, 0.4, 0.5]),
    "translate": (3, [1, 2, 3, 4, 5]),
    "stripe": (None, []),
    "fog": (5, [(1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)]),
    "spatter": (
        4,
        [
            (0.65, 0.3, 4, 0.69, 0.6),
            (0.65, 0.3, 3, 0.68, 0.6),
            (0.65, 0.3, 2, 0.68, 0.5),
            (0.65, 0.3, 1, 0.65, 1.5),
            (0.67, 0.4, 1, 0.65, 1.5),
        ],
    ),
    "dotted_line": (None, []),
    "zigzag": (None, []),
    "canny_edges": (None, []),
}
NOT_RANDOM = ["scale", "brightness", "stripe", "canny_edges"]
RANDOM = [name for name in PUBLISHED if name not in NOT_RANDOM]
# The strengths of the others differ in kind, too, or push ink off the image.
STRONGER = ["shot_noise", "impulse_noise", "glass_blur", "shear", "scale", "rotate", "brightness"]
STRONGER += ["translate"]


@pytest.fixture(scope="module")
def images(data):
    return data.x_test[:130]


def grey(value, n=1):
    return np.full((n, 28, 28), value, np.uint8)


def dot(row, column, value=255):
    image = grey(0)
    image[0, row, column] = value
    return image


def same_but_for_rounding(image, exact):
    """Whether an image is the exact values, 0 to 1, clipped and rounded to uint8."""
    return np.abs(image - 255 * np.clip(exact, 0, 1)).max() < 0.5 + 1e-6


def test_names_severities_and_parameters_are_those_published():
    assert list(CORRUPTIONS) == list(PUBLISHED)
    for name, (severity, strengths) in PUBLISHED.items():
        assert CORRUPTIONS[name].severity == severity
        parameters = CORRUPTIONS[name].parameters.values()
        assert np.ravel(strengths).tolist() == np.transpose([*parameters]).ravel().tolist()


@pytest.mark.parametrize("name", PUBLISHED)
def test_gives_other_images_of_the_same_kind_and_leaves_the_given_ones(name, images):
    before = images.copy()
    corrupted = corrupt(images, name)
    assert corrupted.shape == images.shape and corrupted.dtype == np.uint8
    assert (corrupted != images).any(axis=(1, 2)).mean() > 0.95
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("name", PUBLISHED)
def test_repeats_whatever_follows_and_whatever_else_is_drawn(name, images):
    corrupted = corrupt(images, name, seed=3)
    np.random.seed(0)
    for n in (0, 1, 7, 120):
        np.testing.assert_array_equal(corrupt(images[:n], name, seed=3), corrupted[:n])


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_becomes_of_an_image_depends_on_it_and_not_on_those_after_it(name, images):
    others = images[:12].copy()
    others[5] = np.where(np.arange(28) < 14, 255, 0)
    differ = (corrupt(others, name) != corrupt(images[:12], name)).any(axis=(1, 2))
    assert differ[5] and not differ[:5].any()


@pytest.mark.parametrize("name", RANDOM)
def test_random_ones_differ_by_image_and_seed(name):
    same = np.repeat(dot(14, 14) | dot(6, 20), 20, axis=0)
    corrupted, other = corrupt(same, name), corrupt(same, name, seed=1)
    assert (corrupted != corrupted[0]).any()
    assert (corrupted != other).any()


@pytest.mark.parametrize("name", NOT_RANDOM)
def test_the_others_do_to_each_image_the_same_with_any_seed(name, images):
    one_by_one = [corrupt(images[i : i + 1], name, seed=i) for i in range(len(images))]
    np.testing.assert_array_equal(corrupt(images, name), np.concatenate(one_by_one))


@pytest.mark.parametrize("name", [name for name in PUBLISHED if PUBLISHED[name][0]])
def test_the_severity_is_the_published_one_unless_given(name, images):
    by_severity = [corrupt(images[:20], name, severity=s) for s in range(1, 6)]
    np.testing.assert_array_equal(corrupt(images[:20], name), by_severity[PUBLISHED[name][0] - 1])
    for mild, strong in itertools.pairwise(by_severity):
        assert (mild != strong).any()


@pytest.mark.parametrize("name", STRONGER)
def test_what_is_more_severe_lies_further_from_the_original(name, images):
    by_severity = [corrupt(images, name, severity=s).astype(float) for s in range(1, 6)]
    distances = [np.abs(corrupted - images).mean() for corrupted in by_severity]
    assert (np.diff(distances) > 0).all()


def test_shot_noise_has_the_mean_and_variance_of_counted_photons():
    ink = corrupt(grey(102, 200), "shot_noise", severity=1) / 255
    assert ink.mean() == pytest.approx(0.4, abs=0.002)
    assert ink.var() == pytest.approx(0.4 / 60, rel=0.02)
    assert set(np.unique(corrupt(grey(102), "shot_noise"))) == {0, 85, 170, 255}


def test_impulse_noise_blackens_half_of_its_share_and_whitens_half():
    noisy = corrupt(grey(100, 200), "impulse_noise", severity=5)
    shares = [(noisy == value).mean() for value in (0, 100, 255)]
    assert shares == pytest.approx([0.135, 0.73, 0.135], abs=0.005)


class Recorder:
    """A random generator that remembers what it was asked for and what it drew."""

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def __getattr__(self, method):
        def draw(*arguments):
            self.arguments, self.drawn = arguments, getattr(self.rng, method)(*arguments)
            return self.drawn

        return draw


@pytest.mark.parametrize(("sigma", "reach", "rounds"), [(0.7, 1, 2), (1, 2, 3)])
def test_glass_blur_agrees_with_the_published_loop(sigma, reach, rounds):
    def blurred(image):
        return ndimage.gaussian_filter1d(image, sigma, axis=0, mode="nearest")

    rng = Recorder()
    image = np.random.default_rng(1).random((28, 28))
    found = CORRUPTIONS["glass_blur"].apply(image[np.newaxis], rng, sigma, reach, rounds)
    steps = itertools.product(range(-reach, reach), repeat=2)
    swaps = [28 * down + right for down, right in steps]
    assert sorted(rng.arguments[0]) == sorted(swaps + len(swaps) * [0])

    pixels = np.floor(255 * blurred(image)).tolist()
    shifts = iter(rng.drawn[0])
    line = range(28 - reach, reach, -1)
    for _, row, column in itertools.product(range(rounds), line, line):
        r, c = divmod(28 * row + column + next(shifts), 28)
        pixels[row][column], pixels[r][c] = pixels[r][c], pixels[row][column]
    np.testing.assert_allclose(found[0], blurred(np.array(pixels) / 255))


def test_motion_blur_smears_a_dot_along_a_ray():
    dots = np.repeat(dot(14, 25), 50, axis=0)
    smeared = corrupt(dots, "motion_blur").astype(float)
    weights = np.exp(-(np.arange(21) ** 2) / 18)
    assert smeared[:, 14, 25] == pytest.approx(255 * weights[0] / weights.sum(), abs=0.5)
    assert smeared.sum(axis=(1, 2)) == pytest.approx(255, abs=8)
    angles = []
    for image in smeared:
        down, left = np.array(np.nonzero(image)) - [[14], [25]]
        steps = np.hypot(down, left)
        angle = np.arctan2(down[steps.argmax()], -left[steps.argmax()])
        assert np.hypot(down - steps * np.sin(angle), left + steps * np.cos(angle)).max() < 1.3
        angles.append(np.degrees(angle))
    assert -50 < min(angles) < -30 and 30 < max(angles) < 50


def slow_warp(image, matrix):
    """What scikit-image's warp gives: (x, y) shows the image at matrix @ (x, y), bilinearly."""
    warped = np.zeros((28, 28))
    padded = np.pad(image / 255, 30)
    for y, x in np.ndindex(28, 28):
        u, v = np.array(matrix) @ (x - 13.5, y - 13.5) + 13.5 + 30
        left, top = int(u), int(v)
        for row, column in itertools.product((top, top + 1), (left, left + 1)):
            warped[y, x] += padded[row, column] * (1 - abs(u - column)) * (1 - abs(v - row))
    return warped


@pytest.mark.parametrize(
    ("name", "matrices"),
    [
        ("scale", [np.eye(2) / 0.7]),
        ("shear", [[[1, -np.sin(a)], [0, np.cos(a)]] for a in (0.4, -0.4)]),
        ("rotate", [[[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]] for a in (0.4, -0.4)]),
    ],
)
def test_the_affine_ones_agree_with_a_slow_warp_one_way_or_the_other(name, matrices, images):
    some = np.concatenate([images[:10], grey(200)])
    for image, corrupted in zip(some, corrupt(some, name), strict=True):
        ways = (slow_warp(image, matrix) for matrix in matrices)
        assert any(same_but_for_rounding(corrupted, way) for way in ways)


def test_rotating_turns_a_bar_by_the_angle_either_way():
    bars = grey(0, 40)
    bars[:, 13:15, 4:24] = 255
    rows, columns = np.indices((28, 28)) - 13.5
    tilts = [np.polyfit(columns[b > 99], rows[b > 99], 1)[0] for b in corrupt(bars, "rotate")]
    assert np.abs(tilts) == pytest.approx(np.tan(0.4), rel=0.05)
    assert 8 < np.sum(np.array(tilts) > 0) < 32


def test_translating_moves_a_dot_by_three_each_way_and_off_the_edge():
    moved = corrupt(np.repeat(dot(10, 12), 100, axis=0), "translate")
    places = np.argwhere(moved)[:, 1:]
    assert {*map(tuple, places.tolist())} == {(7, 9), (7, 15), (13, 9), (13, 15)}
    assert set(corrupt(np.repeat(dot(0, 0), 100, axis=0), "translate").sum(axis=(1, 2))) == {0, 255}


def test_brightness_adds_half_of_full_ink(images):
    for image, corrupted in zip(images, corrupt(images, "brightness"), strict=True):
        assert same_but_for_rounding(corrupted, image / 255 + 0.5)


def test_stripe_inverts_the_outer_quarters(images):
    striped = corrupt(images, "stripe")
    np.testing.assert_array_equal(striped[:, :, 7:21], images[:, :, 7:21])
    for columns in (slice(7), slice(21, 28)):
        np.testing.assert_array_equal(striped[:, :, columns], 255 - images[:, :, columns])


def test_fog_agrees_with_a_slow_diamond_square_algorithm(images):
    rng = Recorder()
    ink = images[:1] / 255 * 0.8
    fog = CORRUPTIONS["fog"].apply(ink, rng, thickness=3, smoothness=1.4)
    noise = rng.drawn[0].astype(float)
    cloud, step, wobble = np.zeros((256, 256)), 256, 1.0

    def place(row, column, *neighbours):
        mean = sum(cloud[r % 256, c % 256] for r, c in neighbours) / 4
        cloud[row, column] = mean + wobble * (noise[row, column] - 0.5)

    while step > 1:
        half, corners = step // 2, list(itertools.product(range(0, 256, step), repeat=2))
        for y, x in corners:
            place(y + half, x + half, (y, x), (y, x + step), (y + step, x), (y + step, x + step))
        for y, x in corners:
            across, down = (y, x + half), (y + half, x)
            place(*across, (y, x), (y, x + step), (y - half, x + half), (y + half, x + half))
            place(*down, (y, x), (y + step, x), (y + half, x - half), (y + half, x + half))
        step, wobble = half, wobble / 1.4**2
    cloud = (cloud - cloud.min()) / (cloud.max() - cloud.min())
    expected = (ink + 3 * cloud[:28, :28]) * ink.max() / (ink.max() + 3)
    np.testing.assert_allclose(fog, expected, atol=1e-5)


def test_fog_leaves_an_empty_image_empty():
    assert not corrupt(grey(0), "fog").any()


def test_spatter_takes_pixels_towards_mud_and_no_further(images):
    spattered = corrupt(images, "spatter").astype(int)
    ink = images.astype(int)
    assert (np.abs(spattered - 63) <= np.abs(ink - 63)).all()
    assert ((spattered - 63) * (ink - 63) >= 0).all()
    mud = corrupt(grey(0, 50), "spatter")
    assert set(np.unique(mud)) <= {0, *range(50, 64)}
    assert 0.05 < (mud > 0).mean() < 0.4


def line(c0, r0, c1, r1):
    """MNIST-C's line from column c0 and row r0 to c1 and r1."""
    rows, columns = np.indices((28, 28))
    distance = np.abs(rows - (r0 + (r1 - r0) / (c1 - c0) * (columns - c0)))
    ink = np.log(1 - np.minimum(distance, 2.3 - 1e-10) / 2.3) + 1
    return np.where((columns >= np.floor(c0)) & (columns < np.ceil(c1)), np.maximum(ink, 0), 0)


def zigzag(r0, r1):
    """MNIST-C's zigzag: drawn level from (0, 0), then turned, then moved to column 2 and row r0."""
    angle = np.arctan((r1 - r0) / 23)
    length = 23 / np.cos(angle)
    corners = [(0, 0)]
    for i in range(int((length - 2) // 4) + 1):
        corners.append((2 * (2 * i + 1), 2 * (-1) ** i))
    last = corners[-1][1]
    corners.append((length, last / (2 * (length - 4 * (length // 4)))))
    turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    corners = (np.array(corners) @ np.transpose(turn) + (2, r0)).tolist()
    return sum(line(*start, *stop) for start, stop in itertools.pairwise(corners))


def test_dotted_lines_are_some_of_the_729_published_ones():
    on = np.arange(28) // 2 % 2
    expected = [on * line(0, r0, 27, r1) for r0, r1 in np.ndindex(27, 27)]
    lines = corrupt(grey(0, 20), "dotted_line")
    assert all(any(same_but_for_rounding(image, e) for e in expected) for image in lines)


def test_zigzags_are_some_of_the_270_published_ones():
    expected = [zigzag(r0, r0 + rise) for r0 in range(27) for rise in range(-5, 5)]
    lines = corrupt(grey(0, 20), "zigzag")
    assert all(any(same_but_for_rounding(image, e) for e in expected) for image in lines)


def test_each_of_the_published_zigzags_and_dotted_lines_is_drawn():
    on = np.arange(28) // 2 % 2
    dotted = [on * line(0, r0, 27, r1) for r0, r1 in np.ndindex(27, 27)]
    zigzags = [zigzag(r0, r0 + rise) for r0 in range(27) for rise in range(-5, 5)]
    for name, published in (("dotted_line", dotted), ("zigzag", zigzags)):
        drawn = corrupt(grey(0, 12 * len(published)), name).reshape(-1, 784) / np.float32(255)
        published = np.clip(published, 0, 1).reshape(-1, 784).astype(np.float32)
        distance = (published**2).sum(axis=1) - 2 * drawn @ published.T
        assert len(np.unique(distance.argmin(axis=1))) == len(published)


@pytest.mark.parametrize("name", ["dotted_line", "zigzag"])
def test_lines_are_added_to_the_ink(name, images):
    lines = corrupt(np.zeros_like(images), name).astype(int)
    added = np.minimum(lines + images, 255)
    assert np.abs(corrupt(images, name) - added).max() <= 1


def slow_canny(image):
    """The edges of one image: Canny's detector pixel by pixel, with scikit-image's choices."""
    margins = ndimage.gaussian_filter(np.ones((28, 28)), 1, mode="constant")
    smooth = ndimage.gaussian_filter(image / 255, 1, mode="constant") / margins
    down, right = ndimage.sobel(smooth, axis=0), ndimage.sobel(smooth, axis=1)
    size = np.hypot(down, right)
    weak = set()
    for row, column in itertools.product(range(1, 27), repeat=2):
        dy, dx, here = down[row, column], right[row, column], size[row, column]
        if here < 0.1:
            continue
        y, x = int(np.sign(dy)), int(np.sign(dx))
        straight = (y, 0) if abs(dy) >= abs(dx) else (0, x)
        w = min(abs(dy), abs(dx)) / max(abs(dy), abs(dx))
        beside = [
            w * size[row + s * y, column + s * x]
            + (1 - w) * size[row + s * straight[0], column + s * straight[1]]
            for s in (1, -1)
        ]
        if here >= max(beside):
            weak.add((row, column))
    edges, to_follow = set(), [place for place in weak if size[place] >= 0.2]
    while to_follow:
        row, column = place = to_follow.pop()
        edges.add(place)
        near = itertools.product(range(row - 1, row + 2), range(column - 1, column + 2))
        to_follow += (weak & set(near)) - edges
    return edges


def test_canny_edges_agree_with_a_slow_detector(images):
    noise = np.random.default_rng(0).integers(0, 60, (5, 28, 28)).astype(np.uint8)
    some = np.concatenate([images[:40], noise])
    for image, corrupted in zip(some, corrupt(some, "canny_edges"), strict=True):
        assert set(np.unique(corrupted)) <= {0, 255}
        assert {*map(tuple, np.argwhere(corrupted).tolist())} == slow_canny(image)


def test_an_unknown_name_names_those_that_there_are():
    with pytest.raises(ValueError, match=r"unknown corruption 'Fog'; there are shot_noise, .*fog"):
        corrupt(grey(0), "Fog")


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 28, 28), np.float32),
        np.zeros((2, 28, 28, 3), np.uint8),
        np.zeros((28, 28), np.uint8),
        np.zeros((2, 32, 32), np.uint8),
    ],
)
def test_other_images_are_an_error(images):
    with pytest.raises(ValueError, match=r"expected uint8 of shape \(n, 28, 28\), got .*\d\)"):
        corrupt(images, "scale")


@pytest.mark.parametrize(
    ("name", "severity", "expected"),
    [("fog", 0, "None, 1, 2, 3, 4, 5"), ("fog", 6, "5"), ("fog", 2.5, "5"), ("zigzag", 1, "None")],
)
def test_a_severity_that_does_not_exist_is_an_error(name, severity, expected):
    with pytest.raises(ValueError, match=f"{name}: .* {expected}, got {severity}"):
        corrupt(grey(0), name, severity=severity)
