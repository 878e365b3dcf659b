"""PatchCore and PaDiM over features of one backbone, and all rivals by name."""

from collections.abc import Sequence

import numpy as np
import torch
from backbone import Backbone, to_pixels
from scipy import ndimage
from supersimplenet import SuperSimpleNet

from semad.scoring.regions import area_level

_SMOOTHING = 4.0
"""σ in pixels, of both papers' maps."""


class _ScoredByMap:
    """Scores an image by the highest level that a region of its map reaches."""

    def map(self, image: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def score(self, image: np.ndarray, min_area: int) -> float:
        """How anomalous an image (H, W, C) is, whose defects have `min_area` pixels or more."""
        return area_level(self.map(image), min_area)


class PatchCore(_ScoredByMap):
    """Distance to the nearest of a memory bank of normal features (Roth et al. 2022).

    The bank is a greedy coreset of all features, chosen in a random projection as in the paper. It
    has `size` entries rather than a share, so that the time per image does not grow with the data.
    """

    stages = (3, 5)

    def __init__(self, size: int = 5_000, projected: int = 128, candidates: int = 50_000) -> None:
        """Of at most `candidates` random features, `size` are kept."""
        self._size, self._projected, self._candidates = size, projected, candidates
        self._backbone = Backbone(self.stages)

    def fit(self, images: Sequence[np.ndarray], seed: int) -> None:
        """Remembers normal images (H, W, C)."""
        random = torch.Generator().manual_seed(seed)
        features = _features(self._backbone, images, self._candidates, random)
        self._bank = features[_coreset(features, self._size, self._projected, random)]

    def map(self, image: np.ndarray) -> np.ndarray:
        """How far each pixel is from all that is remembered: float32 (H, W)."""
        features = self._backbone(image)
        rows = features.reshape(-1, features.shape[-1])
        nearest = [torch.cdist(part, self._bank).amin(dim=1) for part in rows.split(2048)]
        values = to_pixels(torch.cat(nearest).reshape(features.shape[:2]), *image.shape[:2])
        return ndimage.gaussian_filter(values, _SMOOTHING)


class Padim(_ScoredByMap):
    """Mahalanobis distance to a Gaussian of normal features (Defard et al. 2021).

    The paper has a Gaussian for each position, which needs images of one size that show the same
    thing in the same place. Textures do not, so one Gaussian stands for all positions.
    """

    stages = (2, 3, 5)

    def __init__(self, kept: int = 100, shrinkage: float = 0.01, candidates: int = 50_000) -> None:
        """Keeps `kept` random features, as the paper does; ε of its equation 1 is `shrinkage`."""
        self._kept, self._shrinkage, self._candidates = kept, shrinkage, candidates
        self._backbone = Backbone(self.stages)

    def fit(self, images: Sequence[np.ndarray], seed: int) -> None:
        """Estimates mean and covariance from normal images (H, W, C)."""
        random = torch.Generator().manual_seed(seed)
        features = _features(self._backbone, images, self._candidates, random)
        self._columns = torch.randperm(features.shape[1], generator=random)[: self._kept]
        features = features[:, self._columns]
        self._mean = features.mean(dim=0)
        covariance = torch.cov(features.T) + self._shrinkage * torch.eye(features.shape[1])
        self._root = torch.linalg.cholesky(torch.linalg.inv(covariance))

    def map(self, image: np.ndarray) -> np.ndarray:
        """How far each pixel is from what is normal: float32 (H, W)."""
        centred = self._backbone(image)[..., self._columns] - self._mean
        values = to_pixels((centred @ self._root).norm(dim=-1), *image.shape[:2])
        return ndimage.gaussian_filter(values, _SMOOTHING)


RIVALS = {"patchcore": PatchCore, "padim": Padim, "supersimplenet": SuperSimpleNet}
"""By name, made without arguments."""


def _features(
    backbone: Backbone, images: Sequence[np.ndarray], count: int, random: torch.Generator
) -> torch.Tensor:
    """At most `count` features of all images, drawn at random: (n, features)."""
    rows = torch.cat([backbone(image).flatten(0, 1) for image in images])
    return rows[torch.randperm(len(rows), generator=random)[:count]]


def _coreset(
    features: torch.Tensor, size: int, projected: int, random: torch.Generator
) -> list[int]:
    """Rows that leave no row far from all of them: each next one is the farthest (k-centre)."""
    basis = torch.randn(features.shape[1], projected, generator=random) / projected**0.5
    points = features @ basis
    chosen = [0]
    far = (points - points[0]).square().sum(dim=1)
    for _ in range(min(size, len(points)) - 1):
        number = int(far.argmax())
        chosen.append(number)
        far = torch.minimum(far, (points - points[number]).square().sum(dim=1))
    return chosen
