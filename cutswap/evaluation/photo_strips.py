"""A scored photo as a strip of small pictures: the photo, its heat, and what is marked."""

from __future__ import annotations

import cv2
import numpy as np

from cutswap.data.images import resize_mask
from cutswap.utils.overlays import blend, colourise, outline, rising, sheet, veil

FULL = 0.3  # share of the way from the usual heat to the highest, from which heat is full
OPACITY = 0.75  # of full heat: the part below is still recognised
DIM = 0.45  # brightness around what is marked
GAP = 3  # pixels between the pictures


def clear_and_full(usual: float, highest: float) -> tuple[float, float]:
    """Values up to which heat is clear, and from which it is full.

    Args:
        usual: value that good photos usually keep below.
        highest: of the whole test set.
    """
    return usual, usual + FULL * max(highest - usual, 0.0)


def photo_strip(
    photo: np.ndarray,
    values: np.ndarray,
    span: tuple[float, float],
    usual: float | None = None,
    mask: np.ndarray | None = None,
    region: np.ndarray | None = None,
) -> np.ndarray:
    """Photo and heat beside each other, and the truth as a third where it is known.

    Args:
        photo: (s, s, 3) uint8.
        values: (S, S) float32 heatmap, of any side.
        span: values shown black and bright yellow.
        usual: value that good photos usually keep below: heat is clear up to it; None: heat is
            seen everywhere.
        mask: (S', S') bool of any side, True on defects, all False for a good photo; None: nobody
            knows.
        region: (S'', S'') bool of any side, where was looked: around it photo and heat show the
            dimmed photo behind its outline; None: everywhere.

    Returns:
        (s, n * s + gaps, 3) uint8, n = 2 or 3. In the third what is marked has the photo's
        brightness and an outline, and the rest is dark.
    """
    side = photo.shape[0]
    heat = cv2.resize(np.asarray(values, np.float32), (side, side), interpolation=cv2.INTER_AREA)
    opacity: float | np.ndarray = OPACITY
    if usual is not None:
        opacity = OPACITY * rising(heat, *clear_and_full(usual, span[1]))
    pictures = [photo, blend(photo, colourise(heat, *span), opacity)]
    if region is not None and not region.all():
        inside = resize_mask(region, (side, side))
        pictures = [veil(picture, photo, inside) for picture in pictures]
    if mask is not None:
        pictures.append(_truth(photo, mask))
    return sheet(pictures, len(pictures), GAP)


def _truth(photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
    side = photo.shape[0]
    # By area, and any of it counts: a small defect must not fall between two pixels.
    share = cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    marked = share > 0
    shown = np.where(marked[..., None], photo, (photo * DIM).astype(np.uint8))
    return outline(shown, marked) if marked.any() else shown
