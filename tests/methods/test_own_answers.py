"""The score `discriminator`: how little real D finds an image, also where it learnt upside down."""

import jax.numpy as jnp
import numpy as np
import pytest

from semad.methods import alad, bigan, ebgan, fanogan, ganomaly, skip_ganomaly
from tests.methods import known
from tests.methods.known import KEY, OFF, X

NETS = known.nets(
    generator=known.generate,
    encoder=known.encode,
    encoder2=known.encode_again,
    decoder=known.generate,
    discriminator=known.judge,
)
PAIRS = known.nets(
    generator=known.generate,
    encoder=known.encode,
    discriminator=known.judge_pair,
    discriminator_xz=known.judge_pair,
    discriminator_xx=known.judge_images,
)
ON_IMAGE = -np.asarray(known.judge(X).logits)
ON_PAIR = -np.asarray(known.judge_pair(X, known.encode(X)).logits)

HPARAMS = OFF | {"kappa": jnp.float32(1)}

# Name -> score, nets, what is expected.
SYSTEMS = {
    "anogan": (known.anogan_score(steps=0), NETS, ON_IMAGE),
    "fanogan": (fanogan.score, NETS, ON_IMAGE),
    "ganomaly": (ganomaly.score, NETS, ON_IMAGE),
    "skip_ganomaly": (
        skip_ganomaly.make_score(0.9),
        known.nets(generator=lambda x: x / 2, discriminator=known.judge),
        ON_IMAGE,
    ),
    "bigan": (bigan.make_score(bigan.encode, 0.9, 1), PAIRS, ON_PAIR),
    "alad": (alad.score, PAIRS, ON_PAIR),
    "alad_without_xx": (alad.score_without_xx, PAIRS, ON_PAIR),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_it_is_minus_the_answer(name):
    score, nets, expected = SYSTEMS[name]
    found = score(nets, X, KEY, HPARAMS).scores["discriminator"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    flipped = HPARAMS | {"trick_LF": jnp.float32(1)}
    np.testing.assert_allclose(
        score(nets, X, KEY, flipped).scores["discriminator"], -expected, rtol=1e-5
    )


def test_an_energy_is_high_for_what_is_not_real():
    energy = known.nets(generator=known.generate, discriminator=known.autoencode)
    found = ebgan.score(energy, X, KEY, OFF).scores["energy"]
    np.testing.assert_allclose(found, np.linalg.norm((X / 2).reshape(3, -1), axis=1), rtol=1e-5)
