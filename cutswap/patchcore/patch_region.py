"""Which patches and pixels a bank looks at, and the heatmap of those alone."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it

from cutswap.errors import CutSwapError
from cutswap.patchcore.heatmaps import to_heatmap

INSIDE = 0.5  # share of a patch's cell that must lie in the region
_REACHED = 1e-3  # weight of patches inside from which a pixel counts as scored


class PatchRegion:
    """Where to look, at a bank's working size.

    A patch is inside where at least half of its cell of the grid is. Patches outside are in no
    bank, score nothing and lend no heat: a pixel's heat is the mean of the patches inside around
    it, weighted as `to_heatmap` weighs them. Pixels outside have the heat 0.

    Args:
        pixels: (S, S) bool, True where to look.
    """

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = np.array(pixels, dtype=bool)
        self._patches: dict[tuple[int, int], np.ndarray] = {}

    @property
    def mark(self) -> str:
        """Hash of its size and pixels; equal marks are equal regions."""
        content = hashlib.sha256(f"{self.pixels.shape}:".encode())
        content.update(np.packbits(self.pixels).data)
        return content.hexdigest()

    def patches(self, grid: tuple[int, int]) -> np.ndarray:
        """(h, w) bool of a grid: the patches inside.

        Raises:
            CutSwapError: there is none.
        """
        if grid not in self._patches:
            pixels = torch.from_numpy(self.pixels)[None, None].float()
            inside = F.adaptive_avg_pool2d(pixels, grid)[0, 0].numpy() >= INSIDE
            if not inside.any():
                raise CutSwapError(
                    "region",
                    expected=f"at least half of one of the {grid[0]} x {grid[1]} patches inside",
                    found="a region that hides everything",
                    fix="draw it larger, or raise --image-size",
                )
            self._patches[grid] = inside
        return self._patches[grid]

    def positions(self, grid: tuple[int, int]) -> np.ndarray:
        """(P,) int64: places of the patches inside, row by row.

        Raises:
            CutSwapError: see `patches`.
        """
        return np.flatnonzero(self.patches(grid))

    def weights(self, grid: tuple[int, int], size: tuple[int, int], sigma: float) -> np.ndarray:
        """(H, W) float32: what `to_heatmap` of distances that are 0 outside is multiplied by.

        Raises:
            CutSwapError: see `patches`.
        """
        reached = to_heatmap(self.patches(grid)[None].astype(np.float32), size, sigma)[0]
        rows, columns = (
            (np.arange(length) * side) // length
            for length, side in zip(size, self.pixels.shape, strict=True)
        )
        is_scored = self.pixels[np.ix_(rows, columns)] & (reached >= _REACHED)
        weights = np.zeros(size, dtype=np.float32)
        weights[is_scored] = 1 / reached[is_scored]
        return weights

    def heatmap(self, distances: np.ndarray, size: tuple[int, int], sigma: float) -> np.ndarray:
        """`to_heatmap` of the patches inside.

        Args:
            distances: (N, h, w) float; what lies outside does not count.
            size: (H, W).
            sigma: see `to_heatmap`.

        Returns:
            (N, H, W) float32, 0 outside.
        """
        grid = (distances.shape[1], distances.shape[2])
        inside = np.where(self.patches(grid), distances, 0)
        return to_heatmap(inside, size, sigma) * self.weights(grid, size, sigma)


def patch_region(pixels: np.ndarray | None) -> PatchRegion | None:
    """None for a region that hides nothing: a bank of it is the bank without one, bit for bit.

    Args:
        pixels: (S, S) bool, True where to look; None: everywhere.
    """
    return None if pixels is None or pixels.all() else PatchRegion(pixels)


def looked_at(values: np.ndarray, region: PatchRegion | None) -> np.ndarray:
    """The (N, P) values of the patches inside, of (N, h, w); all of them without a region."""
    if region is None:
        return values
    inside: np.ndarray = values[:, region.patches((values.shape[1], values.shape[2]))]
    return inside


def heatmap_of(
    distances: np.ndarray, size: tuple[int, int], sigma: float, region: PatchRegion | None
) -> np.ndarray:
    """The heatmap of a bank or a head, in its region where it has one; see `to_heatmap`."""
    if region is None:
        return to_heatmap(distances, size, sigma)
    return region.heatmap(distances, size, sigma)
