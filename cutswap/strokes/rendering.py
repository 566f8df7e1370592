"""From a photo and strokes to the painted photo; equal records paint equal pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cutswap.strokes.stroke import BRUSH, ERASER, PATCH, SCRATCH, STAIN, Stroke

GRAIN = 6  # pixels: how fine the irregularities of a scratch are
_THIN, _FAINT = 0.5, 0.6  # share of a scratch's width, and of its strength, that varies
_SHADOW = 0.5  # strength of the dark edge beside a scratch, of its own
_RAGGED = 0.4  # share of a stain's radius by which its border varies

Slices = tuple[slice, slice]
Painter = Callable[[np.ndarray, np.ndarray, Stroke], None]


def paint_strokes(photo: np.ndarray, strokes: Sequence[Stroke]) -> np.ndarray:
    """A copy of a photo with strokes on it, the later over the earlier.

    Args:
        photo: (H, W, 3) uint8, as it is without them; what the eraser gives back.
        strokes: their points are pixels of this photo.

    Returns:
        (H, W, 3) uint8, its own memory. No pixel farther from a stroke's line than its size
        changes; without strokes none does.
    """
    painted = photo.copy()
    for stroke in strokes:
        _PAINTERS[stroke.kind](painted, photo, stroke)
    return painted


def painted_mask(photo: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """(H, W) bool, True where two photos (H, W, 3) uint8 differ in any channel."""
    return np.asarray((photo != painted).any(axis=2))


def _paint_brush(painted: np.ndarray, _: np.ndarray, stroke: Stroke) -> None:
    place, far = _distances(painted.shape, stroke)
    _mix(painted, place, _covered(far, stroke.size / 2) * (stroke.strength / 100), stroke.colour)


def _paint_scratch(painted: np.ndarray, _: np.ndarray, stroke: Stroke) -> None:
    """A line of uneven width and depth with a dark edge on one side, as under a lamp."""
    place, far = _distances(painted.shape, stroke)
    if not far.size:
        return
    rng = np.random.default_rng(stroke.seed)
    width, depth = (_noise(far.shape, rng, GRAIN) for _ in range(2))
    strength = stroke.strength / 100 * (1 - _FAINT * depth)
    radius = stroke.size / 2 * (1 - _THIN * width)
    line = _covered(far, radius)
    edge = np.zeros_like(line)
    edge[1:, 1:] = line[:-1, :-1]
    _mix(painted, place, np.clip(edge - line, 0, 1) * strength * _SHADOW, (0, 0, 0))
    _mix(painted, place, line * strength, stroke.colour)


def _paint_stain(painted: np.ndarray, _: np.ndarray, stroke: Stroke) -> None:
    """A soft blob along the line whose border is ragged and whose middle is uneven."""
    place, far = _distances(painted.shape, stroke)
    if not far.size:
        return
    rng = np.random.default_rng(stroke.seed)
    border, middle = (_noise(far.shape, rng, max(GRAIN, stroke.size // 3)) for _ in range(2))
    radius = np.maximum(stroke.size / 2 * (1 - _RAGGED * border), 0.5)
    near = np.clip(1.25 * (1 - far / (radius + 0.5)), 0, 1)
    soft = near * near * (3 - 2 * near)
    _mix(painted, place, soft * (1 - 0.3 * middle) * (stroke.strength / 100), stroke.colour)


def _erase(painted: np.ndarray, photo: np.ndarray, stroke: Stroke) -> None:
    place, far = _distances(painted.shape, stroke)
    inside = far <= stroke.size / 2
    painted[place][inside] = photo[place][inside]


def _paste(painted: np.ndarray, _: np.ndarray, stroke: Stroke) -> None:
    """A square of what is painted so far, moved; what would leave the photo is cut off."""
    (from_y, from_x), (to_y, to_x) = stroke.points
    rows = _overlap(from_y, to_y, stroke.size, painted.shape[0])
    columns = _overlap(from_x, to_x, stroke.size, painted.shape[1])
    source, target = (rows[0], columns[0]), (rows[1], columns[1])
    share = stroke.strength / 100
    moved = painted[source].astype(np.float32) * share
    painted[target] = np.rint(painted[target] * np.float32(1 - share) + moved).astype(np.uint8)


_PAINTERS: dict[str, Painter] = {
    BRUSH: _paint_brush,
    SCRATCH: _paint_scratch,
    STAIN: _paint_stain,
    ERASER: _erase,
    PATCH: _paste,
}


def _distances(shape: tuple[int, ...], stroke: Stroke) -> tuple[Slices, np.ndarray]:
    """The part of the photo that a line may change, and (h, w) float32 pixels to its middle."""
    import cv2  # it takes longer to load than all else here

    reach = stroke.size // 2 + 2
    points = np.array(stroke.points)
    low = np.maximum(points.min(axis=0) - reach, 0)
    high = np.minimum(points.max(axis=0) + reach + 1, shape[:2])
    place = (slice(low[0], max(low[0], high[0])), slice(low[1], max(low[1], high[1])))
    # The line itself may lie outside the photo: distances are measured around all of it.
    top, end = points.min(axis=0) - reach, points.max(axis=0) + reach + 1
    off = np.ones(end - top, np.uint8)
    line = np.ascontiguousarray(
        (points - top)[:, ::-1], dtype=np.int32
    )  # x first, as OpenCV has it
    cv2.polylines(off, [line], isClosed=False, color=0)
    off[tuple(points[0] - top)] = 0  # of a line of one point OpenCV draws nothing
    far = cv2.distanceTransform(off, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    inside = tuple(
        slice(part.start - start, part.stop - start) for part, start in zip(place, top, strict=True)
    )
    return place, far[inside]


def _covered(far: np.ndarray, radius: float | np.ndarray) -> np.ndarray:
    """Share of each pixel that a line of a radius covers, in [0, 1]: its border is smooth."""
    return np.clip(radius + 0.5 - far, 0, 1)


def _noise(shape: tuple[int, ...], rng: np.random.Generator, grain: int) -> np.ndarray:
    """(h, w) float32 in [0, 1], blobs about `grain` pixels wide."""
    import cv2

    cells = rng.random([max(2, side // grain) for side in shape], dtype=np.float32)
    large = cv2.resize(cells, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.clip(large, 0, 1)


def _mix(
    painted: np.ndarray, place: Slices, share: np.ndarray, colour: tuple[int, int, int]
) -> None:
    """Lay a colour over a part of a photo, (h, w) float shares in [0, 1] of it."""
    share = share[..., None].astype(np.float32)
    below = painted[place].astype(np.float32)
    painted[place] = np.rint(below + (np.array(colour, np.float32) - below) * share).astype(
        np.uint8
    )


def _overlap(source: int, target: int, size: int, length: int) -> tuple[slice, slice]:
    """One axis of a moved patch: rows that are taken and rows that they come to, both inside."""
    start, goal = source - size // 2, target - size // 2
    skip = max(0, -start, -goal)
    count = max(0, min(size, length - start, length - goal) - skip)
    first, then = start + skip, goal + skip
    return slice(first, first + count), slice(then, then + count)
