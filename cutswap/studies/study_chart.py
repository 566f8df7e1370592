"""An ablation as a small SVG: our mean with its spread, each seed, and the paper's points.

Only numbers are worked out here; `study.html` draws them, so no script and no library is in the
report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cutswap.studies.tables import Entry

WIDTH, HEIGHT = 640, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 46
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


@dataclass(frozen=True)
class Column:
    """One setting.

    Attributes:
        x: its middle, SVG units.
        label: lines below the axis.
        mean: y of our mean; None where nothing is done.
        low: y of the mean less one standard deviation; None for a single seed.
        high: y of the mean plus one.
        seeds: y of every seed.
        paper: y of the paper's number; None where there is none.
        text: for the reader's mouse and for those who see no picture.
    """

    x: float
    label: tuple[str, ...]
    mean: float | None
    low: float | None
    high: float | None
    seeds: tuple[float, ...]
    paper: float | None
    text: str


@dataclass(frozen=True)
class Chart:
    """Everything the template draws, origin upper left.

    Attributes:
        columns: settings, in the paper's order.
        ticks: (y, label) of the horizontal lines.
        left: x where the lines begin.
        right: x where they end.
        base: y of the axis.
        width: of the picture.
        height: of the picture.
    """

    columns: tuple[Column, ...]
    ticks: tuple[tuple[float, str], ...]
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    base: float = HEIGHT - _BOTTOM
    width: int = WIDTH
    height: int = HEIGHT


def chart(found: Sequence[Entry]) -> Chart | None:
    """Draw entries of one category or the average, one coreset.

    Args:
        found: in order; without any number there is no chart.
    """
    values = [v for e in found for v in _values(e)]
    if not values:
        return None
    low, high = min(values), max(values)
    step = next((s for s in _TICKS if (high - low) / s <= 5), 0.5)
    first, last = int(low / step), -int(-min(high, 1.0) / step // 1)
    last = max(last, first + 1)
    bottom, top = first * step, last * step

    def y(value: float) -> float:
        share = (min(max(value, bottom), top) - bottom) / (top - bottom)
        return round(HEIGHT - _BOTTOM - share * (HEIGHT - _BOTTOM - _TOP), 1)

    wide = (WIDTH - _LEFT - _RIGHT) / len(found)
    columns = tuple(
        Column(
            round(_LEFT + wide * (i + 0.5), 1),
            _label(e.row),
            None if e.ours is None else y(e.ours.mean),
            None if e.ours is None or e.ours.std is None else y(e.ours.mean - e.ours.std),
            None if e.ours is None or e.ours.std is None else y(e.ours.mean + e.ours.std),
            () if e.ours is None else tuple(y(v) for v in e.ours.values),
            None if e.paper is None else y(e.paper),
            f"{e.row}: ours {e.text()}"
            + ("" if e.paper is None else f", paper {e.paper:.3f}"),
        )
        for i, e in enumerate(found)
    )  # fmt: skip
    ticks = tuple((y(n * step), f"{n * step:.2f}") for n in range(first, last + 1))
    return Chart(columns, ticks)


def _values(entry: Entry) -> list[float]:
    values = [] if entry.paper is None else [entry.paper]
    if entry.ours is not None:
        spread = entry.ours.std or 0.0
        values += [*entry.ours.values, entry.ours.mean - spread, min(1, entry.ours.mean + spread)]
    return values


def _label(row: str) -> tuple[str, ...]:
    """Short lines: `layers #4 + #16 Ns=2` is too wide for one."""
    words = row.removeprefix("layers ").removeprefix("anchors ").replace(" + ", "+")
    head, _, tail = words.rpartition(" ")
    return (head, tail) if head else (words,)
