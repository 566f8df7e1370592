"""Greedy k-centre: the few training patches that lie close to all the others.

Goal (PatchCore, Roth et al. 2022, eq. 5): choose C among the points so that
max_m min_{c in C} ||m - c|| is small; farthest-first is within a factor of two of the best.

The textbook loop compares every point with every new centre. Distances to the nearest centre only
ever shrink, so here a point's old distance serves as an upper bound, and its comparison with new
centres waits until that bound is large enough to matter, when many are made in one matrix product.
The picks are the textbook's: see `tests/test_coreset.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cutswap.errors import CutSwapError

# Rows and centres of one matrix product: large enough for full speed, small enough for the cache.
ROWS = 4096
BLOCK = 256
# Squared distances below this share of a point's own square are rounding: the points are equal.
EQUAL = 2.0**-40
PICKED = -1.0
# Candidates at first and at most, and the picks a round should give.
START, WIDEST = 1024, 8192
FEW, MANY = 32, 128

Rival = tuple[float, int]  # (squared distance, -index): the larger tuple is picked first


def greedy_k_center(
    points: Tensor,
    count: int,
    *,
    projection: int | None,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Indices of `count` points, each the farthest from all before it.

    Squared distances are computed in double and kept in single precision: the order in which a
    product sums leaves no trace, so ties are ties on any machine. Ties go to the lowest index.

    Args:
        points: (n, d) float, any device (MPS has no double: computed on the CPU).
        count: how many to pick, 1 to n. Once all distinct points are picked, their duplicates
            follow in the order of their indices.
        projection: distances are taken after a gaussian random projection to this many
            dimensions; None, or not fewer than d, takes them as the points are.
        seed: of the first pick and of the projection, the same on any device.
        progress: called with (picked, count).

    Returns:
        (count,) int64, distinct, in the order picked, on the points' device.

    Raises:
        CutSwapError: points that are no finite matrix, or a count out of range.

    Source: Roth et al. 2022, algorithm 1; Gonzalez 1985.
    """
    _check(points, count)
    device = points.device
    generator = torch.Generator().manual_seed(seed)
    # Drawn before the projection, so that a seed's first pick does not depend on that setting.
    first = int(torch.randint(len(points), (1,), generator=generator))
    with torch.no_grad():
        space = points if device.type != "mps" else points.cpu()
        if projection is not None and projection < points.shape[1]:
            # Divided by sqrt(dimensions): expected squared distances stay what they were.
            matrix = torch.randn(points.shape[1], projection, generator=generator)
            space = space.float() @ (matrix / projection**0.5).to(space.device)
        search = _Search(space, count)
        search.begin(first)
        while search.done < count:
            search.round()
            if progress:
                progress(search.done, count)
    return search.picks.to(device)


def coverage_radius(points: Tensor, picks: Tensor) -> float:
    """Largest euclidean distance from any point to its nearest pick, what k-centre minimises.

    Args:
        points: (n, d) float.
        picks: (m,) int64 indices into points.

    Raises:
        CutSwapError: points that are no finite matrix, or no picks.
    """
    _check(points, len(picks))
    search = _Search(points if points.device.type != "mps" else points.cpu(), len(picks))
    for index in picks.tolist():
        search.add(index)
    search.freshen(torch.arange(len(points), device=search.bound.device), 0.0)
    return float(search.bound.clamp_min(0).max()) ** 0.5


def _check(points: Tensor, count: int) -> None:
    if points.ndim != 2 or points.numel() == 0 or not points.is_floating_point():
        raise CutSwapError(
            "coreset points",
            expected="a float matrix (points, dimensions), not empty",
            found=f"{points.dtype} of shape {tuple(points.shape)}",
            fix="pass one row a patch",
        )
    low, high = points.aminmax()  # NaN and infinity both show in the extremes, without a mask
    if not (low.isfinite() and high.isfinite()):
        raise CutSwapError(
            "coreset points", expected="finite numbers", found="NaN or infinity",
            fix="check the weights and the images the features came from",
        )  # fmt: skip
    if not 1 <= count <= len(points):
        raise CutSwapError(
            "coreset size",
            expected=f"1 to {len(points)}, the number of points",
            found=count,
            fix="change --coreset",
        )


