"""The discriminator: tells a changed patch from an unchanged one, as SimpleNet's head does.

An adaptor and a two-layer network at every patch, with balanced cross entropy. Source of the
form: Liu et al. 2023 (SimpleNet), with drawn negatives and their exact masks in place of noise.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn

from cutswap.heads.projector import MixingBlock

CHANGED = 0.5  # a cell is called changed when more than this share of its pixels is


class Discriminator(nn.Module):
    """Linear D to C, a learnt position a place, mixing blocks, then a two-layer head to one logit.

    Args:
        channels: D, of the normalised features.
        grid: (h, w) places.
        width: channels C inside.
        blocks: number of mixing blocks; 0 judges every patch by itself, wherever it is.
        kernel: of each.
    """

    def __init__(
        self, channels: int, grid: tuple[int, int], width: int, blocks: int, kernel: int
    ) -> None:
        super().__init__()
        self.adapt = nn.Linear(channels, width)
        self.position = nn.Parameter(0.02 * torch.randn(*grid, width)) if blocks else None
        self.mix = nn.Sequential(*(MixingBlock(width, kernel) for _ in range(blocks)))
        self.hide = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.judge = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, h, w, D) normalised features to logits (N, h, w): above 0 is changed."""
        adapted = self.adapt(x)
        if self.position is not None:
            adapted = adapted + self.position
        hidden = F.leaky_relu(self.norm(self.hide(self.mix(adapted))), 0.2)
        return self.judge(hidden)[..., 0]

    def patch_scores(self, x: Tensor) -> Tensor:
        """(N, h, w) float >= 0: log(1 + exp(logit)), which keeps the order and has no sign."""
        return F.softplus(self(x))

    def loss(self, x: Tensor, changed: Tensor) -> tuple[Tensor, Tensor]:
        """Cross entropy of changed and unchanged patches, each kind weighing half.

        Cells in between, with some changed pixels but not more than `CHANGED`, do not count.

        Args:
            x: (N, h, w, D) normalised features of clean photos and negatives.
            changed: (N, h, w) share of each cell's pixels that changed.

        Returns:
            A scalar, and the patch scores (N, h, w) without gradient.
        """
        logits = self(x)
        is_changed, is_same = changed > CHANGED, changed == 0
        each = F.binary_cross_entropy_with_logits(logits, is_changed.to(logits), reduction="none")
        kinds = [each[kind].mean() for kind in (is_changed, is_same) if bool(kind.any())]
        loss = torch.stack(kinds).mean() if kinds else 0.0 * logits.sum()
        return loss, F.softplus(logits.detach())
