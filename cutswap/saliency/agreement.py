"""How alike two saliency maps of one photo are, for example before and after fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MapAgreement:
    """Two figures of two maps.

    Attributes:
        correlation: Pearson's, of the values pixel by pixel, -1 to 1; None where a map is constant.
        overlap: area that two regions share as a share of the area of either (intersection over
            union), 0 to 1; None where both are empty.
    """

    correlation: float | None
    overlap: float | None


def map_agreement(
    first: np.ndarray, second: np.ndarray, regions: tuple[np.ndarray, np.ndarray]
) -> MapAgreement:
    """Compare two maps.

    Args:
        first: (H, W) float.
        second: (H, W) float.
        regions: two (H, W) bool, for example the most salient cluster of each.
    """
    correlation = None
    if np.ptp(first) > 0 and np.ptp(second) > 0:
        correlation = float(np.corrcoef(first.ravel(), second.ravel())[0, 1])
    one, other = regions
    union = np.count_nonzero(one | other)
    return MapAgreement(correlation, np.count_nonzero(one & other) / union if union else None)
