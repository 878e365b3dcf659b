"""Patches of annotated images: what `--mode teach` trains on beside normal patches."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from semad.data.images import same_depth
from semad.data.patches import PatchSampling, flip
from semad.types import AnnotatedPatches
from semad.utils.arrays import read_arrays, write_arrays
from semad.utils.pyramid import pyramid
from semad.utils.rng import Stream, stream

FILE = "annotated.npz"
"""Of a workdir that was taught."""

_LEAST, _MOST = 16, 64
"""Patches of an outline; a large one has as many as cover it four times."""


class AnnotatedImage(NamedTuple):
    """An image in which a person outlined what a detector got wrong.

    Attributes:
      name: of the file.
      image: (H, W, C), uint8 or uint16.
      defects: bool (H, W), True where a defect was outlined.
      normal: bool (H, W), True where an outline says that there is none.
    """

    name: str
    image: np.ndarray
    defects: np.ndarray
    normal: np.ndarray


def cut(
    images: Sequence[AnnotatedImage], patch_size: int, seed: int, levels: int = 1
) -> AnnotatedPatches:
    """Patches around random points of every outline: integers, masks of 0 and 1.

    Small and large outlines have patches of about the same number, so that no single large defect
    stands for all.

    Args:
      images: each at least one patch in size, with one outline or more in all.
      patch_size: in pixels.
      seed: of the points.
      levels: of the image pyramid, `config.data.pyramid`.
    """
    rng = np.random.default_rng(seed)
    pixels = same_depth([annotated.image for annotated in images])
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    alike = [image._replace(image=same) for image, same in zip(images, pixels, strict=True)]
    for annotated in (level for each in alike for level in _levels(each, levels, patch_size)):
        for mask in (annotated.defects, annotated.normal):
            labels, count = ndimage.label(mask, np.ones((3, 3), bool))
            for number in range(1, count + 1):
                for top, left in _corners(labels == number, patch_size, rng):
                    place = slice(top, top + patch_size), slice(left, left + patch_size)
                    parts.append(
                        (annotated.image[place], annotated.defects[place], annotated.normal[place])
                    )
    stacked = (np.stack(part) for part in zip(*parts, strict=True))
    patches, defects, normal = stacked
    return AnnotatedPatches(
        jnp.asarray(patches),
        jnp.asarray(defects.astype(patches.dtype)),
        jnp.asarray(normal.astype(patches.dtype)),
    )


def _levels(annotated: AnnotatedImage, levels: int, patch_size: int) -> list[AnnotatedImage]:
    """The levels of its pyramid; a reduced pixel is outlined if one of its four is."""
    masks = ((mask[..., None] * np.uint8(255)) for mask in (annotated.defects, annotated.normal))
    planes = [pyramid(array, levels, patch_size) for array in (annotated.image, *masks)]
    return [
        AnnotatedImage(annotated.name, image, defects[..., 0] > 0, normal[..., 0] > 0)
        for image, defects, normal in zip(*planes, strict=True)
    ]


def _corners(region: np.ndarray, patch_size: int, rng: np.random.Generator) -> list[list[int]]:
    """Top and left of patches that hold a random point of a region, anywhere in the patch."""
    points = np.argwhere(region)
    count = int(np.clip(4 * len(points) / patch_size**2, _LEAST, _MOST))
    chosen = points[rng.integers(len(points), size=count)]
    corners = chosen - rng.integers(patch_size, size=(count, 2))
    return np.clip(corners, 0, np.array(region.shape) - patch_size).tolist()


def join(parts: Sequence[AnnotatedPatches]) -> AnnotatedPatches:
    """All patches together."""
    images = same_depth([np.asarray(part.images) for part in parts])
    defects, normal = (
        np.concatenate([np.asarray(getattr(part, name)) for part in parts]).astype(images[0].dtype)
        for name in ("defects", "normal")
    )
    joined = np.concatenate(images)
    return AnnotatedPatches(jnp.asarray(joined), jnp.asarray(defects), jnp.asarray(normal))


def draw(
    annotated: AnnotatedPatches, sampling: PatchSampling, key: jax.Array, count: int
) -> AnnotatedPatches:
    """Random ones of all annotated patches, each flipped at random where training patches are."""
    choice_key, flip_key = stream(key, Stream.PLACES), stream(key, Stream.FLIPS)
    chosen = jax.random.randint(choice_key, (count,), 0, annotated.images.shape[0])
    images, defects, normal = (part[chosen] for part in annotated)
    planes = jnp.concatenate([images, defects[..., None], normal[..., None]], axis=-1)
    if sampling.flips:  # all planes of a patch alike
        planes = flip(planes, flip_key)
    return AnnotatedPatches(planes[..., :-2], planes[..., -2], planes[..., -1])


def write(workdir: Path, annotated: AnnotatedPatches) -> None:
    """Writes annotated patches into a workdir.

    Raises:
      CannotWrite: on a full disk and the like.
    """
    arrays = {name: np.asarray(part) for name, part in annotated._asdict().items()}
    write_arrays(workdir / FILE, arrays)


def read(workdir: Path) -> AnnotatedPatches | None:
    """The annotated patches of a workdir; None where it was not taught.

    Raises:
      UserError: when the file is damaged.
    """
    if not (workdir / FILE).is_file():
        return None
    arrays = read_arrays(workdir / FILE)
    return AnnotatedPatches(*(jnp.asarray(arrays[name]) for name in AnnotatedPatches._fields))
