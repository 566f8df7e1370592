"""Where the part is on a photo, as another network than the one that looks guesses it."""

from __future__ import annotations

import numpy as np

from app.shared import caches
from app.shared.caches import PhotoKey, SaliencyKey
from app.shared.picture_memory import kept
from cutswap.analysis.quality_measures import foreground
from cutswap.analysis.quality_settings import QualitySettings
from cutswap.networks.backbone import SALIENCY_LEVELS

OTHER = "vgg16"  # judges what the usual judge itself looks at


def judge_of(backbone: str) -> str:
    """The network that judges what another one looks at: its own map would always agree."""
    usual = QualitySettings().judge
    return usual if backbone != usual else OTHER


def part_of(key: SaliencyKey) -> np.ndarray | None:
    """(S, S) bool, the part on the photo of a key; None where the guess has nothing to go by.

    Args:
        key: the photo, and which network looks at it.

    Raises:
        CutSwapError: the photo cannot be read, or the judge's weights are missing.
    """
    return _part(key.photo, judge_of(key.backbone))


@kept()
def _part(photo: PhotoKey, judge: str) -> np.ndarray | None:
    layers = SALIENCY_LEVELS[judge]
    maps = caches.explained(
        SaliencyKey(photo, judge, "embedded", layers, fusion=(1.0,) * len(layers))
    ).maps
    return foreground(maps[len(layers)])
