"""Synthetic defects planted into normal images: what a choice is made on when there are no labels.

They are drawn over any grey or colour image and know nothing of fibres. The kinds that real
nanofibres have (films, beads, clots, specks; Carrera et al. 2017) go by the same names as those of
the embedded data set, but share no code with them: there the whole scene is painted, here a
finished picture is painted over. Two more are the field's usual ones: CutPaste (Li et al. 2021) and
fills of texture (after DRAEM, Zavrtanik et al. 2021). A blurred region is a weak imitation.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from scipy import ndimage
from tqdm import tqdm

from semad.utils.eta import BAR_DELAY

COVERAGE = 0.02
"""Share of an image's pixels that its defects take up by default, as on NanoTWICE (1.92 %)."""

_REACH = (0.2, 0.6)  # radius of a defect, in patches
_SPECK = (0.06, 0.12)
_MAX_DEFECTS = 500
_AROUND = 3  # patches around its middle, within which a defect lies
_WINDOW = 32  # pixels, in which an image has content or not
_PLAIN = 0.2  # of the contrast of its richest parts, below which a window is plain
_TRIES = 20  # for a middle that is not plain


class Planted(NamedTuple):
    """A normal image with defects of one family.

    Attributes:
      family: one of `FAMILIES`.
      image: (H, W, C), of the dtype of the normal one.
      mask: bool (H, W), True on the defects.
    """

    family: str
    image: np.ndarray
    mask: np.ndarray


class _Scene(NamedTuple):
    """What a defect is drawn on: the part of an image around its middle, values in [0, 1].

    Attributes:
      image: (h, w, C).
      middle: row and column of the defect in it.
      other: an image, (H, W, C), perhaps another.
      greys: quantiles of the whole image, (101, C).
      size: of a patch in pixels.
    """

    image: np.ndarray
    middle: np.ndarray
    other: np.ndarray
    greys: np.ndarray
    size: int


_Draw = Callable[[_Scene, Generator], tuple[np.ndarray, np.ndarray]]
"""A defect: its opacity (h, w) in [0, 1], and what it shows, (h, w, C) or (h, w, 1)."""


def has_content(image: np.ndarray) -> np.ndarray:
    """Where an image (H, W, C) shows something: bool (H, W).

    There the standard deviation of the window around is not below a fifth of the image's 95th
    percentile of it. A plain background has none of its texture.
    """
    grey = image.mean(axis=2, dtype=np.float32)
    window = min(_WINDOW, *grey.shape)
    mean = ndimage.uniform_filter(grey, window)
    variance = ndimage.uniform_filter(np.square(grey), window) - np.square(mean)
    contrast = np.sqrt(np.maximum(variance, 0))
    return contrast >= _PLAIN * np.quantile(contrast, 0.95)


def plant(
    images: Sequence[np.ndarray],
    sizes: Sequence[int],
    seed: int = 0,
    coverage: float = COVERAGE,
) -> list[Planted]:
    """Each normal image once with each family of defects, where it shows something.

    Args:
      images: normal, (H, W, C) each, uint8 or uint16.
      sizes: of a patch in pixels, for the images in turn; defects are up to a little larger.
      seed: of where they lie and what they look like.
      coverage: share of an image's pixels that its defects take up at least; 0 is one defect.
    """
    scale = float(np.iinfo(images[0].dtype).max)
    scenes = [image.astype(np.float32) / scale for image in images]
    planted = []
    bar = tqdm(FAMILIES, "planting defects", unit="family", leave=False, delay=BAR_DELAY)
    for number, family in enumerate(bar):
        for index, image in enumerate(scenes):
            rng = np.random.default_rng([seed, number, index])
            other = scenes[rng.integers(len(scenes))]
            size = sizes[index % len(sizes)]
            changed, mask = _fill(family, image.copy(), other, size, coverage, rng)
            pixels = np.round(np.clip(changed, 0, 1) * scale).astype(images[index].dtype)
            planted.append(Planted(family, pixels, mask))
    return planted