class _Search:
    """Farthest-first search with postponed comparisons.

    Attributes:
        bound: (n,) float32, squared distance to the nearest of the first `known` centres; picked
            points hold `PICKED`.
        known: (n,) int64, how many centres each point has been compared with.
        done: centres so far.
        picks: (count,) int64, their indices.
    """

    def __init__(self, points: Tensor, count: int) -> None:
        device = points.device
        self.points = points
        # Products of centred rows cancel less.
        self.mean = points.mean(dim=0, dtype=torch.float64)
        self.bound = torch.full((len(points),), torch.inf, device=device)
        self.known = torch.zeros(len(points), dtype=torch.int64, device=device)
        self.picks = torch.zeros(count, dtype=torch.int64)
        self.centres = torch.empty(count, points.shape[1], dtype=torch.float64, device=device)
        self.squares = torch.empty(count, dtype=torch.float64, device=device)
        self.done = 0
        self._candidates = self._width = START

    def begin(self, first: int) -> None:
        """Pick the first centre and compare every point with it."""
        self.add(first)
        self.freshen(torch.arange(len(self.bound), device=self.bound.device), 0.0)
        self.bound[first] = PICKED

    def add(self, index: int) -> None:
        """Append a centre; nobody is compared with it yet."""
        row = self.rows(torch.tensor([index], device=self.points.device))[0]
        self.picks[self.done] = index
        self.centres[self.done] = row
        self.squares[self.done] = row.dot(row)
        self.done += 1

    def rows(self, index: Tensor) -> Tensor:
        """(m, d) float64: centred points; index_select, because indexing is six times slower."""
        return self.points.index_select(0, index).double().sub_(self.mean)

    def round(self) -> None:
        """Compare the points with the largest bounds, then pick among them while that is safe."""
        # 1. The `width` largest bounds. Whoever is outside is no farther than `rival`.
        index, rival = _largest(self.bound, self._width)
        # 2. Compare these with the centres they have missed, unless they drop below the rival.
        self.freshen(index, rival[0])
        fresh = self.known[index] == self.done
        stale, index = index[~fresh], index[fresh]
        rival = max(rival, _farthest(self.bound[stale], stale))
        # 3. Few enough to compare with each new centre at once.
        index = index[self.bound[index] >= rival[0]]
        inside, next_inside = _largest(self.bound[index], self._candidates)
        if next_inside[0] > PICKED:
            rival = max(rival, (next_inside[0], -int(index[-next_inside[1]])))
        picked = self._pick_among(index[inside], rival)
        # 4. Nothing safe: widen until it is. Few: rounds cost more than comparisons. Many: less.
        if picked == 0:
            self._width = min(4 * self._width, len(self.bound))
            return
        if picked < FEW:
            self._candidates = min(2 * self._candidates, WIDEST)
        elif picked >= MANY:
            self._candidates = max(self._candidates // 2, START // 4)
        self._width = self._candidates

    def _pick_among(self, index: Tensor, rival: Rival) -> int:
        """The textbook loop on the candidates, while the best of them beats the rival."""
        before = self.done
        rows, bound = self.rows(index), self.bound[index]
        own = rows.square().sum(dim=1)
        while self.done < min(len(self.picks), before + MANY) and len(index):
            best = int(bound.argmax())  # the first of equals: index rises, so the lowest index
            choice = int(index[best])
            if (float(bound[best]), -choice) < rival:
                break
            self.add(choice)
            bound = bound.minimum(self.nearest(rows, own, self.done - 1, self.done))
            bound[best] = PICKED
        self.bound[index] = bound
        self.known[index] = self.done
        return self.done - before

    def freshen(self, index: Tensor, floor: float) -> None:
        """Compare points with the centres they have missed, until their bound is below floor."""
        index = index[self.known[index] < self.done]
        if len(index) == 0:
            return
        by_known = self.known[index].argsort(stable=True)
        for chunk in index[by_known].split(ROWS):
            self._freshen_chunk(chunk, floor)

    def _freshen_chunk(self, index: Tensor, floor: float) -> None:
        """Of points in the order of `known`: those that know least catch up until others join."""
        bound, known, rows = self.bound[index], self.known[index], self.rows(index)
        own = rows.square().sum(dim=1)
        low = int(known[0])
        while low < self.done:
            high = min(low + BLOCK, self.done)
            part = int((known < high).sum())
            nearest = self.nearest(rows[:part], own[:part], low, high)
            bound[:part] = bound[:part].minimum(nearest)
            known[:part] = low = high
            alive = (bound >= floor).nonzero()[:, 0]
            if len(alive) < 0.7 * len(index):
                self.bound[index], self.known[index] = bound, known
                if len(alive) == 0:
                    return
                index, bound, known = index[alive], bound[alive], known[alive]
                rows, own = rows.index_select(0, alive), own[alive]
                low = int(known[0])
        self.bound[index], self.known[index] = bound, known

    def nearest(self, rows: Tensor, own: Tensor, low: int, high: int) -> Tensor:
        """(m,) float32: squared distance of rows to the nearest of centres low to high-1.

        min_c ||x - c||^2 = ||x||^2 + min_c (||c||^2 - 2 x.c)

        Args:
            rows: (m, d) float64 x, centred.
            own: (m,) float64 ||x||^2.
            low: first centre.
            high: after the last.
        """
        product = torch.addmm(self.squares[low:high], rows, self.centres[low:high].T, alpha=-2)
        found = product.amin(dim=1) + own
        return torch.where(found > EQUAL * own, found, 0.0).float()


def _largest(values: Tensor, width: int) -> tuple[Tensor, Rival]:
    """Positions of the largest values, rising, and the largest of the rest; ties: lowest first."""
    if width >= len(values):
        return torch.arange(len(values), device=values.device), (PICKED, -len(values))
    border = values.topk(width + 1, sorted=False).values.min()
    above = (values > border).nonzero()[:, 0]
    ties = (values == border).nonzero()[:, 0]
    room = width - len(above)
    inside = torch.cat([above, ties[:room]]).sort().values
    return inside, (float(border), -int(ties[room]))


def _farthest(values: Tensor, index: Tensor) -> Rival:
    """The one that would be picked first among these; index rises."""
    if len(index) == 0:
        return PICKED, 0
    best = int(values.argmax())
    return float(values[best]), -int(index[best])
