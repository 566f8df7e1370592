"""Negatives, normal photos and real defects as points in a network's patch features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cutswap.analysis.quality_measures import cell_shares
from cutswap.data.images import to_image
from cutswap.data.loading import CheckedCategory, load_masks, load_photos
from cutswap.data.records import Record
from cutswap.networks.backbone import Backbone
from cutswap.patchcore.embeddings import embed

DEFECTS, GOOD = "real defects", "good test photos"
BATCH = 8
ENOUGH = 0.25  # of a cell that a real defect must fill to be one of the defects' patches


@dataclass(frozen=True)
class Patches:
    """Patch features of photos, as PatchCore embeds them.

    Attributes:
        backbone: the network.
        layer: whose features they are.
    """

    backbone: Backbone
    layer: str

    def of(
        self, photos: np.ndarray, progress: Callable[[int, int], None] | None = None
    ) -> np.ndarray:
        """Features of photos.

        Args:
            photos: (N, H, W, 3) uint8.
            progress: called with (done, total).

        Returns:
            (N, h, w, D) float32.
        """
        patches = []
        for first in range(0, len(photos), BATCH):
            batch = to_image(photos[first : first + BATCH])
            patches.append(embed(self.backbone, batch, [self.layer]).cpu().numpy())
            if progress:
                progress(min(first + BATCH, len(photos)), len(photos))
        return np.concatenate(patches)


@dataclass(frozen=True)
class RealPhotos:
    """Real test photos in features: defective ones with masks, and good ones.

    Attributes:
        defects: (N, h, w, D) of defective photos that have a mask.
        masks: (N, H, W) bool, theirs.
        good: (M, h, w, D).
    """

    defects: np.ndarray | None
    masks: np.ndarray | None
    good: np.ndarray | None

    @classmethod
    def of(
        cls,
        checked: CheckedCategory,
        size: int,
        patches: Patches,
        most: int,
        progress: Callable[[int, int], None],
    ) -> RealPhotos:
        """Read and embed the test photos; defective ones without a mask are left out.

        Args:
            checked: the category.
            size: side of the square photos, pixels.
            patches: what embeds them.
            most: photos of either kind, taken evenly from all.
            progress: called with (done, total).
        """
        test = checked.category.test
        marked = _evenly([r for r in test if not r.is_good and r.mask is not None], most)
        masks = load_masks(marked, size) if marked else None
        if masks is not None:  # a speck may vanish when a mask is made smaller
            kept = [bool(mask.any()) for mask in masks]
            marked = [r for r, keep in zip(marked, kept, strict=True) if keep]
            masks = masks[kept] if marked else None
        good = _evenly([r for r in test if r.is_good], most)
        return cls(
            patches.of(load_photos(marked, size), progress) if marked else None,
            masks,
            patches.of(load_photos(good, size), progress) if good else None,
        )


class Distances:
    """Nearest distances from changed cells to normal patches and to real defects' patches."""

    def __init__(self, normal: np.ndarray, real: RealPhotos) -> None:
        self.real = real
        self.grid = (int(normal.shape[1]), int(normal.shape[2]))
        self._normal = _index(normal.reshape(-1, normal.shape[-1]))
        self._cells: list[np.ndarray] = []  # (n, D), of each defective photo
        if real.defects is not None and real.masks is not None:
            for features, mask in zip(real.defects, real.masks, strict=True):
                self._cells.append(features[_defective(mask, self.grid)])
        self._defects = _index(np.concatenate(self._cells)) if self._cells else None

    def of(self, features: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
        """Mean distance of the masked cells to normal patches and to defects' (NaN: none known).

        Args:
            features: (h, w, D) float32 of the photo.
            mask: (H, W) bool.
        """
        return self._to(self._normal, features, mask), self._to(self._defects, features, mask)

    def _to(self, index: Any, features: np.ndarray, mask: np.ndarray) -> float:
        if index is None:
            return float("nan")
        shares = cell_shares(mask, self.grid)
        touched = shares > 0
        squared, _ = index.search(np.ascontiguousarray(features[touched]), 1)
        return float(shares[touched] @ np.sqrt(squared[:, 0].clip(0)))

    def references(self) -> dict[str, list[tuple[float, float]]]:
        """The same two distances of real photos, one pair a photo.

        Defects are each left out of what they are compared with; good test photos count whole.
        """
        pairs: dict[str, list[tuple[float, float]]] = {}
        if self.real.defects is not None and self.real.masks is not None:
            pairs[DEFECTS] = []
            for i in range(len(self._cells)):
                features, mask = self.real.defects[i], self.real.masks[i]
                others = [c for j, c in enumerate(self._cells) if j != i]
                rest = _index(np.concatenate(others)) if others else None
                pairs[DEFECTS].append(
                    (self._to(self._normal, features, mask), self._to(rest, features, mask))
                )
        if self.real.good is not None:
            whole = np.ones(self.grid, dtype=bool)
            pairs[GOOD] = [self.of(features, whole) for features in self.real.good]
        return pairs


def _evenly(records: list[Record], most: int) -> list[Record]:
    if len(records) <= most:
        return records
    return [records[i * len(records) // most] for i in range(most)]


def _index(items: np.ndarray) -> Any:
    import faiss

    index = faiss.IndexFlatL2(items.shape[1])
    index.add(np.ascontiguousarray(items, dtype=np.float32))
    return index


def _defective(mask: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """(h, w) bool: cells a defect fills to a quarter; of a small defect the fullest one."""
    shares = cell_shares(mask, grid)
    filled = shares * mask.sum() * grid[0] * grid[1] / mask.size  # share of each cell
    defective = np.asarray(filled >= ENOUGH)
    return defective if defective.any() else np.asarray(shares == shares.max())
