"""What a cell of a grid says below its picture: figures of a cluster, or of a negative.

Share on the part, changed share and visibility are of one photo and cost a millisecond; the
distance to normal photos needs a network, so it is measured on request. All are as in
`negative_quality`, which compares whole methods; here two knobs are compared, cell by cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cutswap.analysis.quality_distances import Distances, Patches, RealPhotos
from cutswap.analysis.quality_measures import mean_change, photo_interval, similarity
from cutswap.analysis.quality_settings import QualitySettings
from cutswap.analysis.quality_table import MeanWithInterval
from cutswap.errors import CutSwapError

AREA, ON_PART = "area", "on_part"  # of a cluster: shares of the photo, and of the cluster
CHANGED, CHANGE, SSIM, TO_NORMAL = "changed", "change", "ssim", "to_normal"  # of a negative
Figures = dict[str, float]


def cluster_figures(region: np.ndarray, front: np.ndarray | None) -> Figures:
    """How large a cluster is, and how much of it lies on the part.

    Args:
        region: (H, W) bool, at least one pixel.
        front: (H, W) bool, the part as `quality_measures.foreground` guesses it; None: unknown.

    Returns:
        `AREA` in (0, 1]; `ON_PART` in [0, 1] where the part is known.
    """
    figures = {AREA: float(region.mean())}
    if front is not None:
        figures[ON_PART] = float(front[region].mean())
    return figures


def negative_figures(
    positive: np.ndarray, negative: np.ndarray, mask: np.ndarray, front: np.ndarray | None
) -> Figures:
    """How much of a photo changed, how visibly, and how much of that lies on the part.

    Args:
        positive: (H, W, 3) uint8.
        negative: (H, W, 3) uint8.
        mask: (H, W) bool, the pixels that differ; at least one.
        front: (H, W) bool, the part; None: unknown.

    Returns:
        `CHANGED` in (0, 1]; `CHANGE`, mean absolute difference there, levels of 255; `SSIM` there,
        1: nobody sees it; `ON_PART` in [0, 1] where the part is known.
    """
    box = _around(mask)
    figures = {
        CHANGED: float(mask.mean()),
        CHANGE: mean_change(positive, negative, mask),
        SSIM: float(similarity(positive[box], negative[box])[mask[box]].mean()),
    }
    if front is not None:
        figures[ON_PART] = float(front[mask].mean())
    return figures


def _around(mask: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns that decide SSIM inside a mask: its own, and 8 more for 11 taps."""
    slices = []
    for axis in (1, 0):
        inside = np.flatnonzero(mask.any(axis=axis))
        slices.append(slice(max(0, int(inside[0]) - 8), int(inside[-1]) + 9))
    return slices[0], slices[1]


def split_photos(count: int, most: int, most_normal: int) -> tuple[range, range]:
    """Which good photos cells are measured on, and which others say what is normal.

    Every other one, as in `measure_quality`: both halves are alike where a series drifts, and no
    negative is compared with the photo that it was made of.

    Args:
        count: good training photos.
        most: photos measured on, at most.
        most_normal: others, at most.

    Raises:
        CutSwapError: fewer than four.
    """
    if count < 4:
        raise CutSwapError(
            "figures over the category",
            expected="at least 4 good training photos, half of them to compare with",
            found=count,
            fix="add photos to train/good",
        )
    return range(0, count, 2)[:most], range(1, count, 2)[:most_normal]


def distances_to(normal: np.ndarray, patches: Patches) -> Distances:
    """What measures how far a changed area is from normal photos.

    Args:
        normal: (N, H, W, 3) uint8.
        patches: whose features.
    """
    return Distances(patches.of(normal), RealPhotos(None, None, None))


def distance_to_normal(
    photo: np.ndarray, mask: np.ndarray, patches: Patches, distances: Distances
) -> float:
    """Mean feature distance of a photo's changed area to the nearest normal patches.

    Args:
        photo: (H, W, 3) uint8, the negative.
        mask: (H, W) bool, what changed.
        patches: as for `distances_to`.
        distances: to what.
    """
    return distances.of(patches.of(photo[None])[0], mask)[0]


def mean_figures(photos: Sequence[Figures]) -> dict[str, MeanWithInterval]:
    """Means over photos with their intervals; what some photo does not have is left out.

    Args:
        photos: of each photo its figures; at least one photo.
    """
    names = [name for name in photos[0] if all(name in one for one in photos)]
    resamples = QualitySettings().resamples
    means: dict[str, MeanWithInterval] = {}
    for name in names:
        values = np.array([one[name] for one in photos])
        interval = photo_interval(values, resamples)
        means[name] = MeanWithInterval(float(values.mean()), interval, (), len(photos))
    return means


def short_lines(figures: Mapping[str, float]) -> tuple[str, ...]:
    """The figures as a cell says them, each on a line: `on part 92%`."""
    words = {
        ON_PART: lambda v: f"on part {v:.0%}",
        AREA: lambda v: f"area {v:.1%}",
        CHANGED: lambda v: f"changed {v:.1%}",
        CHANGE: lambda v: f"by {v:.0f} of 255",
        SSIM: lambda v: f"SSIM {round(v, 2) + 0.0:.2f}",
        TO_NORMAL: lambda v: f"to normal {v:.2f}",
    }
    return tuple(say(figures[name]) for name, say in words.items() if name in figures)
