"""The clusters of one saliency map, as the viewer shows them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.saliency.levels import WHERE_TO_LOOK
from app.viewer.pictures import CLUSTER_COLOURS
from app.viewer.viewer import Legend, Picture, Point
from cutswap.saliency.clusters import Clusters
from cutswap.utils.overlays import colour_regions


def cluster_picture(
    photo: np.ndarray,
    values: np.ndarray,
    groups: Clusters,
    points: Sequence[Point],
    layer: str,
    inside: np.ndarray | None = None,
) -> Picture:
    """The clusters of one level over the photo, each with its mean and its share of the area.

    Args:
        photo: (S, S, 3) uint8.
        values: (S, S) float in [0, 1], the level's saliency.
        groups: its clusters.
        points: places that were clicked.
        layer: name of the level.
        inside: (S, S) bool, the region of interest; None: everywhere.
    """
    regions = groups.regions(values)
    shares = np.bincount(regions.ravel(), minlength=groups.k) / regions.size
    names = [
        f"{i + 1}{' (most salient)' if i == groups.k - 1 and groups.k > 1 else ''}:"
        f" mean {groups.centroids[i]:.2f}, {shares[i]:.0%} of the area"
        for i in range(groups.k)
    ]
    return Picture(
        photo,
        heat=colour_regions(regions),
        points=points,
        legend=Legend(swatches=tuple(zip(CLUSTER_COLOURS, names, strict=False))),
        alt=f"Clusters of layer {layer}: " + "; ".join(names),
        opacity=60,
        left=f"K = {groups.k}",
        mask=inside,
        outline_name=WHERE_TO_LOOK,
    )
