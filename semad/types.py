"""The contract every system is written against: Net, Update, Phase, Method and TrainState.

The systems differ in four things only: which networks, which loss terms, which parameters each
loss moves, and how an image is scored. A file in `semad/methods/` says those four things by
building a `Method`; all the rest (optimiser steps, batch statistics, EMA, randomness, logging,
checkpoints, thresholds) exists once, elsewhere.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import optax

CELL = 16
"""Pixels that the sides of an image for a convolutional system are multiples of."""

Hparams = Mapping[str, jax.Array]
"""Scalars that may differ between members of a population: traced, never compiled in."""


class Net(NamedTuple):
    """A network and the shapes of its inputs for one example, without the batch axis.

    `read_pretrained`, if any, reads parameters that were trained elsewhere. A run starts with them
    in place of random ones; after that they are in its checkpoints.
    """

    module: nn.Module
    inputs: tuple[tuple[int, ...], ...]
    read_pretrained: Callable[[], Any] | None = None


def _with_convolution(module: nn.Module, implementation: str) -> nn.Module:
    """A network of layers by `semad.nets.layers`, its `style`; another one as it is."""
    if (style := getattr(module, "style", None)) is None:
        return module
    return module.clone(style=style._replace(convolution=implementation))


class Nets:
    """The networks of a method with weights, as losses and scores call them: `nets.generator(z)`.

    A net named in `training` normalises by the batch it sees, and its running statistics are
    followed in `self.batch_stats`, call by call, as an eager framework would; the caller decides
    which of them to keep. Any other net runs in inference mode, where no example sees another.
    An instance lives for one trace, so the functions that use it stay pure.

    Args:
      modules: name -> flax module whose `__call__` takes `train: bool`.
      params: name -> parameters.
      batch_stats: name -> running statistics, empty for a net without any.
      training: the nets in training mode.
    """

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        params: Mapping[str, Any],
        batch_stats: Mapping[str, Any],
        training: frozenset[str] = frozenset(),
    ) -> None:
        """Binds weights to modules; nothing is copied."""
        self._modules = modules
        self._params = params
        self._training = training
        self.batch_stats = dict(batch_stats)

    def unrecorded(self) -> "Nets":
        """The same nets, whose calls leave `self.batch_stats` alone.

        For what is evaluated inside a transformation of its own, such as a gradient penalty.
        """
        return Nets(self._modules, self._params, self.batch_stats, self._training)

    def as_type(self, dtype: str) -> "Nets":
        """The same nets with weights of another floating-point type, in which they compute."""
        params, batch_stats = jax.tree.map(
            lambda leaf: leaf.astype(dtype), (dict(self._params), self.batch_stats)
        )
        return Nets(self._modules, params, batch_stats, self._training)

    def with_convolution(self, implementation: str) -> "Nets":
        """The same nets with convolutions of one implementation; see `semad.nets.conv`."""
        modules = {
            name: _with_convolution(module, implementation)
            for name, module in self._modules.items()
        }
        return Nets(modules, self._params, self.batch_stats, self._training)

    def __contains__(self, name: str) -> bool:
        """Whether there is a net of that name."""
        return name in self._modules

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """The net of that name, as a function of its inputs (and `key`, if it uses dropout)."""
        if name not in self._modules:
            raise AttributeError(f"no net named {name!r}; there are {sorted(self._modules)}")

        def call(*inputs: jax.Array, key: jax.Array | None = None) -> Any:
            variables = {"params": self._params[name], "batch_stats": self.batch_stats[name]}
            module = self._modules[name]
            if name not in self._training:
                return module.apply(variables, *inputs, train=False)
            rngs = None if key is None else {"dropout": key}
            outputs, changed = module.apply(
                variables, *inputs, train=True, mutable=["batch_stats"], rngs=rngs
            )
            self.batch_stats[name] = changed.get("batch_stats", {})
            return outputs

        return call


class AnnotatedPatches(NamedTuple):
    """Patches of images in which a person outlined defects that were missed, and false alarms.

    Attributes:
      images: (N, P, P, C).
      defects: (N, P, P), not 0 where a defect was outlined.
      normal: (N, P, P), not 0 where an outline says that there is none. What no outline covers is
        unknown.
    """

    images: jax.Array
    defects: jax.Array
    normal: jax.Array


class Batch(NamedTuple):
    """What a training step is given.

    All updates of a step see the same batch, so that the compiler may share what they have in
    common, such as the start of G(z) in the discriminator's update and in the generator's.

    Attributes:
      images: (N, P, P, C), normalised (`semad.data.normalisation`).
      z: draws from N(0, I), (N, latent).
      progress: share of the phase's steps done, in [0, 1), a scalar; schedules are made of it.
      annotated: of a phase that asks for them, normalised as `images`, masks of 0 and 1; else None.
    """

    images: jax.Array
    z: jax.Array
    progress: jax.Array
    annotated: AnnotatedPatches | None = None


Loss = Callable[[Nets, Batch, jax.Array, Hparams], tuple[jax.Array, dict[str, jax.Array]]]
"""`loss(nets, batch, key, hparams) -> (scalar, {term: scalar})`; the key is for further noise."""


class MethodOutput(NamedTuple):
    """What a system says of images; higher is more anomalous.

    Attributes:
      scores: name -> (N,).
      reconstructions: (N, H, W, C); None where a system makes none.
      maps: name -> (N, H, W), of those scores that say something of each pixel; None for none.
    """

    scores: Mapping[str, jax.Array]
    reconstructions: jax.Array | None = None
    maps: Mapping[str, jax.Array] | None = None


Score = Callable[[Nets, jax.Array, jax.Array, Hparams], MethodOutput]
"""`score(nets, images, key, hparams) -> MethodOutput`.

