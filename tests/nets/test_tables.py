"""Networks of tables A3 and A4, of Skip-GANomaly and of EBGAN: shapes and counts by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from semad.nets.alad import AladEncoder, DiscriminatorXX, DiscriminatorXZ, DiscriminatorZZ
from semad.nets.autoencoders import (
    Decoder,
    EnergyDiscriminator,
    EnergyGenerator,
    GanomalyDiscriminator,
    UNet,
)
from semad.nets.layers import LayerSettings
from semad.nets.thesis import (
    PATCH_SIZES,
    ConvStackSettings,
    ConvTower,
    Discriminator,
    Encoder,
    GaussianEncoder,
    Generator,
)
from semad.run.state import parameter_count
from tests import tiny

LAYERS = LayerSettings()
TINY = LayerSettings(width=1 / 32)
IMAGE, LATENT = (32, 32, 1), (256,)


def params_and_outputs(module, *inputs):
    """Parameters and outputs as shapes, without computing anything."""
    arrays = [jnp.zeros((2, *shape)) for shape in inputs]
    key = jax.random.key(0)
    init = lambda: module.init_with_output(key, *arrays, train=False)  # noqa: E731
    outputs, variables = jax.eval_shape(init)
    return variables["params"], jax.tree.map(lambda leaf: leaf.shape, outputs)


def conv(size, inputs, outputs):
    return size * size * inputs * outputs + outputs


def dense(inputs, outputs):
    return inputs * outputs + outputs


def norm(features):
    return 2 * features


def total(module, *inputs):
    return parameter_count(params_and_outputs(module, *inputs)[0])


def test_generator_of_table_a3_ends_in_a_kernel_of_four():
    five, four = Generator(32, 1, LAYERS), Generator(32, 1, LAYERS, last_size=4)
    assert total(five, LATENT) - total(four, LATENT) == (25 - 16) * 128
    assert params_and_outputs(four, LATENT)[1] == (2, 32, 32, 1)


def test_alad_s_discriminator_of_x_and_z():
    params, outputs = params_and_outputs(DiscriminatorXZ(32, LAYERS, True), IMAGE, LATENT)
    tower = conv(4, 1, 128) + norm(128) + conv(4, 128, 256) + norm(256)
    tower += conv(4, 256, 512) + norm(512)
    latent = dense(256, 512) + dense(512, 512)
    both = dense(4 * 4 * 512 + 512, 1024) + dense(1024, 1024) + dense(1024, 1)
    assert parameter_count(params) == tower + latent + both
    assert outputs == ((2,), (2, 1024))


def test_alad_s_discriminator_of_images():
    params, outputs = params_and_outputs(DiscriminatorXX(LAYERS, True), IMAGE, IMAGE)
    expected = conv(4, 2, 64) + conv(4, 64, 128) + dense(8 * 8 * 128, 1)
    assert parameter_count(params) == expected
    assert outputs == ((2,), (2, 8 * 8 * 128))


def test_alad_s_discriminator_of_latents():
    params, outputs = params_and_outputs(DiscriminatorZZ(LAYERS, True), LATENT, LATENT)
    assert parameter_count(params) == dense(512, 64) + dense(64, 32) + dense(32, 1)
    assert outputs == ((2,), (2, 32))


def test_alad_s_encoder():
    params, outputs = params_and_outputs(AladEncoder(32, 256, LAYERS, True), IMAGE)
    counts = [1, 32, 64, 128, 256]
    levels = sum(conv(4, a, b) + norm(b) for a, b in zip(counts[:-1], counts[1:], strict=True))
    assert parameter_count(params) == levels + conv(4, 256, 256)
    assert outputs == (2, 256)


def test_ganomaly_s_encoder():
    encoder = Encoder(32, 256, LAYERS, ConvStackSettings(size=5, first_norm=False))
    expected = conv(5, 1, 64) + conv(5, 64, 128) + norm(128) + conv(5, 128, 256) + norm(256)
    assert total(encoder, IMAGE) == expected + dense(4 * 4 * 256, 256)


def test_ganomaly_s_decoder():
    params, outputs = params_and_outputs(Decoder(32, 1, LAYERS), LATENT)
    counts = [256, 256, 128, 64, 32, 16]
    levels = sum(conv(5, a, b) + norm(b) for a, b in zip(counts[:-1], counts[1:], strict=True))
    assert parameter_count(params) == levels + conv(5, 16, 1)
    assert outputs == (2, 32, 32, 1)


def test_ganomaly_s_discriminator():
    params, outputs = params_and_outputs(GanomalyDiscriminator(32, LAYERS, True), IMAGE)
    tower = conv(5, 1, 64) + norm(64) + conv(5, 64, 128) + norm(128)
    tower += conv(5, 128, 256) + norm(256)
    flat = 4 * 4 * 256
    assert parameter_count(params) == tower + norm(flat) + dense(flat, 1)
    assert outputs == ((2,), (2, flat))


def test_skip_ganomaly_s_discriminator():
    discriminator = Discriminator(32, LAYERS, ConvStackSettings(size=5), dropout=0.3)
    tower = conv(5, 1, 64) + norm(64) + conv(5, 64, 128) + norm(128)
    tower += conv(5, 128, 256) + norm(256)
    assert total(discriminator, IMAGE) == tower + dense(4 * 4 * 256, 1)


def test_the_generator_of_ebgan_s_family():
    params, outputs = params_and_outputs(EnergyGenerator(32, 1, LAYERS), LATENT)
    expected = dense(256, 2 * 2 * 256) + norm(2 * 2 * 256)
    expected += conv(5, 256, 128) + norm(128) + conv(5, 128, 64) + norm(64)
    expected += conv(5, 64, 32) + norm(32) + conv(5, 32, 1)
    assert parameter_count(params) == expected
    assert outputs == (2, 32, 32, 1)


def test_the_u_net():
    params, outputs = params_and_outputs(UNet(32, 1, LAYERS), IMAGE)
    down = conv(5, 1, 64) + conv(5, 64, 128) + norm(128) + conv(5, 128, 256) + norm(256)
    down += conv(5, 256, 512) + norm(512) + conv(5, 512, 512)
    # Each level up reads what came from below joined with the skip of its own size.
    up = conv(5, 512, 512) + norm(512) + conv(5, 2 * 512, 256) + norm(256)
    up += conv(5, 2 * 256, 128) + norm(128) + conv(5, 2 * 128, 64) + norm(64)
    up += conv(5, 2 * 64, 1)
    assert parameter_count(params) == down + up
    assert outputs == (2, 32, 32, 1)


def test_ebgan_s_discriminator():
    params, outputs = params_and_outputs(EnergyDiscriminator(32, 1, 256, LAYERS), IMAGE)
    encoder = conv(5, 1, 32) + conv(5, 32, 64) + norm(64) + conv(5, 64, 128) + norm(128)
    encoder += dense(4 * 4 * 128, 256)
    counts = [256, 256, 128, 64, 32]
    decoder = sum(conv(5, a, b) + norm(b) for a, b in zip(counts[:-1], counts[1:], strict=True))
    assert parameter_count(params) == encoder + decoder + conv(5, 32, 1)
    assert outputs == ((2, 256), (2, 32, 32, 1))


def test_encebgan_s_encoder():
    """As GANomaly's, in which nothing is normalised spectrally."""
    net = tiny.prepare("encebgan", model__width=1.0, data__patch_size=32, model__latent_dim=256)
    expected = conv(5, 1, 64) + conv(5, 64, 128) + norm(128)
    expected += conv(5, 128, 256) + norm(256) + dense(4 * 4 * 256, 256)
    assert total(net.method.nets["encoder"].module, IMAGE) == expected


