"""Measurements as a table, for the screen and for the README."""

from __future__ import annotations

from collections.abc import Sequence

from cutswap.benchmark.measurement import Measurement

HEADS = ("step", "ours", "plain", "figure", "single turns", "target", "met")


def table(measurements: Sequence[Measurement]) -> str:
    """Columns padded for a terminal; skipped ones below, each with its reason."""
    rows = [HEADS, *(_row(m) for m in measurements if m.skipped is None)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADS))]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*lines, *_reasons(measurements)])


def markdown(measurements: Sequence[Measurement]) -> str:
    """The same for a page, with the measured action instead of the short name."""
    rows = [HEADS, ("---",) * len(HEADS)]
    rows += [(m.what, *_row(m)[1:]) for m in measurements if m.skipped is None]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    reasons = _reasons(measurements)
    return "\n".join([*lines, *(["", *reasons] if reasons else [])])


def _reasons(measurements: Sequence[Measurement]) -> list[str]:
    return [f"skipped {m.name}: {m.skipped}" for m in measurements if m.skipped is not None]


def _row(m: Measurement) -> tuple[str, ...]:
    figure = "-" if m.figure is None else _figure(m.figure, m.unit)
    spread = "-" if m.spread is None else f"{_short(m.spread[0])} to {_short(m.spread[1])}"
    sign = ">=" if m.at_least else "<="
    target = "-" if m.target is None else f"{sign} {_short(m.target)}"
    met = {True: "yes", False: "NO", None: "-"}[m.met]
    return (m.name, _seconds(m.ours), _seconds(m.baseline), figure, spread, target, met)


def _figure(value: float, unit: str) -> str:
    return _seconds(value) if unit == "s" else f"{_short(value)} {unit}"


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"


def _short(value: float) -> str:
    return f"{value:.3g}"
