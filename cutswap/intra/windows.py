"""Photos as patches, and which patches a window holds.

Patches are counted row by row, from 0, over a grid of G x G; a window is L x L of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Windows:
    """Windows of some photos, each with one patch to be painted.

    Attributes:
        places: (B, L * L) int64, which patches of the photo each holds, row by row.
        hidden: (B,) int64, position in the window of the patch to paint, 0 to L * L - 1.
    """

    places: Tensor
    hidden: Tensor

    @property
    def targets(self) -> Tensor:
        """(B,) int64, which patch of the photo is hidden."""
        return self.places.gather(1, self.hidden[:, None]).squeeze(1)


def to_patches(photos: np.ndarray, patch: int) -> Tensor:
    """(N, S, S, 3) uint8 photos as (N, G * G, 3 * K * K) uint8, channels first within a patch.

    Args:
        photos: square ones.
        patch: side K of a patch, pixels; divides S.
    """
    count, side, _, channels = photos.shape
    grid = side // patch
    cut = torch.from_numpy(photos).reshape(count, grid, patch, grid, patch, channels)
    return cut.permute(0, 1, 3, 5, 2, 4).reshape(count, grid * grid, channels * patch * patch)


def to_photos(patches: Tensor, patch: int) -> Tensor:
    """The inverse, in any type: (N, G * G, 3 * K * K) as (N, 3, S, S).

    Args:
        patches: channels first within a patch.
        patch: side K, pixels.
    """
    count, places, _ = patches.shape
    grid = round(places**0.5)
    cut = patches.reshape(count, grid, grid, 3, patch, patch)
    return cut.permute(0, 3, 1, 4, 2, 5).reshape(count, 3, grid * patch, grid * patch)


def windows_at(tops: Tensor, lefts: Tensor, hidden: Tensor, grid: int, window: int) -> Windows:
    """Windows by their first patch.

    Args:
        tops: (B,) int64, row of the first patch, 0 to G - L.
        lefts: (B,) int64, its column.
        hidden: (B,) int64, see `Windows`.
        grid: G.
        window: L.
    """
    steps = torch.arange(window, device=tops.device)
    rows = tops[:, None, None] + steps[None, :, None]
    columns = lefts[:, None, None] + steps[None, None, :]
    return Windows((rows * grid + columns).flatten(1), hidden)


def random_windows(count: int, grid: int, window: int, generator: torch.Generator) -> Windows:
    """Windows anywhere, a patch anywhere in each, all equally likely.

    Args:
        count: B.
        grid: G.
        window: L.
        generator: whom to ask.
    """
    first = torch.randint(grid - window + 1, (2, count), generator=generator)
    hidden = torch.randint(window * window, (count,), generator=generator)
    return windows_at(first[0], first[1], hidden, grid, window)


def every_patch(grid: int, window: int) -> Windows:
    """For each patch of a photo the window that has it nearest to its middle, G * G of them.

    Args:
        grid: G.
        window: L.
    """
    places = torch.arange(grid)
    first = (places - window // 2).clamp(0, grid - window)
    rows, columns = torch.meshgrid(places, places, indexing="ij")
    tops, lefts = first[rows.flatten()], first[columns.flatten()]
    hidden = (rows.flatten() - tops) * window + columns.flatten() - lefts
    return windows_at(tops, lefts, hidden, grid, window)
