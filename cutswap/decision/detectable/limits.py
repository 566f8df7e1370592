"""The thresholds at which painted defects count as found, and where those come from."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.decision.decision import read_decision
from cutswap.decision.detectable.measured import Limits, Measured
from cutswap.decision.open_detector import BY_F1, choose_threshold

CLEAR = 0.95  # of good photos whose heat nowhere reaches a threshold that is taken from them
BY_MASKS = "best pixel F1 of the evaluation's test images"
BY_PEAKS = f"just above the hottest place of {CLEAR:.0%} of these good photos, unpainted"


def threshold_of(
    folder: Path,
    summary: dict[str, Any] | None,
    *,
    rate: float | None = None,
    threshold: float | None = None,
) -> tuple[float, str]:
    """That of good photos alone where the evaluation has one, else the best F1 of its test photos.

    Args:
        folder: that `evaluate` wrote.
        summary: what its result.json holds, of the score that counts; None where it has none.
        rate: false alarms asked for, in place of the rate it was evaluated with.
        threshold: in place of any other.

    Returns:
        The threshold, and how it was chosen.

    Raises:
        CutSwapError: see `choose_threshold`.
    """
    decision = read_decision(folder)
    if decision is not None and summary is not None:
        # Another score of bank and head than the one whose good photos were scored.
        decision = decision if decision.score == summary.get("score", "bank") else None
    told = None if summary is None else (float(summary["threshold"]), BY_F1)
    used, how, _ = choose_threshold(folder, decision, told, rate=rate, threshold=threshold)
    return used, how


def pixel_threshold(summary: dict[str, Any] | None, measured: Measured) -> tuple[float, str]:
    """Heat that marks a place, and how it was chosen.

    Args:
        summary: what the evaluation's result.json holds; None where it has none.
        measured: whose good photos are looked at where no defect is marked.
    """
    told = None if summary is None else summary.get("pixel_threshold")
    if isinstance(told, (int, float)) and math.isfinite(told):
        return float(told), BY_MASKS
    peak = np.quantile(measured.clean_peaks, CLEAR, method="higher")
    return float(np.nextafter(peak, np.inf)), BY_PEAKS


def limits_of(
    image: float, summary: dict[str, Any] | None, measured: Measured
) -> tuple[Limits, str]:
    """Both thresholds, and how that of the heatmap was chosen.

    Args:
        image: a score at or above it calls a photo defective.
        summary: see `pixel_threshold`.
        measured: likewise.
    """
    pixel, how = pixel_threshold(summary, measured)
    return Limits(image, pixel), how
