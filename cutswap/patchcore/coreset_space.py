"""Where a coreset's distances are taken: the points centred, through a random projection or not.

Two readings of the same rows. In double precision they are what is measured. In single precision
they come from a copy in half precision, which takes half the memory of the projected points; how
far such a row may be from the true one is known, so distances from it can be bounded from above.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Rows of one matrix product: large enough for full speed, small enough for the cache.
ROWS = 4096
PROJECTED = 1024  # the same for the projection, whose rows are wider and take as many copies
ROUNDED = 2.0**-11  # of a number, by which half precision may be off
_HALF_LARGEST, _HALF_FINEST = 2.0**15, 2.0**-25  # below float16's 65504; half its smallest step
# Sums of n products in single precision are off by at most this times sqrt(n) 2^-24 of what is
# summed, but for a chance of 2 exp(-18) (Higham and Mary 2019, theorem 2.4); seen: a tenth of it.
_LIKELY = 6.0


class ProjectedPoints:
    """Points as distances see them.

    Args:
        points: (n, D) float, left as they are; not copied where no projection is given.
        matrix: (D, d) float32 projection; None: the points themselves, d = D.
        largest: largest magnitude in the points.
        quick: whether single precision products can be trusted here. If not, nothing is copied,
            and rows are to be asked for in double precision alone.

    Attributes:
        dimensions: d.
        quick: the precision of rows that are to be compared fast: float32, or float64.
        off: (n,) float32, how far a float32 row may be from the true one; None where it is the
            true one, rounded.
    """

    def __init__(
        self, points: Tensor, matrix: Tensor | None = None, *, largest: float, quick: bool
    ) -> None:
        self._points = points
        # Products of centred rows cancel less. Any centre does: some rows' mean is enough.
        self._mean = points[:: max(1, len(points) // ROWS)].float().mean(dim=0)
        self._matrix = None if matrix is None else matrix.to(points.device)
        self.dimensions = points.shape[1] if matrix is None else matrix.shape[1]
        self.quick = torch.float32 if quick else torch.float64
        self.off: Tensor | None = None
        self._copy: Tensor | None = None
        if self._matrix is not None and quick:
            self._keep_copy(self._matrix, largest)

    def __len__(self) -> int:
        return len(self._points)

    @property
    def device(self) -> torch.device:
        """Of the points."""
        return self._points.device

    def rows(self, index: Tensor, kind: torch.dtype) -> Tensor:
        """Rows in the space.

        Args:
            index: (m,) int64.
            kind: float64, or float32 for rows that are off by `off`.

        Returns:
            (m, d), centred.
        """
        # index_select, because indexing is several times slower.
        if kind == torch.float32 and self._copy is not None:
            return self._copy.index_select(0, index).float().mul_(1 / self._scale)
        if self._matrix is None:
            return self._centred(self._points.index_select(0, index), kind)
        projected = torch.empty(len(index), self.dimensions, dtype=kind, device=self.device)
        matrix = self._matrix.to(kind)
        for part, target in zip(index.split(PROJECTED), projected.split(PROJECTED), strict=True):
            torch.mm(self._centred(self._points.index_select(0, part), kind), matrix, out=target)
        return projected

    def _centred(self, rows: Tensor, kind: torch.dtype) -> Tensor:
        """`rows` is changed where it has this kind already."""
        return rows.to(kind).sub_(self._mean.to(kind))

    def _keep_copy(self, matrix: Tensor, largest: float) -> None:
        # |(p - mean) . column| <= |p - mean| |column|; a power of two scales without rounding.
        length = 2 * largest * self._points.shape[1] ** 0.5
        bound = max(length * float(matrix.norm(dim=0).max()), torch.finfo(torch.float32).tiny)
        self._scale = 2.0 ** int(
            torch.tensor(_HALF_LARGEST / bound).log2().floor().clamp(-100, 100)
        )
        size = (len(self._points), self.dimensions)
        self._copy = torch.empty(size, dtype=torch.float16, device=self.device)
        self.off = torch.empty(len(self._points), device=self.device)
        product = _LIKELY * self._points.shape[1] ** 0.5 * 2.0**-24 * float(matrix.norm())
        finest = self.dimensions**0.5 * _HALF_FINEST / self._scale
        for low in range(0, len(self._points), PROJECTED):
            part = slice(low, low + PROJECTED)
            rows = self._points[part].float() - self._mean
            projected = rows @ matrix
            self.off[part] = ROUNDED * _length(projected) + product * _length(rows) + finest
            self._copy[part] = projected.mul_(self._scale)


def _length(rows: Tensor) -> Tensor:
    """Summed in double: squares of small numbers would vanish."""
    return torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64)
