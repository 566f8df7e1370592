"""The region of a category, a picture of two values: white is looked at, black is hidden.

It lies as `region.png` in the category's folder, beside train and test, or is named by `--region`.
It is brought to the working size as photos and masks are, by nearest neighbour.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.data.images import (
    photo_size,
    read_depth_bytes,
    read_mask_levels,
    read_mask_levels_bytes,
    read_photo,
)
from cutswap.data.mask_doubts import split_level
from cutswap.data.reading import FIT, SQUASH, read_reading
from cutswap.data.records import Category
from cutswap.data.regions.frame import Frame, framed_mask
from cutswap.errors import CutSwapError
from cutswap.utils.folder_names import REGION

EVERYWHERE = "none"  # of --region: look everywhere, whatever lies in the category's folder
# A photo of a part on an even ground has two heaps of values too, but broad ones: in each of 422
# real photos (bottle, transistor, cookie, magnetic_tile) at most 0.81 of the pixels lie so near; in
# a mask with edges blurred over some pixels, saved as JPEG at quality 30 to 95, 0.93.
_NEAR, _TWO = 8, 0.87
_SHAPE = 0.01  # by how much height over width may differ from the photos'
_DRAW = "draw it in the size of the photos, white (255) where to look and black (0) elsewhere"


@dataclass(frozen=True)
class RegionOfInterest:
    """Where to look.

    Attributes:
        path: its file.
        mask: (H, W) bool, True where to look; at least one pixel.
        sha256: of what it shows, size and pixels.
    """

    path: Path
    mask: np.ndarray
    sha256: str

    @property
    def share(self) -> float:
        """Part of the photo that is looked at, in (0, 1]."""
        return float(self.mask.mean())

    def at(self, size: int, resize: str = SQUASH) -> np.ndarray:
        """(size, size) bool, brought to the square as photos are.

        Raises:
            CutSwapError: nothing is left at that size.
        """
        small = framed_mask(self.mask, size, resize)
        if not small.any():
            raise CutSwapError(
                self.path,
                expected=f"a region that leaves something to look at in {size} x {size} pixels",
                found="one that hides everything",
                fix="draw it larger, or raise --image-size",
            )
        return small

    def to_dict(self) -> dict[str, Any]:
        """The record of it in a run's or an evaluation's files."""
        return {"path": str(self.path), "sha256": self.sha256, "share": round(self.share, 6)}


def category_region(folder: Path) -> Path | None:
    """The region's file of a category's folder; None where there is none."""
    path = folder / REGION
    return path if os.path.lexists(path) else None


def with_region(category: Category, region: str | Path | None) -> Category:
    """A category with another region than its folder's.

    Args:
        category: as listed.
        region: a file, `none` to look everywhere, or None for the folder's own.
    """
    if region is None:
        return category
    return replace(category, region=None if str(region) == EVERYWHERE else Path(region).absolute())


def with_resize(category: Category, resize: str | None) -> Category:
    """A category whose photos become squares in another way than its folder says.

    Args:
        category: as listed.
        resize: see `ReadingSettings.resize`; None: as its folder says.

    Raises:
        CutSwapError: an unknown way.
    """
    if resize is None or resize == category.reading.resize:
        return category
    reading = category.reading.replace(resize=resize)
    train, test = (
        tuple(replace(record, resize=resize) for record in records)
        for records in (category.train, category.test)
    )
    return replace(category, reading=reading, train=train, test=test)


def looked_at(
    region: RegionOfInterest | None, photo: tuple[int, int] | None, size: int, resize: str
) -> np.ndarray | None:
    """Where to look in the square of a photo: in its region, and not beside the photo.

    Args:
        region: None: there is none.
        photo: (height, width); only a photo that keeps its shape needs it.
        size: side of the square, pixels.
        resize: see `ReadingSettings.resize`.

    Returns:
        (size, size) bool; None: everywhere.

    Raises:
        CutSwapError: see `RegionOfInterest.at`.
    """
    mask = None if region is None else region.at(size, resize)
    if resize != FIT or photo is None:
        return mask
    inside = Frame(photo, size, resize).inside
    if mask is None:
        return None if inside.all() else inside
    return mask & inside


def recorded_resize(data: Any) -> str:
    """How the photos of a run or an evaluation became squares, see `ReadingSettings.resize`.

    Args:
        data: `CheckedCategory.to_dict`, as read from its record; versions that knew no other way
            than squash did not note it.
    """
    reading = data.get("reading") if isinstance(data, dict) else None
    return str(reading.get("resize", SQUASH)) if isinstance(reading, dict) else SQUASH


def resize_flags(data: Mapping[str, Any]) -> list[str]:
    """`--resize` that gives the squares of a run or an evaluation; none where none is needed.

    Args:
        data: see `recorded_resize`.
    """
    recorded = recorded_resize(data)
    own = read_reading(Path(str(data["root"]))).resize
    return [] if own == recorded else ["--resize", recorded]


def region_flags(data: Mapping[str, Any]) -> list[str]:
    """`--region` that looks where a run or an evaluation has looked; none where none is needed.

    Args:
        data: `CheckedCategory.to_dict`, as read from its record.
    """
    own = category_region(Path(str(data["root"])))
    region = data.get("region")
    recorded = region.get("path") if isinstance(region, dict) else None
    if not isinstance(recorded, str):
        return [] if own is None else ["--region", EVERYWHERE]
    return [] if own == Path(recorded) else ["--region", recorded]


def _near_two(counts: np.ndarray, threshold: int) -> float:
    """Share of (256,) pixels by value that lie near the commonest value of a side."""
    values, dark = np.arange(len(counts)), int(counts[: threshold + 1].argmax())
    bright = threshold + 1 + int(counts[threshold + 1 :].argmax())
    near = np.minimum(np.abs(values - dark), np.abs(values - bright)) <= _NEAR
    return float(counts[near].sum() / counts.sum())


def region_of(category: Category) -> RegionOfInterest | None:
    """The region of a category, checked; None where all of every photo is looked at.

    Raises:
        CutSwapError: see `read_region`.
    """
    if category.region is None:
        return None
    return read_region(category.region, _photos_size(category))


def region_of_photo(photo: Path, region: str | Path | None) -> RegionOfInterest | None:
    """The region of one photo that belongs to no category; None where all of it is looked at.

    Args:
        photo: whose shape the region must have.
        region: a file, or `none` or None to look everywhere.

    Raises:
        CutSwapError: see `read_region`.
    """
    if region is None or str(region) == EVERYWHERE:
        return None
    return read_region(Path(region).absolute(), photo_size(photo))


def read_region(path: Path, size: tuple[int, int] | None = None) -> RegionOfInterest:
    """Read and check a region.

    Args:
        path: a picture that can be read as a mask.
        size: (height, width) of the photos, where it is known.

    Raises:
        CutSwapError: no picture, no mask of two values, one of another shape than the photos, or
            one that hides everything.
    """
    return _region(path, read_mask_levels(path), lambda: read_photo(path), size)


def read_region_bytes(data: bytes, name: str, category: Category) -> RegionOfInterest:
    """`read_region` for an upload.

    Args:
        data: of the file.
        name: to call it by in errors.
        category: whose photos' shape it must have.

    Raises:
        CutSwapError: see `read_region`.
    """
    levels = read_mask_levels_bytes(data, name)
    return _region(
        Path(name), levels, lambda: read_depth_bytes(data, name)[0], _photos_size(category)
    )


def checked_region(mask: np.ndarray, category: Category) -> RegionOfInterest:
    """A region that was painted, not read, checked as `read_region` checks one.

    Args:
        mask: (H, W) bool, True where to look.
        category: whose photos' shape it must have.

    Raises:
        CutSwapError: one that hides everything, or of another shape than the photos.
    """
    return _checked(Path(REGION), mask.copy(), _photos_size(category))


def _photos_size(category: Category) -> tuple[int, int] | None:
    photos = category.train or category.test
    return photo_size(photos[0].image) if photos else None


def _region(
    path: Path,
    mask_and_counts: tuple[np.ndarray, np.ndarray],
    photo: Callable[[], np.ndarray],
    size: tuple[int, int] | None,
) -> RegionOfInterest:
    """A region of what was read: pixels that are not 0, and pixels by value."""
    mask, counts = mask_and_counts
    levels = np.flatnonzero(counts)
    if len(levels) > 2:
        threshold = split_level(counts)
        if _near_two(counts, threshold) < _TWO:
            found = f"{len(levels)} values, as a photo has"
            raise CutSwapError(path, expected="a mask of two values", found=found, fix=_DRAW)
        mask = photo().max(axis=2) > threshold  # soft edges
    return _checked(path, mask, size)


def _checked(path: Path, mask: np.ndarray, size: tuple[int, int] | None) -> RegionOfInterest:
    if not mask.any():
        raise CutSwapError(
            path, expected="a region to look at", found="one that hides everything", fix=_DRAW
        )
    height, width = mask.shape
    if size and abs(height * size[1] - width * size[0]) > _SHAPE * height * size[1]:
        raise CutSwapError(
            path,
            expected=f"a region of the photos' shape, {size[0]} x {size[1]} (height x width)",
            found=f"{height} x {width}",
            fix=_DRAW,
        )
    content = hashlib.sha256(f"{height}x{width}:".encode())
    content.update(np.packbits(mask).data)
    mask.flags.writeable = False
    return RegionOfInterest(path, mask, content.hexdigest())
