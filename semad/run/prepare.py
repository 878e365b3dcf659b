"""A system with its data, and how training draws from it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import ml_collections
import numpy as np

from semad.config.schema import DataSettings, Settings
from semad.data import normal_images, patches, sources
from semad.data.images import same_depth
from semad.data.normal_images import NormalImages
from semad.data.patches import PaddedImages, PatchSampling, steps_per_epoch
from semad.data.source import Source
from semad.errors import UserError
from semad.run.state import phase_bounds
from semad.run.system import System, build
from semad.types import AnnotatedPatches, Method, Phase
from semad.utils.pyramid import pyramid


class Run(NamedTuple):
    """What training and evaluation share.

    Attributes:
      system: settings, method, members.
      source: images, each at least one patch in size.
      train: normal images to train on, all levels of their pyramids, on the device.
      normal: normal images, or evenly spread ones of many, for thresholds and validation.
      sampling: how training patches are drawn.
      annotated: patches of annotated images, of a run that is taught.
      pretrained: net -> parameters that were trained elsewhere, of a run that starts.
    """

    system: System
    source: Source
    train: PaddedImages
    normal: NormalImages
    sampling: PatchSampling
    annotated: AnnotatedPatches | None = None
    pretrained: Mapping[str, Any] = MappingProxyType({})

    @property
    def holdout(self) -> list[np.ndarray]:
        """Normal images, or parts of them, that training does not see."""
        return self.normal.holdout

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
    normal: NormalImages | None = None,
) -> Run:
    """Builds the system, and reads the data unless they are given.

    Args:
      config: of the run.
      source: its data; None to read them.
      normal: those of a trained workdir, for a source without training images.

    Raises:
      UserError: for a bad value, bad data, or data that does not suit the config.
    """
    system = config if isinstance(config, System) else build(config)
    settings = system.settings
    data = settings.data
    source = patches.fit(source or sources.load(data), data.patch_size)
    if source.train:
        everything = normal_images.split(source, data.holdout, data.patch_size)
        train, normal = everything.train, everything.thinned()
    elif normal:
        train = normal.holdout  # in place of those that nobody trains on
        images = same_depth([*train, *source.test])
        source = source._replace(test=images[len(train) :])
    else:
        raise UserError(
            f"{source.name}: no training images; put normal ones into {data.dir}/train/good"
        )
    train = _levels(source, train, data)
    sampling = PatchSampling(
        patch_size=data.patch_size,
        crops_per_image=_crops_per_image(data, len(train)) if source.micrographs else 1,
        batch_size=settings.train.batch_size,
        flips=not source.oriented if data.flips is None else data.flips,
        beyond=round(data.borders * data.patch_size),
    )
    if settings.score.flips != "none" and not sampling.flips:
        raise UserError(
            f"config.score.flips is {settings.score.flips}, and {source.name} is trained on "
            "without mirror images (config.data.flips); set --config.score.flips=none"
        )
    return Run(system, source, patches.stack(train), normal, sampling)


def _levels(source: Source, train: list[np.ndarray], data: DataSettings) -> list[np.ndarray]:
    """All levels of the pyramids of training images (H, W, C)."""
    if data.pyramid > 1 and not source.micrographs:
        raise UserError(
            f"config.data.pyramid is {data.pyramid}, and the images of {source.name} are items of "
            "a patch each, which have no smaller patches; set --config.data.pyramid=1"
        )
    return [level for image in train for level in pyramid(image, data.pyramid, data.patch_size)]


def _crops_per_image(data: DataSettings, images: int) -> int:
    return -(-data.crops // images) if data.crops else data.crops_per_image
