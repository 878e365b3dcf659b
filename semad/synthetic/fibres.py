"""Drawing electrospun fibres as an electron microscope shows them: a painter's algorithm.

The curves are made of sums, products, divisions and square roots only, so that nothing but the
rounding of a last bit can differ between machines. Grey values are floats, 0 black to 1 white.
"""

from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter

NO_FIBRE = -1


class Fibre(NamedTuple):
    """A curve with a width, in pixels; `point` and the unit vector `direction` are (x, y)."""

    point: np.ndarray
    direction: np.ndarray
    bend: float
    twist: float
    half_width: float
    grey: float


class Canvas(NamedTuple):
    """The picture so far, and what it shows where.

    Attributes:
      image: grey values, `(size, size)`.
      defect: the share of each pixel that shows a defect, `(size, size)`.
      shown: the number of the fibre that most of a pixel shows, int32 `(size, size)`; `NO_FIBRE`
        where that is something else.
      fibres: those painted so far, by number.
    """

    image: np.ndarray
    defect: np.ndarray
    shown: np.ndarray
    fibres: tuple[Fibre, ...] = ()


class Look(NamedTuple):
    """What differs between images: how many fibres, how wide, how dark the deep ones are."""

    density: float
    half_width: float
    depth: float


def sample_look(rng: Generator) -> Look:
    """Draws an image's look."""
    return Look(
        density=rng.uniform(0.7, 1.35),
        half_width=rng.uniform(3.8, 6.2),
        depth=rng.uniform(0.55, 0.75),
    )


def blank(size: int) -> Canvas:
    """Returns a dark canvas without defects."""
    shape = (size, size)
    return Canvas(
        image=np.full(shape, 0.03, np.float32),
        defect=np.zeros(shape, np.float32),
        shown=np.full(shape, NO_FIBRE, np.int32),
    )


def coordinates(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns x as `(1, size)` and y as `(size, 1)`, float32."""
    line = np.arange(size, dtype=np.float32)
    return line[None, :], line[:, None]


def paint(
    canvas: Canvas, alpha: np.ndarray, value: np.ndarray, fibre: Fibre | None = None
) -> Canvas:
    """Paints `value` over the canvas with opacity `alpha` (0 to 1): a fibre, or else a defect."""
    number = NO_FIBRE if fibre is None else len(canvas.fibres)
    return Canvas(
        image=canvas.image + alpha * (value - canvas.image),
        defect=canvas.defect + alpha * (np.float32(fibre is None) - canvas.defect),
        shown=np.where(alpha > 0.5, np.int32(number), canvas.shown),
        fibres=canvas.fibres if fibre is None else (*canvas.fibres, fibre),
    )


def shade(canvas: Canvas, distance: np.ndarray, reach: float, strength: float) -> Canvas:
    """Darkens what lies beside an object, up to `reach` pixels from its edge at `distance` 0."""
    near = np.clip(1 - np.maximum(distance, 0) / np.float32(reach), 0, 1)
    return canvas._replace(image=canvas.image * (1 - np.float32(strength) * near * near))


def sample_layer(rng: Generator, size: int, look: Look, level: float) -> list[Fibre]:
    """Draws the fibres of one layer; `level` is 0 for the deepest and 1 for the top one."""
    count = max(3, round(look.density * size / 20))
    grey = 1 - look.depth * (1 - level)
    return [_sample_fibre(rng, size, look.half_width, grey) for _ in range(count)]


def draw_layer(canvas: Canvas, fibres: list[Fibre], blur: float) -> Canvas:
    """Paints fibres in order, and then blurs all that lies below the next layer."""
    for fibre in fibres:
        canvas = _draw_fibre(canvas, fibre)
    if blur:
        canvas = canvas._replace(image=gaussian_filter(canvas.image, blur, mode="nearest"))
    return canvas


def along_and_across(fibre: Fibre, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns every pixel's position along the fibre and signed distance from its middle."""
    x, y = coordinates(size)
    dx, dy = x - np.float32(fibre.point[0]), y - np.float32(fibre.point[1])
    cx, cy = (np.float32(c) for c in fibre.direction)
    along, across = dx * cx + dy * cy, dy * cx - dx * cy
    bend, twist = np.float32(fibre.bend / size), np.float32(fibre.twist / size**2)
    offset = across - along * along * (bend + twist * along)
    slope = along * (2 * bend + 3 * twist * along)
    return along, offset / np.sqrt(1 + slope * slope)


def develop(canvas: Canvas, rng: Generator) -> np.ndarray:
    """Turns the picture into what the detector gives: charging, gain, noise, uint8."""
    size = len(canvas.image)
    x, y = (2 * c / size - 1 for c in coordinates(size))
    a, b, c = (np.float32(v) for v in rng.uniform(-0.13, 0.13, 3))
    charged = gaussian_filter(canvas.image, 0.6, mode="nearest") * (1 + a * x + b * y + c * x * y)
    gain, offset = rng.uniform(0.65, 1.05), rng.uniform(0.0, 0.14)
    signal = np.maximum(charged * np.float32(gain) + np.float32(offset), 0)
    noise = rng.standard_normal((size, size), np.float32)
    noisy = signal + noise * np.sqrt(0.0004 + 0.0012 * signal)
    return np.clip(np.round(noisy * 255), 0, 255).astype(np.uint8)


def unit_vector(rng: Generator) -> np.ndarray:
    """Draws a direction in the plane, `(2,)`."""
    vector = rng.standard_normal(2)
    return vector / np.sqrt((vector * vector).sum())


def _sample_fibre(rng: Generator, size: int, half_width: float, grey: float) -> Fibre:
    return Fibre(
        point=rng.uniform(-0.1, 1.1, 2) * size,
        direction=unit_vector(rng),
        bend=rng.uniform(-0.3, 0.3),
        twist=rng.uniform(-0.3, 0.3),
        half_width=half_width * rng.uniform(0.75, 1.25),
        grey=grey * rng.uniform(0.88, 1.08),
    )


def _draw_fibre(canvas: Canvas, fibre: Fibre) -> Canvas:
    _, across = along_and_across(fibre, len(canvas.image))
    half_width = np.float32(fibre.half_width)
    outside = np.abs(across) - half_width
    canvas = shade(canvas, outside, reach=1.3 * fibre.half_width, strength=0.4)
    turn = np.clip(across / half_width, -1, 1)
    # A tilted surface sends more electrons: the edges of a fibre are bright, one more than the
    # other because the detector stands on one side.
    value = np.float32(fibre.grey) * (0.74 + 0.24 * turn * turn + 0.08 * turn)
    return paint(canvas, np.clip(0.5 - outside, 0, 1), value, fibre)