def _fill(
    family: str,
    image: np.ndarray,
    other: np.ndarray,
    size: int,
    coverage: float,
    rng: Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """The image, changed in place, with defects of a family until they cover enough; their mask."""
    noise, content = _noise(image), has_content(image)
    greys = np.quantile(image, np.linspace(0, 1, 101), axis=(0, 1))
    mask = np.zeros(image.shape[:2], bool)
    for _ in range(_MAX_DEFECTS):
        middle = _middle(content, rng)
        start = np.maximum(middle - _AROUND * size, 0)
        place = tuple(slice(a, b + _AROUND * size) for a, b in zip(start, middle, strict=True))
        part = image[place]
        alpha, shown = FAMILIES[family](_Scene(part, middle - start, other, greys, size), rng)
        alpha = alpha[..., None]
        if family in _PAINTED:  # what is painted is as noisy as what it covers
            shown = shown + noise * rng.standard_normal(part.shape[:2])[..., None]
        image[place] = part + alpha * (shown - part)
        mask[place] |= alpha[..., 0] > 0.5
        if mask.mean() >= coverage:
            break
    return image, mask


def _middle(content: np.ndarray, rng: Generator) -> np.ndarray:
    """Row and column of a place with content; after many tries of any."""
    for _ in range(_TRIES):
        middle = np.array([int(rng.integers(size)) for size in content.shape])
        if content[tuple(middle)]:
            break
    return middle


def _noise(image: np.ndarray) -> float:
    """The standard deviation of an image's noise, from what a 3×3 median takes away."""
    taken = image - ndimage.median_filter(image, (3, 3, 1))
    return float(1.4826 * np.median(np.abs(taken)))


def _blob(scene: _Scene, rng: Generator) -> np.ndarray:
    """The opacity of an irregular patch of matter, (h, w): star-shaped, with a soft rim."""
    height, width = scene.image.shape[:2]
    radius = scene.size * rng.uniform(*_REACH)
    y, x = np.ogrid[:height, :width]
    dy, dx = y - scene.middle[0], x - scene.middle[1]
    angle = np.arctan2(dy, dx)
    edge = np.full((height, width), radius)
    for wave in range(1, 6):
        edge += radius * rng.normal(0, 0.25 / wave) * np.cos(wave * angle + rng.uniform(0, 6.3))
    return np.clip(0.5 + edge - np.hypot(dy, dx), 0, 1)


def _grains(
    scene: _Scene, rng: Generator, count: int, reach: tuple[float, float], spread: float
) -> tuple[np.ndarray, np.ndarray]:
    """Ellipses with a bright rim, scattered `spread` pixels around a point: opacity and relief."""
    height, width = scene.image.shape[:2]
    y, x = np.ogrid[:height, :width]
    alpha, relief = np.zeros((height, width)), np.zeros((height, width))
    for _ in range(count):
        top, left = scene.middle + rng.normal(0, spread, 2)
        tall, wide = scene.size * rng.uniform(*reach) * rng.uniform(0.7, 1.3, 2)
        turn = rng.uniform(0, np.pi)
        along = (y - top) * np.cos(turn) + (x - left) * np.sin(turn)
        across = (x - left) * np.cos(turn) - (y - top) * np.sin(turn)
        far = np.hypot(along / tall, across / wide)
        opacity = np.clip(0.5 + (1 - far) * min(tall, wide), 0, 1)
        relief += opacity * (0.75 + 0.25 * np.minimum(far, 1) ** 2 - relief)
        alpha = np.maximum(alpha, opacity)
    return alpha, relief


def _grey(scene: _Scene, rng: Generator, low: float, high: float) -> np.ndarray:
    """A grey value (or colour) that the image has, between two of its quantiles: (C,)."""
    return scene.greys[round(100 * rng.uniform(low, high))]


def _film(scene: _Scene, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """A smooth sheet that fills what is darker than it; what is brighter still shows."""
    return _blob(scene, rng), np.maximum(scene.image, _grey(scene, rng, 0.4, 0.9))


def _bead(scene: _Scene, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    alpha, relief = _grains(scene, rng, 1, (0.15, 0.35), 0)
    return alpha, relief[..., None] * _grey(scene, rng, 0.7, 0.98)


def _clot(scene: _Scene, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    alpha, relief = _grains(scene, rng, int(rng.integers(8, 20)), (0.07, 0.14), scene.size * 0.2)
    return alpha, relief[..., None] * _grey(scene, rng, 0.6, 0.98)


def _speck(scene: _Scene, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    alpha, relief = _grains(scene, rng, int(rng.integers(1, 4)), _SPECK, scene.size * 0.08)
    return alpha, relief[..., None] * _grey(scene, rng, 0.7, 0.99)


def _cutpaste(scene: _Scene, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """A piece from elsewhere: of another image, shifted, perhaps turned upside down."""
    height, width = scene.image.shape[:2]
    other = scene.other[::-1] if rng.random() < 0.5 else scene.other
    rows = (np.arange(height) + rng.integers(len(other))) % len(other)
    columns = (np.arange(width) + rng.integers(other.shape[1])) % other.shape[1]
    return _blob(scene, rng), other[rows[:, None], columns]


def _texture(scene: _Scene, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """Noise of one grain size, as bright and as rich in contrast as what it replaces."""
    alpha = _blob(scene, rng)
    under = scene.image[alpha > 0.5] if (alpha > 0.5).any() else scene.image
    noise = ndimage.gaussian_filter(rng.standard_normal(alpha.shape), rng.uniform(0.7, 4))
    return alpha, under.mean() + noise[..., None] * (under.std() / noise.std())


def _blur(scene: _Scene, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    sigma = rng.uniform(2, 5)
    return _blob(scene, rng), ndimage.gaussian_filter(scene.image, (sigma, sigma, 0))


FAMILIES: dict[str, _Draw] = {
    "film": _film,
    "bead": _bead,
    "clot": _clot,
    "speck": _speck,
    "cutpaste": _cutpaste,
    "texture": _texture,
    "blur": _blur,
}
"""How each family is drawn."""

_PAINTED = frozenset({"film", "bead", "clot", "speck", "blur"})
