"""The validation set that weighs bank and head: held-out good photos, defects made up on them.

The defects are of the families that the head was not trained on, so that neither is asked about
what it has seen. Test images take no part.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from cutswap.config import FAMILIES, ClusterSettings, NegativeSettings, WeakAugmentation
from cutswap.errors import CutSwapError
from cutswap.heads.joining import ValidationScores
from cutswap.heads.patch_head import PatchHead
from cutswap.negatives.samples import draw_sample
from cutswap.patchcore.patch_region import PatchRegion, looked_at

MADE_UP_SEED = 9  # no training draws with it by accident: its stream also has the photo's number
MADE_ON = 16  # held-out photos that defects are made on, at most: 128 defects, evenly spread
# CutSwap itself wants saliency and is left out also where it was not trained on; two sizes of each.
VALIDATION_FAMILIES = tuple(family for family in FAMILIES if family != "cutswap")


@dataclass(frozen=True)
class ValidationSet:
    """Photos that bank and head are weighed by.

    Attributes:
        good: (G, H, W, 3) uint8, held-out good photos.
        made_up: (M, H, W, 3) uint8, the same number of defects on each of at most `MADE_ON`.
        families: what they were drawn by.
    """

    good: np.ndarray
    made_up: np.ndarray
    families: tuple[str, ...]


def held_out_positions(count: int, share: float) -> np.ndarray:
    """Positions, of `count` good photos, that a head does not learn from: evenly spread.

    Raises:
        CutSwapError: fewer than two photos: none would be left to learn from.
    """
    if count < 2:
        raise CutSwapError(
            "training photos",
            expected="at least 2 good ones, one to learn from and one held out",
            found=count,
            fix="add good photos",
        )
    step = max(2, round(1 / share))
    return np.arange(0, count, step)


def make_validation_set(
    good: np.ndarray, trained_on: str, inside: np.ndarray | None = None
) -> ValidationSet:
    """Defects on held-out good photos, a patch and a scar of each family not trained on.

    Args:
        good: (G, H, W, 3) uint8.
        trained_on: family of the head's negatives; `NO_FAMILY`: it saw none, so all are asked.
        inside: (H, W) bool, where to look: defects lie there alone; None: everywhere.

    Raises:
        CutSwapError: a region so small that no defect fits.
    """
    # A texture covers the whole photo, and would lie outside a region.
    fits = inside is None or bool(inside.all())
    left_out = (trained_on, *(() if fits else ("perlin",)))
    families = tuple(family for family in VALIDATION_FAMILIES if family not in left_out)
    chosen = good[np.linspace(0, len(good) - 1, min(len(good), MADE_ON)).round().astype(int)]
    methods = tuple(
        NegativeSettings(method=method) for f in families for method in (f, f"{f}-scar")
    )
    made = [
        negative.photo
        for number, photo in enumerate(chosen)
        for negative in draw_sample(
            photo,
            None,
            methods,
            ClusterSettings(),
            WeakAugmentation(jitter=0.0),
            seed=MADE_UP_SEED,
            number=number,
            inside=inside,
        )[2]
    ]
    return ValidationSet(good, np.stack(made), families)


def validation_scores(
    head: PatchHead,
    good: Iterable[Tensor],
    made_up: Iterable[Tensor],
    region: PatchRegion | None = None,
) -> ValidationScores:
    """Ask a head that was trained without the held-out photos.

    Args:
        head: the one asked.
        good: batches (n, h, w, D) float32 of the held-out photos' patch embeddings.
        made_up: likewise of the defects.
        region: where to look; None: everywhere.
    """
    patches = [looked_at(head.score_patches(part), region) for part in good]
    bad = [head.image_scores(looked_at(head.score_patches(part), region)) for part in made_up]
    return ValidationScores(
        np.concatenate([head.image_scores(p) for p in patches]),
        np.concatenate(bad),
        float(np.mean([p.mean() for p in patches])),
    )
