"""The pairs of a game: everybody who has its number sees the same ones, in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cutswap.errors import CutSwapError

EACH = 3  # pairs a method


@dataclass(frozen=True)
class FakePair:
    """Two good photos, of which one is shown as a negative.

    Attributes:
        method: of the negative.
        fake: index of the photo that it is made of.
        real: index of the other one, shown as it is.
        is_left: whether the negative is shown on the left.
        epoch: of the draw.
    """

    method: str
    fake: int
    real: int
    is_left: bool
    epoch: int


def pairs_of(game: int, methods: Sequence[str], photos: int) -> tuple[FakePair, ...]:
    """`EACH` pairs a method, mixed; another game is another order, other photos and draws.

    Args:
        game: its number, 0 or more.
        methods: one or more.
        photos: how many good photos there are.

    Raises:
        CutSwapError: fewer than two photos.
    """
    if photos < 2:
        raise CutSwapError(
            "Spot the fake",
            expected="two good photos or more",
            found=photos,
            fix="choose another category, or add photos to train/good",
        )
    rng = np.random.default_rng((game, photos))
    order = rng.permutation(np.repeat(np.arange(len(methods)), EACH))
    pairs = []
    for place, method in enumerate(order.tolist()):
        fake, real = rng.choice(photos, size=2, replace=False).tolist()
        pairs.append(FakePair(methods[method], fake, real, bool(rng.integers(2)), place))
    return tuple(pairs)
