"""The record of a negative: what moved where, enough to paint it again bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image

from cutswap.anchors import Point, Size
from cutswap.color_jitter import Jitter
from cutswap.config import METHODS
from cutswap.errors import CutSwapError


@dataclass(frozen=True)
class Move:
    """One patch on its way.

    Attributes:
        source: (y, x, height, width) cut from the positive.
        target: (y, x) of the upper-left corner of the placed, possibly rotated, patch.
        angle: degrees, counter-clockwise; the corners that rotation uncovers stay as they were.
        jitter: colours of the patch, or None.
    """

    source: tuple[int, int, int, int]
    target: Point
    angle: float = 0.0
    jitter: Jitter | None = None

    @property
    def placed_size(self) -> Size:
        """(height, width) of the box the placed patch fills."""
        return rotated_size(self.source[2:], self.angle)


@dataclass(frozen=True)
class NegativeRecord:
    """Everything needed to paint a negative again on the same positive.

    Attributes:
        method: see `config.METHODS`.
        image_size: (height, width) of the positive.
        anchors: the points (y, x) as drawn.
        moves: the patches, in painting order.
        layer: saliency layer that guided it, None for CutPaste.
        k: clusters, None for CutPaste.
        strategy: anchor strategy, None for CutPaste.
        seed: the integers that seeded the draw.
        rejected: draws thrown away on the way, by reason.
        fallbacks: departures from the plain rule, in words; empty when all went as usual.
    """

    method: str
    image_size: Size
    anchors: tuple[Point, ...]
    moves: tuple[Move, ...]
    layer: str | None
    k: int | None
    strategy: str | None
    seed: tuple[int, ...]
    rejected: dict[str, int]
    fallbacks: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` gives an equal record back."""
        return {
            "method": self.method,
            "image_size": list(self.image_size),
            "anchors": [list(a) for a in self.anchors],
            "moves": [
                {
                    "source": list(m.source),
                    "target": list(m.target),
                    "angle": m.angle,
                    "jitter": m.jitter.to_dict() if m.jitter else None,
                }
                for m in self.moves
            ],
            "layer": self.layer,
            "k": self.k,
            "strategy": self.strategy,
            "seed": list(self.seed),
            "rejected": dict(self.rejected),
            "fallbacks": list(self.fallbacks),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> NegativeRecord:
        """Rebuild from `to_dict` output, JSON in between or not.

        Raises:
            CutSwapError: a field is missing, unknown or of another kind.
        """
        try:
            moves = tuple(
                Move(
                    source=_integers(m["source"], 4),
                    target=_integers(m["target"], 2),
                    angle=_degrees(m["angle"]),
                    jitter=None if m["jitter"] is None else Jitter.from_dict(m["jitter"]),
                )
                for m in _need(values["moves"], list, tuple)
            )
            rejected = _need(values["rejected"], dict)
            rest = {
                **values,
                "method": METHODS[METHODS.index(values["method"])],
                "image_size": _integers(values["image_size"], 2),
                "anchors": tuple(_integers(a, 2) for a in _need(values["anchors"], list, tuple)),
                "moves": moves,
                "layer": _need(values["layer"], str, type(None)),
                "k": None if values["k"] is None else _integers([values["k"]], 1)[0],
                "strategy": _need(values["strategy"], str, type(None)),
                "seed": _integers(values["seed"]),
                "rejected": dict(zip(rejected, _integers(list(rejected.values())), strict=True)),
                "fallbacks": tuple(_need(f, str) for f in _need(values["fallbacks"], list, tuple)),
            }
            if not moves:
                raise ValueError("no moves")
            return cls(**rest)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise CutSwapError(
                "negative record",
                expected=f"the fields {', '.join(cls.__dataclass_fields__)}",
                found=f"{type(error).__name__}: {error}",
                fix="use a record written by this version, unedited",
            ) from error


def rotated_size(size: tuple[int, ...], angle: float) -> Size:
    """(height, width) of the box around a patch rotated by `angle` degrees, as Pillow expands."""
    if angle == 0:
        return size[0], size[1]
    width, height = Image.new("1", (size[1], size[0])).rotate(angle, expand=True).size
    return height, width


def _integers(values: Any, count: int | None = None) -> Any:
    """A tuple of whole numbers, so many where a count is given; texts and fractions are none."""
    result = tuple(_need(values, list, tuple))
    if len(result) != (count or len(result)) or not all(type(v) is int for v in result):
        raise ValueError(f"{count or 'only'} whole numbers wanted, {values} found")
    return result


def _degrees(value: Any) -> float:
    angle = float(_need(value, int, float))
    if not -360 <= angle <= 360:  # NaN fails too
        raise ValueError(f"an angle in degrees wanted, {value} found")
    return angle


def _need(value: Any, *kinds: type) -> Any:
    if not isinstance(value, kinds):
        raise TypeError(f"{' or '.join(kind.__name__ for kind in kinds)} wanted, {value!r} found")
    return value
