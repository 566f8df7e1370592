"""The pixels that may anchor CutSwap's patches, with what had to be given up to have any."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cutswap.config import ClusterSettings
from cutswap.errors import CutSwapError
from cutswap.saliency.clusters import Clusters, anchor_region


@dataclass(frozen=True)
class AnchorRegion:
    """Where anchors may lie.

    Attributes:
        mask: (H, W) bool.
        fallbacks: departures from the plain rule, in words, for the record.
    """

    mask: np.ndarray
    fallbacks: tuple[str, ...] = ()


def find_region(
    saliency: np.ndarray,
    settings: ClusterSettings,
    rng: np.random.Generator,
    clusters: Clusters | None = None,
) -> AnchorRegion:
    """The strategy's region; a degenerate map gives the whole image, and says so.

    Args:
        saliency: (H, W) float in [0, 1].
        settings: strategy, K and n.
        rng: used by `random-cluster` only.
        clusters: of this map at `settings.k`, where they are known already.
    """
    try:
        region = anchor_region(saliency, settings, rng, clusters)
    except CutSwapError as error:
        why = f"uniform anchors: {error.subject} has {error.found}"
        return AnchorRegion(np.ones(saliency.shape, dtype=bool), (why,))
    if np.count_nonzero(region) >= 2:
        return AnchorRegion(region)
    # One bright pixel can be a cluster of its own: take the pixels nearest to it in saliency.
    centre = saliency[region].mean() if region.any() else saliency.max()
    nearest = np.argsort(np.abs(saliency - centre), axis=None, kind="stable")
    widened = np.zeros(saliency.size, dtype=bool)
    widened[nearest[: max(2, saliency.size // 100)]] = True
    return AnchorRegion(
        widened.reshape(saliency.shape),
        ("region widened: the cluster had fewer than two pixels",),
    )
