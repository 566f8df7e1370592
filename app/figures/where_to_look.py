"""The region of a category on the pages: read once, and drawn over photos."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.shared.picture_memory import kept
from cutswap.data.images import photo_size, resize_mask
from cutswap.data.records import Category
from cutswap.data.regions.region_of_interest import read_region
from cutswap.utils.overlays import veil


@dataclass(frozen=True)
class RegionKey:
    """One region; equal keys are equal regions.

    Attributes:
        path: its file.
        modified: time of last change, nanoseconds; 0 of a file that is gone.
        photo: one of the photos it is for, whose shape it must have; None without any.
    """

    path: Path
    modified: int
    photo: Path | None

    @classmethod
    def of(cls, category: Category) -> RegionKey | None:
        """The key of a category's region as it is now; None where there is none."""
        if category.region is None:
            return None
        photo = next((r.image for r in (*category.train, *category.test)), None)
        try:
            return cls(category.region, category.region.stat().st_mtime_ns, photo)
        except OSError:
            return cls(category.region, 0, photo)


@kept()
def pixels(key: RegionKey | None, size: int) -> np.ndarray | None:
    """(size, size) bool, True where to look; None: everywhere.

    Raises:
        CutSwapError: see `read_region`.
    """
    if key is None:
        return None
    return read_region(key.path, photo_size(key.photo) if key.photo else None).at(size)


def shown(photo: np.ndarray, inside: np.ndarray | None) -> np.ndarray:
    """A picture of a photo with what lies outside a region dimmed, and the region's outline.

    Args:
        photo: (H, W, 3) uint8.
        inside: (S, S) bool, True where to look, brought to the picture's size; None: everywhere.
    """
    if inside is None or inside.all():
        return photo
    return veil(photo, photo, resize_mask(inside, (photo.shape[0], photo.shape[1])))