def test_ali_s_encoder_has_twice_the_outputs():
    extra = total(GaussianEncoder(32, 256, LAYERS), IMAGE) - total(Encoder(32, 256, LAYERS), IMAGE)
    assert extra == dense(4 * 4 * 256, 256)
    assert params_and_outputs(GaussianEncoder(32, 256, LAYERS), IMAGE)[1] == ((2, 256), (2, 256))


@pytest.mark.parametrize("size", PATCH_SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_other_patches(size, channels):
    image, latent = (size, size, channels), (8,)
    for made, inputs, shape in (
        (Decoder(size, channels, TINY), (latent,), (2, *image)),
        (EnergyGenerator(size, channels, TINY), (latent,), (2, *image)),
        (UNet(size, channels, TINY), (image,), (2, *image)),
        (EnergyDiscriminator(size, channels, 8, TINY), (image,), ((2, 8), (2, *image))),
        (AladEncoder(size, 8, TINY, True), (image,), (2, 8)),
    ):
        assert params_and_outputs(made, *inputs)[1] == shape


def test_a_critic_without_batch_norm_keeps_no_statistics():
    tower = ConvTower(32, LAYERS._replace(batch_norm=False))
    variables = jax.eval_shape(
        lambda: tower.init(jax.random.key(0), jnp.zeros((2, *IMAGE)), train=False)
    )
    assert set(variables) == {"params"}


@pytest.mark.parametrize(
    ("module", "inputs", "others"),  # `others`: kernels that are not normalised
    [
        (AladEncoder(16, 8, TINY, True), ((16, 16, 1),), 0),
        (DiscriminatorXZ(16, TINY, True), ((16, 16, 1), (8,)), 0),
        (DiscriminatorXX(TINY, True), ((16, 16, 1), (16, 16, 1)), 0),
        (DiscriminatorZZ(TINY, True), ((8,), (8,)), 0),
        (
            ConvTower(16, TINY, ConvStackSettings(size=5, first=32, spectral=True)),
            ((16, 16, 1),),
            0,
        ),
        (EnergyDiscriminator(16, 1, 8, TINY), ((16, 16, 1),), 5),  # a dense layer, the decoder
        (GanomalyDiscriminator(16, TINY, True), ((16, 16, 1),), 1),  # the dense layer
    ],
)
def test_spectral_norm_s_largest_singular_value_is_one(module, inputs, others):
    """Each kernel over its sigma, as a matrix of outputs, after a few power iterations."""
    keys = jax.random.split(jax.random.key(0), 2)
    arrays = [jax.random.normal(keys[0], (4, *shape)) for shape in inputs]
    variables = module.init(keys[1], *arrays, train=False)
    # Away from the small kernels of the start, for sigma to be something.
    params = jax.tree.map(lambda leaf: leaf * 50, variables["params"])
    stats = variables["batch_stats"]
    for _ in range(60):
        _, changed = module.apply(
            {"params": params, "batch_stats": stats},
            *arrays,
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": keys[0]},
        )
        stats = changed["batch_stats"]
    sigmas = {
        jax.tree_util.keystr(path): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(stats)
        if "sigma" in jax.tree_util.keystr(path)
    }
    kernels = {
        jax.tree_util.keystr(path): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
        if "kernel" in jax.tree_util.keystr(path)
    }
    assert len(sigmas) == len(kernels) - others > 0
    largest = [
        float(np.linalg.svd(np.asarray(k).reshape(-1, k.shape[-1]), compute_uv=False)[0])
        for k in kernels.values()
    ]
    for sigma in sorted(float(sigma) for sigma in sigmas.values()):
        nearest = min(largest, key=lambda value: abs(value - sigma))
        assert sigma == pytest.approx(nearest, rel=1e-2)
        largest.remove(nearest)


def test_spectral_norm_divides_what_the_layer_computes():
    """A kernel a hundred times as large changes nothing but the bias's share."""
    module = DiscriminatorZZ(TINY, True)
    keys = jax.random.split(jax.random.key(0), 3)
    z, w = jax.random.normal(keys[0], (2, 4, 8))
    variables = module.init(keys[1], z, w, train=False)
    large = jax.tree.map(lambda leaf: leaf * 100, variables["params"])
    once = module.apply(variables, z, w, train=False)
    again = module.apply(variables | {"params": large}, z, w, train=False)
    np.testing.assert_allclose(again.logits, once.logits, rtol=1e-4)
