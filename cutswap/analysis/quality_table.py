"""Figures of negatives: their names, means over photos, intervals, and a table of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cutswap.analysis.quality_measures import EDITS, photo_interval
from cutswap.utils.csv_text import CsvText, guarded

FIGURES = (
    *EDITS,
    "changed_foreground",
    "changed_area",
    "invisible",
    "mean_change",
    "ssim",
    "to_normal",
    "to_defects",
)
# What the table's columns are called, narrow enough for a terminal.
HEADS = {
    "background_to_background": "bg>bg",
    "background_to_foreground": "bg>fg",
    "from_foreground": "from fg",
    "changed_foreground": "on fg",
    "changed_area": "area",
    "invisible": "invisible",
    "mean_change": "change",
    "ssim": "SSIM",
    "to_normal": "to normal",
    "to_defects": "to defects",
}


@dataclass(frozen=True)
class MeanWithInterval:
    """One mean.

    Attributes:
        mean: over photos, of each photo's mean over its draws.
        interval: 95%, bootstrap over photos; None for a single photo.
        by_seed: the mean of each seed alone; empty for real photos.
        photos: how many photos it goes over.
    """

    mean: float
    interval: tuple[float, float] | None
    by_seed: tuple[float, ...]
    photos: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        low, high = self.interval or (None, None)
        return {
            "mean": round(self.mean, 6),
            "low": None if low is None else round(low, 6),
            "high": None if high is None else round(high, 6),
            "by_seed": [round(s, 6) for s in self.by_seed],
            "photos": self.photos,
        }


Row = dict[str, MeanWithInterval | None]


def figures_of(values: np.ndarray, resamples: int) -> Row:
    """Means and intervals over photos.

    Args:
        values: (seeds, P, draws, figures) float64; NaN where a figure does not apply to a photo.
        resamples: of the bootstrap.
    """
    row: Row = {}
    for index, name in enumerate(FIGURES):
        one = values[..., index]  # (seeds, P, draws)
        known = ~np.isnan(one).any(axis=(0, 2))
        if not known.any():
            row[name] = None
            continue
        by_photo = one[:, known].mean(axis=2)  # (seeds, P)
        row[name] = MeanWithInterval(
            float(by_photo.mean()),
            photo_interval(by_photo.mean(axis=0), resamples),
            tuple(float(s) for s in by_photo.mean(axis=1)),
            int(known.sum()),
        )
    return row


def to_text(rows: dict[str, Row]) -> str:
    """A table for the screen: mean and, below it, the 95% interval."""
    width = max(len(name) for name in rows)
    lines = [" ".join([" " * width, *(f"{head:>13}" for head in HEADS.values())])]
    for name, row in rows.items():
        lines.append(" ".join([f"{name:<{width}}", *(f"{_shown(row[f]):>13}" for f in HEADS)]))
        lines.append(" ".join([" " * width, *(f"{_between(row[f]):>13}" for f in HEADS)]))
    return "\n".join(lines)


def to_csv(rows: dict[str, Row]) -> str:
    """One figure a line; what does not apply has none."""
    table = CsvText()
    table.row(("method", "figure", "mean", "low", "high", "photos", "by_seed"))
    for name, row in rows.items():
        for figure, value in row.items():
            if value is not None:
                low, high = value.interval or (None, None)
                seeds = " ".join(f"{s:.6f}" for s in value.by_seed)
                ends = ("" if end is None else f"{end:.6f}" for end in (low, high))
                about = guarded(name), figure, f"{value.mean:.6f}"
                table.row((*about, *ends, value.photos, seeds))
    return table.text()


def digits(value: float) -> str:
    """One digit behind the point for large values, three for those below 0.01."""
    places = 1 if abs(value) >= 10 else 2 if abs(value) >= 0.01 or value == 0 else 3
    return f"{value:.{places}f}"


def _shown(figure: MeanWithInterval | None) -> str:
    return "-" if figure is None else digits(figure.mean)


def _between(figure: MeanWithInterval | None) -> str:
    if figure is None or figure.interval is None:
        return ""
    return f"[{digits(figure.interval[0])}, {digits(figure.interval[1])}]"
