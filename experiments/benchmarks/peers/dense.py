"""The dense discriminator in PyTorch, without a generator, as `recommended` trains it."""

import torch
from torch import nn
from torch.nn import functional

from semad.nets.dense import CELL_PIXELS
from semad.nets.layers import LayerSettings

from .layers import conv, conv_transpose, counts, normed


class DenseDiscriminator(nn.Module):
    """Images (N, 1, H, W) -> logits (N, H/4, W/4); see `semad.nets.dense.DenseUNet`."""

    def __init__(self, style: LayerSettings) -> None:
        """Makes the layers."""
        super().__init__()
        down, up = counts(style, 64, 128, 256, 256), counts(style, 128, 128)
        self.down = nn.ModuleList(
            nn.Sequential(conv(before, after, 4, 2), *normed(after, style))
            for before, after in zip([1, *down], down, strict=False)
        )
        joined = [up[0] + down[2], up[1] + down[1]]
        self.up = nn.ModuleList(
            conv_transpose(before, after, 4, 2)
            for before, after in zip([down[3], joined[0]], up, strict=True)
        )
        self.norms = nn.ModuleList(nn.Sequential(*normed(count, style)) for count in joined)
        (middle,) = counts(style, 128)
        self.last = nn.Sequential(
            conv(joined[1], middle, 3, 1), *normed(middle, style), conv(middle, 1, 3, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Joins what lies beside on the way down and up."""
        levels = []
        for block in self.down:
            x = block(x)
            levels.append(x)
        for up, norm, beside in zip(self.up, self.norms, levels[2:0:-1], strict=True):
            x = norm(torch.cat([up(x), beside], dim=1))
        return self.last(x)[:, 0]


def dense_loss(net: nn.Module, seen: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of every cell with how much of it is foreign; masks are (N, H, W)."""
    cells = functional.avg_pool2d(masks[:, None], CELL_PIXELS)[:, 0]
    return functional.binary_cross_entropy_with_logits(net(seen), cells)
