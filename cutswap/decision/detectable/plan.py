"""Which defects are painted, and where: every kind, size and contrast at places all over a photo.

The part of the photos that is looked at is divided into `GRID` x `GRID` cells, which are visited in
rounds, each in a new order: every cell gets about as many defects of each kind, size and contrast
as any other, so that two cells can be compared. Photos take turns, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cutswap.config import SWAP, DetectableSettings
from cutswap.data.regions.frame import Frame
from cutswap.errors import CutSwapError

GRID = 6  # cells a side: 30 defects each at the defaults, and a cell is wider than most defects
STEPS = 6  # sizes, where none are named
SMALLEST, LARGEST = 0.005, 0.25  # of the photo's shorter side, the first and the last of them
FEWEST_PIXELS, MOST_PIXELS = 2, 128  # that these may be
MOST_DEFECTS = 20_000  # in all: half an hour on two cores
_TRIES = 60  # draws of the place that a swapped patch comes from
_STREAM = 23  # second entry of the seed tuple

Point = tuple[int, int]
Size = tuple[int, int]


@dataclass(frozen=True)
class PlannedDefect:
    """One defect to paint.

    Attributes:
        kind: one of `DEFECT_KINDS`.
        size: pixels of the photo, see `DetectableSettings.sizes`.
        contrast: percent.
        photo: which one, 0 for the first.
        at: (y, x) of its middle, pixels of the photo.
        source: of a swap the middle of the other patch.
        angle: of a scratch, radians.
        seed: of what is irregular in it.
    """

    kind: str
    size: int
    contrast: int
    photo: int
    at: Point
    source: Point | None
    angle: float
    seed: int


def usual_sizes(shorter: int) -> tuple[int, ...]:
    """The sizes that are painted where none are named: `STEPS`, each as many times the one before.

    Args:
        shorter: shorter side of the smallest photo, pixels.
    """
    low = max(FEWEST_PIXELS, SMALLEST * shorter)
    high = max(low, min(MOST_PIXELS, LARGEST * shorter))
    return tuple(sorted({round(size) for size in np.geomspace(low, high, STEPS)}))


def plan(
    settings: DetectableSettings,
    photos: Sequence[Size],
    region: np.ndarray | None,
    size: int,
    resize: str,
    seed: int,
) -> tuple[PlannedDefect, ...]:
    """All defects, equal for equal arguments.

    Args:
        settings: what to paint.
        photos: (height, width) of each photo.
        region: (S, S) bool, where the detector looks in the square of a photo; None: everywhere.
        size: side S of that square.
        resize: how a photo becomes the square, see `Frame`.
        seed: of every draw.

    Returns:
        In the order of the photos.

    Raises:
        CutSwapError: no photo, a region that hides everything, defects larger than half a photo,
            or more than `MOST_DEFECTS`.
    """
    if not photos:
        raise CutSwapError(
            "good photos",
            expected="at least one to paint defects on",
            found="none",
            fix="add photos to test/good and evaluate again, or pass --photos FOLDER",
        )
    shorter = min(min(photo) for photo in photos)
    sizes = tuple(sorted(set(settings.sizes))) or usual_sizes(shorter)
    if max(sizes) > shorter // 2:
        raise CutSwapError(
            "--sizes",
            expected=f"at most {shorter // 2} pixels, half the photos' shorter side",
            found=max(sizes),
            fix="name smaller ones",
        )
    designs = [
        (kind, pixels, contrast)
        for kind in dict.fromkeys(settings.kinds)
        for contrast in dict.fromkeys(settings.contrasts)
        for pixels in sizes
    ]
    count = len(designs) * settings.places
    if not designs or count > MOST_DEFECTS:
        raise CutSwapError(
            "painted defects",
            expected=f"1 to {MOST_DEFECTS:,} kinds x sizes x contrasts x places",
            found=f"{count:,}",
            fix="name fewer sizes or contrasts, or fewer --places",
        )
    rng = np.random.default_rng((seed, _STREAM))
    turns = _endless(np.arange(len(photos)), rng)
    rooms = _Rooms(region, size, resize)
    cells = _endless(rooms.cells(photos), rng)
    planned = []
    for kind, pixels, contrast in designs:
        for _ in range(settings.places):
            number = int(next(turns))
            places = rooms.places(photos[number], pixels)
            at = places.draw(int(next(cells)), rng)
            source = places.away_from(at, pixels, rng) if kind == SWAP else None
            angle, own = float(rng.uniform(0, math.pi)), int(rng.integers(0, 2**16))
            planned.append(PlannedDefect(kind, pixels, contrast, number, at, source, angle, own))
    return tuple(sorted(planned, key=lambda one: one.photo))


def cell_of(share: float) -> int:
    """Which row or column of the grid a place is in, by its share of the part that is seen."""
    return min(GRID - 1, max(0, int(share * GRID)))


class _Rooms:
    """Where defects may lie in photos of one or several sizes; each is worked out once."""

    def __init__(self, region: np.ndarray | None, size: int, resize: str) -> None:
        self._region, self._size, self._resize = region, size, resize
        self._known: dict[tuple[Size, int], _Places] = {}

    def places(self, photo: Size, pixels: int) -> _Places:
        """For defects of a size."""
        key = (photo, pixels)
        if key not in self._known:
            frame = Frame(photo, self._size, self._resize)
            self._known[key] = _Places(frame, self._seen(frame), pixels)
        return self._known[key]

    def cells(self, photos: Sequence[Size]) -> np.ndarray:
        """Cells of the grid in which any photo has a place that is looked at, flat numbers.

        Raises:
            CutSwapError: none: the region hides everything.
        """
        found: set[int] = set()
        for photo in sorted(set(photos)):
            seen = self._seen(Frame(photo, self._size, self._resize))
            rows, columns = np.nonzero(seen)
            found.update(_flat(rows, columns, seen.shape).tolist())
        if not found:
            raise CutSwapError(
                "region",
                expected="a region that shows some of the photos",
                found="one that hides everything",
                fix="correct the category's region.png and evaluate again",
            )
        return np.array(sorted(found))

    def _seen(self, frame: Frame) -> np.ndarray:
        """(h, w) bool of the square's part that shows the photo."""
        top, left, height, width = frame.target
        if self._region is None:
            return np.ones((height, width), bool)
        return self._region[top : top + height, left : left + width]


