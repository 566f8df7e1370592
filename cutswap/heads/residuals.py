"""A head's residual in the unit of what good photos leave: what makes it a good score.

A channel that varies freely at a place, such as a wire that lies otherwise in every photo, leaves
a large residual on good photos too. Each residual is therefore divided by its own deviation there,
as PaDiM does with features (Defard et al. 2021, here a diagonal covariance). Measured effect in
docs/heads.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

# Photos' worth of belief in the deviation over all places; with few photos a place has few values.
PRIOR = 10.0
SCALES = ("none", "channels", "places")
_LEAST = 1e-6  # of a variance: a residual that never varies is not divided by nothing


@dataclass(frozen=True)
class ResidualStatistics:
    """Statistics of the residuals of good photos.

    Attributes:
        mean: (h, w, D) float32.
        deviation: (h, w, D) float32 > 0.
    """

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, residuals: Iterable[Tensor], scale: str) -> ResidualStatistics:
        """Measure them on good photos.

        Args:
            residuals: batches (n, h, w, D) float32 of all good photos to learn from.
            scale: `none`: 0 and 1; `channels`: of each channel over all places; `places`: of each
                channel at each place, its variance drawn to the channel's by `PRIOR` photos.
        """
        count, total, squares = 0, torch.zeros(1), torch.zeros(1)
        for batch in residuals:
            exact = batch.double()
            total, squares = total + exact.sum(dim=0), squares + exact.square().sum(dim=0)
            count += len(batch)
        mean = total / count
        variance = (squares / count - mean.square()).clamp_min(0)
        pooled = total.mean(dim=(0, 1), keepdim=True) / count
        overall = squares.mean(dim=(0, 1), keepdim=True) / count - pooled.square()
        if scale == "none":
            mean, variance = torch.zeros_like(mean), torch.ones_like(mean)
        elif scale == "channels":
            mean, variance = pooled.expand_as(mean), overall.expand_as(mean)
        else:
            trust = count / (count + PRIOR)
            variance = trust * variance + (1 - trust) * overall
        deviation = variance.clamp_min(_LEAST).sqrt()
        return cls(mean.float().contiguous(), deviation.float().contiguous())

    def scores(self, residual: Tensor) -> Tensor:
        """Root mean square over channels: (N, h, w, D) residuals to (N, h, w) float >= 0."""
        return ((residual - self.mean) / self.deviation).square().mean(dim=-1).sqrt()
