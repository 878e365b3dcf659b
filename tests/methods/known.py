"""Nets that are known by heart, so that a loss can be computed in NumPy."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

from semad.config.settings import resolve
from semad.configs import anogan as anogan_config
from semad.losses.adversarial import trick_hparams
from semad.methods import anogan
from semad.nets.autoencoders import Energy
from semad.nets.thesis import DiscriminatorOutput, Gaussian
from semad.types import Batch

KEY = jax.random.key(0)
X = np.random.default_rng(0).uniform(-1, 1, (3, 4, 4, 1)).astype(np.float32)
Z = np.asarray(jax.random.normal(KEY, (3, 2)))
BATCH = Batch(X, Z, jnp.float32(0))
OFF = {name: jnp.float32(value) for name, value in trick_hparams("none").items()}


def search(**changes):
    """The published search of AnoGAN, with other values."""
    settings = resolve(anogan_config.get_config("smoke"))
    return settings.search.replace(**{"recipe": "published", **changes})


def anogan_score(**changes):
    """AnoGAN's score by that search, for latents of two numbers."""
    return anogan.make_score(search(**changes), 2)[0]


def flat(x):
    return jnp.asarray(x).reshape(x.shape[0], -1)


def generate(z):
    """G(z): a constant image of tanh(z0 + z1)."""
    return jnp.tanh(z.sum(axis=1)).reshape(-1, 1, 1, 1) * jnp.ones((1, 4, 4, 1))


def encode(x):
    """E(x): mean and first pixel."""
    return jnp.stack([x.mean(axis=(1, 2, 3)), x[:, 0, 0, 0]], axis=1)


def encode_again(x):
    """A second encoder: last pixel and twice the mean."""
    return jnp.stack([x[:, -1, -1, 0], 2 * x.mean(axis=(1, 2, 3))], axis=1)


def judge(x, key=None):
    features = flat(x)[:, :5] * 2
    return DiscriminatorOutput(features.sum(axis=1) + 0.3, features)


def judge_pair(x, z, key=None):
    features = jnp.concatenate([flat(x)[:, :5], z], axis=1)
    return DiscriminatorOutput(features.sum(axis=1) - 0.2, features)


def judge_images(x, y, key=None):
    features = jnp.concatenate([flat(x)[:, :3], 3 * flat(y)[:, :3]], axis=1)
    return DiscriminatorOutput(features.sum(axis=1) + 0.1, features)


def judge_latents(z, w, key=None):
    features = jnp.concatenate([z, 2 * w], axis=1)
    return DiscriminatorOutput(features.sum(axis=1) - 0.4, features)


def autoencode(x):
    """EBGAN's D: the code is two pixels, the reconstruction half the image."""
    return Energy(flat(x)[:, 1:3], x / 2)


class KnownNets(SimpleNamespace):
    """Functions by the names of nets."""

    def __contains__(self, name):
        return hasattr(self, name)


def nets(**functions):
    made = KnownNets(**functions)
    made.unrecorded = lambda: made
    made.as_type = made.with_convolution = lambda _: made
    return made


def gaussian(x):
    return Gaussian(encode(x), jnp.log(jnp.full((x.shape[0], 2), 0.25)))


def real(logits):
    """-log sigmoid."""
    return np.log1p(np.exp(-np.asarray(logits)))


def fake(logits):
    """-log(1 - sigmoid)."""
    return np.log1p(np.exp(np.asarray(logits)))


def length(difference):
    """The L2 norm of each example."""
    return np.sqrt((np.asarray(flat(difference), np.float64) ** 2).sum(axis=1))
