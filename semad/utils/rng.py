"""Every stream of random numbers of a run, by name: no two purposes share random numbers.

A stream's key follows from the key it is derived from and from a *name*, never from a position: a
net or a loss that joins or leaves a system changes no random number of the others. The names are
part of a run's identity; another name is another run.
"""

import zlib
from enum import StrEnum

import jax


class Stream(StrEnum):
    """What random numbers are for; nets and discriminators' inputs have names of their own."""

    # Of a run.
    INIT = "init"  # initial weights, then the net's name
    DATA = "data"  # training patches
    STEP = "step"  # what a training step draws, then the step's number
    SCORING = "scoring"
    # Of the training patches.
    PLACES = "places"
    ORDER = "order"
    FLIPS = "flips"
    ANNOTATED = "annotated"
    # Of a training step, each then folded with the number of the repeat.
    LATENT = "latent"
    LOSS = "loss"
    # Of a loss.
    INPUT_NOISE = "input_noise"  # then the name of what is shown
    DROPOUT = "dropout"  # then the name of what the discriminator sees
    LABELS = "labels"
    LABEL_FLIPS = "label_flips"
    PENALTY = "penalty"
    ENCODER_NOISE = "encoder_noise"
    DENOISING = "denoising"
    MASKS = "masks"
    SOURCES = "fillings"  # then the name of the source
    VARIED = "varied"
    CRACKS = "cracks"


def stream(key: jax.Array, name: str) -> jax.Array:
    """The key of the stream of that name."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))
