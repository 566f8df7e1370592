"""The untrained head: a Gaussian of each channel at each place, as a diagonal PaDiM.

Its residual is the normalised feature itself, which `residuals` then puts into the unit of what
good photos have there (Defard et al. 2021 with a diagonal covariance). It needs no negatives and
no updates, so it is what every trained head must beat (docs/heads.md).
"""

from __future__ import annotations

from torch import Tensor, nn


class Gaussian(nn.Module):
    """No weights; the arguments are those of the other heads."""

    def __init__(self, *_: object) -> None:
        super().__init__()

    def residual(self, x: Tensor) -> Tensor:
        """(N, h, w, D) normalised features, as they are."""
        return x
