"""A planned defect on its photo: the painted photo, and which pixels are the defect.

Scratches and spots are strokes (`cutswap.strokes`); a swap exchanges two square patches of the
photo, the plainest of CutSwap's negatives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cutswap.config import SCRATCH, SPOT
from cutswap.decision.detectable.plan import PlannedDefect, Point
from cutswap.strokes import stroke as strokes
from cutswap.strokes.rendering import paint_strokes, painted_mask
from cutswap.strokes.stroke import Stroke

SLENDER = 8  # a scratch is so many times longer than wide
_ROOM = 4  # pixels of photo around a stroke, more than it paints beyond its size


Window = tuple[slice, slice]


@dataclass(frozen=True)
class PaintedDefect:
    """A photo with one defect.

    Attributes:
        photo: (H, W, 3) uint8, its own memory.
        rows: (P,) int, rows of the pixels at the defect's place: those that changed, of a swap in
            the patch where it is planned; the middle alone where nothing changed.
        columns: (P,) int, their columns.
        share: of the photo's pixels that changed, in [0, 1].
        change: mean difference of those pixels, grey levels of 255.
    """

    photo: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    share: float
    change: float


def paint_defect(photo: np.ndarray, defect: PlannedDefect) -> PaintedDefect:
    """Paint it.

    Args:
        photo: (H, W, 3) uint8, without it.
        defect: in pixels of this photo; contrast 0 changes none of them.
    """
    painted = photo.copy()
    here = _window(photo, defect.at, defect.size)
    windows = [here]
    if defect.contrast:
        if defect.source is None:
            whole = photo[here]
            corner = here[0].start, here[1].start
            painted[here] = paint_strokes(whole, [_stroke(whole, defect, corner)])
        else:
            windows = _swap(photo, painted, defect)
    masks = [painted_mask(photo[w], painted[w]) for w in windows]
    steps = [np.abs(photo[w].astype(int) - painted[w]).mean(axis=2) for w in windows]
    changed = sum(int(mask.sum()) for mask in masks)
    total = sum(float(step.sum()) for step in steps)
    rows, columns = np.nonzero(masks[0])
    if len(rows):
        rows, columns = rows + windows[0][0].start, columns + windows[0][1].start
    else:
        rows, columns = np.array([defect.at[0]]), np.array([defect.at[1]])
    height, width = photo.shape[:2]
    return PaintedDefect(
        painted, rows, columns, changed / (height * width), total / changed if changed else 0.0
    )


def _stroke(whole: np.ndarray, defect: PlannedDefect, corner: Point) -> Stroke:
    """A scratch or a spot in the pixels of its window."""
    y, x = defect.at[0] - corner[0], defect.at[1] - corner[1]
    # The farther of the two: as many percent of a shorter way would be fewer grey levels.
    level = 0 if whole.mean() > 127 else 255
    colour = (level, level, level)
    points: tuple[Point, ...]
    if defect.kind == SPOT:
        points, width, kind = ((y, x),), defect.size, strokes.BRUSH
    else:
        assert defect.kind == SCRATCH  # noqa: S101 - swaps have a source
        width, kind = max(1, round(defect.size / SLENDER)), strokes.SCRATCH
        half = (defect.size - width) / 2  # its ends are round and as wide as it is
        down, right = math.sin(defect.angle) * half, math.cos(defect.angle) * half
        points = tuple(
            (max(0, round(y + sign * down)), max(0, round(x + sign * right))) for sign in (-1, 1)
        )
    return Stroke(kind, points, width, colour, defect.contrast, defect.seed)


def _swap(photo: np.ndarray, painted: np.ndarray, defect: PlannedDefect) -> list[Window]:
    """Exchange two patches in `painted`; both places, the defect's own first."""
    assert defect.source is not None  # noqa: S101 - it is a swap
    size = defect.size
    boxes = [_square(photo, middle, size) for middle in (defect.at, defect.source)]
    pair = np.concatenate([photo[box] for box in boxes], axis=1)
    middles = [(size // 2, size // 2), (size // 2, size + size // 2)]
    for number, box in enumerate(boxes):
        way = (middles[1 - number], middles[number])
        both = paint_strokes(
            pair, [Stroke(strokes.PATCH, way, size, strength=defect.contrast, seed=0)]
        )
        painted[box] = both[:, number * size : (number + 1) * size]
    return boxes


def _square(photo: np.ndarray, middle: Point, size: int) -> Window:
    """A patch around a middle, moved into the photo where it would leave it."""
    starts = [
        min(max(0, at - size // 2), side - size)
        for at, side in zip(middle, photo.shape[:2], strict=True)
    ]
    return slice(starts[0], starts[0] + size), slice(starts[1], starts[1] + size)


def _window(photo: np.ndarray, middle: Point, size: int) -> Window:
    """The part of the photo that a stroke may change."""
    reach = size // 2 + _ROOM
    rows, columns = (
        slice(max(0, at - reach), min(side, at + reach + 1))
        for at, side in zip(middle, photo.shape[:2], strict=True)
    )
    return rows, columns
