"""EfficientNet-lite0, trained on photographs elsewhere, up to its features at 1/16 of an image.

The lite form of EfficientNet (Tan and Le 2019) has ReLU6 and no squeeze-and-excitation, and is
small enough for a CPU. The weights are those that timm publishes as `tf_efficientnet_lite0`, in a
local file in the safetensors format; semad comes with none. Batch normalisation is folded into the
convolutions, since nothing here is trained. `semad.nets.pretrained` reads the file.
"""

import math
from typing import NamedTuple

import flax.linen as nn
import jax

from semad.nets import conv
from semad.nets.layers import LayerSettings
from semad.utils import backend

STEM_FEATURES = 32


class Block(NamedTuple):
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


BLOCKS = (
    Block("0.0", 16, 3, 1, expansion=1),
    Block("1.0", 24, 3, 2),
    Block("1.1", 24, 3, 1),
    Block("2.0", 40, 5, 2),
    Block("2.1", 40, 5, 1),
    Block("3.0", 80, 3, 2),
    Block("3.1", 80, 3, 1),
    Block("3.2", 80, 3, 1),
    Block("4.0", 112, 5, 1),
    Block("4.1", 112, 5, 1),
    Block("4.2", 112, 5, 1),
)
_LAST_BLOCKS = ("0.0", "1.1", "2.1", "4.2")
"""The last block at 1/2, 1/4, 1/8 and 1/16 of an image."""


def feature_shapes(plane: tuple[int, int]) -> list[tuple[int, int, int]]:
    """Of the features of an image of height and width `plane` at 1/2, 1/4, 1/8 and 1/16."""
    counts = [block.features for block in BLOCKS if block.name in _LAST_BLOCKS]
    return [(plane[0] >> level, plane[1] >> level, count) for level, count in enumerate(counts, 1)]


class EfficientNetLite0(nn.Module):
    """Images (N, H, W, 1 or 3) in [-1, 1] -> features (N, H/2, W/2, 16) to (N, H/16, W/16, 112).

    Sides are multiples of 16. A grey image is seen as three equal channels. Of `style` the
    convolution alone counts.
    """

    style: LayerSettings

    @nn.compact
    def __call__(self, images: jax.Array, train: bool) -> list[jax.Array]:
        """All four, the finest first."""
        del train
        chosen = self.style.convolution or backend.convolution(1.0, 3)
        x = nn.relu6(_Stem(chosen, name="stem")(images))
        levels = []
        for block in BLOCKS:
            y = _bottleneck(block, x, chosen)
            x = x + y if x.shape == y.shape else y
            if block.name in _LAST_BLOCKS:
                levels.append(x)
        return levels


def _bottleneck(block: Block, x: jax.Array, convolution: str) -> jax.Array:
    """One block without its shortcut. Call inside a compact method."""
    name = block.name.replace(".", "_")
    if block.expansion > 1:
        x = nn.relu6(_Pointwise(x.shape[-1] * block.expansion, name=f"expand_{name}")(x))
    depthwise = _Depthwise(block.size, block.stride, convolution, name=f"depthwise_{name}")
    return _Pointwise(block.features, name=f"project_{name}")(nn.relu6(depthwise(x)))


# A run that scored before its weights were read would show it at once.
_UNREAD = nn.initializers.constant(math.nan)


def _weights(layer: nn.Module, shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """Kernel and bias of a layer. Call inside a compact method."""
    kernel = layer.param("kernel", _UNREAD, shape)
    return kernel, layer.param("bias", _UNREAD, shape[-1:]).reshape((1, 1, 1, -1))


class _Stem(nn.Module):
    """The first convolution."""

    convolution: str

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        kernel, bias = _weights(self, (3, 3, 3, STEM_FEATURES))
        if images.shape[-1] == 1:
            kernel = kernel.sum(axis=2, keepdims=True)
        return conv.conv(images, kernel, 2, self.convolution) + bias


class _Pointwise(nn.Module):
    """A convolution by 1x1 kernels."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel, bias = _weights(self, (x.shape[-1], self.features))
        return x @ kernel + bias


class _Depthwise(nn.Module):
    """A convolution of each channel by itself."""

    size: int
    stride: int
    convolution: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel, bias = _weights(self, (self.size, self.size, x.shape[-1]))
        return conv.depthwise(x, kernel, self.stride, self.convolution) + bias
