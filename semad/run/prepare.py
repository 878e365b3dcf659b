"""A system with its data, and how training draws from it."""

from typing import NamedTuple

import ml_collections
import numpy as np

from semad.config.schema import DataSettings, Settings
from semad.data import patches, sources
from semad.data.images import same_depth
from semad.data.patches import Holdout, PaddedImages, PatchSampling, steps_per_epoch
from semad.data.source import Source
from semad.errors import UserError
from semad.run.state import phase_bounds
from semad.run.system import System, build
from semad.types import Method, Phase

HOLDOUT_PIXELS = 2**25
"""Of many held-out images as many are used, evenly spread, as this allows."""


class Run(NamedTuple):
    """What training and evaluation share.

    Attributes:
      system: settings, method, members.
      source: images, each at least one patch in size.
      train: normal images to train on, on the device.
      holdout: normal images, or parts of them, for thresholds and validation.
      sampling: how training patches are drawn.
    """

    system: System
    source: Source
    train: PaddedImages
    holdout: Holdout
    sampling: PatchSampling

    @property
    def settings(self) -> Settings:
        """The config, resolved."""
        return self.system.settings

    @property
    def method(self) -> Method:
        """The system's method."""
        return self.system.method

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return steps_per_epoch(self.sampling, self.train.pixels.shape[0])

    @property
    def phases(self) -> list[tuple[Phase, int, int]]:
        """Each phase with its first step and the step behind its last."""
        return phase_bounds(self.method, self.steps_per_epoch)

    @property
    def total_steps(self) -> int:
        """Of all phases."""
        return self.phases[-1][2]


def prepare(
    config: ml_collections.ConfigDict | Settings | System,
    source: Source | None = None,
    holdout: Holdout | None = None,
) -> Run:
    """Builds the system, and reads the data unless they are given.

    Args:
      config: of the run.
      source: its data; None to read them.
      holdout: of a trained workdir, for a source without training images.

    Raises:
      UserError: for a bad value, bad data, or data that does not suit the config.
    """
    system = config if isinstance(config, System) else build(config)
    settings = system.settings
    data = settings.data
    source = patches.fit(source or sources.load(data), data.patch_size)
    if source.train:
        train, whole = patches.split_holdout(source, data.holdout, data.patch_size)
        holdout = whole._replace(images=_thin(whole.images))
    elif holdout:
        train = holdout.images  # in place of those that nobody trains on
        images = same_depth([*train, *source.test])
        source = source._replace(test=images[len(train) :])
    else:
        raise UserError(
            f"{source.name}: no training images; put normal ones into {data.dir}/train/good"
        )
    sampling = PatchSampling(
        patch_size=data.patch_size,
        crops_per_image=_crops_per_image(data, len(train)) if source.micrographs else 1,
        batch_size=settings.train.batch_size,
        flips=not source.oriented if data.flips is None else data.flips,
    )
    if settings.score.flips and not sampling.flips:
        raise UserError(
            f"config.score.flips is on, and {source.name} is trained on without mirror images "
            "(config.data.flips); set --config.score.flips=False"
        )
    return Run(system, source, patches.stack(train), holdout, sampling)


def _thin(images: list[np.ndarray]) -> list[np.ndarray]:
    keep = max(1, min(len(images), HOLDOUT_PIXELS // max(image.size for image in images)))
    return [images[number] for number in np.linspace(0, len(images) - 1, keep, dtype=int)]


def _crops_per_image(data: DataSettings, images: int) -> int:
    return -(-data.crops // images) if data.crops else data.crops_per_image
