"""Cross-sections and centre lines, where rims look like thin fibres."""

import numpy as np
import pytest

from semad.fibres.edges import find_edges
from semad.fibres.lines import find_lines
from semad.fibres.sections import Sections, find_sections


def row(y, diameter, start=0, stop=60):
    """Cross-sections of a horizontal fibre, one per pixel."""
    x = np.arange(start, stop, dtype=float)
    same = np.ones(len(x))
    return Sections(y * same, x, same, 0 * same, diameter * same)


def joined(*parts):
    return Sections(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def test_a_line_has_a_sample_per_pixel():
    lines = find_lines(row(30, 8.0))
    np.testing.assert_allclose(np.sort(lines.x), np.arange(0.5, 59))
    np.testing.assert_allclose(lines.y, 30)
    assert set(lines.diameter) == {8}
    np.testing.assert_allclose(lines.angle % 180, 0, atol=1e-9)


def test_what_is_wider_than_long_is_no_line():
    assert len(find_lines(row(30, 20.0, stop=19)).y) == 0
    assert len(find_lines(row(30, 20.0, stop=23)).y) > 0


@pytest.mark.parametrize(("y", "kept"), [(36, False), (24, False), (45, True)])
def test_a_thin_line_in_the_strip_of_a_thick_one_is_its_rim(y, kept):
    lines = find_lines(joined(row(30, 16.0), row(y, 4.0, start=62, stop=90)))
    assert (4 in lines.diameter) is kept
    assert 16 in lines.diameter


def test_a_thin_fibre_that_crosses_a_thick_one_is_kept():
    crossing = row(30, 4.0, start=31, stop=44)
    crossing = Sections(crossing.x, crossing.y, crossing.right, crossing.down, crossing.diameter)
    assert 4 in find_lines(joined(row(30, 16.0), crossing)).diameter


@pytest.mark.parametrize(
    ("first", "between", "second", "widths"),
    [
        (0.8, 0.55, 0.8, {20}),  # bright rims of one fibre
        (0.8, 0.0, 0.8, {8}),  # two fibres
        (0.5, 0.25, 0.65, {8}),  # a fibre, and a brighter one above a third
    ],
)
def test_weak_edges_inside_are_passed_and_gaps_are_not(first, between, second, widths):
    """Two bars of 8 pixels with 4 between."""
    image = np.zeros((80, 80), np.float32)
    image[30:38], image[38:42], image[42:50] = first, between, second
    lines = find_lines(find_sections(find_edges(image), image.shape))
    assert set(np.round(lines.diameter)) == widths
