"""A gaussian at every place, and Mahalanobis distances to it.

    S = sum (x - m)(x - m)^T / (N - 1) + r I           of the N good photos' vectors at that place
    distance(x) = sqrt((x - m)^T S^-1 (x - m)) = |L^-1 (x - m)|          where S = L L^T

What is kept is m and L^-1, a lower triangle: one product a place instead of a solve, and no root of
a number that rounding made negative.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cutswap.errors import CutSwapError

_AT_ONCE = 64  # places whose covariances are in float64 at once: 5 MB at 100 channels


@dataclass(frozen=True)
class PlaceGaussians:
    """Gaussians of P places in d channels.

    Attributes:
        mean: (P, d) float32.
        whiten: (P, d, d) float32, L^-1 of every place, lower triangles.
    """

    mean: Tensor
    whiten: Tensor

    @classmethod
    def fit(cls, vectors: Tensor, regularisation: float) -> PlaceGaussians:
        """Mean and covariance of every place, computed in float64.

        Args:
            vectors: (N, P, d) float32, what N good photos have at P places.
            regularisation: r, added to every variance.

        Raises:
            CutSwapError: one photo, or a covariance that has no inverse.
        """
        count, places, channels = vectors.shape
        if count < 2:
            raise CutSwapError(
                "training images",
                expected="two or more, for a covariance",
                found=count,
                fix="add good photos",
            )
        mean = torch.empty(places, channels)
        whiten = torch.empty(places, channels, channels)
        unit = torch.eye(channels, dtype=torch.float64)
        for start in range(0, places, _AT_ONCE):
            block = slice(start, min(start + _AT_ONCE, places))
            values = vectors[:, block].double().transpose(0, 1)  # (block, N, d)
            middle = values.mean(dim=1, keepdim=True)
            around = values - middle
            covariance = around.transpose(1, 2) @ around / (count - 1) + regularisation * unit
            factor, failed = torch.linalg.cholesky_ex(covariance)
            if bool(failed.any()):
                raise CutSwapError(
                    "covariance",
                    expected="one with an inverse at every place",
                    found=f"{count} photos in {channels} channels and a regularisation of"
                    f" {regularisation:g}",
                    fix="raise --padim-regularisation, for example to 0.01",
                )
            solved = torch.linalg.solve_triangular(factor, unit.expand_as(factor), upper=False)
            mean[block], whiten[block] = middle[:, 0].float(), solved.float()
        return cls(mean, whiten)

    def distances(self, vectors: Tensor) -> Tensor:
        """(n, P, d) float32 to (n, P) float32 Mahalanobis distances, >= 0."""
        away = (vectors - self.mean).permute(1, 2, 0)  # (P, d, n)
        return (self.whiten @ away).norm(dim=1).T.contiguous()

    def packed(self) -> Tensor:
        """(P, d (d + 1) / 2) float32: the triangles row by row, half of what `whiten` takes."""
        rows, columns = _triangle(self.mean.shape[1])
        return self.whiten[:, rows, columns]

    @classmethod
    def unpacked(cls, mean: Tensor, packed: Tensor) -> PlaceGaussians:
        """The inverse of `packed`.

        Args:
            mean: (P, d) float32.
            packed: (P, d (d + 1) / 2) float32.
        """
        places, channels = mean.shape
        rows, columns = _triangle(channels)
        whiten = torch.zeros(places, channels, channels)
        whiten[:, rows, columns] = packed
        return cls(mean, whiten)


def memory_of(photos: int, places: int, channels: int) -> tuple[int, int]:
    """Bytes of memory: while the gaussians of so many photos are fitted, and kept afterwards."""
    kept = 4 * places * (channels + channels**2)
    return kept + 4 * photos * places * channels, kept


def _triangle(channels: int) -> tuple[Tensor, Tensor]:
    rows, columns = torch.tril_indices(channels, channels)
    return rows, columns
