"""Pixel figures of a scored test set on an accelerator: ten million pixels sorted in no time.

The curves are those of `metrics`, point by point; sums in double precision differ in their last
digits alone. Connected defect regions are counted on the processor, as masks lie there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class PixelFigures:
    """See `metrics.Metrics`."""

    auroc: float
    average_precision: float
    f1_max: float
    threshold: float
    aupro: float


def pixel_figures(
    heatmaps: np.ndarray,
    masks: np.ndarray,
    weights: np.ndarray,
    fpr_limit: float,
    device: torch.device,
) -> PixelFigures:
    """All pixel figures from one sort.

    Args:
        heatmaps: (N, H, W) float, finite.
        masks: (N, H, W) bool with both kinds of pixels.
        weights: (N, H, W) float64, a defect pixel's share of the mean coverage of regions.
        fpr_limit: of the region overlap.
        device: where to compute; it must know double precision.
    """
    values = torch.from_numpy(np.ascontiguousarray(heatmaps)).to(device).reshape(-1)
    truth = torch.from_numpy(np.ascontiguousarray(masks)).to(device).reshape(-1)
    ranked, order = values.sort(descending=True)
    hits = truth[order]
    ends = _ends(ranked)
    true_positives = hits.cumsum(0)[ends]
    missed = ends + 1 - true_positives
    positives = int(true_positives[-1])
    negatives = len(values) - positives
    zero = torch.zeros(1, dtype=torch.float64, device=device)
    tpr = torch.cat([zero, true_positives.double() / positives])
    fpr = torch.cat([zero, missed.double() / negatives])
    gained = torch.diff(tpr)
    precision = true_positives.double() / (true_positives + missed)
    f1 = 2 * true_positives.double() / (true_positives + missed + positives)
    best = int(_first_of_largest(f1))
    where = hits.nonzero()[:, 0]
    shares = torch.from_numpy(weights.reshape(-1)).to(device)[order[where]]
    covered = torch.cat([zero, shares.cumsum(0)])
    pro = torch.cat([zero, covered[true_positives]])
    return PixelFigures(
        auroc=float(torch.trapezoid(tpr, fpr)),
        average_precision=float((precision * gained).sum()),
        f1_max=float(f1[best]),
        threshold=float(ranked[ends[best]]),
        aupro=_area_up_to(fpr, pro, fpr_limit),
    )


def _ends(ranked: Tensor) -> Tensor:
    """Where each run of equal values ends."""
    last = torch.ones(1, dtype=torch.bool, device=ranked.device)
    return torch.cat([ranked[1:] != ranked[:-1], last]).nonzero()[:, 0]


def _first_of_largest(values: Tensor) -> Tensor:
    return (values == values.max()).nonzero()[0, 0]


def _area_up_to(fpr: Tensor, pro: Tensor, limit: float) -> float:
    """Trapezoids to the limit, where the curve is cut between two points; divided by it."""
    kept = int((fpr <= limit).sum()) + 1  # one beyond, if there is one
    fpr, pro = fpr[:kept].clone(), pro[:kept].clone()
    if float(fpr[-1]) > limit:
        share = (limit - fpr[-2]) / (fpr[-1] - fpr[-2])
        pro[-1] = pro[-2] + share * (pro[-1] - pro[-2])
        fpr[-1] = limit
    return float(torch.trapezoid(pro, fpr) / fpr[-1])
