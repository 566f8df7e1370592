"""PatchCore on large photos: one bank for all tiles of all photos, in bounded memory.

Patches of good photos are drawn until `CANDIDATES` are held, evenly over all photos and places, and
the bank is the coreset of those: neither memory nor time of the choice grows with the photos.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cutswap.config import PatchCoreSettings
from cutswap.errors import CutSwapError
from cutswap.networks.backbone import Backbone
from cutswap.patchcore.coreset import greedy_k_center
from cutswap.patchcore.image_score import mean_of_highest
from cutswap.patchcore.memory_bank import MemoryBank, need_one_bank, whitening_of
from cutswap.patchcore.patch_region import PatchRegion, heatmap_of, patch_region
from cutswap.patchcore.tiled.tiles import TileLayout, need_tiles, patch_side, tiled_patches
from cutswap.utils.devices import tf32

# 300 MB of ResNet18's 384 numbers. A photo of 2,000 x 1,200 pixels has 38,000 patches.
CANDIDATES = 200_000


Size = tuple[int, int]
# Where to look in a photo of (height, width): (height, width) bool, or None for everywhere.
RegionAt = Callable[[Size], np.ndarray | None]


def everywhere(size: Size) -> None:
    """A `RegionAt` that hides nothing."""
    del size


@dataclass(frozen=True)
class TiledScore:
    """What a bank says about one photo.

    Attributes:
        score: anomaly score, >= 0: the mean of the highest patches of the whole photo.
        distances: (h, w) float32, of every patch to the bank; 0 where none is looked at.
        heatmap: (H, W) float32, smoothed distances at the photo's own size; 0 outside a region.
    """

    score: float
    distances: np.ndarray
    heatmap: np.ndarray


class TiledBank:
    """A memory bank whose photos are cut into tiles.

    Args:
        bank: whose settings have a `tile_overlap`.

    Raises:
        CutSwapError: a bank of photos that became squares, or settings that `need_tiles` refuses.
    """

    def __init__(self, bank: MemoryBank) -> None:
        if not bank.settings.is_tiled:
            raise CutSwapError(
                "memory bank",
                expected="one of photos that were cut into tiles",
                found="one of photos that became squares",
                fix="evaluate again with --tile-overlap 64",
            )
        need_tiles(bank.settings)
        self.bank = bank

    @functools.cached_property
    def cells(self) -> int:
        """Patches a side of a tile."""
        return _cells(self.bank.backbone, self.bank.settings)

    def save(self, path: Path) -> None:
        """See `MemoryBank.save`."""
        self.bank.save(path)

    @classmethod
    def fit(
        cls,
        backbone: Backbone,
        photos: Iterable[np.ndarray],
        sizes: Sequence[Size],
        settings: PatchCoreSettings,
        *,
        seed: int = 0,
        region_at: RegionAt = everywhere,
        keep: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> TiledBank:
        """Embed good photos one after the other and keep a coreset of their patches.

        Args:
            backbone: whose features are used as they are.
            photos: (H, W, 3) uint8 each, as many as sizes.
            sizes: (height, width) of each.
            settings: with a `tile_overlap`; its coreset is a share of the candidates.
            seed: of the candidates, the projection and the first pick.
            region_at: where to look in photos of a size.
            keep: items of the bank, where the coreset's ratio does not say it.
            progress: called with (photos done, photos).

        Raises:
            CutSwapError: no photo at all, photos of other sizes, or a region that hides everything.
        """
        need_tiles(settings)
        need_one_bank(settings)
        backbone.resolve(settings.layers)
        if not sizes:
            raise CutSwapError(
                "training images", expected="at least one", found="none", fix="add good images"
            )
        patch = patch_side(settings.image_size, _cells(backbone, settings))
        inside = {size: _inside(size, settings, patch, region_at(size)) for size in set(sizes)}
        total = sum(int(inside[size].sum()) for size in sizes)
        share = min(1.0, CANDIDATES / total)
        taken = [
            inside[size] & (np.random.default_rng((seed, n)).random(inside[size].shape) < share)
            for n, size in enumerate(sizes)
        ]
        ends = np.cumsum([one.sum() for one in taken])
        candidates, origin = torch.empty(0), np.empty((ends[-1], 3), np.int32)
        for index, (photo, size) in enumerate(zip(photos, sizes, strict=True)):
            patches, places = _drawn(backbone, photo, size, settings, taken[index])
            if not len(candidates):  # room is made once: joining parts would hold them twice
                candidates = torch.empty(int(ends[-1]), patches.shape[1])
            own = slice(ends[index] - len(places), ends[index])
            candidates[own] = patches
            origin[own, 0], origin[own, 1:] = index, places
            if progress:
                progress(index + 1, len(sizes))
        whitening = whitening_of(candidates, settings)
        if whitening:
            candidates = whitening.apply_in_place(candidates)
        count = max(1, int(settings.coreset * len(candidates))) if keep is None else keep
        count = min(count, len(candidates))
        picks = greedy_k_center(candidates, count, projection=settings.projection, seed=seed)
        items, places = candidates[picks].numpy(), origin[picks.numpy()]
        return cls(MemoryBank(backbone, settings, items, places, seed, whitening))

    def score(self, photo: np.ndarray, region: np.ndarray | None = None) -> TiledScore:
        """Score a photo.

        Args:
            photo: (H, W, 3) uint8.
            region: (H, W) bool, True where to look; None: everywhere.

        Raises:
            CutSwapError: a region that hides everything.
        """
        settings, size = self.bank.settings, (photo.shape[0], photo.shape[1])
        layout = layout_of(size, settings)
        where = _region(layout, region)
        distances: np.ndarray | None = None
        with tf32(settings.tf32):
            for own in tiled_patches(
                self.bank.backbone, photo, layout, settings.layers, settings.batch_size
            ):
                if distances is None:
                    distances = np.zeros(own.grid, np.float32)
                said = self.bank.score_patches(own.embedded[None], (1, 1))
                distances[slice(*own.rows), slice(*own.columns)] = said.distances[0]
        assert distances is not None  # noqa: S101 - a layout has a tile
        looked_at = distances
        if where is not None:
            inside = where.patches((distances.shape[0], distances.shape[1]))
            distances, looked_at = np.where(inside, distances, 0), distances[inside]
        heat = heatmap_of(distances[None], layout.padded, settings.sigma, where)[0]
        return TiledScore(
            mean_of_highest(looked_at.reshape(-1), settings.image_patches),
            distances,
            heat[: size[0], : size[1]],
        )


def layout_of(size: Size, settings: PatchCoreSettings) -> TileLayout:
    """Where the tiles of a photo of (height, width) lie."""
    assert settings.tile_overlap is not None  # noqa: S101 - `TiledBank` has asked
    return TileLayout(size, settings.image_size, settings.tile_overlap)


def _region(layout: TileLayout, region: np.ndarray | None) -> PatchRegion | None:
    """Where to look in the area of the tiles: in the photo, and there in its region."""
    height, width = layout.photo
    pixels = np.zeros(layout.padded, bool)
    pixels[:height, :width] = True if region is None else region
    return patch_region(pixels)


def _inside(
    size: Size, settings: PatchCoreSettings, patch: int, region: np.ndarray | None
) -> np.ndarray:
    """(h, w) bool: the patches of a photo that are looked at."""
    layout = layout_of(size, settings)
    where, grid = _region(layout, region), layout.grid(patch)
    return np.ones(grid, bool) if where is None else where.patches(grid)


def _cells(backbone: Backbone, settings: PatchCoreSettings) -> int:
    """Patches a side of a tile."""
    side = settings.image_size
    blank = torch.zeros(1, 3, side, side, device=backbone.device)
    return int(backbone.features(blank, settings.layers[:1])[settings.layers[0]].shape[-1])


def _drawn(
    backbone: Backbone,
    photo: np.ndarray,
    size: Size,
    settings: PatchCoreSettings,
    taken: np.ndarray,
) -> tuple[Tensor, np.ndarray]:
    """Patches (n, D) of a photo where `taken` (h, w) is True, and their (n, 2) places."""
    if photo.shape[:2] != size:
        raise CutSwapError(
            "training images",
            expected=f"a photo of {size[0]} x {size[1]} pixels, as it was",
            found=f"{photo.shape[0]} x {photo.shape[1]}",
            fix="run it again",
        )
    patches, places = [], []
    with tf32(settings.tf32):
        for own in tiled_patches(
            backbone, photo, layout_of(size, settings), settings.layers, settings.batch_size
        ):
            rows, columns = np.nonzero(taken[slice(*own.rows), slice(*own.columns)])
            patches.append(own.embedded[rows, columns].cpu())
            places.append(np.stack([rows + own.rows[0], columns + own.columns[0]], axis=1))
    return torch.cat(patches), np.concatenate(places).astype(np.int32)
