"""Pixels counted photo by photo give the figures of all pixels sorted at once."""

from __future__ import annotations

import numpy as np
import pytest

from cutswap.errors import CutSwapError
from cutswap.evaluation.metrics import Metrics, summarise
from cutswap.evaluation.tiled.pixel_counts import CountedFigures, PixelCounts

NAMES = {
    "auroc": "pixel_auroc",
    "average_precision": "pixel_average_precision",
    "f1_max": "pixel_f1_max",
    "threshold": "pixel_threshold",
    "aupro": "aupro",
}


def maps(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Heat that is higher, but not always, on defects of several sizes."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((4, 60, 80), bool)
    masks[0, 5:15, 5:25] = masks[0, 40:44, 60:64] = masks[2, 30:33, 10:50] = True
    heat = rng.gamma(2.0, 1.0, masks.shape) + masks * rng.uniform(0, 3, masks.shape)
    return heat.astype(np.float32), masks


def counted(heat: np.ndarray, masks: np.ndarray, region: np.ndarray | None = None):
    counts = PixelCounts()
    for one, mask in zip(heat, masks, strict=True):
        counts.add(one, mask, region)
    return counts.figures()


def sorted_(heat: np.ndarray, masks: np.ndarray, region: np.ndarray | None = None) -> Metrics:
    return summarise(np.arange(4.0), np.arange(4) > 1, heat, masks, region=region)


def assert_near(found: CountedFigures | None, wanted: Metrics, rel: float) -> None:
    assert found is not None
    for own, other in NAMES.items():
        assert getattr(found, own) == pytest.approx(getattr(wanted, other), rel=rel), own


@pytest.mark.parametrize("has_region", [False, True])
def test_figures_are_those_of_sorted_pixels(has_region):
    region = None
    if has_region:
        region = np.zeros((60, 80), bool)
        region[10:, :70] = True
    heat, masks = maps(0)
    assert_near(counted(heat, masks, region), sorted_(heat, masks, region), 1e-3)
    # With few values, each the lower end of a bin, bins lose nothing.
    coarse = np.round(heat * 4) / 4
    assert_near(counted(coarse, masks, region), sorted_(coarse, masks, region), 1e-12)


def test_photos_of_different_sizes_are_counted_together():
    heat, masks = maps(1)
    counts = PixelCounts()
    for one, mask in zip(heat, masks, strict=True):
        counts.add(one[:40], mask[:40])
        counts.add(one[40:], mask[40:])
    whole = counted(heat, masks)
    assert counts.figures().auroc == whole.auroc


def test_nothing_is_said_without_defects_or_without_anything_else():
    heat, masks = maps(2)
    assert counted(heat, np.zeros_like(masks)) is None
    assert counted(heat, np.ones_like(masks)) is None
    assert counted(heat, masks, np.zeros((60, 80), bool)) is None


@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf])
def test_heat_that_is_none_is_refused(value):
    heat, masks = maps(3)
    heat[0, 0, 0] = value
    with pytest.raises(CutSwapError, match="finite numbers >= 0"):
        counted(heat, masks)