class _Places:
    """Middles of defects of one size in photos of one size, so that they lie inside the photo."""

    def __init__(self, frame: Frame, seen: np.ndarray, pixels: int) -> None:
        self._frame, self._shape = frame, seen.shape
        inside = np.zeros_like(seen)
        _, _, height, width = frame.source
        down, right = (
            math.ceil((pixels / 2 + 1) * part / side)
            for part, side in zip(seen.shape, (height, width), strict=True)
        )
        inside[
            down : max(down, seen.shape[0] - down), right : max(right, seen.shape[1] - right)
        ] = 1
        allowed = seen & inside
        # Along a region that is nothing but the photo's border, defects are cut off by it.
        self._rows, self._columns = np.nonzero(allowed if allowed.any() else seen)
        self._cells = _flat(self._rows, self._columns, seen.shape)

    def draw(self, cell: int, rng: np.random.Generator) -> Point:
        """One in a cell, or in the nearest one that has a place."""
        rows, columns = np.divmod(self._cells, GRID)
        far = (rows - cell // GRID) ** 2 + (columns - cell % GRID) ** 2
        return self._at(int(rng.choice(np.flatnonzero(far == far.min()))), rng)

    def away_from(self, at: Point, pixels: int, rng: np.random.Generator) -> Point:
        """One whose patch lies beside the other; where there is no room, the farthest drawn."""
        best, most = at, -1
        for _ in range(_TRIES):
            other = self._at(int(rng.integers(len(self._rows))), rng)
            far = max(abs(other[0] - at[0]), abs(other[1] - at[1]))
            if far >= pixels:
                return other
            if far > most:
                best, most = other, far
        return best

    def _at(self, index: int, rng: np.random.Generator) -> Point:
        """A pixel of the photo whose middle lies in a pixel of the square."""
        top, left, height, width = self._frame.source
        return (
            top + _drawn(int(self._rows[index]), self._shape[0], height, rng),
            left + _drawn(int(self._columns[index]), self._shape[1], width, rng),
        )


def _drawn(number: int, parts: int, side: int, rng: np.random.Generator) -> int:
    """One of the `side` pixels whose middles lie in the part of that number, or the nearest."""
    low, end = (math.ceil(n * side / parts - 0.5) for n in (number, number + 1))
    return min(side - 1, int(rng.integers(low, max(end, low + 1))))


def _flat(rows: np.ndarray, columns: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Flat numbers of the cells that pixels of (h, w) are in."""
    return (rows * GRID // shape[0]) * GRID + columns * GRID // shape[1]


def _endless(values: np.ndarray, rng: np.random.Generator) -> Iterator[int]:
    """Each once a round, every round in another order."""
    while True:
        yield from rng.permutation(values)
