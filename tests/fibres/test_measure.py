"""Fibres of images drawn by hand: bars of known width and direction, crossings, defects."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import semad
from semad.errors import UserError
from semad.fibres import measure, picture

SIZE = 160


def bars(width, angle, spacing=40.0, size=SIZE, rim=0.0):
    """Parallel bright bars on black; `angle` in degrees, 45 rises to the right."""
    y, x = np.mgrid[:size, :size].astype(float) - size / 2 + 0.3
    turn = np.radians(angle)
    across = x * np.sin(turn) + y * np.cos(turn)
    across = np.abs((across + spacing / 2) % spacing - spacing / 2)
    inside = np.clip(0.5 - (across - width / 2), 0, 1)
    return inside * (0.6 + rim * np.minimum(across / (width / 2), 1) ** 2)


def photograph(picture, noise=0.01, blur=0.6, seed=0):
    """An image in uint8, a little blurred and noisy."""
    blurred = 0.1 + 0.8 * gaussian_filter(picture, blur)
    noisy = blurred + noise * np.random.default_rng(seed).standard_normal(picture.shape)
    return np.clip(np.round(noisy * 255), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("angle", [0, 20, 45, 90, 135])
@pytest.mark.parametrize("width", [5.0, 6.4, 10.0, 17.3])
def test_bars_of_known_width_and_direction(width, angle):
    summary = measure(photograph(bars(width, angle))).whole
    assert summary.diameter.median == pytest.approx(width, rel=0.03)
    assert summary.diameter.mode == pytest.approx(width, rel=0.05)
    assert summary.diameter.upper - summary.diameter.lower < 0.04 * width
    off = abs(summary.direction - angle)
    assert min(off, 180 - off) < 1
    assert summary.order > 0.99


def test_length_is_that_of_the_bars():
    # Four bars of 160 pixels, at whole multiples of 40 from the middle; one may lie on the border.
    summary = measure(photograph(bars(8.0, 0))).whole
    assert 3 * SIZE * 0.95 < summary.diameter.samples < 4 * SIZE


def test_narrow_bars_are_not_widened_by_blur():
    # Blurred by 1.5, edges of a bar of 5 pixels are steepest 5.25 apart; see the equation.
    wide = measure(photograph(bars(5.0, 20), noise=0.0, blur=1.5)).whole.diameter.median
    assert wide == pytest.approx(5.0, rel=0.03)


def test_bright_rims_are_no_fibres():
    summary = measure(photograph(bars(16.0, 30, rim=0.4))).whole
    assert summary.diameter.lower == pytest.approx(16.0, rel=0.05)


def test_crossing_bars_have_no_direction_in_common():
    cross = np.maximum(bars(8.0, 0), bars(8.0, 90))
    summary = measure(photograph(cross)).whole
    assert summary.diameter.median == pytest.approx(8.0, rel=0.03)
    assert summary.diameter.upper - summary.diameter.lower < 0.5
    assert summary.order < 0.1


def test_two_widths_count_by_length():
    half = np.concatenate([bars(6.0, 0)[: SIZE // 2], bars(12.0, 0)[SIZE // 2 :]])
    diameter = measure(photograph(half)).whole.diameter
    assert diameter.lower == pytest.approx(6.0, rel=0.05)
    assert diameter.upper == pytest.approx(12.0, rel=0.05)


def test_porosity_and_pores():
    # A net of bars, 10 wide and 40 apart, leaves squares of 30 × 30 pixels: 9/16 of the area.
    net = np.maximum(bars(10.0, 0), bars(10.0, 90))
    summary = measure(photograph(net)).whole
    assert summary.porosity == pytest.approx(9 / 16, abs=0.03)
    assert summary.pore.median == pytest.approx(30 * np.sqrt(4 / np.pi), rel=0.05)
    assert summary.pore.samples == 16
    assert measure(photograph(net)[20:]).whole.pore.samples == 12  # the border cuts four


def test_defects_are_left_out():
    image = bars(8.0, 0)
    y, x = np.mgrid[:SIZE, :SIZE]
    defect = (y >= SIZE // 2) & (x >= 60)
    image[defect] = bars(20.0, 90)[defect]  # "fibres" that belong to the defect
    measured = measure(photograph(image), defect)
    assert measured.whole.diameter.upper > 15
    assert measured.clean.diameter.upper == pytest.approx(8.0, rel=0.05)
    assert measured.clean.order > 0.99 > measured.whole.order
    assert measured.left_out[defect].all()
    assert measured.left_out[SIZE // 2 - 3, 100]  # the margin
    assert not measured.left_out[SIZE // 2 - 40, 100]


def test_pores_that_a_defect_cuts_have_no_size():
    net = photograph(np.maximum(bars(10.0, 0), bars(10.0, 90)))
    defect = np.zeros((SIZE, SIZE), bool)
    defect[60:64, 60:64] = True
    measured = measure(net, defect)
    assert measured.clean.pore.samples == measured.whole.pore.samples - 1


@pytest.mark.parametrize("shape", ["boxes", "one bar"])
def test_short_or_few_pieces_are_not_fibrous(shape):
    y, x = np.mgrid[:SIZE, :SIZE]
    image = ((y % 32 < 14) & (x % 32 < 20)).astype(float)
    if shape == "one bar":
        image = ((y > 70) & (y < 78)).astype(float)
    measured = measure(photograph(image))
    assert len(measured.lines.y) >= 100
    covered = measured.lines.diameter.sum() / SIZE**2
    says = {"boxes": "times as long as wide", "one bar": f"cover {covered:.1%}"}[shape]
    assert says in measured.reason


@pytest.mark.parametrize("kind", ["blank", "noise", "texture", "discs"])
def test_not_fibrous(kind):
    rng = np.random.default_rng(3)
    image = {"blank": np.zeros((SIZE, SIZE)), "noise": rng.uniform(size=(SIZE, SIZE))}.get(kind)
    if kind == "texture":
        field = gaussian_filter(rng.standard_normal((SIZE, SIZE)), 4)
        image = np.clip(0.5 + field / field.std() / 5, 0, 1)
    if kind == "discs":
        y, x = np.mgrid[:SIZE, :SIZE] % 40 - 20
        image = (x * x + y * y < 100).astype(float)
    measured = measure(photograph(image))
    assert not measured.fibrous
    assert measured.reason.startswith("not fibrous: ")
    assert (measured.whole, measured.clean) == (None, None)


def test_deeper_and_coloured_images_give_the_same():
    image = photograph(bars(8.0, 20))
    expected = measure(image).whole
    assert measure(image.astype(np.uint16) * 257).whole == expected
    assert measure(np.repeat(image[..., None], 3, axis=2)).whole == expected
    assert measure(image / np.float32(255)).whole == expected


def test_in_nanometres():
    measured = measure(photograph(bars(8.0, 20)), nm_per_pixel=20.0)
    assert measured.diameter_nm.median == pytest.approx(160, rel=0.03)
    assert measure(photograph(bars(8.0, 20))).diameter_nm is None


def test_the_picture_shows_lines_and_what_was_left_out():
    image = photograph(bars(8.0, 0))
    defect = np.zeros((SIZE, SIZE), bool)
    defect[:40, :40] = True
    drawn = np.asarray(picture(image, measure(image, defect))).astype(int)
    assert drawn.shape[:2] > (SIZE, SIZE - 1)
    grey = np.ptp(drawn[:SIZE], axis=2) == 0
    assert not grey[:40, :40].any()
    assert 3 * SIZE < (~grey[50:]).sum() < 10 * SIZE  # lines, two pixels wide


@pytest.mark.parametrize(
    ("image", "mask", "says"),
    [
        (np.zeros((40, 40), np.int32), None, "int32"),
        (np.zeros((8, 40), np.uint8), None, r"\(8, 40\)"),
        (np.zeros((40, 40), np.uint8), np.zeros((20, 20), bool), r"\(20, 20\)"),
    ],
)
def test_errors(image, mask, says):
    with pytest.raises(UserError, match=says) as caught:
        measure(image, mask)
    assert "\n" not in str(caught.value)


def test_the_public_name():
    assert semad.fibres.measure is measure
