"""The pretrained network: its features by its tables, its weights by their names."""

import re
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from semad.errors import UserError
from semad.nets.conv import IMPLEMENTATIONS, depthwise
from semad.nets.efficientnet import EfficientNetLite0, feature_shapes
from semad.nets.layers import LayerSettings
from semad.nets.pretrained import read_weights
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


@pytest.mark.parametrize(("channels", "convolution"), [(1, "matmul"), (3, "mixed"), (3, "native")])
def test_features_are_those_of_the_table(channels, convolution, tmp_path):
    params = read_weights(backbone_file.write(tmp_path / "w.safetensors"))
    images = jax.random.uniform(jax.random.key(1), (2, 32, 48, channels), minval=-1)
    network = EfficientNetLite0(LayerSettings(convolution=convolution))
    found = jax.jit(partial(network.apply, train=False))({"params": params}, images)
    colours = jnp.broadcast_to(images, (*images.shape[:3], 3))
    expected = reference(backbone_file.tensors(), colours)
    assert [features.shape[1:] for features in found] == feature_shapes((32, 48))
    assert feature_shapes((32, 48)) == [(16, 24, 16), (8, 12, 24), (4, 6, 40), (2, 3, 112)]
    for own, other in zip(found, expected, strict=True):
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
    channels = [
        convolve(x[..., c : c + 1], np.asarray(kernel)[None, None, :, :, c], stride)
        for c in range(3)
    ]
    for implementation in IMPLEMENTATIONS:
        found = depthwise(x, kernel, stride, implementation)
        np.testing.assert_allclose(found, jnp.concatenate(channels, -1), rtol=1e-5, atol=1e-5)


TENSORS = backbone_file.tensors()
KERNEL = "blocks.1.0.conv_dw.weight"
SAYS = "; give the weights of timm's tf_efficientnet_lite0"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({KERNEL: None}, f"holds no {KERNEL}"),
        ({KERNEL: TENSORS[KERNEL][:, :, 1:]}, "of shape (96, 1, 2, 3), not (96, 1, 3, 3)"),
        ({"bn1.weight": TENSORS["bn1.weight"][:16]}, "bn1.weight of shape (16,), not (32,)"),
        ({KERNEL: TENSORS[KERNEL].astype(int)}, f"{KERNEL}, which are not finite floating-point"),
        ({KERNEL: np.nan * TENSORS[KERNEL]}, f"{KERNEL}, which are not finite floating-point"),
        ({"bn1.running_var": -TENSORS["bn1.running_var"]}, "bn1.running_var with values below 0"),
        ({"blocks.1.0.se.conv_reduce.weight": TENSORS[KERNEL]}, "holds blocks.1.0.se"),
        ({"blocks.1.2.conv_pw.weight": TENSORS[KERNEL]}, "holds blocks.1.2.conv_pw.weight"),
    ],
)
def test_other_weights_end_in_a_line(changes, says, tmp_path):
    path = tmp_path / "w.safetensors"
    changed = TENSORS | changes
    save_file({name: value for name, value in changed.items() if value is not None}, path)
    with pytest.raises(UserError, match=re.escape(says)) as caught:
        read_weights(path)
    text = str(caught.value)
    assert text.startswith(f"config.model.backbone: {path} holds ")
    assert text.endswith(SAYS)
    assert "\n" not in text


def test_what_cannot_be_read_ends_in_a_line(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"

    def complaint(path):
        with pytest.raises(UserError, match=r"config\.model\.backbone") as caught:
            read_weights(path)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "is no file; give a model.safetensors" in complaint(path)
    assert "is no file; give a model.safetensors" in complaint(tmp_path)
    path.write_bytes(b"not weights")
    assert "cannot be read" in complaint(path)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert "pip install 'semad[backbone]'" in complaint(path)


def test_counters_and_later_layers_are_ignored(tmp_path):
    path = tmp_path / "w.safetensors"
    more = {"blocks.0.0.bn1.num_batches_tracked": np.zeros((), int)}
    save_file(TENSORS | more | {"blocks.6.0.conv_pw.weight": np.zeros((2, 2), np.float32)}, path)
    assert read_weights(path)["stem"]["kernel"].shape == (3, 3, 3, 32)


def test_half_precision_is_folded_in_single_precision(tmp_path):
    path = tmp_path / "w.safetensors"
    half = {name: value.astype(np.float16) for name, value in TENSORS.items()}
    save_file(half, path)
    found = read_weights(path)
    save_file({name: value.astype(np.float32) for name, value in half.items()}, path)
    jax.tree.map(np.testing.assert_array_equal, found, read_weights(path))
