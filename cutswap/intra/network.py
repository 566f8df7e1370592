"""The inpainting transformer: patches of a window in, the hidden one out.

Attention compares what a small network makes of the patches (queries and keys of half the width),
early blocks feed late ones by long skips, and the mean over the window becomes the patch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn

from cutswap.intra.settings import IntraSettings
from cutswap.intra.windows import Windows


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        half = max(heads, width // 2 // heads * heads)  # heads share it evenly

        def compared() -> nn.Module:
            return nn.Sequential(nn.Linear(width, half), nn.GELU(), nn.Linear(half, half))

        self.query, self.key = compared(), compared()
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = (
            layer(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        seen = F.scaled_dot_product_attention(query, key, value)
        return self.out(seen.transpose(1, 2).flatten(2))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = _Attention(width, heads)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attention(self.first(tokens))
        return tokens + self.mlp(self.second(tokens))


class InpaintingTransformer(nn.Module):
    """Paints hidden patches.

    Args:
        settings: sizes.
    """

    def __init__(self, settings: IntraSettings) -> None:
        super().__init__()
        numbers, width = 3 * settings.patch**2, settings.width
        self.embed = nn.Linear(numbers, width)
        self.hidden = nn.Parameter(torch.randn(width) * 0.02)
        self.places = nn.Parameter(torch.randn(settings.grid**2, width) * 0.02)
        self.blocks = nn.ModuleList(_Block(width, settings.heads) for _ in range(settings.blocks))
        self.norm, self.paint = nn.LayerNorm(width), nn.Linear(width, numbers)
        nn.init.constant_(self.paint.bias, 0.5)

    def forward(self, patches: Tensor, windows: Windows) -> Tensor:
        """Paint the hidden patch of each window, which is not looked at.

        Args:
            patches: (B, L * L, 3 * K * K) float in [0, 1], the window's.
            windows: which they are, and which one is hidden.

        Returns:
            (B, 3 * K * K) float, about [0, 1].
        """
        rows = torch.arange(len(patches), device=patches.device)
        is_hidden = torch.zeros(patches.shape[:2], dtype=torch.bool, device=patches.device)
        is_hidden[rows, windows.hidden] = True
        tokens = torch.where(is_hidden[..., None], self.hidden, self.embed(patches))
        tokens = tokens + self.places[windows.places]
        early: list[Tensor] = []
        count = len(self.blocks)
        for number, block in enumerate(self.blocks):
            if number >= count - count // 2:  # of an odd number the middle one has no partner
                tokens = tokens + early.pop()
            tokens = block(tokens)
            if number < count // 2:
                early.append(tokens)
        painted: Tensor = self.paint(self.norm(tokens).mean(dim=1))
        return painted
