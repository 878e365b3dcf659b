"""`semad.restore(workdir)`: a trained run's networks, for evaluation scripts; no data needed."""

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from semad import pipeline
from semad.data import patches
from semad.data.arrays import Images, from_array, from_arrays
from semad.data.normalisation import displayed, normalise
from semad.errors import UserError
from semad.run.population import members_in_use
from semad.run.system import System, check_stride, scoring_state
from semad.run.workdir import restore as restore_state
from semad.scoring.batched import PatchScores, ScoringState, WithinMemory, make_scorer
from semad.scoring.chunks import score_chunks
from semad.scoring.maps import Maps, map_images
from semad.types import TrainState
from semad.utils.backend import in_float32


class Model:
    """The networks of one member of a trained population, on patches.

    Patches are given as images of exactly a patch in size (smaller ones are padded with zeros, as
    items of one-vs-rest sets are): (N, P, P) or (N, P, P, C), uint8 or uint16, of which the whole
    range counts, or floating point in [0, 1]. `maps` takes an image of any size.

    Attributes:
      system: settings, method and members.
      state: of the whole population, stacked over its members.
      member: weights and scalars of the member in use.
    """

    def __init__(self, system: System, state: TrainState, number: int) -> None:
        """Binds the weights of member `number`; see `restore`."""
        self.system, self.state = system, state
        self.member: ScoringState = scoring_state(system, state, number)
        self._origin: tuple[Any, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        """As the folder that it comes from, which is read again where it is unpickled.

        Raises:
          TypeError: for a model that `restore` did not make.
        """
        if not self._origin:
            raise TypeError(
                "a Model holds compiled functions, which cannot be pickled; train in a workdir and "
                "pickle what semad.restore(workdir) gives, or pickle the workdir's path"
            )
        return restore, self._origin

    @property
    def latent_dim(self) -> int:
        """Length of z, of a system that generates."""
        return self.system.method.latent_dim

    @in_float32
    def encode(self, images: Images) -> np.ndarray:
        """Latents, float32 (N, latent): E(x); AnoGAN's by its search.

        Raises:
          UserError: for a system without latents.
          ValueError: for images of another shape, dtype or range.
        """
        method = self.system.method
        if method.encode is None:
            raise UserError(f"{method.name} has no latents, so it cannot encode")
        chunks = self._chunks(images, lambda member, parts, absent: self._encode(member, parts))
        return np.concatenate([np.asarray(part) for part in chunks])

    @in_float32
    def reconstruct(self, images: Images) -> np.ndarray:
        """Reconstructions, float32 (N, P, P, C), grey values in [0, 1]; AnoGAN's by its search.

        Where patches are standardised, so are reconstructions: they are shown by the same scale.

        Raises:
          UserError: for a system that makes none.
          ValueError: for images of another shape, dtype or range.
        """
        how, parts = self.system.method.normalisation, []
        for scored in self._chunks(images, self._scorer):
            if scored.reconstructions is None:
                raise UserError(f"{self.system.method.name} makes no reconstructions")
            parts.append(np.asarray(displayed(scored.reconstructions, how)))
        return np.concatenate(parts)

    @in_float32
    def generate(self, key: jax.Array, count: int) -> np.ndarray:
        """Samples G(z), float32 (count, P, P, C), grey values in [0, 1].

        Args:
          key: of `jax.random.key`.
          count: of samples.

        Raises:
          UserError: for a system that generates nothing.
        """
        method = self.system.method
        if method.sample is None:
            raise UserError(f"{method.name} has no generator of z, so it cannot generate")
        z = jax.random.normal(key, (count, method.latent_dim))
        samples = method.sample(method.bind(self.member.weights), z)
        return np.asarray(displayed(samples, method.normalisation))

    @in_float32
    def score(self, images: Images) -> dict[str, np.ndarray]:
        """Every score of the system: name -> float32 (N,), higher is more anomalous.

        Raises:
          ValueError: for images of another shape, dtype or range.
        """
        parts = [scored.scores for scored in self._chunks(images, self._scorer)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    @in_float32
    def maps(self, image: np.ndarray) -> Maps:
        """Every score at every pixel: name -> float32 (H, W).

        Args:
          image: (H, W) or (H, W, C), of any size from one patch up.

        Raises:
          ValueError: for another shape, dtype or range.
          UserError: for a stride that leaves gaps.
        """
        settings = self.system.settings
        check_stride(settings)
        images = [from_array(image, settings.data.channels)]
        tiling, smoothing = self.system.scoring.tiling, settings.score.smoothing
        return next(map_images(self._map_scorer, self.member, images, tiling, smoothing=smoothing))

    @cached_property
    def _scorer(self) -> Callable[..., PatchScores]:
        return WithinMemory(make_scorer(self.system.method))

    @cached_property
    def _map_scorer(self) -> Callable[..., PatchScores]:
        return WithinMemory(make_scorer(self.system.method, maps=True))

    @cached_property
    def _encode(self) -> Callable[[ScoringState, jax.Array], jax.Array]:
        method, encode_images = self.system.method, self.system.method.encode
        assert encode_images is not None  # `encode` raises before

        @jax.jit
        def encode(member: ScoringState, parts: jax.Array) -> jax.Array:
            nets = method.bind(member.weights)
            images = normalise(parts, method.normalisation)
            return encode_images(nets, images, member.key, member.hparams)

        return encode

    def _chunks(self, images: Images, function: Callable[..., Any]) -> Iterator[Any]:
        """A function's values on chunks of one shape, the padding of the last cut off."""
        data = self.system.settings.data
        size = data.patch_size
        converted = from_arrays(images, data.channels)
        for image in converted:
            if max(image.shape[:2]) > size:
                raise ValueError(
                    f"an image of {image.shape[0]}×{image.shape[1]} pixels; patches of at most "
                    f"{size}×{size} are taken: cut it, or call maps"
                )
        stacked = np.stack([patches.pad(image, size, "images") for image in converted])
        chunk = min(self.system.scoring.chunk, len(stacked))
        for _, values in score_chunks(
            function, self.member, lambda rows: stacked[rows], len(stacked), chunk
        ):
            yield values


@in_float32
def restore(
    workdir: str | Path, config: ml_collections.ConfigDict | None = None, member: int | None = None
) -> Model:
    """Restores the networks of a trained run.

    Args:
      workdir: of a run that `main.py`, `train_and_evaluate` or `Detector.fit` trained.
      config: the run's config with other values of what may change, such as `config.score`,
        `config.search` and `config.eval.checkpoint`; None for its own.
      member: of a population; None for `config.score.member`, or else the first.

    Raises:
      UserError: when there is no run or checkpoint, no such member, or another run's config.
    """
    workdir = Path(workdir)
    system = pipeline.stored_system(workdir, config)
    wanted = max(0, system.settings.score.member) if member is None else member
    if wanted < 0:
        raise UserError(f"member is {wanted}; members are numbered from 0 on")
    (number,) = members_in_use(system.members, wanted)
    model = Model(system, restore_state(workdir, system), number)
    model._origin = (workdir.resolve(), config, number)
    return model
