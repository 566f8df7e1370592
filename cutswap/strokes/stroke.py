"""One stroke on a photo as a plain record: what it is, where, how large, and its seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cutswap.errors import CutSwapError

BRUSH, SCRATCH, STAIN, ERASER, PATCH = "brush", "scratch", "stain", "eraser", "patch"
KINDS = (BRUSH, SCRATCH, STAIN, ERASER, PATCH)
LARGEST_SIDE = 2048  # pixels of a photo that is painted on
LARGEST_SIZE = 128  # pixels
LARGEST_SEED = 65_535
MOST_POINTS = 60  # of one stroke
MOST_STROKES = 40
MOST_IN_ALL = 600  # points of all strokes: with MOST_STROKES it bounds the length of a link

PhotoPoint = tuple[int, int]


@dataclass(frozen=True)
class Stroke:
    """A stroke; equal strokes paint equal pixels.

    Attributes:
        kind: one of `KINDS`.
        points: (y, x) in pixels of the photo, from 0 to `LARGEST_SIDE` - 1; what lies outside the
            photo paints nothing. A line through all of them, or a dot where there is one. Of a
            patch two: the centre it is taken from, and the centre it is dropped at.
        size: width of the line, or side of the patch, pixels, 1 to `LARGEST_SIZE`.
        colour: (r, g, b), 0 to 255; eraser and patch do not use it.
        strength: percent, 1 to 100; at 100 what is below is hidden. The eraser does not use it.
        seed: of what is irregular in a scratch or a stain, 0 to `LARGEST_SEED`.

    Raises:
        CutSwapError: any of these is something else.
    """

    kind: str
    points: tuple[PhotoPoint, ...]
    size: int
    colour: tuple[int, int, int] = (0, 0, 0)
    strength: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise _bad("kind", f"one of {', '.join(KINDS)}", repr(self.kind)[:40])
        count = len(self.points)
        if self.kind == PATCH and count != 2:
            raise _bad("points of a patch", "two: where it is taken from, and dropped at", count)
        if not 1 <= count <= MOST_POINTS:
            raise _bad("points", f"1 to {MOST_POINTS}", count)
        for point in self.points:
            if len(point) != 2:
                raise _bad("point", "a row and a column", repr(point)[:40])
            for value in point:
                _need("point", value, 0, LARGEST_SIDE - 1)
        _need("size", self.size, 1, LARGEST_SIZE)
        if len(self.colour) != 3:
            raise _bad("colour", "red, green and blue", repr(self.colour)[:40])
        for value in self.colour:
            _need("colour", value, 0, 255)
        _need("strength", self.strength, 1, 100)
        _need("seed", self.seed, 0, LARGEST_SEED)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "kind": self.kind,
            "points": [list(point) for point in self.points],
            "size": self.size,
            "colour": list(self.colour),
            "strength": self.strength,
            "seed": self.seed,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Stroke:
        """Rebuild from `to_dict` output, or from what a browser sends.

        Raises:
            CutSwapError: values that are missing, of other kinds, or out of range.
        """
        try:
            points = tuple((y, x) for y, x in values["points"])
            red, green, blue = values["colour"]
            return cls(
                kind=values["kind"],
                points=points,
                size=values["size"],
                colour=(red, green, blue),
                strength=values["strength"],
                seed=values["seed"],
            )
        except (LookupError, TypeError, ValueError) as error:
            wanted = "kind, points, size, colour, strength and seed"
            raise _bad("record", wanted, repr(error)[:80]) from error

    def scaled(self, factor: float) -> Stroke:
        """The same on a photo whose sides are so many times longer, in whole pixels of that."""
        last = LARGEST_SIDE - 1
        points = tuple(
            (min(last, round((y + 0.5) * factor - 0.5)), min(last, round((x + 0.5) * factor - 0.5)))
            for y, x in self.points
        )
        points = tuple((max(0, y), max(0, x)) for y, x in points)
        size = min(LARGEST_SIZE, max(1, round(self.size * factor)))
        return Stroke(self.kind, points, size, self.colour, self.strength, self.seed)


def need_room(strokes: Sequence[Stroke]) -> None:
    """Refuse a painting that is too large for a link.

    Args:
        strokes: all of them.

    Raises:
        CutSwapError: more than `MOST_STROKES`, or more than `MOST_IN_ALL` points.
    """
    if len(strokes) > MOST_STROKES:
        raise CutSwapError(
            "painting",
            expected=f"at most {MOST_STROKES} strokes",
            found=len(strokes),
            fix="undo some, or clear it",
        )
    points = sum(len(stroke.points) for stroke in strokes)
    if points > MOST_IN_ALL:
        raise CutSwapError(
            "painting",
            expected=f"at most {MOST_IN_ALL} points of all strokes",
            found=points,
            fix="undo some, or paint shorter strokes",
        )


def _need(name: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise _bad(name, f"a whole number from {low} to {high}", repr(value)[:40])


def _bad(name: str, expected: str, found: object) -> CutSwapError:
    return CutSwapError(
        f"stroke, {name}", expected=expected, found=found, fix="paint the stroke again"
    )
