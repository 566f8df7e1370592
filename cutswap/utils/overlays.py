"""Pictures for the eye: colour maps, overlays, outlines and sheets, from arrays to new arrays."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

# Okabe and Ito's palette without black and yellow: told apart by colour-blind readers too.
CATEGORY_COLOURS = np.array(
    [
        [0, 114, 178], [86, 180, 233], [0, 158, 115], [230, 159, 0],
        [213, 94, 0], [204, 121, 167], [120, 94, 240], [150, 150, 150],
    ],
    dtype=np.uint8,
)  # fmt: skip


def colourise(values: np.ndarray, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """(H, W) float to (H, W, 3) uint8 in the perceptually uniform inferno map.

    Args:
        values: any range; clipped to [low, high].
        low: shown black.
        high: shown bright yellow; pass the whole category's range to compare pictures honestly.
    """
    span = max(high - low, 1e-30)
    level = np.clip((values - low) / span, 0, 1)
    coloured = cv2.applyColorMap((level * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.ascontiguousarray(coloured[..., ::-1])  # OpenCV gives blue first


def blend(photo: np.ndarray, heat: np.ndarray, opacity: float | np.ndarray = 0.5) -> np.ndarray:
    """Heat over a photo, both (H, W, 3) uint8.

    Args:
        photo: below.
        heat: above.
        opacity: in [0, 1], 0 shows the photo alone; one for all pixels, or (H, W) float.
    """
    share = np.asarray(opacity, np.float32)
    share = share[..., None] if share.ndim else share
    mixed = photo.astype(np.float32) * (1 - share) + heat.astype(np.float32) * share
    return mixed.round().astype(np.uint8)


def rising(values: np.ndarray, start: float, full: float) -> np.ndarray:
    """How much of the heat is to be seen, so that ordinary places stay clear.

    Args:
        values: (H, W) float.
        start: up to it nothing is seen.
        full: from it everything is.

    Returns:
        (H, W) float in [0, 1], rising in between.
    """
    return np.clip((values - start) / max(full - start, 1e-30), 0, 1)


def colour_regions(regions: np.ndarray) -> np.ndarray:
    """(H, W) int cluster ids to (H, W, 3) uint8; the colour of an id is always the same."""
    return CATEGORY_COLOURS[regions % len(CATEGORY_COLOURS)]


def outline(photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A copy of the photo with the mask's border in white on black, visible on any ground."""
    shapes, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    drawn = photo.copy()
    cv2.drawContours(drawn, shapes, -1, (0, 0, 0), 3)
    cv2.drawContours(drawn, shapes, -1, (255, 255, 255), 1)
    return drawn


def veil(picture: np.ndarray, photo: np.ndarray, region: np.ndarray) -> np.ndarray:
    """A picture of a photo where (H, W) bool is True; outside, the photo at half its brightness."""
    shown = np.where(region[..., None], picture, photo // 2)
    return outline(shown, region)


def sheet(photos: Sequence[np.ndarray], columns: int, gap: int = 4) -> np.ndarray:
    """Photos of one size in rows on white: a list of (H, W, 3) uint8 to one (H', W', 3) uint8."""
    height, width = photos[0].shape[:2]
    rows = -(-len(photos) // columns)
    page = np.full(
        (rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, dtype=np.uint8
    )
    for index, photo in enumerate(photos):
        y, x = (index // columns) * (height + gap), (index % columns) * (width + gap)
        page[y : y + height, x : x + width] = photo
    return page
