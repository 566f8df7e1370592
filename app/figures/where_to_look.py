"""The region of a category on the pages: read once, and drawn over photos."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.shared.picture_memory import kept
from cutswap.data.images import photo_size, resize_mask
from cutswap.data.reading import FIT, SQUASH
from cutswap.data.records import Category
from cutswap.data.regions.frame import Frame
from cutswap.data.regions.region_of_interest import looked_at, read_region
from cutswap.utils.overlays import veil


@dataclass(frozen=True)
class RegionKey:
    """One region; equal keys are equal regions.

    Attributes:
        path: its file; None where only what is beside the photos is not looked at.
        modified: time of last change, nanoseconds; 0 of a file that is gone.
        photo: one of the photos it is for, whose shape it must have; None without any.
        resize: how photos become squares, see `ReadingSettings.resize`.
    """

    path: Path | None
    modified: int
    photo: Path | None
    resize: str = SQUASH

    @classmethod
    def of(cls, category: Category) -> RegionKey | None:
        """The key of a category's region as it is now; None where all may be looked at."""
        resize = category.reading.resize
        if category.region is None and resize != FIT:
            return None
        photo = next((r.image for r in (*category.train, *category.test)), None)
        try:
            modified = category.region.stat().st_mtime_ns if category.region else 0
        except OSError:
            modified = 0
        return cls(category.region, modified, photo, resize)


@kept()
def pixels(key: RegionKey | None, size: int) -> np.ndarray | None:
    """(size, size) bool of the photos' squares, True where to look; None: everywhere.

    Raises:
        CutSwapError: see `read_region`.
    """
    if key is None:
        return None
    shape = photo_size(key.photo) if key.photo else None
    region = read_region(key.path, shape) if key.path else None
    return looked_at(region, shape, size, key.resize)


def share(key: RegionKey, size: int) -> float:
    """Part of the photo that is looked at, in (0, 1]: what is beside it is none of it.

    Raises:
        CutSwapError: see `read_region`.
    """
    inside = pixels(key, size)
    if inside is None:
        return 1.0
    shape = photo_size(key.photo) if key.photo else (size, size)
    return float(inside.sum() / Frame(shape, size, key.resize).inside.sum())


def shown(photo: np.ndarray, inside: np.ndarray | None) -> np.ndarray:
    """A picture of a photo with what lies outside a region dimmed, and the region's outline.

    Args:
        photo: (H, W, 3) uint8.
        inside: (S, S) bool, True where to look, brought to the picture's size; None: everywhere.
    """
    if inside is None or inside.all():
        return photo
    return veil(photo, photo, resize_mask(inside, (photo.shape[0], photo.shape[1])))
