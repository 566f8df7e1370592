"""Greedy k-centre on an accelerator: the textbook loop, without one question to the device.

`coreset` saves comparisons by asking, pick by pick, which of them are needed; a card makes them all
in less time than an answer takes. In double precision and with the same rules for ties the picks
are those of the processor.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_TOLD = 256  # picks between two words of progress


def farthest_first(
    rows: Tensor,
    count: int,
    first: int,
    nearest: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor],
    picked: float,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Indices of `count` rows, each the farthest from all before it, ties to the lowest.

    Args:
        rows: (n, d) float64.
        count: 1 to n.
        first: the first pick.
        nearest: `coreset._nearest`, from rows, their squares, centres and theirs.
        picked: what marks a row that is picked; below every distance.
        progress: called with (picked, count).

    Returns:
        (count,) int64 on the device of the rows.
    """
    own = rows.square().sum(dim=1)
    places = torch.arange(len(rows), device=rows.device)
    picks = torch.empty(count, dtype=torch.int64, device=rows.device)
    bound = torch.full((len(rows),), torch.inf, device=rows.device)
    best = places[first : first + 1]
    for done in range(count):
        picks[done : done + 1] = best
        centre = rows.index_select(0, best)
        bound = bound.minimum(nearest(rows, own, centre, own.index_select(0, best)))
        bound.index_fill_(0, best, picked)
        # `argmax` promises nothing of equals.
        best = torch.where(bound == bound.max(), places, len(rows)).min()[None]
        if progress and ((done + 1) % _TOLD == 0 or done + 1 == count):
            progress(done + 1, count)
    return picks
