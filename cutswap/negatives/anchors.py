"""Where a pair of patches may stand: inside the image, apart, both anchored in the region.

At 256 pixels with CutPaste's sizes and free anchors 52% of single patches leave the image, and in
a compact cluster of 20 pixels' radius 99.6% of pairs overlap, so redrawing alone fails: after
`max_tries` pairs the patch shrinks and drawing goes on. Every rejected pair is counted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from cutswap.errors import CutSwapError

Point = tuple[int, int]  # (y, x), pixels
Size = tuple[int, int]  # (height, width), pixels

SHRINK = 0.8  # sides; five steps divide the area by ten


@dataclass
class DrawLog:
    """Fallbacks of a draw, for the record.

    Attributes:
        rejected: pairs thrown away, by reason.
        fallbacks: departures from the plain rule, in words.
    """

    rejected: Counter[str] = field(default_factory=Counter)
    fallbacks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class AnchorPair:
    """Two upper-left corners and the size that fits both.

    Attributes:
        first: a1 (y, x) as drawn from the region, possibly moved inward.
        second: a2 likewise.
        size: (height, width) of either patch, possibly shrunk.
    """

    first: Point
    second: Point
    size: Size


def draw_pair(
    region: np.ndarray,
    size: Size,
    rng: np.random.Generator,
    tally: DrawLog,
    *,
    max_tries: int,
    avoid_overlap: bool,
) -> AnchorPair:
    """Draw two different anchors from a region so that both patches lie inside the image.

    Args:
        region: (H, W) bool with at least two pixels.
        size: (height, width) wanted, at most (H, W).
        rng: source of every draw.
        tally: receives rejections and fallbacks.
        max_tries: pairs drawn at one size before the patch is shrunk.
        avoid_overlap: whether the two patches must be apart.

    Raises:
        CutSwapError: fewer than two pixels, so no pair.
    """
    if np.count_nonzero(region) < 2:
        raise CutSwapError(
            "anchor region",
            expected="at least two pixels",
            found=np.count_nonzero(region),
            fix="use a larger image",
        )
    wanted = size
    while True:
        corners, width, moved = _corners(region, size)
        if len(corners) >= 2:
            pair = _try_pairs(corners, width, size, rng, tally, max_tries, avoid_overlap)
            if pair is not None:
                break
        # One-pixel patches at two different anchors never overlap, so this ends.
        size = (max(1, int(size[0] * SHRINK)), max(1, int(size[1] * SHRINK)))
    if moved:
        tally.fallbacks.append("anchors moved inward: the region is too close to the border")
    if size != wanted:
        tally.fallbacks.append(
            f"patch shrunk from {wanted[0]}x{wanted[1]} to {size[0]}x{size[1]}:"
            " the region is too compact for two patches apart"
        )
    first, second = pair
    return AnchorPair(first, second, size)


def draw_corner(image_size: Size, size: Size, rng: np.random.Generator) -> Point:
    """One upper-left corner, uniform over all that keep the patch inside the image."""
    return (
        int(rng.integers(image_size[0] - size[0] + 1)),
        int(rng.integers(image_size[1] - size[1] + 1)),
    )


def fitting_corners(region: np.ndarray, size: Size) -> np.ndarray:
    """Every corner that `draw_pair` draws from at one size.

    Args:
        region: (H, W) bool.
        size: (height, width) of a patch, at most (H, W).

    Returns:
        (H, W) bool: pixels of the region whose patch lies inside the image; where they are fewer
        than two, all of the region, moved inward.
    """
    corners, width, _ = _corners(region, size)
    fitting = np.zeros(region.shape, dtype=bool)
    fitting[np.divmod(corners, width)] = True
    return fitting


def _corners(region: np.ndarray, size: Size) -> tuple[np.ndarray, int, bool]:
    """Distinct corners that fit, and whether they had to be moved inward.

    Returns:
        (n,) int64 corners as y * width + x, that width, and whether they were moved.
    """
    bottom, right = region.shape[0] - size[0], region.shape[1] - size[1]
    fitting = np.flatnonzero(region[: bottom + 1, : right + 1])  # in pairs it takes twice as long
    if len(fitting) >= 2:
        return fitting, right + 1, False
    y, x = np.divmod(np.flatnonzero(region), region.shape[1])
    moved = np.minimum(y, bottom) * region.shape[1] + np.minimum(x, right)
    return np.unique(moved), region.shape[1], True


def _try_pairs(
    corners: np.ndarray,
    width: int,
    size: Size,
    rng: np.random.Generator,
    tally: DrawLog,
    max_tries: int,
    avoid_overlap: bool,
) -> tuple[Point, Point] | None:
    draws = corners[rng.integers(len(corners), size=(max_tries, 2))]  # (tries, 2 anchors)
    pair, same, overlapping = None, 0, 0
    for first, second in draws.tolist():  # the first pair mostly does
        (y1, x1), (y2, x2) = divmod(first, width), divmod(second, width)
        if first == second:
            same += 1
        elif avoid_overlap and abs(y1 - y2) < size[0] and abs(x1 - x2) < size[1]:
            overlapping += 1
        else:
            pair = (y1, x1), (y2, x2)
            break
    tally.rejected["same anchor"] += same
    if avoid_overlap:
        tally.rejected["overlap"] += overlapping
    return pair
