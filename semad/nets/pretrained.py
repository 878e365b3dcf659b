"""The weights of EfficientNet-lite0 from the file that `config.model.backbone` names.

The names are timm's. Batch normalisation is folded into the convolutions.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from semad.errors import UserError
from semad.nets.efficientnet import BLOCKS, STEM_FEATURES

_EPSILON = 1e-3
"""Added to variances by the batch normalisation of these weights."""

_OF_STAGES = re.compile(r"blocks\.[0-4]\.(?!.*num_batches_tracked)")
"""Tensors of the stages that are read."""


class _Stored(NamedTuple):
    """What a file holds of one layer.

    Attributes:
      convolution, norm: the names of its tensors begin so.
      shape: of the kernel, (outputs, inputs, rows, columns).
    """

    convolution: str
    norm: str
    shape: tuple[int, int, int, int]


def read_weights(path: Path) -> dict[str, Any]:
    """The parameters of `semad.nets.efficientnet.EfficientNetLite0`.

    Args:
      path: of a file in the safetensors format with timm's names of `tf_efficientnet_lite0`; layers
        behind those that are used are ignored.

    Raises:
      UserError: for a file that is missing, is no such file, or holds other weights; or when the
        package safetensors is not installed.
    """
    tensors = _Tensors(path, _read(path))
    params = {name: _folded(tensors, stored) for name, stored in _layers().items()}
    if unused := sorted(filter(_OF_STAGES.match, tensors.by_name.keys() - tensors.used)):
        raise tensors.unsuitable(f"holds {unused[0]}, which that network does not have")
    return params


def _layers() -> dict[str, _Stored]:
    """Of each layer, by its name in the network."""
    layers = {"stem": _Stored("conv_stem", "bn1", (STEM_FEATURES, 3, 3, 3))}
    inputs = STEM_FEATURES
    for block in BLOCKS:
        at, name = f"blocks.{block.name}", block.name.replace(".", "_")
        wide = inputs * block.expansion
        expand = ("conv_pw", (wide, inputs, 1, 1))
        depthwise = ("conv_dw", (wide, 1, block.size, block.size))
        project = (block.features, wide, 1, 1)
        if block.expansion == 1:
            kinds = {"depthwise": depthwise, "project": ("conv_pw", project)}
        else:
            kinds = {"expand": expand, "depthwise": depthwise, "project": ("conv_pwl", project)}
        for number, (kind, (convolution, shape)) in enumerate(kinds.items(), 1):
            layers[f"{kind}_{name}"] = _Stored(f"{at}.{convolution}", f"{at}.bn{number}", shape)
        inputs = block.features
    return layers


class _Tensors:
    """The tensors of a file, and which of them have been used."""

    def __init__(self, path: Path, by_name: Mapping[str, np.ndarray]) -> None:
        self._path = path
        self.by_name = by_name
        self.used: set[str] = set()

    def take(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """One of them as float32.

        Raises:
          UserError: when it is missing, has another shape, or is not made of finite numbers.
        """
        self.used.add(name)
        if (tensor := self.by_name.get(name)) is None:
            raise self.unsuitable(f"holds no {name}")
        if tensor.shape != shape:
            raise self.unsuitable(f"holds {name} of shape {tensor.shape}, not {shape}")
        if not jnp.issubdtype(tensor.dtype, jnp.floating) or not np.isfinite(tensor).all():
            raise self.unsuitable(f"holds {name}, which are not finite floating-point numbers")
        return np.asarray(tensor, np.float32)

    def unsuitable(self, why: str) -> UserError:
        """To raise for a file that says so."""
        return UserError(
            f"config.model.backbone: {self._path} {why}; give the weights of timm's "
            "tf_efficientnet_lite0"
        )


def _read(path: Path) -> dict[str, np.ndarray]:
    """All tensors of a file."""
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError:
        raise UserError(
            "config.model.backbone needs the package safetensors: pip install 'semad[backbone]'"
        ) from None
    if not path.is_file():
        raise UserError(f"config.model.backbone: {path} is no file; give a model.safetensors")
    try:
        return load_file(path)
    except (OSError, SafetensorError, AttributeError) as error:  # the last for 8-bit numbers
        raise UserError(
            f"config.model.backbone: {path} cannot be read ({error}); give a model.safetensors"
        ) from None


def _folded(tensors: _Tensors, stored: _Stored) -> dict[str, np.ndarray]:
    """Kernel and bias of a convolution with the batch normalisation behind it."""
    kernel = tensors.take(f"{stored.convolution}.weight", stored.shape)
    scale, shift, mean, variance = (
        tensors.take(f"{stored.norm}.{part}", stored.shape[:1])
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    if variance.min() < 0:
        raise tensors.unsuitable(f"holds {stored.norm}.running_var with values below 0")
    factor = scale / np.sqrt(variance + _EPSILON)
    kernel = (kernel * factor.reshape(-1, 1, 1, 1)).transpose(2, 3, 1, 0)
    # Of pointwise and depthwise layers without the axes that have one entry.
    kernel = kernel[0, 0] if kernel.shape[:2] == (1, 1) else kernel
    kernel = kernel[:, :, 0] if kernel.shape[-2] == 1 else kernel
    return {"kernel": np.ascontiguousarray(kernel), "bias": shift - mean * factor}
