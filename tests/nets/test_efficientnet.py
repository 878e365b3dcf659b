"""The pretrained network: its features by its tables, its weights by their names."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from semad.errors import UserError
from semad.nets.conv import depthwise
from semad.nets.efficientnet import FEATURES, EfficientNetLite0, read_weights
from tests import backbone_file

EPSILON = 1e-3


def convolve(x, kernel, stride, groups=1):
    """PyTorch's kernels (outputs, inputs, rows, columns), TensorFlow's SAME padding."""
    return jax.lax.conv_general_dilated(
        x,
        kernel.transpose(2, 3, 1, 0),
        (stride, stride),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def reference(weights, x):
    """The network layer by layer, each with its batch normalisation, as the paper's table 1."""

    def layer(x, name, norm, stride=1, groups=1, active=True):
        x = convolve(x, weights[f"{name}.weight"], stride, groups)
        scale, shift, mean, variance = (
            weights[f"{norm}.{part}"].reshape((1, 1, 1, -1))
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        x = scale * (x - mean) / np.sqrt(variance + EPSILON) + shift
        return jnp.clip(x, 0, 6) if active else x

    x = layer(x, "conv_stem", "bn1", 2)
    stages = []
    for stage, (outputs, _, stride, blocks, expansion) in enumerate(backbone_file.STAGES):
        for number in range(blocks):
            at, before = f"blocks.{stage}.{number}", x
            step = stride if number == 0 else 1
            wide = x.shape[-1] * expansion
            if expansion == 1:
                x = layer(x, f"{at}.conv_dw", f"{at}.bn1", step, wide)
                x = layer(x, f"{at}.conv_pw", f"{at}.bn2", active=False)
            else:
                x = layer(x, f"{at}.conv_pw", f"{at}.bn1")
                x = layer(x, f"{at}.conv_dw", f"{at}.bn2", step, wide)
                x = layer(x, f"{at}.conv_pwl", f"{at}.bn3", active=False)
            x = x + before if before.shape == x.shape and outputs == before.shape[-1] else x
        stages.append(x)
    return [stages[0], stages[1], stages[2], stages[4]]


@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_those_of_the_table(channels, tmp_path):
    params = read_weights(backbone_file.write(tmp_path / "w.safetensors"))
    images = jax.random.uniform(jax.random.key(1), (2, 32, 48, channels), minval=-1)
    found = EfficientNetLite0().apply({"params": params}, images, train=False)
    colours = jnp.broadcast_to(images, (*images.shape[:3], 3))
    expected = reference(backbone_file.tensors(), colours)
    for level, (own, other) in enumerate(zip(found, expected, strict=True), 1):
        assert own.shape == (2, 32 // 2**level, 48 // 2**level, FEATURES[level - 1])
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=2e-4)


def test_its_parameters_are_counted_by_hand(tmp_path):
    params = read_weights(backbone_file.write(tmp_path / "w.safetensors"))
    counted = 3 * 9 * 32 + 32
    inputs = 32
    for outputs, size, _, blocks, expansion in backbone_file.STAGES:
        for _ in range(blocks):
            wide = inputs * expansion
            counted += (inputs * wide + wide) if expansion > 1 else 0
            counted += size**2 * wide + wide + wide * outputs + outputs
            inputs = outputs
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == counted == 692_688


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("shape", [(8, 8), (7, 5), (2, 9)])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_depthwise_convolves_each_channel_by_itself(size, shape, stride):
    x = jax.random.normal(jax.random.key(0), (2, *shape, 3))
    kernel = jax.random.normal(jax.random.key(1), (size, size, 3))
    own = depthwise(x, kernel, stride)
    grouped = np.asarray(kernel).transpose(2, 0, 1)[:, None]
    np.testing.assert_allclose(own, convolve(x, grouped, stride, groups=3), rtol=1e-5, atol=1e-5)


def without(name):
    return {key: value for key, value in backbone_file.tensors().items() if key != name}


def test_what_is_no_such_file_ends_in_a_line(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"

    def complaint():
        with pytest.raises(UserError, match=r"config\.model\.backbone") as caught:
            read_weights(path)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "cannot be read" in complaint()
    path.write_bytes(b"not weights")
    assert "cannot be read" in complaint()
    save_file(without("blocks.2.1.conv_dw.weight"), path)
    assert "holds no 'blocks.2.1.conv_dw.weight'" in complaint()
    tensors = backbone_file.tensors()
    name = "blocks.1.0.conv_dw.weight"
    save_file(tensors | {name: np.pad(tensors[name], ((0, 0), (0, 0), (1, 1), (1, 1)))}, path)
    assert "depthwise_1_0 has kernel" in complaint()
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert "pip install 'semad[backbone]'" in complaint()
