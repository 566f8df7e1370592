"""Pillow's turn of the colour circle, bit for bit, in a quarter of its time.

Pillow goes to HSV and back pixel by pixel with divisions: 4 ms for 256 x 256 pixels, more than all
the rest of a sample. But hue is decided by the order of the three channels and two of their
differences, saturation by the largest channel and one difference: what Pillow makes of every such
case is read from it once, 0.6 million pixels in all, and looked up afterwards. Only the middle
channel of the result depends on three levels at once; it is computed, in Pillow's own arithmetic.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

_LAST = 255  # the hue that begins the circle again
# Of red >= green, green >= blue and blue >= red (1, 2 and 4) the ranks of red, green and blue.
_ORDERS = {1: (0, 2, 1), 2: (1, 0, 2), 3: (0, 1, 2), 4: (2, 1, 0), 5: (1, 2, 0), 6: (2, 0, 1)}


Planes = Sequence[np.ndarray]  # red, green and blue, each (H, W) uint8


def turned_hue(planes: Planes, shift: int) -> Planes:
    """Add to the hue of every pixel, as `Image.convert("HSV")`, a shift and the way back do.

    Args:
        planes: red, green and blue, each (H, W) uint8.
        shift: 0 to 255, of a circle of 256.

    Returns:
        The same three, new.
    """
    import cv2

    known = _tables()
    red, green, blue = planes
    high = cv2.max(cv2.max(red, green), blue)
    low = cv2.min(cv2.min(red, green), blue)
    middle = cv2.max(cv2.min(red, green), cv2.min(cv2.max(red, green), blue))
    span = cv2.subtract(high, low)
    # Which of six orders the channels are in, as three bits.
    order = (red >= green).view(np.uint8)
    order = order + (green >= blue) * np.uint8(2) + (blue >= red) * np.uint8(4)
    hue = known.hue.take(_joined(cv2.subtract(high, middle), span, order, np.zeros_like(order)))
    hue += np.uint8(shift)  # beyond 255 it begins at 0 again
    grey = known.grey.take(_joined(span, high))  # saturation, and the lowest channel of the result
    saturation, lowest = cv2.split(grey.view(np.uint8).reshape(*grey.shape, 2))
    between = known.share.take(_joined(saturation, hue))
    between *= high
    between += np.float32(0.5)
    return _arranged(hue, high, between.astype(np.uint8), lowest, known.starts)


@dataclass(frozen=True)
class _Tables:
    """What Pillow makes of every case.

    Attributes:
        hue: (8 * 256 * 256,) uint8 by [order, highest - lowest, highest - middle].
        grey: (256 * 256,) uint16 by [highest, highest - lowest]: saturation, and times 256 what
            the lowest channel becomes; neither depends on the hue.
        share: (256 * 256,) float32 by [hue, saturation]: middle over highest channel. Pillow
            multiplies in double precision; single gives the same level in all 2^24 cases.
        starts: the hues at which the second to sixth sector of the circle begin.
    """

    hue: np.ndarray
    grey: np.ndarray
    share: np.ndarray
    starts: tuple[int, ...]


@functools.cache
def _tables() -> _Tables:
    levels = np.arange(256)
    span, down = (a.reshape(-1) for a in np.meshgrid(levels, levels, indexing="ij"))
    down = np.minimum(span, down)  # the middle is no lower than the lowest
    ranked = np.stack([np.full_like(span, 255), 255 - down, 255 - span], axis=1).astype(np.uint8)
    hue = np.zeros((8, 256 * 256), np.uint8)
    for bits, ranks in _ORDERS.items():
        hue[bits] = _hsv(ranked[:, ranks])[:, 0]
    high, span = (a.reshape(-1) for a in np.meshgrid(levels, levels, indexing="ij"))
    lowest = np.maximum(high - span, 0)
    saturation = _hsv(np.stack([high, lowest, lowest], axis=1).astype(np.uint8))[:, 1]
    hsv = np.stack([np.zeros_like(high), saturation, high], axis=1).astype(np.uint8)
    lowest = np.asarray(Image.fromarray(hsv[None], "HSV").convert("RGB"))[0, :, 2]
    grey = saturation.astype(np.uint16) + (lowest.astype(np.uint16) << 8)
    sector = np.floor(levels * 6.0 / 255.0)
    return _Tables(
        hue.reshape(-1),
        grey,
        _shares(sector).reshape(-1),
        tuple(int(np.argmax(sector == i)) for i in range(1, 6)),
    )


def _shares(sector: np.ndarray) -> np.ndarray:
    """(256, 256) float32 by [hue, saturation], in single and double precision as `hsv2rgb` in C."""
    levels = np.arange(256)
    turn = (levels * 6.0 / 255.0 - sector).astype(np.float32)
    turn[_LAST] = 1.0  # the end of the last sector is the beginning of the first
    grade = (levels / 255.0).astype(np.float32)
    falls = (sector.astype(int) % 2 == 1) | (levels == _LAST)
    falling = 1.0 - (turn[:, None] * grade).astype(np.float64)
    rising = 1.0 - grade.astype(np.float64) * (1.0 - turn[:, None].astype(np.float64))
    return np.where(falls[:, None], falling, rising).astype(np.float32)


def _arranged(
    hue: np.ndarray,
    high: np.ndarray,
    between: np.ndarray,
    low: np.ndarray,
    starts: tuple[int, ...],
) -> Planes:
    """Who is red, green and blue in each sector of the circle; masks, as choosing takes longer."""
    import cv2

    edges = (0, *starts, _LAST + 1)
    inside: list[np.ndarray] = [
        cv2.inRange(hue, a, b - 1) for a, b in zip(edges, edges[1:], strict=False)
    ]
    most, some = low ^ high, low ^ between
    return [
        low ^ (most & (inside[a] | inside[b])) ^ (some & (inside[c] | inside[d]))
        for a, b, c, d in ((5, 0, 1, 4), (1, 2, 0, 3), (3, 4, 2, 5))
    ]


def _joined(*planes: np.ndarray) -> np.ndarray:
    """(H, W) bytes to the (H, W) whole numbers they make, the lowest byte first."""
    import cv2

    return cv2.merge(planes).view(f"<u{len(planes)}")[..., 0]


def _hsv(rgb: np.ndarray) -> np.ndarray:
    """(n, 3) uint8 to (n, 3) uint8, by Pillow."""
    return np.asarray(Image.fromarray(np.ascontiguousarray(rgb)[None]).convert("HSV"))[0]
