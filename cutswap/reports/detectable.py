"""How small a defect is found, for the report on an evaluation: curves, sizes, map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cutswap.data.images import read_photo
from cutswap.decision.detectable.blind_spots import blind_spots, map_picture
from cutswap.decision.detectable.limits import BY_MASKS, limits_of
from cutswap.decision.detectable.measured import (
    SENSES,
    Limits,
    Measured,
    mark_of,
    read_measured,
)
from cutswap.decision.detectable.pod import PROBABILITY, PodFit
from cutswap.decision.detectable.wording import alarms_text, learnt_text, rows
from cutswap.errors import CutSwapError
from cutswap.evaluation.scored_set import ScoredSet
from cutswap.reports.page import inline

WIDTH, HEIGHT = 300.0, 150.0  # of a chart's plane, in units of its picture
_LEFT, _TOP = 34.0, 20.0


def detectable_section(scored: ScoredSet, threshold: float) -> tuple[dict[str, Any] | None, str]:
    """What the template draws.

    Args:
        scored: the evaluation.
        threshold: photos whose score reaches it are called defective.

    Returns:
        Values, None where nothing was measured; and a remark where what was measured is of no use.
    """
    try:
        measured = None if scored.is_padim else read_measured(scored.folder)
        if measured is None:
            return None, ""
        mark = mark_of(scored.folder, str(scored.summary.get("score", "bank")))
    except CutSwapError as error:
        return None, f"How small a defect is found cannot be told: {error.found}."
    if measured.mark != mark:
        return None, (
            "How small a defect is found was measured of another detector or score, and is left"
            " out: run detectable again."
        )
    limits, how = limits_of(threshold, scored.summary, measured)
    spots = blind_spots(measured, limits)
    height, width = (int(side) for side in measured.photo_sizes[0])
    settings = measured.settings
    return {
        "defects": f"{len(measured.kinds):,}",
        "photos": len(measured.names),
        "source": measured.source if measured.source.startswith("good test") else "good photos",
        "seed": measured.seed,
        "shorter": measured.shorter,
        "places": settings.places,
        "alarms": alarms_text(measured, limits),
        "learnt": learnt_text(measured),
        "pixel": f"{limits.pixel:.6g}",
        "how_pixel": how if how == BY_MASKS else "from the hottest places of these good photos",
        "senses": [(title, _rows(measured, limits, sense)) for sense, title in SENSES.items()],
        "charts": [
            _chart(measured, limits, contrast)
            for contrast in sorted({contrast for _, contrast in measured.designs})
        ],
        "map": _map(scored, measured, limits),
        "blind": spots.lines(height, width),
        "tried": int((spots.count > 0).sum()),
    }, ""


def _rows(measured: Measured, limits: Limits, sense: str) -> list[dict[str, str]]:
    return [
        {
            "name": f"{row['kind']}, contrast {row['contrast']}%",
            "change": f"{row['change']:.0f}",
            "a90": _size(row["a90"], measured.shorter),
            "a90_95": _size(row["a90_95"], measured.shorter),
            "remark": row["remark"],
        }
        for row in rows(measured, limits, sense)
    ]


def _size(size: float | None, shorter: int) -> str:
    return "–" if size is None else f"{size:.3g} px ({size / shorter:.1%})"


def _chart(measured: Measured, limits: Limits, contrast: int) -> dict[str, Any]:
    """Places in a picture of `WIDTH` x `HEIGHT` and its margins."""
    fits = [
        (kind, measured.curve(kind, contrast, limits))
        for kind, own in measured.designs
        if own == contrast
    ]
    sizes = sorted({size for _, fit in fits for size in fit.sizes})
    plane = _Plane(sizes[0], sizes[-1])
    return {
        "contrast": contrast,
        "ticks": [(f"{plane.x(size):.1f}", size) for size in sizes],
        "levels": [(f"{plane.y(p):.1f}", f"{p:.0%}") for p in (0.0, 0.5, PROBABILITY, 1.0)],
        "series": [_series(kind, fit, plane) for kind, fit in fits],
    }


class _Plane:
    """From sizes and probabilities to a picture's places."""

    def __init__(self, low: int, high: int) -> None:
        self._low, self._span = np.log(low), max(float(np.log(high) - np.log(low)), 1e-9)

    def x(self, size: float) -> float:
        return float(_LEFT + WIDTH * (np.log(size) - self._low) / self._span)

    def y(self, probability: float) -> float:
        return _TOP + HEIGHT * (1 - probability)

    def line(self, sizes: Sequence[float] | np.ndarray, values: np.ndarray) -> str:
        """`points` of a polyline."""
        pairs = zip(sizes, values, strict=True)
        return " ".join(f"{self.x(s):.1f},{self.y(float(v)):.1f}" for s, v in pairs)


def _series(kind: str, fit: PodFit, plane: _Plane) -> dict[str, Any]:
    shares = np.array(fit.found) / np.array(fit.count)
    drawn = fit.drawn()
    curve, lower = fit.pod(drawn), fit.lower(drawn)
    return {
        "kind": kind,
        "points": [
            (f"{plane.x(size):.1f}", f"{plane.y(float(share)):.1f}")
            for size, share in zip(fit.sizes, shares, strict=True)
        ],
        "curve": plane.line(fit.sizes, shares) if curve is None else plane.line(drawn, curve),
        "lower": "" if lower is None else plane.line(drawn, lower),
        "sentence": fit.sentence(),
    }


def _map(scored: ScoredSet, measured: Measured, limits: Limits) -> str | None:
    """A data URL; None where the photo cannot be read any more."""
    record = next((r for r in scored.records or () if r.name == measured.names[0]), None)
    if record is None:
        return None
    try:
        photo = read_photo(record.image, record.bits)
    except CutSwapError:
        return None
    spots = blind_spots(measured, limits)
    return inline(map_picture(photo, spots, measured.resize, scored.size, scored.region))
