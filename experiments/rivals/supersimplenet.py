"""SuperSimpleNet (Rolih et al. 2024): a discriminator of features and features with added noise."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from backbone import Backbone, to_pixels
from scipy import ndimage
from torch import nn
from torch.nn import functional

_SMOOTHING = 4.0
"""σ in pixels, of the paper's maps."""
_NOISE = 0.1
"""Standard deviation of what is added to adapted features, whose spread is near 1 at the start. The
paper's .015 belongs to WideResNet-50's features; this value was set beforehand and not tried."""
_PERLIN = 0.2
"""Above it lies the noise, of Perlin fields between about -1 and 1."""
_TRUNCATED = 0.5
"""Scores beyond it, on the right side of 0, cost nothing."""
_GAMMA = 4
"""Of the focal loss."""
_LEAST_SPREAD = 1e-6
"""The least standard deviation that a feature may have."""


class SuperSimpleNet:
    """Finds noise that was added to adapted features under Perlin masks.

    Departures from the paper: the backbone, whose features are standardised, and averaged
    before they are enlarged; the size of the noise (above); flipped crops; one clean and one
    noisy copy of each crop, where the paper draws for either whether it has noise; and what two
    cores allow, crops of 128 pixels, eight to a batch, 1,000 steps, where the paper has images
    of 256 pixels, 32 to a batch, for 300 epochs. The score of an image is its classification
    head's.
    """

    stages = (3, 5)

    def __init__(self, steps: int = 1_000, batch: int = 8, crop: int = 128) -> None:
        """`crop` is in pixels, a multiple of 8."""
        self._steps, self._batch, self._crop = steps, batch, crop
        self._backbone = Backbone(self.stages)

    def fit(self, images: Sequence[np.ndarray], seed: int) -> None:
        """Trains on normal images (H, W, C)."""
        torch.manual_seed(seed)
        random = np.random.default_rng(seed)
        # Crops of features rather than of images: the backbone runs once per image.
        whole = [self._backbone(image).movedim(-1, 0) for image in images]
        rows = torch.cat([each.flatten(1) for each in whole], dim=1)
        self._mean = rows.mean(dim=1)[:, None, None]
        self._scale = rows.std(dim=1).clamp_min(_LEAST_SPREAD)[:, None, None]
        whole = [(each - self._mean) / self._scale for each in whole]
        self._heads = _Heads(len(rows))
        adaptor, others = self._heads.adaptor.parameters(), self._heads.heads()
        optimiser = torch.optim.AdamW(
            [
                {"params": adaptor, "lr": 1e-4, "weight_decay": 1e-2},
                {"params": list(others), "lr": 2e-4, "weight_decay": 1e-5},
            ]
        )
        ends = [round(share * self._steps) for share in (0.8, 0.9)]
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, ends, gamma=0.4)
        self._heads.train()
        for _ in range(self._steps):
            features = _enlarged(self._crops(whole, random))
            masks = _perlin_masks(random, len(features), features.shape[-1])
            optimiser.zero_grad()
            loss = _loss(self._heads, features, masks)
            loss.backward()
            optimiser.step()
            schedule.step()
        self._heads.eval()

    def map(self, image: np.ndarray) -> np.ndarray:
        """How anomalous each pixel is: float32 (H, W)."""
        values = to_pixels(self._apply(image)[0], *image.shape[:2])
        return ndimage.gaussian_filter(values, _SMOOTHING)

    def score(self, image: np.ndarray, _min_area: int) -> float:
        """How anomalous an image is, by the classification head, whatever its defects' size."""
        return float(self._apply(image)[1])

    @torch.no_grad()
    def _apply(self, image: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        features = (self._backbone(image).movedim(-1, 0) - self._mean) / self._scale
        large = _enlarged(features[None])
        levels, score = self._heads(self._heads.adaptor(large))
        return levels[0, 0], score[0]

    def _crops(self, whole: list[torch.Tensor], random: np.random.Generator) -> torch.Tensor:
        """Crops of features (C, h, w) at random places, flipped at random: (batch, C, n, n)."""
        size, crops = self._crop // 8, []
        for number in random.integers(len(whole), size=self._batch):
            features = whole[number]
            missing = [max(0, size - length) for length in features.shape[1:]]
            padding = (0, missing[1], 0, missing[0])
            features = functional.pad(features[None], padding, mode="replicate")[0]
            top, left = (random.integers(length - size + 1) for length in features.shape[1:])
            crop = features[:, top : top + size, left : left + size]
            turned = [axis for axis in (1, 2) if random.random() < 0.5]
            crops.append(crop.flip(turned))
        return torch.stack(crops)


class _Heads(nn.Module):
    """The adaptor, the segmentation head and the classification head."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.adaptor = nn.Conv2d(features, features, 1)
        hidden = nn.Conv2d(features, 1024, 1), nn.BatchNorm2d(1024), nn.LeakyReLU(0.2)
        self.segment = nn.Sequential(*hidden, nn.Conv2d(1024, 1, 1, bias=False))
        surroundings = nn.Conv2d(features + 1, 128, 5, padding="same")
        self.classify = nn.Sequential(surroundings, nn.BatchNorm2d(128), nn.ReLU())
        self.score = nn.Linear(2 * (128 + 1), 1)
        for part in (self.adaptor, self.segment, self.classify):
            for layer in part.modules():
                if isinstance(layer, nn.Conv2d):
                    nn.init.xavier_normal_(layer.weight)

    def heads(self) -> Iterator[nn.Parameter]:
        """What is not the adaptor's."""
        for part in (self.segment, self.classify, self.score):
            yield from part.parameters()

    def forward(self, adapted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of places (N, 1, h, w) and of images (N,), of adapted features (N, C, h, w).

        The classification head sees the first and does not train them.
        """
        levels = self.segment(adapted)
        given = levels.detach()
        seen = self.classify(torch.cat([adapted, given], dim=1))
        pooled = [
            pool(part).flatten(1)
            for part in (seen, given)
            for pool in (nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1))
        ]
        return levels, self.score(torch.cat(pooled, dim=1))[:, 0]


def _loss(heads: _Heads, features: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """The paper's loss of features (N, C, h, w) and their copies with noise under masks."""
    adapted = heads.adaptor(features)
    noisy = adapted + _NOISE * masks * torch.randn_like(adapted)
    levels, scores = heads(torch.cat([adapted, noisy]))
    labels = torch.cat([torch.zeros_like(masks), masks])
    anomalous = labels.bool()
    loss = _focal(levels, labels) + _focal(scores, labels.amax(dim=(1, 2, 3)))
    loss = loss + (levels[~anomalous] + _TRUNCATED).clamp_min(0).mean()
    if anomalous.any():
        loss = loss + (_TRUNCATED - levels[anomalous]).clamp_min(0).mean()
    return loss


def _focal(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean focal loss (Lin et al. 2017), without weights of classes."""
    entropy = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    return ((1 - torch.exp(-entropy)) ** _GAMMA * entropy).mean()


def _enlarged(features: torch.Tensor) -> torch.Tensor:
    """Features (N, C, h, w) at twice the size: small defects need places of four pixels."""
    return functional.interpolate(features, scale_factor=2, mode="bilinear")


def _perlin_masks(random: np.random.Generator, count: int, size: int) -> torch.Tensor:
    """Where Perlin noise (Perlin 1985) is high: (count, 1, size, size) of 0 and 1.

    The noise's cells are squares or rectangles of a random number along each side.
    """
    fields = [_perlin(random, 2 ** random.integers(0, 6, size=2), size) for _ in range(count)]
    high = 2**0.5 * np.stack(fields)[:, None] > _PERLIN
    return torch.from_numpy(high).float()


def _perlin(random: np.random.Generator, cells: np.ndarray, size: int) -> np.ndarray:
    """One field of Perlin noise, of so many cells along each side: (size, size)."""
    angles = random.uniform(0, 2 * np.pi, size=cells + 1)
    places = [(np.arange(size) + 0.5) * count / size for count in cells]
    y, x = np.meshgrid(*places, indexing="ij")
    top, left = y.astype(int), x.astype(int)

    def corner(down: int, right: int) -> np.ndarray:
        angle = angles[top + down, left + right]
        return np.cos(angle) * (y - top - down) + np.sin(angle) * (x - left - right)

    def between(start: np.ndarray, end: np.ndarray, where: np.ndarray) -> np.ndarray:
        return start + (6 * where**5 - 15 * where**4 + 10 * where**3) * (end - start)

    rows = [between(corner(down, 0), corner(down, 1), x - left) for down in (0, 1)]
    return between(rows[0], rows[1], y - top)
