"""Whitening of patch embeddings: distances in the unit of what normal patches vary by.

The Euclidean distance between raw features is ruled by the few directions in which normal patches
differ most, which say least about defects. Divided by their standard deviation along each principal
axis (`pca`) or in each channel (`channels`), all directions count alike; the nearest-neighbour
distance becomes a local Mahalanobis distance. Directions that hardly vary would then count most, so
the covariance C is shrunk first, (1 - a) C + a tr(C)/D I (Ledoit and Wolf 2004 with a fixed a), and
principal axes beyond 0.99 of the variance are dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from cutswap.errors import CutSwapError

KEPT = 0.99  # share of the variance in the principal axes that are kept
ROWS = 16384  # patches multiplied at once


class Moments:
    """Mean and covariance of patches that come in parts, accumulated in double precision.

    Attributes:
        count: patches so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._origin: Tensor | None = None  # sums are taken around it, so that they cancel little
        self._sum = self._products = torch.empty(0)

    def add(self, patches: Tensor) -> None:
        """Take in (n, D) float patches."""
        for part in patches.split(ROWS):
            rows = (part.cpu() if part.device.type == "mps" else part).double()  # MPS has none
            if self._origin is None:
                self._origin = rows.mean(dim=0)
                self._sum = torch.zeros_like(self._origin)
                self._products = self._origin.new_zeros(rows.shape[1], rows.shape[1])
            rows = rows - self._origin
            self._sum += rows.sum(dim=0)
            self._products.addmm_(rows.T, rows)
            self.count += len(rows)

    def mean_and_covariance(self) -> tuple[Tensor, Tensor]:
        """(D,) and (D, D) float64; divided by the count, not by one less.

        Raises:
            CutSwapError: no patches, or patches that are all equal or not finite.
        """
        if self._origin is None:
            raise _no_spread("none")
        offset = self._sum / self.count
        covariance = self._products / self.count - torch.outer(offset, offset)
        total = float(covariance.trace())
        if not 0 < total < float("inf"):
            raise _no_spread(f"{self.count} patches of a total variance of {total:g}")
        return (self._origin + offset).cpu(), covariance.cpu()


@dataclass(frozen=True)
class Whitening:
    """An affine map that gives normal patches unit variance: `(patch - mean) @ matrix`.

    Attributes:
        mean: (D,) float32, of the training patches.
        matrix: (D, K) float32; for `pca` K is the number of principal axes kept, for `channels`
            it is diagonal.
    """

    mean: np.ndarray
    matrix: np.ndarray

    @classmethod
    def of(cls, moments: Moments, kind: str, shrinkage: float) -> Self:
        """The whitening that patches ask for.

        Args:
            moments: of all training patches.
            kind: pca or channels.
            shrinkage: a in [0, 1]: 0 takes the covariance as measured, 1 leaves all directions
                their variance (a common factor and, for `pca`, dropped axes aside).

        Raises:
            CutSwapError: see `Moments.mean_and_covariance`.
        """
        mean, covariance = moments.mean_and_covariance()
        # Rounding can leave what never varies a variance just above or below 0.
        least = 1e-12 * float(covariance.diagonal().max())
        if kind == "channels":
            variance, axes = covariance.diagonal(), torch.eye(len(mean), dtype=torch.float64)
        else:
            variance, axes = (v.flip(-1) for v in torch.linalg.eigh(covariance))
            share = variance.clamp(min=0).cumsum(0) / variance.clamp(min=0).sum()
            kept = int((share < KEPT).sum()) + 1
            variance, axes = variance[:kept], axes[:, :kept]
            # An axis' sign is arbitrary; the coreset's random projection would see it.
            largest = axes.abs().argmax(dim=0, keepdim=True)
            axes = axes * axes.gather(0, largest).sign()
        shrunk = (1 - shrinkage) * variance + shrinkage * covariance.trace() / len(mean)
        scale = torch.where(shrunk > least, shrunk.clamp(min=least).rsqrt(), 0.0)
        return cls(mean.float().numpy(), (axes * scale).float().numpy())

    def apply(self, patches: Tensor) -> Tensor:
        """(..., D) to (..., K) float32 where they are; a single (D,) too."""
        rows = patches.detach().float().reshape(-1, patches.shape[-1])
        whitened = rows.new_empty(len(rows), self.matrix.shape[1])
        self._apply(rows, whitened)
        return whitened.view(*patches.shape[:-1], -1)

    def apply_in_place(self, patches: Tensor) -> Tensor:
        """The same for contiguous (P, D), into their own memory, which then holds nothing else."""
        width = self.matrix.shape[1]
        # K <= D: row i is written no later than where row i was read.
        whitened = patches.view(-1)[: len(patches) * width].view(-1, width)
        self._apply(patches, whitened)
        return whitened

    def _apply(self, rows: Tensor, out: Tensor) -> None:
        mean = torch.from_numpy(self.mean).to(rows.device)
        matrix = torch.from_numpy(self.matrix).to(rows.device)
        for low in range(0, len(rows), ROWS):
            part = slice(low, low + ROWS)
            out[part] = (rows[part] - mean) @ matrix


def measured(parts: Iterable[Tensor]) -> Moments:
    """Moments of patches (n, D) that come in parts."""
    moments = Moments()
    for part in parts:
        moments.add(part)
    return moments


def _no_spread(found: str) -> CutSwapError:
    return CutSwapError(
        "whitening",
        expected="training patches that differ, all of them finite",
        found=found,
        fix="add good photos, or pass --whiten none",
    )
