"""The projector: from a photo's patch features, changed or not, to those of the clean photo.

Learnt on negatives whose clean photo is known. On a test photo what it gives back is what a good
photo would show there; how far that is from what is there, in the unit of what good photos leave
(`residuals`), is the patch's anomaly score.

Everything keeps the features' own axis order (N, h, w, D): with the channels last a depthwise
convolution of 7 x 7 places takes a third of the time on a CPU, a linear layer half of it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from einops import rearrange
from torch import Tensor, nn


class MixingBlock(nn.Module):
    """Depthwise convolution over places, then a two-layer network at each place, added to x.

    A convolution mixes places as attention does in a transformer block, for half of the time on a
    CPU (docs/heads.md). The form is ConvNeXt's (Liu et al. 2022).

    Args:
        width: channels w.
        kernel: places a side it sees, odd.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.places = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 2 * width)
        self.narrow = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, h, w, C) float to the same shape."""
        mixed = rearrange(self.places(rearrange(x, "n h w c -> n c h w")), "n c h w -> n h w c")
        return x + self.narrow(F.gelu(self.widen(self.norm(mixed))))


class Projector(nn.Module):
    """Linear D to C, a learnt position a place, mixing blocks, linear C to D.

    Args:
        channels: D, of the normalised features.
        grid: (h, w) places.
        width: channels C inside; fewer than D, so that nothing can pass through unlearnt.
        blocks: number of mixing blocks.
        kernel: of each.
    """

    def __init__(
        self, channels: int, grid: tuple[int, int], width: int, blocks: int, kernel: int
    ) -> None:
        super().__init__()
        self.enter = nn.Linear(channels, width)
        self.position = nn.Parameter(0.02 * torch.randn(*grid, width))
        self.mix = nn.Sequential(*(MixingBlock(width, kernel) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, h, w, D) normalised features to the clean photo's, (N, h, w, D)."""
        return self.leave(self.norm(self.mix(self.enter(x) + self.position)))

    def residual(self, x: Tensor) -> Tensor:
        """(N, h, w, D) normalised features to their difference from the predicted clean ones."""
        return x - self(x)

    def loss(self, x: Tensor, clean: Tensor) -> tuple[Tensor, Tensor]:
        """Mean squared error to the clean features, and the scores of this very batch.

        Args:
            x: (N, h, w, D) normalised features of clean photos and negatives.
            clean: (N, h, w, D), of the clean photo each came from.

        Returns:
            A scalar, and the patch scores (N, h, w) without gradient.
        """
        predicted = self(x)
        scores = (predicted.detach() - x).square().mean(dim=-1).sqrt()
        return (predicted - clean).square().mean(), scores
