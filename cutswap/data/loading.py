"""The pictures of a category in memory, at one size, and what had to be left out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.data.datasets import open_dataset
from cutswap.data.images import photo_size, read_mask, read_photo
from cutswap.data.problems import DOUBTS, find_problems, usable
from cutswap.data.reading import FIT
from cutswap.data.records import Category, Problem, Record
from cutswap.data.regions.frame import Frame, framed_mask, framed_photo
from cutswap.data.regions.region_of_interest import (
    RegionOfInterest,
    looked_at,
    region_of,
    with_region,
    with_resize,
)
from cutswap.errors import CutSwapError

Ticker = Callable[[int, int], None]
_FINE = 128  # squares of that many pixels tell two shapes apart


@dataclass(frozen=True)
class CheckedCategory:
    """A category whose files have been checked.

    Attributes:
        category: what is used.
        left_out: fatal problems of the files that `skip_bad` left out; empty without it.
        doubts: problems of files that are used and may make results wrong.
    """

    category: Category
    left_out: tuple[Problem, ...]
    doubts: tuple[Problem, ...] = ()

    @functools.cached_property
    def region(self) -> RegionOfInterest | None:
        """Where to look; None: everywhere.

        Raises:
            CutSwapError: see `region_of`.
        """
        return region_of(self.category)

    def region_at(self, size: int) -> np.ndarray | None:
        """Where to look in the (size, size) bool squares of the photos; None: everywhere.

        Beside a photo that keeps its shape there is nothing to look at.

        Raises:
            CutSwapError: see `RegionOfInterest.at`; photos of several shapes that are to keep them.
        """
        resize = self.category.reading.resize
        return looked_at(self.region, self._shape if resize == FIT else None, size, resize)

    @functools.cached_property
    def _shape(self) -> tuple[int, int]:
        """(height, width) of the photos, which are alike but for their scale."""
        sizes = {photo_size(r.image) for r in (*self.category.train, *self.category.test)}
        shapes = {Frame(size, _FINE, FIT).target for size in sizes}
        if len(shapes) > 1:
            some = ", ".join(f"{height} x {width}" for height, width in sorted(sizes)[:3])
            raise CutSwapError(
                self.category.root,
                expected="photos of one shape for --resize fit: one bank looks at the same part of"
                " the square in each",
                found=f"{len(shapes)} shapes (height x width: {some})",
                fix="pass --resize squash or crop, or part them into categories",
            )
        return next(iter(sizes))

    def to_dict(self) -> dict[str, Any]:
        """The record of the data in a run's files."""
        region = {} if self.region is None else {"region": self.region.to_dict()}
        return {
            **region,
            "name": self.category.name,
            "n_train": len(self.category.train),
            "n_test": len(self.category.test),
            "reading": self.category.reading.to_dict(),
            "left_out": _told(self.left_out),
            "doubts": _told(self.doubts),
        }


def _told(problems: Sequence[Problem]) -> list[dict[str, str]]:
    return [{"path": str(p.path), "kind": p.kind, "message": p.message} for p in problems]


def check_category(
    root: Path,
    name: str | None,
    *,
    skip_bad: bool,
    train_size: int | None = None,
    region: str | Path | None = None,
    resize: str | None = None,
    progress: Ticker | None = None,
) -> CheckedCategory:
    """Open a category and refuse, or leave out, what cannot be used.

    Args:
        root: the data set's folder.
        name: of the category; None: the only one.
        skip_bad: leave out what is bad.
        train_size: working size of the training to come, see `find_problems`.
        region: see `with_region`.
        resize: see `with_resize`.
        progress: called with (photos done, photos in all).

    Raises:
        CutSwapError: no such data or category, or bad files without `skip_bad`.
    """
    category = with_resize(with_region(open_dataset(root).category(name), region), resize)
    problems = find_problems(category, train_size=train_size, progress=progress)
    kept, left_out = usable(category, problems, skip_bad)
    doubts = tuple(p for p in problems if p.kind in DOUBTS)
    return CheckedCategory(kept, left_out, doubts)


def load_photos(records: Sequence[Record], size: int, progress: Ticker | None = None) -> np.ndarray:
    """(N, size, size, 3) uint8, each photo brought to a square as its record says (`Frame`)."""
    photos = np.empty((len(records), size, size, 3), dtype=np.uint8)
    for index, record in enumerate(records):
        photos[index] = framed_photo(read_photo(record.image, record.bits), size, record.resize)
        if progress:
            progress(index + 1, len(records))
    return photos


def load_masks(records: Sequence[Record], size: int) -> np.ndarray | None:
    """(N, size, size) bool; good images are all False; None where a defect has no mask."""
    if any(not r.is_good and r.mask is None for r in records):
        return None
    masks = np.zeros((len(records), size, size), dtype=bool)
    for index, record in enumerate(records):
        if record.mask is not None and not record.is_good:
            masks[index] = framed_mask(read_mask(record.mask), size, record.resize)
    return masks


def seen_share(records: Sequence[Record]) -> float:
    """Share of its square that a photo fills, in (0, 1]: less where it keeps its shape.

    Args:
        records: of one shape; only the first is looked at.

    Raises:
        CutSwapError: that photo cannot be read.
    """
    if not records or records[0].resize != FIT:
        return 1.0
    sides = photo_size(records[0].image)
    return min(sides) / max(sides)


def lacking_test_images(categories: Sequence[Category]) -> dict[str, str]:
    """Categories that cannot be scored, by name: `3 good and 0 defective`."""
    lacking = {}
    for category in categories:
        good = sum(r.is_good for r in category.test)
        if good == 0 or good == len(category.test):
            lacking[category.name] = f"{good} good and {len(category.test) - good} defective"
    return lacking


def need_test_images(category: Category) -> None:
    """Refuse to score a category without good and defective test images.

    Raises:
        CutSwapError: one of the two kinds is missing.
    """
    need_all_test_images([category])


def need_all_test_images(categories: Sequence[Category]) -> None:
    """The same for every category of a plan, before the first is trained on.

    Raises:
        CutSwapError: one of the two kinds is missing; the message lists all such categories.
    """
    lacking = lacking_test_images(categories)
    if lacking:
        noun = "category" if len(lacking) == 1 else "categories"
        listed = [
            counts if len(lacking) == 1 else f"{counts} in {name}"
            for name, counts in lacking.items()
        ]
        others = "" if len(lacking) == len(categories) else ", or leave these out of --categories"
        raise CutSwapError(
            f"{noun} {', '.join(lacking)}",
            expected="good and defective test images",
            found="; ".join(listed),
            fix="add images to test/good and test/<defect>, or use saliency and augment only"
            + others,
        )
