"""The record of a negative: what moved where, enough to paint it again bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cutswap.config import METHODS
from cutswap.errors import CutSwapError
from cutswap.negatives.anchors import Point, Size
from cutswap.negatives.color_jitter import Jitter
from cutswap.negatives.geometry import rotated_size
from cutswap.negatives.textures import MAX_CELLS, Texture

REPLACE, SMOOTH, POISSON = BLENDS = ("replace", "smooth", "poisson")
MAX_SOFTNESS = 0.3
MAX_MOVES = 64  # CutSwap has two; each is painted, so a record of thousands would take minutes


@dataclass(frozen=True)
class Move:
    """One patch on its way.

    Attributes:
        source: (y, x, height, width) cut from the positive.
        target: (y, x) of the upper-left corner of the placed, possibly rotated, patch.
        angle: degrees, counter-clockwise; the corners that rotation uncovers stay as they were.
        jitter: colours of the patch, or None.
        blend: how it is placed, one of `BLENDS`; see `painting`.
        softness: of a smooth blend, sigma of the fade as a share of the shorter side.
        size: (height, width) the patch is scaled to before it is turned; None: as it was cut.
    """

    source: tuple[int, int, int, int]
    target: Point
    angle: float = 0.0
    jitter: Jitter | None = None
    blend: str = REPLACE
    softness: float = 0.0
    size: Size | None = None

    @property
    def placed_size(self) -> Size:
        """(height, width) of the box the placed patch fills."""
        return rotated_size(self.size or self.source[2:], self.angle)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "source": list(self.source),
            "target": list(self.target),
            "angle": self.angle,
            "jitter": self.jitter.to_dict() if self.jitter else None,
            "blend": self.blend,
            "softness": self.softness,
            "size": None if self.size is None else list(self.size),
        }


@dataclass(frozen=True)
class NegativeRecord:
    """Everything needed to paint a negative again on the same positive.

    Attributes:
        method: see `config.METHODS`.
        image_size: (height, width) of the positive.
        anchors: the points (y, x) as drawn.
        moves: the patches, in painting order; none where a texture is painted.
        layer: saliency layer that guided it, None for all but CutSwap.
        k: clusters, None for all but CutSwap.
        strategy: anchor strategy, None for all but CutSwap.
        seed: the integers that seeded the draw.
        rejected: draws thrown away on the way, by reason.
        fallbacks: departures from the plain rule, in words; empty when all went as usual.
        texture: what a Perlin negative shows, None for methods that move patches.
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
    texture: Texture | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; `from_dict` gives an equal record back."""
        return {
            "method": self.method,
            "image_size": list(self.image_size),
            "anchors": [list(a) for a in self.anchors],
            "moves": [m.to_dict() for m in self.moves],
            "layer": self.layer,
            "k": self.k,
            "strategy": self.strategy,
            "seed": list(self.seed),
            "rejected": dict(self.rejected),
            "fallbacks": list(self.fallbacks),
            "texture": self.texture.to_dict() if self.texture else None,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> NegativeRecord:
        """Rebuild from `to_dict` output, JSON in between or not.

        Raises:
            CutSwapError: a field is missing, unknown or of another kind.
        """
        try:
            moves = tuple(_move(m) for m in _need(values["moves"], list, tuple))
            texture = None if values["texture"] is None else _texture(values["texture"])
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
                "texture": texture,
            }
            if len(moves) > MAX_MOVES:
                raise ValueError(f"at most {MAX_MOVES} moves wanted, {len(moves)} found")
            if bool(moves) == (texture is not None):
                raise ValueError("moves or a texture wanted, one of the two")
            return cls(**rest)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise CutSwapError(
                "negative record",
                expected=f"the fields {', '.join(cls.__dataclass_fields__)}",
                found=f"{type(error).__name__}: {error}",
                fix="use a record written by this version, unedited",
            ) from error


def _move(values: dict[str, Any]) -> Move:
    return Move(
        source=_integers(values["source"], 4),
        target=_integers(values["target"], 2),
        angle=_number(values["angle"], -360, 360),
        jitter=None if values["jitter"] is None else Jitter.from_dict(values["jitter"]),
        blend=BLENDS[BLENDS.index(values["blend"])],
        softness=_number(values["softness"], 0, MAX_SOFTNESS),
        size=None if values["size"] is None else _integers(values["size"], 2),
    )


def _texture(values: dict[str, Any]) -> Texture:
    """One of the two shapes, each whole; whether it fits the image is `redraw`'s to say."""
    low, high = (_integers(c, 3) for c in _need(values["colours"], list, tuple))
    if not all(0 <= v <= 255 for v in (*low, *high)):
        raise ValueError(f"colours of 0 to 255 wanted, {values['colours']} found")
    (noise,) = _integers([values["noise"]], 1)
    grain = _cells(values["grain"])
    cells, pixels, strip = None, None, None
    if values["strip"] is None:
        cells = _cells(values["cells"])
        (pixels,) = _integers([values["pixels"]], 1)
    elif values["cells"] is not None or values["pixels"] is not None:
        raise ValueError("a strip, or cells and pixels, wanted; both found")
    else:
        strip = _integers(values["strip"], 4)
    if noise < 0 or (pixels is not None and pixels < 1):
        raise ValueError("a seed from 0 and pixels from 1 wanted")
    return Texture(
        noise=noise,
        opacity=_number(values["opacity"], 0, 1),
        grain=grain,
        colours=(low, high),
        cells=cells,
        pixels=pixels,
        strip=strip,
        angle=_number(values["angle"], -360, 360),
    )


def _cells(values: Any) -> Any:
    cells = _integers(values, 2)
    if not all(1 <= c <= MAX_CELLS for c in cells):
        raise ValueError(f"1 to {MAX_CELLS} noise cells wanted, {values} found")
    return cells


def _integers(values: Any, count: int | None = None) -> Any:
    """A tuple of whole numbers, so many where a count is given; texts and fractions are none."""
    result = tuple(_need(values, list, tuple))
    if len(result) != (count or len(result)) or not all(type(v) is int for v in result):
        raise ValueError(f"{count or 'only'} whole numbers wanted, {values} found")
    return result


def _number(value: Any, low: float, high: float) -> float:
    number = float(_need(value, int, float))
    if isinstance(value, bool) or not low <= number <= high:  # NaN fails too
        raise ValueError(f"a number from {low} to {high} wanted, {value} found")
    return number


def _need(value: Any, *kinds: type) -> Any:
    if not isinstance(value, kinds):
        raise TypeError(f"{' or '.join(kind.__name__ for kind in kinds)} wanted, {value!r} found")
    return value
