"""Writing a category's region into its folder, over no file that its writer does not know."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from cutswap.data.images import save_png
from cutswap.data.records import Category
from cutswap.data.regions.region_of_interest import checked_region
from cutswap.errors import CutSwapError
from cutswap.utils.files import is_own_file, sha256_of
from cutswap.utils.folder_names import REGION


def region_file_mark(category: Category) -> str | None:
    """SHA-256 of the region's file in a category's folder; None where there is none.

    Raises:
        CutSwapError: what has its name is no file, or a link to one.
    """
    path = category.root / REGION
    if not os.path.lexists(path):
        return None
    if not is_own_file(path):
        raise CutSwapError(
            path, expected="a file", found="a link or a folder", fix="move it away first"
        )
    return sha256_of(path)


def write_region(category: Category, mask: np.ndarray, over: str | None = None) -> Path:
    """Write `region.png` into a category's folder.

    Args:
        category: with a folder of its own: a folder that holds photos alone would count it as one.
        mask: (H, W) bool in the photos' shape, True where to look.
        over: `region_file_mark` of the file that may be written over; None: none may.

    Raises:
        CutSwapError: a mask that no region may be, a folder that cannot hold one or cannot be
            written, or another file than the one that may be written over.
    """
    if category.layout == "images":
        raise CutSwapError(
            category.root,
            expected="a category's folder, with train and test",
            found="a folder that holds photos alone",
            fix=f"keep {REGION} elsewhere and pass it as --region",
        )
    checked_region(mask, category)
    path, found = category.root / REGION, region_file_mark(category)
    if found not in (None, over):
        raise CutSwapError(
            path,
            expected="no region yet, or the one that may be written over",
            found="another one",
            fix="look at it first, then say that it may be replaced",
        )
    save_png(path, mask)
    return path
