"""Networks of tables A1 and A2: shapes and parameter counts, layer by layer, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from semad.nets.layers import LayerSettings
from semad.nets.thesis import Discriminator, Encoder, Generator, PairDiscriminator
from semad.run.state import parameter_count

LAYERS = LayerSettings()


def shapes(module, *inputs):
    """Parameter shapes and output shapes of every submodule, without computing anything."""
    arrays = [jnp.zeros((2, *shape)) for shape in inputs]
    key = jax.random.key(0)

    def init_and_apply():
        variables = module.init(key, *arrays, train=False)
        _, state = module.apply(
            variables, *arrays, train=False, capture_intermediates=True, mutable=["intermediates"]
        )
        return variables, state["intermediates"]

    return jax.eval_shape(init_and_apply)


def layer_output(intermediates, *path):
    for name in path:
        intermediates = intermediates[name]
    return intermediates["__call__"][0].shape


def test_generator_of_table_a1():
    variables, seen = shapes(Generator(32, 1, LAYERS), (256,))
    params = variables["params"]
    # Weights + biases, then scale + bias of batch norm, row by row of the table.
    expected = {
        "Dense_0": 256 * 8192 + 8192,
        "BatchNorm_0": 2 * 8192,
        "Conv_0": 4 * 4 * 512 * 512 + 512,
        "BatchNorm_1": 2 * 512,
        "Conv_1": 4 * 4 * 512 * 256 + 256,
        "BatchNorm_2": 2 * 256,
        "Conv_2": 4 * 4 * 256 * 128 + 128,
        "BatchNorm_3": 2 * 128,
        "Conv_3": 5 * 5 * 128 * 1 + 1,
    }
    assert {name: parameter_count(tree) for name, tree in params.items()} == expected
    assert parameter_count(params) == 8_943_361
    assert layer_output(seen, "Dense_0") == (2, 8192)
    sizes = [(2, 8, 8, 512), (2, 16, 16, 256), (2, 32, 32, 128), (2, 32, 32, 1)]
    assert [layer_output(seen, f"Conv_{n}") for n in range(4)] == sizes


CONV_STACK = {
    "Conv_0": 4 * 4 * 1 * 64 + 64,
    "BatchNorm_0": 2 * 64,
    "Conv_1": 4 * 4 * 64 * 128 + 128,
    "BatchNorm_1": 2 * 128,
    "Conv_2": 4 * 4 * 128 * 256 + 256,
    "BatchNorm_2": 2 * 256,
}


def check_tower(params, seen):
    assert {name: parameter_count(tree) for name, tree in params.items()} == CONV_STACK
    sizes = [(2, 16, 16, 64), (2, 8, 8, 128), (2, 4, 4, 256)]
    assert [layer_output(seen, f"Conv_{n}") for n in range(3)] == sizes


def test_discriminator_of_table_a1():
    variables, seen = shapes(Discriminator(32, LAYERS), (32, 32, 1))
    check_tower(variables["params"]["ConvTower_0"], seen["ConvTower_0"])
    assert parameter_count(variables["params"]["Dense_0"]) == 4 * 4 * 256 + 1
    assert parameter_count(variables["params"]) == 661_825
    assert layer_output(seen, "ConvTower_0") == (2, 4096)


def test_encoder_of_table_a2():
    variables, seen = shapes(Encoder(32, 256, LAYERS), (32, 32, 1))
    check_tower(variables["params"]["ConvTower_0"], seen["ConvTower_0"])
    assert parameter_count(variables["params"]["Dense_0"]) == 4096 * 256 + 256
    assert parameter_count(variables["params"]) == 1_706_560
    assert layer_output(seen, "Dense_0") == (2, 256)


def test_pair_discriminator():
    """Two convolutions to 8×8×128 and no batch norm: 4·4·64 + 64, 4·4·64·128 + 128."""
    variables, seen = shapes(PairDiscriminator(32, LAYERS), (32, 32, 1), (256,))
    params = variables["params"]
    assert set(variables) == {"params"}
    tower = {name: parameter_count(tree) for name, tree in params["ConvTower_0"].items()}
    assert tower == {"Conv_0": CONV_STACK["Conv_0"], "Conv_1": CONV_STACK["Conv_1"]}
    assert layer_output(seen, "ConvTower_0") == (2, 8 * 8 * 128)
    expected = [256 * 512 + 512, (8192 + 512) * 1024 + 1024, 1024 + 1]
    assert [parameter_count(params[f"Dense_{n}"]) for n in range(3)] == expected


def test_pair_discriminator_drops_half_of_every_hidden_layer():
    module = PairDiscriminator(32, LAYERS._replace(width=0.25))
    x, z = jnp.ones((2, 32, 32, 1)), jnp.ones((2, 256))
    variables = module.init(jax.random.key(0), x, z, train=False)
    rngs = {"dropout": jax.random.key(1)}
    trained = module.apply(variables, x, z, train=True, rngs=rngs).features
    assert 0.4 < float((trained == 0).mean()) < 0.6
    tested = module.apply(variables, x, z, train=False).features
    assert float((tested == 0).mean()) < 0.01


def test_pair_discriminator_sees_whether_x_and_z_belong_together():
    """A linear head would give D(x,z) - D(x',z) - D(x,z') + D(x',z') = 0 for all x and z."""
    module = PairDiscriminator(16, LayerSettings(width=0.125))
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (2, 16, 16, 1))
    z = 5 * jax.random.normal(keys[1], (2, 8))
    variables = module.init(keys[2], x, z, train=False)
    # Larger weights than at the start of training, so that the units leave their linear range.
    variables = jax.tree.map(lambda leaf: 10 * leaf, variables)
    logits = [
        module.apply(variables, x[i : i + 1], z[j : j + 1], train=False).logits[0]
        for i in (0, 1)
        for j in (0, 1)
    ]
    interaction = logits[0] - logits[1] - logits[2] + logits[3]
    assert abs(interaction) > 1e-3 * max(abs(value) for value in logits)


@pytest.mark.parametrize(
    ("patch_size", "generator", "tower"),
    [
        (16, [256, 128], [64, 128]),
        (32, [512, 256, 128], [64, 128, 256]),
        (64, [512, 512, 256, 128], [64, 128, 256, 512]),
        (128, [512, 512, 512, 256, 128], [64, 128, 256, 512, 512]),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("width", [1.0, 0.25])
def test_other_patch_sizes(patch_size, generator, tower, channels, width):
    layers = LayerSettings(width=width)
    image = (patch_size, patch_size, channels)
    _, seen = shapes(Generator(patch_size, channels, layers), (256,))
    found = [layer_output(seen, f"Conv_{n}") for n in range(len(generator) + 1)]
    sizes = [8 * 2**n for n in range(len(generator))]
    scaled = [int(width * count) for count in generator]
    expected = [(2, s, s, f) for s, f in zip(sizes, scaled, strict=True)] + [(2, *image)]
    assert found == expected
    _, seen = shapes(Discriminator(patch_size, layers), image)
    found = [layer_output(seen["ConvTower_0"], f"Conv_{n}")[-1] for n in range(len(tower))]
    assert found == [int(width * count) for count in tower]
    assert layer_output(seen, "ConvTower_0") == (2, 4 * 4 * int(width * tower[-1]))
    _, seen = shapes(Encoder(patch_size, 20, layers), image)
    assert layer_output(seen, "Dense_0") == (2, 20)


def test_generated_images_are_in_range_and_batch_norm_follows_the_batch():
    module = Generator(16, 1, LayerSettings(width=0.0625))
    z = jax.random.normal(jax.random.key(1), (64, 8))
    variables = module.init(jax.random.key(0), z, train=False)
    images, changed = module.apply(variables, z, train=True, mutable=["batch_stats"])
    assert np.abs(images).max() <= 1
    # running = 0.8 · running + 0.2 · batch, from a start of 0.
    hidden = z @ variables["params"]["Dense_0"]["kernel"]
    expected = 0.2 * hidden.mean(axis=0)
    found = changed["batch_stats"]["BatchNorm_0"]["mean"]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_leaky_slope():
    layers = LayerSettings(slope=0.2)
    module = Discriminator(16, layers)
    x = jnp.zeros((1, 16, 16, 1))
    variables = module.init(jax.random.key(0), x, train=False)
    norm = variables["params"]["ConvTower_0"]["BatchNorm_1"]
    norm["bias"] = -jnp.ones_like(norm["bias"])
    features = module.apply(variables, x, train=False).features
    np.testing.assert_allclose(features, -0.2, atol=1e-6)
