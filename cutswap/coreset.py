"""Greedy k-centre: the coreset of PatchCore (Roth et al. 2022, algorithm 1), exact and in batches.

The plain loop adds the point farthest from all centres so far, and reads all points once a pick.
Here the farthest M points are candidates; among them picks are made greedily as long as the best
candidate is at least as far as every point outside, whose distances can only shrink. Then all
points meet the whole batch of new centres in one matrix product. The picks are those of the plain
loop (up to rounding between equally far points), for a fraction of the memory traffic.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cutswap.errors import CutSwapError

CHUNK = 16_384  # points a matrix product: 16384 x 256 float32 distances are 16 MB
BATCH = 256  # centres a round
CANDIDATES = 4_096


def greedy_k_center(
    points: Tensor,
    count: int,
    *,
    projection: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Pick centres so that every point is near one: farthest first.

    Args:
        points: (n, d) float32 on any device.
        count: centres wanted, 1 to n.
        projection: dimensions of a random gaussian projection in which distances are measured;
            None, or one not below d, measures in the full space.
        seed: of the projection and the first centre.
        progress: called with (centres, count).

    Returns:
        (count,) int64, distinct indices in the order they were picked.

    Raises:
        CutSwapError: count outside 1..n.
    """
    if not 1 <= count <= len(points):
        raise CutSwapError(
            "coreset size",
            expected=f"1 to {len(points)} patches",
            found=count,
            fix="choose a coreset ratio in (0, 1]",
        )
    generator = torch.Generator().manual_seed(seed)
    first = int(torch.randint(len(points), (1,), generator=generator))
    space = project(points, projection, generator)
    norms = space.square().sum(dim=1)  # ||x||^2, (n,)
    nearest = torch.full_like(norms, torch.inf)  # squared distance to the nearest centre
    picks = [first]
    fresh = [first]
    width = min(CANDIDATES, len(points))
    while True:
        _meet(space, norms, nearest, fresh)
        nearest[fresh] = -1.0  # a centre is never picked again, also among equal points
        if progress:
            progress(len(picks), count)
        if len(picks) == count:
            return torch.tensor(picks)
        fresh = _pick_batch(space, norms, nearest, width, min(BATCH, count - len(picks)))
        picks += fresh
        # Few picks a round mean the candidates ran out, not the batch: look wider next time.
        if len(fresh) < BATCH // 4:
            width = min(2 * width, len(points))


def project(points: Tensor, dimensions: int | None, generator: torch.Generator) -> Tensor:
    """(n, d) to (n, dimensions) by a gaussian matrix; centred, which moves no distance.

    Centring keeps ||a||^2 + ||b||^2 - 2ab from losing digits to a large common offset.
    """
    width = points.shape[1]
    if dimensions is not None and dimensions < width:
        matrix = torch.randn(width, dimensions, generator=generator) / dimensions**0.5
        points = points @ matrix.to(points)
    return points - points.mean(dim=0)


def coverage_radius(points: Tensor, picks: Tensor) -> float:
    """Largest distance of a point to its nearest pick: what greedy k-centre makes small."""
    nearest = torch.full((len(points),), torch.inf, device=points.device)
    centred = points - points.mean(dim=0)
    _meet(centred, centred.square().sum(dim=1), nearest, picks.tolist())
    return float(nearest.max().clamp_min(0).sqrt())


def _meet(space: Tensor, norms: Tensor, nearest: Tensor, fresh: list[int]) -> None:
    """Lower `nearest` in place by the distances to new centres."""
    for start in range(0, len(fresh), BATCH):
        centres, own = space[fresh[start : start + BATCH]], norms[fresh[start : start + BATCH]]
        for low in range(0, len(space), CHUNK):
            part = slice(low, low + CHUNK)
            distance = torch.addmm(own, space[part], centres.T, alpha=-2)  # (chunk, centres)
            closest = (distance.amin(dim=1) + norms[part]).clamp_min_(0)
            torch.minimum(nearest[part], closest, out=nearest[part])


def _pick_batch(space: Tensor, norms: Tensor, nearest: Tensor, width: int, limit: int) -> list[int]:
    """The next picks of the plain loop, as many as the candidates prove; at least one."""
    distance, index = nearest.topk(min(width + 1, len(nearest)))
    if width < len(nearest):
        outside = float(distance[-1])  # no point outside the candidates is farther than this
        # A candidate as far as an outside point may have the higher index: keep strict ones only,
        # except that the very farthest must be settled among all points that far.
        inside = index[distance > outside]
        if len(inside) == 0:
            return [int((nearest == distance[0]).nonzero()[0, 0])]
    else:
        outside, inside = -0.5, index
    inside = inside.sort().values  # argmax below then takes the lowest index among equals
    far, rows, own = nearest[inside].clone(), space[inside], norms[inside]
    picks: list[int] = []
    while len(picks) < limit:
        best = int(far.argmax())
        if float(far[best]) <= outside:
            break
        picks.append(int(inside[best]))
        to_best = (own + own[best] - 2 * (rows @ rows[best])).clamp_min_(0)
        far = torch.minimum(far, to_best)
        far[best] = -1.0
    return picks