The residual scores of a reconstruction (`l1`, `l2`, `ssim`) are added to these by the engine.
Nets are in inference mode, and the key is one for all images: noise must be drawn without a
batch axis, so that an image's score never depends on its neighbours or its place.
"""

Decode = Callable[[Nets, jax.Array], jax.Array]
"""`sample(nets, z) -> images` or `reconstruct(nets, images) -> images`, in inference mode.

Cheap enough for the training log: what takes a search is left to the score.
"""


Encode = Callable[[Nets, jax.Array, jax.Array, Hparams], jax.Array]
"""`encode(nets, images, key, hparams) -> latents (N, latent)`, in inference mode; it may search."""


class Update(NamedTuple):
    """One optimiser's move: the nets in `trains` go down the gradient of `loss`.

    The learning rate is `hparams['lr_<net>']`, so `optimizer` only scales the gradient (for
    example `optax.scale_by_adam`). Batch statistics are committed for the nets in `trains` alone.
    `repeat` is how often it runs per step of its phase, each time on a fresh batch. `project`, if
    any, is applied to the parameters after the move (weight clipping).
    """

    name: str
    trains: tuple[str, ...]
    loss: Loss
    optimizer: optax.GradientTransformation
    repeat: int = 1
    project: Callable[[Any], Any] | None = None


class Phase(NamedTuple):
    """Updates in the order in which one jitted step runs them, and for how many epochs.

    An epoch has as many steps as the training set has batches, however often an update repeats.

    A net that no update of the phase trains is frozen: losses see it as it is used at test time,
    with its EMA weights and in inference mode. `epochs_key` is the config key of the epochs.
    `annotated` is how many annotated patches a batch has beside its images. `kept`, if any, is the
    share of the averaged weights from before the phase in those at its end, and the average goes
    over all of it; otherwise its window is that of `config.train`.
    """

    name: str
    epochs: int
    updates: tuple[Update, ...]
    epochs_key: str = "train.epochs"
    annotated: int = 0
    kept: float = 0.0

    @property
    def cools(self) -> bool:
        """Whether `config.train.cooldown` holds for it: not if its average is over all steps."""
        return not self.kept

    @property
    def batches_per_step(self) -> int:
        """How many batches a step takes: one for each time that its most frequent update runs."""
        return max(update.repeat for update in self.updates)


class Method(NamedTuple):
    """A system: its networks, how they are trained and how an image is scored.

    Attributes:
      name: its key in `semad.methods.METHODS`.
      nets: name -> Net.
      latent_dim: length of z.
      phases: in order; update names are unique over all of them.
      hparams: name -> value for every scalar the losses read, and `lr_<net>` for every net.
      score: see `Score`.
      default_score: which score a result is about when the config names none.
      sample: z -> images, for a system that generates; see `Decode`.
      encode: images -> latents, for a system that has latents; see `Encode`.
      reconstruct: images -> images, for a system that reconstructs without a search.
      searches: whether the score is a search, with gradients inside a compiled loop.
      convolutional: whether the score takes images of any size, with sides that are multiples of
        `CELL`, and has a map for each score: large windows then stand for many patches.
      normalisation: how the networks see a patch, by `config.data.normalisation`.
      flips: whether scores are means over a patch and its mirror images, by `config.score.flips`.
      label_symmetric: whether flipped labels (LF) change nothing but names, as in every GAN
        loss of cross-entropy.
      halves_batch_on_cpu: whether a CPU that has two devices trains with half of each batch on
        each; see `semad.utils.cores`.
      aliases: other names that a source gives to scores -> the scores' names here.
      excluded_families: families of `semad.synthetic.planted` that are much like what it trains on,
        so that finding them says little of it.
      candidates: the scores that the validator chooses among; empty: all.
    """

    name: str
    nets: Mapping[str, Net]
    latent_dim: int
    phases: tuple[Phase, ...]
    hparams: Mapping[str, float]
    score: Score
    default_score: str
    sample: Decode | None = None
    encode: Encode | None = None
    reconstruct: Decode | None = None
    searches: bool = False
    convolutional: bool = False
    normalisation: str = "range"
    flips: bool = False
    label_symmetric: bool = False
    halves_batch_on_cpu: bool = False
    aliases: Mapping[str, str] = MappingProxyType({})
    excluded_families: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()

    def with_convolution(self, implementation: str) -> "Method":
        """The same method with convolutions of one implementation; see `semad.nets.conv`."""
        nets = {
            name: net._replace(module=_with_convolution(net.module, implementation))
            for name, net in self.nets.items()
        }
        return self._replace(nets=nets)

    def bind(self, weights: "Weights", training: frozenset[str] = frozenset()) -> Nets:
        """The nets with these weights, those in `training` in training mode."""
        modules = {name: net.module for name, net in self.nets.items()}
        return Nets(modules, weights.params, weights.batch_stats, training)


class Weights(NamedTuple):
    """Parameters and running statistics, each a dict with one entry per net."""

    params: dict[str, Any]
    batch_stats: dict[str, Any]


class TrainState(NamedTuple):
    """All that training changes, and so all that a checkpoint holds.

    Attributes:
      step: int32 scalar, counted over all phases.
      weights: what the optimisers move.
      opt_state: update name -> optimiser state.
      ema: exponential moving average of `weights`, used at test time by default.
      key: typed PRNG key; every random number of the run is derived from it by `fold_in`.
    """

    step: jax.Array
    weights: Weights
    opt_state: dict[str, Any]
    ema: Weights
    key: jax.Array
