"""The defects of electrospun fibres: films, beads, clots and specks, drawn on a canvas."""

import numpy as np
from numpy.random import Generator

from semad.synthetic.fibres import (
    Canvas,
    Fibre,
    along_and_across,
    coordinates,
    paint,
    shade,
    unit_vector,
)


def film(canvas: Canvas, rng: Generator) -> Canvas:
    """Paints a smooth sheet that fills the holes between fibres; later fibres still cross it."""
    size = len(canvas.image)
    radius = rng.uniform(14, 22)
    centre = _position(rng, size, radius)
    field = np.zeros((size, size), np.float32)
    for _ in range(8):
        point = centre + unit_vector(rng) * radius * np.sqrt(rng.uniform())
        reach = radius * rng.uniform(0.18, 0.38)
        field += np.float32(reach * reach) / (_square_distance(point, size) + 1)
    x, y = coordinates(size)
    tilt_x, tilt_y = (np.float32(v) for v in rng.uniform(-0.005, 0.005, 2))
    tilt = (x - np.float32(centre[0])) * tilt_x + (y - np.float32(centre[1])) * tilt_y
    value = np.float32(rng.uniform(0.25, 0.7)) + tilt
    return paint(canvas, np.clip((field - 1) * 3 + 0.5, 0, 1), value)


def bead(canvas: Canvas, rng: Generator, fibres: list[Fibre]) -> Canvas:
    """Paints a smooth swelling of one of the fibres."""
    size = len(canvas.image)
    fibre = fibres[rng.integers(len(fibres))]
    along, across = along_and_across(fibre, size)
    radius = fibre.half_width * rng.uniform(1.6, 2.3)
    length = radius * rng.uniform(1.2, 1.8)
    on_fibre = along[8:-8, 8:-8][np.abs(across[8:-8, 8:-8]) < 1]
    if not on_fibre.size:
        return canvas
    middle = on_fibre[rng.integers(on_fibre.size)]
    u, v = (along - middle) / np.float32(length), across / np.float32(radius)
    square = u * u + v * v
    distance = (np.sqrt(square) - 1) * np.float32(radius)
    canvas = shade(canvas, distance, reach=radius, strength=0.4)
    turned = np.minimum(square, 1)
    value = np.float32(fibre.grey) * (0.66 + 0.34 * turned * turned + 0.08 * np.clip(v, -1, 1))
    return paint(canvas, np.clip(0.5 - distance, 0, 1), value)


def clot(canvas: Canvas, rng: Generator, fibres: list[Fibre]) -> Canvas:
    """Paints an irregular mass of grains fused together."""
    radius = rng.uniform(7, 14)
    return _heap(canvas, rng, radius, grains=round(radius * 2.5))


def speck(canvas: Canvas, rng: Generator, fibres: list[Fibre]) -> Canvas:
    """Paints a small piece of dust."""
    return _heap(canvas, rng, radius=2.0, grains=int(rng.integers(2, 5)))


# What lies on top of the fibres, and how often.
ON_TOP = (bead, clot, speck)
SHARES = (0.35, 0.3, 0.35)


def scatter(canvas: Canvas, rng: Generator, fibres: list[Fibre], share: float) -> Canvas:
    """Paints beads, clots and specks until defects take up `share` of the pixels.

    Args:
      fibres: the top fibres, on which beads may grow.
    """
    while (canvas.defect > 0.5).mean() < share:
        draw = ON_TOP[rng.choice(len(ON_TOP), p=SHARES)]
        canvas = draw(canvas, rng, fibres)
    return canvas


def _heap(canvas: Canvas, rng: Generator, radius: float, grains: int) -> Canvas:
    size = len(canvas.image)
    centre = _position(rng, size, radius)
    grey = rng.uniform(0.5, 0.95)
    stretch = rng.uniform(0.6, 1.0, 2)
    for _ in range(grains):
        point = centre + unit_vector(rng) * stretch * radius * np.sqrt(rng.uniform())
        canvas = _grain(canvas, point, rng.uniform(2.2, 4.5), grey * rng.uniform(0.8, 1.2))
    return canvas


def _grain(canvas: Canvas, point: np.ndarray, radius: float, grey: float) -> Canvas:
    size = len(canvas.image)
    square = _square_distance(point, size) / np.float32(radius * radius)
    distance = (np.sqrt(square) - 1) * np.float32(radius)
    canvas = shade(canvas, distance, reach=radius, strength=0.5)
    turned = np.minimum(square, 1)
    value = np.float32(grey) * (0.75 + 0.3 * turned)
    return paint(canvas, np.clip(0.5 - distance, 0, 1), value)


def _position(rng: Generator, size: int, margin: float) -> np.ndarray:
    return rng.uniform(margin, size - margin, 2)


def _square_distance(point: np.ndarray, size: int) -> np.ndarray:
    x, y = coordinates(size)
    dx, dy = x - np.float32(point[0]), y - np.float32(point[1])
    return dx * dx + dy * dy
