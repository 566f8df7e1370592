"""Where the part is, without a network: NSA places its patches on the part (Schlueter et al. 2022).

NSA's authors set the brightness of each category's ground by hand and call the rest the part. Here
the ground is what most of the photo's border looks like; a photo without such a border is all part,
as a texture is.
"""

from __future__ import annotations

import numpy as np

from cutswap.negatives.anchors import DrawLog, Point, Size, draw_corner

TOLERANCE = 30  # levels of 255 around the ground's brightness
UNIFORM = 0.7  # share of the border that must look like the ground
LEAST = 0.05  # smaller is no part but spots on one
SHARE = 0.25  # of a patch that must show the part (NSA's min_object_pct)


def part_mask(photo: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 to (H, W) bool: pixels that differ in brightness from an even border.

    All True where the border is not even, or where little (under 5%) differs from it.
    """
    import cv2

    grey = photo.mean(axis=-1)
    rim = max(1, min(grey.shape) // 32)
    is_border = np.ones(grey.shape, dtype=bool)
    is_border[rim:-rim, rim:-rim] = False
    border = grey[is_border]
    ground = np.median(border)
    if (np.abs(border - ground) <= TOLERANCE).mean() < UNIFORM:
        return np.ones(grey.shape, dtype=bool)
    part = (np.abs(grey - ground) > TOLERANCE).astype(np.uint8)
    part = cv2.medianBlur(part, 7) > 0  # grain, as NSA's authors remove it
    return part if part.mean() >= LEAST else np.ones(grey.shape, dtype=bool)


def draw_places(
    photo: np.ndarray,
    cut: Size,
    placed: Size,
    rng: np.random.Generator,
    tally: DrawLog,
    *,
    max_tries: int,
) -> tuple[Point, Point]:
    """Upper-left corners of a patch's source and target, a quarter of both on the part.

    Args:
        photo: (H, W, 3) uint8.
        cut: (height, width) of the source.
        placed: (height, width) of the target.
        rng: source of every draw.
        tally: receives rejections, and the fallback to places anywhere.
        max_tries: pairs of places before that fallback.
    """
    part = part_mask(photo)
    size = (photo.shape[0], photo.shape[1])
    for _ in range(max_tries):
        source, target = draw_corner(size, cut, rng), draw_corner(size, placed, rng)
        if _share(part, source, cut) >= SHARE and _share(part, target, placed) >= SHARE:
            return source, target
        tally.rejected["off the part"] += 1
    tally.fallbacks.append("places anywhere: no pair of places on the part was found")
    return draw_corner(size, cut, rng), draw_corner(size, placed, rng)


def _share(part: np.ndarray, corner: Point, size: Size) -> float:
    y, x = corner
    return float(part[y : y + size[0], x : x + size[1]].mean())
