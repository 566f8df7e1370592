"""Greedy k-centre: the few training patches that lie close to all the others.

Goal (PatchCore, Roth et al. 2022, eq. 5): choose C among the points so that
max_m min_{c in C} ||m - c|| is small; farthest-first comes within a factor of two of the best.

The textbook loop compares every point with every new centre. Distances to the nearest centre only
ever shrink, so an old distance is an upper bound, and here a point's comparison with new centres
waits until its bound is large enough to matter, when many are made in one matrix product. Only
points about to be picked are measured in double precision. The picks are the textbook's.

`coreset_space` says what is compared: the points, or their random projection.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from cutswap.errors import CutSwapError
from cutswap.patchcore import coreset_space
from cutswap.patchcore.coreset_space import ProjectedPoints
from cutswap.patchcore.device_coreset import farthest_first
from cutswap.utils.device_errors import is_out_of_memory

# Rows and centres of one matrix product: large enough for full speed, small enough for the cache.
ROWS, BLOCK = coreset_space.ROWS, 256
# Points looked at in a round, and how many picks it should give: a round has a fixed cost.
START, WIDEST = 2048, 16384
FEW, MANY = 64, 256
PICKED = -1.0
# Squared distances below this share of a point's own square are rounding: the points are equal.
EQUAL = 2.0**-40
LARGEST = 1e15  # squares and their sums stay far inside single precision

Rival = tuple[float, int]  # (squared distance, -index): the larger tuple is picked first
NOBODY: Rival = (PICKED, 0)


def greedy_k_center(
    points: Tensor,
    count: int,
    *,
    projection: int | None,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Indices of `count` points, each the farthest from all before it.

    Squared distances are measured in double and compared in single precision: the order in which
    a product sums leaves no trace, and ties are ties on any machine. Ties go to the lowest index.

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
    largest = _check(points, count)
    generator = torch.Generator().manual_seed(seed)
    # Drawn before the projection, so that a seed's first pick does not depend on that setting.
    first = int(torch.randint(len(points), (1,), generator=generator))
    with torch.no_grad(), torch.autocast(points.device.type, enabled=False):
        matrix = None
        if projection is not None and projection < points.shape[1]:
            # Divided by sqrt(dimensions): expected squared distances stay what they were.
            matrix = torch.randn(points.shape[1], projection, generator=generator)
            matrix /= projection**0.5
        if points.device.type == "cuda":
            chosen = _on_device(points, matrix, count, first, largest, progress)
            if chosen is not None:
                return chosen
        quick = _full_single_precision(points.device)
        search = _Search(
            ProjectedPoints(_with_double(points), matrix, largest=largest, quick=quick), count
        )
        search.begin(first)
        while search.done < count:
            search.round()
            if progress:
                progress(search.done, count)
    return search.picks.to(points.device)


def _on_device(
    points: Tensor,
    matrix: Tensor | None,
    count: int,
    first: int,
    largest: float,
    progress: Callable[[int, int], None] | None,
) -> Tensor | None:
    """The picks by the loop that never asks; None where there is no room for it."""
    try:
        space = ProjectedPoints(points, matrix, largest=largest, quick=False)
        rows = space.rows(torch.arange(len(points), device=points.device), torch.float64)
        return farthest_first(rows, count, first, _nearest, PICKED, progress)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    say = logging.getLogger("cutswap").warning
    say("memory bank: memory is short, so fewer patches are compared at once")
    return None


def coverage_radius(points: Tensor, picks: Tensor) -> float:
    """Largest euclidean distance from any point to its nearest pick, what k-centre minimises.

    Args:
        points: (n, d) float.
        picks: (m,) int64 indices into points.

    Raises:
        CutSwapError: points that are no finite matrix, or no picks.
    """
    largest = _check(points, len(picks))
    radius = 0.0
    with torch.no_grad(), torch.autocast(points.device.type, enabled=False):
        search = _Search(
            ProjectedPoints(_with_double(points), largest=largest, quick=False), len(picks)
        )
        search.add(picks.to(search.bound.device))
        for chunk in torch.arange(len(points), device=search.bound.device).split(ROWS):
            # Points known to be nearer than the radius so far need not be measured to the end.
            search.compare(chunk, radius, torch.float64)
            radius = max(radius, float(search.bound[chunk].max()))
    return radius**0.5


def _check(points: Tensor, count: int) -> float:
    """Refuse what cannot be measured; the largest magnitude."""
    if points.ndim != 2 or points.numel() == 0 or not points.is_floating_point():
        raise CutSwapError(
            "coreset points",
            expected="a float matrix (points, dimensions), not empty",
            found=f"{points.dtype} of shape {tuple(points.shape)}",
            fix="pass one row a patch",
        )
    low, high = (float(extreme) for extreme in points.aminmax())  # NaN shows in both
    largest = max(-low, high)
    if not largest <= LARGEST:
        raise CutSwapError(
            "coreset points",
            expected=f"finite numbers up to {LARGEST:g}",
            found=f"{low:g} to {high:g}",
            fix="check the weights and the images the features came from",
        )
    if not 1 <= count <= len(points):
        raise CutSwapError(
            "coreset size",
            expected=f"1 to {len(points)}, the number of points",
            found=count,
            fix="change --coreset",
        )
    return largest


def _with_double(points: Tensor) -> Tensor:
    return points.cpu() if points.device.type == "mps" else points


def _full_single_precision(device: torch.device) -> bool:
    """Whether float32 products are sure to be float32 inside: TF32 and bfloat16 break the bounds.

    Torch refuses to say once its two generations of precision flags were mixed.
    """
    try:
        return device.type == "cpu" and torch.get_float32_matmul_precision() == "highest"
    except RuntimeError:
        return False


class _Search:
    """Farthest-first search with postponed comparisons.

    Attributes:
        bound: (n,) float32, at least the squared distance to the nearest of the first `known`
            centres, and equal to it once measured in double; picked points hold `PICKED`.
        known: (n,) int32, how many centres each point has been compared with.
        done: number of centres.
        picks: (count,) int64, their indices.
    """

    def __init__(self, space: ProjectedPoints, count: int) -> None:
        device = space.device
        self.space = space
        self.bound = torch.full((len(space),), torch.inf, device=device)
        self.known = torch.zeros(len(space), dtype=torch.int32, device=device)
        self.picks = torch.zeros(count, dtype=torch.int64)
        self.done = 0
        # (count, d) centres and (count,) squares, in each precision that is used.
        self.centres = {
            kind: torch.empty(count, space.dimensions, dtype=kind, device=device)
            for kind in (space.quick, torch.float64)
        }
        self.squares = {kind: torch.empty_like(c[:, 0]) for kind, c in self.centres.items()}
        # Rounding of ||x||^2 + ||c||^2 - 2 x.c over d terms stays below slack (||x||^2 + ||c||^2)
        # (Higham 2002, eq. 3.5, doubled to cover ||x||^2 and the subtraction of the mean).
        self.slack = 2 * (space.dimensions + 8) * 2.0**-24
        self.width = START

    def begin(self, first: int) -> None:
        """Pick the first centre and compare every point with it."""
        self.add(torch.tensor([first], device=self.bound.device))
        # All know nothing yet, so they need no sorting, which would take five indices a point.
        for low in range(0, len(self.bound), ROWS):
            high = min(low + ROWS, len(self.bound))
            self.compare(torch.arange(low, high, device=self.bound.device), 0.0, self.space.quick)
        self.bound[first] = PICKED

    def add(self, index: Tensor) -> None:
        """Append centres; distances to them are computed later."""
        low, high = self.done, self.done + len(index)
        self.picks[low:high] = index
        rows = self.space.rows(index, torch.float64)
        for kind, centres in self.centres.items():
            centres[low:high] = rows
            squares = centres[low:high].double().square().sum(dim=1)
            self.squares[kind][low:high] = squares * (1 + self.slack_of(kind))
        self.done = high

    def slack_of(self, kind: torch.dtype) -> float:
        """Share of the squares that makes up for rounding; none where rounding leaves no trace."""
        return 0.0 if kind == torch.float64 else self.slack

    def round(self) -> None:
        """Look at the points with the largest bounds and pick among them while that is safe."""
        # 1. The largest bounds; whoever is outside is no farther than the rival.
        index, rival = _largest(self.bound, self.width)
        # 2. Compare these with the centres they have missed, until they drop below the rival.
        self.freshen(index, max(rival[0], 0.0))
        index = index[self.bound[index] >= max(rival[0], 0.0)]
        # 3. Measure those that are left; usually few.
        inside, next_inside = _largest(self.bound[index], WIDEST)
        if next_inside[0] > PICKED:
            rival = max(rival, (next_inside[0], -int(index[-next_inside[1]])))
        picked = self._pick_among(index[inside], rival)
        # 4. Nobody beat the rival: widen until somebody does.
        if picked == 0:
            self.width = min(4 * self.width, len(self.bound))
        elif picked < FEW:
            self.width = min(2 * self.width, WIDEST)
        else:
            self.width = min(self.width, WIDEST) // (2 if picked >= MANY else 1)

    def _pick_among(self, index: Tensor, rival: Rival) -> int:
        """The textbook loop on measured candidates, while the best of them beats the rival."""
        rows, bound = self.space.rows(index, torch.float64), self.bound[index]
        own = rows.square().sum(dim=1)
        for low in range(0, self.done, BLOCK):
            bound = bound.minimum(self.nearest(rows, own, low, min(low + BLOCK, self.done)))
        chosen: list[int] = []
        while len(chosen) < min(len(self.picks) - self.done, MANY) and len(index):
            best = int(bound.argmax())  # the first of equals: index rises, so the lowest index
            if (float(bound[best]), -int(index[best])) < rival:
                break
            chosen.append(best)
            bound = bound.minimum(_nearest(rows, own, rows[best : best + 1], own[best]))
            bound[best] = PICKED
        self.add(index[chosen])
        self.bound[index], self.known[index] = bound, self.done
        return len(chosen)

    def freshen(self, index: Tensor, floor: float) -> None:
        """Compare points with the centres they have missed, until their bound is below floor."""
        index = index[self.known[index] < self.done]
        by_known = self.known[index].argsort(stable=True)
        for chunk in index[by_known].split(ROWS):
            self.compare(chunk, floor, self.space.quick)

    def compare(self, index: Tensor, floor: float, kind: torch.dtype) -> None:
        """Of points in the order of `known`: those that know least catch up until others join."""
        bound, known, rows = self.bound[index], self.known[index], self.space.rows(index, kind)
        own, off = rows.square().sum(dim=1), self._off(index, kind)
        low = int(known[0]) if len(known) else self.done
        while low < self.done:
            high = min(low + BLOCK, self.done)
            part = int((known < high).sum())
            nearest = self.nearest(rows[:part], own[:part], low, high)
            if off is not None:  # ||x - c|| <= ||y - c|| + ||x - y||, y being what the copy has
                nearest = nearest.sqrt_().add_(off[:part]).square_()
            bound[:part] = bound[:part].minimum(nearest)
            known[:part] = low = high
            alive = (bound >= floor).nonzero()[:, 0]
            if len(alive) < 0.7 * len(index):  # below that, a copy costs less than idle rows
                self.bound[index], self.known[index] = bound, known
                index, bound, known = index[alive], bound[alive], known[alive]
                rows, own = rows.index_select(0, alive), own[alive]
                off = None if off is None else off[alive]
                low = int(known[0]) if len(known) else self.done
        self.bound[index], self.known[index] = bound, known

    def _off(self, index: Tensor, kind: torch.dtype) -> Tensor | None:
        """How far rows of a precision may be from the true ones; None: only by rounding."""
        off = self.space.off
        return None if kind == torch.float64 or off is None else off[index]

    def nearest(self, rows: Tensor, own: Tensor, low: int, high: int) -> Tensor:
        """`_nearest` of centres low to high-1; an upper bound of it from single precision."""
        kind = rows.dtype
        squares = self.squares[kind][low:high]
        return _nearest(
            rows, own * (1 + self.slack_of(kind)), self.centres[kind][low:high], squares
        )


def _nearest(rows: Tensor, own: Tensor, centres: Tensor, squares: Tensor) -> Tensor:
    """Squared distance of every row to the nearest centre.

    min_c ||x - c||^2 = ||x||^2 + min_c (||c||^2 - 2 x.c)

    Args:
        rows: (m, d) float64 or float32, x.
        own: (m,) ||x||^2.
        centres: (k, d) c.
        squares: (k,) ||c||^2.

    Returns:
        (m,) float32.
    """
    distances = torch.addmm(squares, rows, centres.T, alpha=-2).amin(dim=1) + own
    return torch.where(distances > EQUAL * own, distances, 0.0).float()


def _largest(values: Tensor, width: int) -> tuple[Tensor, Rival]:
    """Positions of the largest values, rising, and the largest of the rest; ties: lowest first."""
    if width >= len(values):
        return torch.arange(len(values), device=values.device), NOBODY
    border = values.topk(width + 1, sorted=False).values.min()
    above = (values > border).nonzero()[:, 0]
    ties = (values == border).nonzero()[:, 0]
    room = width - len(above)
    inside = torch.cat([above, ties[:room]]).sort().values
    return inside, (float(border), -int(ties[room]))
