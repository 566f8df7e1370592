"""What a head says of the photos it was not shown, and of defects made up on them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from torch import Tensor

from cutswap.heads.joining import Judged
from cutswap.heads.patch_head import PatchHead


def judge(head: PatchHead, good: Iterable[Tensor], made_up: Iterable[Tensor]) -> Judged:
    """Ask a head that was trained without the held-out photos.

    Args:
        head: the one asked.
        good: batches (n, h, w, D) float32 of the held-out photos' patch embeddings.
        made_up: likewise of the defects.
    """
    patches = [head.score_patches(part) for part in good]
    bad = [head.image_scores(head.score_patches(part)) for part in made_up]
    return Judged(
        np.concatenate([head.image_scores(p) for p in patches]),
        np.concatenate(bad),
        float(np.mean([p.mean() for p in patches])),
    )
