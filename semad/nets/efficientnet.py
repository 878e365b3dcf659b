"""EfficientNet-lite0, trained on photographs elsewhere, up to its features at 1/16 of an image.

The lite form of EfficientNet (Tan and Le 2019) has ReLU6 and no squeeze-and-excitation, and is
small enough for a CPU. The weights are those that timm publishes as `tf_efficientnet_lite0`, in a
local file in the safetensors format; semad comes with none. Batch normalisation is folded into the
convolutions, since nothing here is trained, and until the file is read all weights are 0.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from semad.errors import UserError
from semad.nets.conv import conv, depthwise

_EPSILON = 1e-3
"""Added to variances by the batch normalisation of these weights."""

_STEM = 32


class _Block(NamedTuple):
    """An inverted bottleneck (Sandler et al. 2018).

    Attributes:
      name: of its weights in a file.
      features: it has this many outputs.
      size, stride: of its depthwise convolution.
      expansion: of its channels between its first and its last convolution; 1: no first one.
    """

    name: str
    features: int
    size: int
    stride: int
    expansion: int = 6


_BLOCKS = (
    _Block("0.0", 16, 3, 1, expansion=1),
    _Block("1.0", 24, 3, 2),
    _Block("1.1", 24, 3, 1),
    _Block("2.0", 40, 5, 2),
    _Block("2.1", 40, 5, 1),
    _Block("3.0", 80, 3, 2),
    _Block("3.1", 80, 3, 1),
    _Block("3.2", 80, 3, 1),
    _Block("4.0", 112, 5, 1),
    _Block("4.1", 112, 5, 1),
    _Block("4.2", 112, 5, 1),
)
_LAST = ("0.0", "1.1", "2.1", "4.2")
"""The last block at 1/2, 1/4, 1/8 and 1/16 of an image."""

FEATURES = tuple(block.features for block in _BLOCKS if block.name in _LAST)
"""How many features there are at 1/2, 1/4, 1/8 and 1/16 of an image."""


class EfficientNetLite0(nn.Module):
    """Images (N, H, W, C) in [-1, 1] -> features (N, H/2, W/2, 16) to (N, H/16, W/16, 112).

    Sides are multiples of 16. Images of another number of channels than three are seen as grey.
    """

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> list[jax.Array]:
        """All four, the finest first."""
        del train
        if images.shape[-1] != 3:
            images = images.mean(axis=-1, keepdims=True)
        x = nn.relu6(_Layer(_STEM, 3, 2, grey=images.shape[-1] == 1, name="stem")(images))
        levels = []
        for block in _BLOCKS:
            y = _bottleneck(block, x)
            x = x + y if x.shape == y.shape else y
            if block.name in _LAST:
                levels.append(x)
        return levels


def _bottleneck(block: _Block, x: jax.Array) -> jax.Array:
    """One block without its shortcut. Call inside a compact method."""
    name = block.name.replace(".", "_")
    if block.expansion > 1:
        expanded = x.shape[-1] * block.expansion
        x = nn.relu6(_Layer(expanded, 1, 1, name=f"expand_{name}")(x))
    x = nn.relu6(_Depthwise(block.size, block.stride, name=f"depthwise_{name}")(x))
    return _Layer(block.features, 1, 1, name=f"project_{name}")(x)


class _Layer(nn.Module):
    """A convolution with a bias; of a grey image, as of one with three such channels."""

    features: int
    size: int
    stride: int
    grey: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        channels = 3 if self.grey else x.shape[-1]
        shape = (self.size, self.size, channels, self.features)
        kernel = self.param("kernel", nn.initializers.zeros_init(), shape)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        if self.grey:
            kernel = kernel.sum(axis=2, keepdims=True)
        # Matmuls, as they all but are: only the stem has more than one tap.
        y = conv(x, kernel, self.stride, "matmul")
        return y + bias.reshape((1, 1, 1, -1))


class _Depthwise(nn.Module):
    """A convolution of each channel by itself, with a bias."""

    size: int
    stride: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        channels = x.shape[-1]
        shape = (self.size, self.size, channels)
        kernel = self.param("kernel", nn.initializers.zeros_init(), shape)
        bias = self.param("bias", nn.initializers.zeros_init(), (channels,))
        return depthwise(x, kernel, self.stride) + bias.reshape((1, 1, 1, -1))


def read_weights(path: Path) -> dict[str, Any]:
    """The parameters of `EfficientNetLite0` from a file of weights.

    Args:
      path: in the safetensors format, with timm's names of `tf_efficientnet_lite0`; what belongs to
        later layers is passed over.

    Raises:
      UserError: for a file that is missing, is no such file, or holds other weights; or when the
        package safetensors is not installed.
    """
    tensors = _read(path)
    params = {"stem": _folded(path, tensors, "conv_stem", "bn1")}
    for block in _BLOCKS:
        name = block.name.replace(".", "_")
        at = f"blocks.{block.name}"
        pointwise = ("conv_pw", "conv_dw", "conv_pwl")
        layers = dict(zip(("expand", "depthwise", "project"), pointwise, strict=True))
        if block.expansion == 1:  # timm counts its layers, and names the last one as the first
            layers = {"depthwise": "conv_dw", "project": "conv_pw"}
        for number, (layer, stored) in enumerate(layers.items(), 1):
            params[f"{layer}_{name}"] = _folded(path, tensors, f"{at}.{stored}", f"{at}.bn{number}")
    _check_shapes(path, params)
    return params


def _read(path: Path) -> dict[str, np.ndarray]:
    """All tensors of a file."""
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError:
        raise UserError(
            "config.model.backbone needs the package safetensors: pip install 'semad[backbone]'"
        ) from None
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"config.model.backbone: {path} cannot be read: {error}") from None


def _folded(
    path: Path, tensors: Mapping[str, np.ndarray], convolution: str, norm: str
) -> dict[str, np.ndarray]:
    """Kernel and bias of a convolution and the batch normalisation behind it."""
    names = [f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
    try:
        kernel, *of_norm = (tensors[name] for name in (f"{convolution}.weight", *names))
    except KeyError as error:
        raise UserError(
            f"config.model.backbone: {path} holds no {error}; it must hold the weights of timm's "
            "tf_efficientnet_lite0"
        ) from None
    scale, shift, mean, variance = of_norm
    factor = scale / np.sqrt(variance + _EPSILON)
    # (outputs, inputs, rows, columns) -> (rows, columns, inputs, outputs)
    kernel = (kernel * factor[:, None, None, None]).transpose(2, 3, 1, 0)
    depth = kernel.shape[2] == 1 and convolution.endswith("conv_dw")
    kernel = kernel[:, :, 0] if depth else kernel
    return {
        "kernel": np.ascontiguousarray(kernel, np.float32),
        "bias": (shift - mean * factor).astype(np.float32),
    }


def _check_shapes(path: Path, params: dict[str, Any]) -> None:
    """Raises a UserError unless they fit the network."""
    images = jax.ShapeDtypeStruct((1, 16, 16, 1), jnp.float32)
    like = jax.eval_shape(
        lambda x: EfficientNetLite0().init(jax.random.key(0), x, train=False), images
    )["params"]
    wanted, given = (jax.tree.map(lambda leaf: leaf.shape, tree) for tree in (like, params))
    for layer, shapes in wanted.items():
        if given[layer] != shapes:
            raise UserError(
                f"config.model.backbone: {path}: {layer} has kernel and bias of shapes "
                f"{given[layer]['kernel']} and {given[layer]['bias']}, and they must have "
                f"{shapes['kernel']} and {shapes['bias']}; it must hold the weights of timm's "
                "tf_efficientnet_lite0"
            )
