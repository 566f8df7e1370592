"""Figures of a grid's cells: by hand, and the same as the quality table's."""

from __future__ import annotations

import numpy as np
import pytest

from cutswap.analysis.cell_figures import (
    cluster_figures,
    distance_to_normal,
    distances_to,
    mean_figures,
    negative_figures,
    short_lines,
    split_photos,
)
from cutswap.analysis.quality_distances import Patches
from cutswap.analysis.quality_measures import mean_change, similarity
from cutswap.config import ClusterSettings, NegativeSettings
from cutswap.errors import CutSwapError
from cutswap.negatives.draw import draw_negative
from cutswap.networks.backbone import load_backbone
from tests.helpers.small_photos import photo_of

LEFT = np.arange(100).reshape(10, 10) % 10 < 5


def test_a_cluster_s_area_and_share_on_the_part():
    region = np.zeros((10, 10), bool)
    region[:2] = True  # two rows: half of each on the left
    assert cluster_figures(region, LEFT) == {"area": 0.2, "on_part": 0.5}
    assert cluster_figures(region, None) == {"area": 0.2}
    assert cluster_figures(LEFT, LEFT)["on_part"] == 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("method", ["cutswap", "cutpaste-scar", "perlin"])
def test_a_negative_s_figures_are_those_of_the_quality_table(method: str, seed: int):
    """SSIM is computed around the change alone; nothing of it may be lost at the borders."""
    photo = photo_of(seed, (64, 64))
    saliency = np.linspace(0, 1, 64 * 64).reshape(64, 64)
    one = draw_negative(
        photo, saliency, NegativeSettings(method=method), ClusterSettings(), seed=(seed,)
    )
    front = np.arange(64 * 64).reshape(64, 64) % 64 < 20
    figures = negative_figures(photo, one.photo, one.mask, front)
    assert figures["changed"] == one.mask.mean()
    assert figures["change"] == mean_change(photo, one.photo, one.mask)
    whole = similarity(photo, one.photo)[one.mask].mean()
    assert figures["ssim"] == pytest.approx(whole, abs=1e-12)
    assert figures["on_part"] == front[one.mask].mean()
    assert "on_part" not in negative_figures(photo, one.photo, one.mask, None)


def test_photos_that_are_normal_are_not_those_that_are_measured():
    made_of, normal = split_photos(9, 3, 2)
    assert (list(made_of), list(normal)) == ([0, 2, 4], [1, 3])
    with pytest.raises(CutSwapError, match="at least 4"):
        split_photos(3, 8, 8)


def test_a_normal_photo_is_no_distance_from_itself():
    photos = np.stack([photo_of(i, (64, 64)) for i in range(2)])
    patches = Patches(load_backbone("resnet18", "random"), "layer3")
    distances = distances_to(photos, patches)
    whole = np.ones((64, 64), bool)
    assert distance_to_normal(photos[1], whole, patches, distances) == pytest.approx(0, abs=1e-3)
    assert distance_to_normal(255 - photos[1], whole, patches, distances) > 0.01


def test_means_go_over_the_figures_that_every_photo_has():
    means = mean_figures([{"area": 0.1, "on_part": 1.0}, {"area": 0.3}])
    assert set(means) == {"area"}
    assert means["area"].mean == pytest.approx(0.2)
    low, high = means["area"].interval
    assert 0.1 <= low <= 0.2 <= high <= 0.3
    assert mean_figures([{"area": 0.1}])["area"].interval is None


def test_figures_in_a_cell_s_words():
    assert short_lines({"area": 0.1234, "on_part": 0.5}) == ("on part 50%", "area 12.3%")
    assert short_lines({"changed": 0.1, "change": 30.4, "ssim": 0.5, "to_normal": 1.234}) == (
        "changed 10.0%",
        "by 30 of 255",
        "SSIM 0.50",
        "to normal 1.23",
    )
    assert short_lines({"ssim": -0.001}) == ("SSIM 0.00",)
    assert short_lines({}) == ()
