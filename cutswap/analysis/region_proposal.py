"""A first guess of where to look, from good photos: where the part is, or where a network looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cutswap.data.mask_doubts import split_level
from cutswap.data.reading import SQUASH
from cutswap.data.records import Record
from cutswap.errors import CutSwapError
from cutswap.negatives.foreground import part_mask

PHOTOS = 32  # good photos looked at, at most
WAYS = ("foreground", "saliency")
SEEN = 0.05  # share of the photos that must show the part at a pixel: parts lie not all alike
MARGIN = 0.03  # of the side that is added around, so that a defect at the edge is not cut off


def looked_at(records: Sequence[Record]) -> Sequence[Record]:
    """At most `PHOTOS` of some good photos, evenly chosen, squashed: a region is all of a photo."""
    chosen = records[:: max(1, -(-len(records) // PHOTOS))]
    return [replace(record, resize=SQUASH) for record in chosen]


def region_of_parts(photos: np.ndarray) -> np.ndarray:
    """Where the part is in some of the photos.

    Args:
        photos: (N, S, S, 3) uint8, good ones.

    Returns:
        (S, S) bool, with a margin.

    Raises:
        CutSwapError: the part fills the photos, as a texture does, so that nothing can be hidden.
    """
    parts = np.stack([part_mask(photo) for photo in photos])
    return _widened(
        parts.mean(axis=0) >= SEEN, "the part fills the photos, or its ground is uneven"
    )


def region_of_maps(maps: np.ndarray) -> np.ndarray:
    """Where the mean of saliency maps is high, parted from the rest by Otsu's threshold.

    Args:
        maps: (N, S, S) float in [0, 1], of good photos.

    Returns:
        (S, S) bool, with a margin.

    Raises:
        CutSwapError: the maps are even, so that nothing can be hidden.
    """
    levels = np.rint(maps.mean(axis=0) * 255).astype(np.uint8)
    threshold = split_level(np.bincount(levels.reshape(-1), minlength=256))
    return _widened(levels > threshold, "saliency is even over the photos")


def _widened(region: np.ndarray, why: str) -> np.ndarray:
    import cv2

    reach = max(1, round(MARGIN * region.shape[0]))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    widened: np.ndarray = cv2.dilate(region.astype(np.uint8), disc) > 0
    if widened.all() or not widened.any():
        raise CutSwapError(
            "region",
            expected="photos of a part on a ground, of which something can be hidden",
            found=why,
            fix="look everywhere, pass another --by, or paint a mask yourself",
        )
    return widened
