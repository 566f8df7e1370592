"""Negatives of a category with a region: anchors and all that changes lie inside."""

from __future__ import annotations

import numpy as np
import pytest

from cutswap.config import ClusterSettings, NegativeSettings
from cutswap.data.datasets import open_dataset
from cutswap.data.loading import CheckedCategory
from cutswap.errors import CutSwapError
from cutswap.negatives.by_hand import hand_placing
from cutswap.negatives.draw import draw_negative, redraw
from cutswap.training.finetuning import build_samples
from tests.helpers.datasets import build_category, noise_photo, write_image

SIDE = 64
METHODS = ["cutswap", "cutswap-scar", "cutpaste", "cutpaste-scar", "nsa", "smoothblend"]


def region(share: float) -> np.ndarray:
    inside = np.zeros((SIDE, SIDE), bool)
    side = int(SIDE * share**0.5)
    inside[-side:, :side] = True
    return inside


def drawn(method: str, inside: np.ndarray | None, seed: int):
    rng = np.random.default_rng(seed)
    return draw_negative(
        noise_photo(seed, (SIDE, SIDE)),
        rng.random((SIDE, SIDE)),
        NegativeSettings(method=method),
        ClusterSettings(),
        seed=(seed,),
        inside=inside,
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("share", [0.5, 0.1])
def test_nothing_outside_changes(method, share):
    inside = region(share)
    for seed in range(4):
        negative = drawn(method, inside, seed)
        assert negative.mask.any()
        assert not negative.mask[~inside].any()
        if method.startswith("cutswap"):
            assert all(inside[anchor] for anchor in negative.record.anchors)
        positive = noise_photo(seed, (SIDE, SIDE))
        np.testing.assert_array_equal(redraw(positive, negative.record).photo, negative.photo)


@pytest.mark.parametrize("method", METHODS)
def test_a_region_of_all_ones_changes_no_draw(method):
    one, other = drawn(method, np.ones((SIDE, SIDE), bool), 3), drawn(method, None, 3)
    np.testing.assert_array_equal(one.photo, other.photo)
    assert one.record == other.record


@pytest.mark.parametrize("method", ["perlin", "cutswap"])
def test_where_nothing_fits_it_is_said(method):
    inside = region(0.001)
    if method == "cutswap":
        inside[:] = False
        inside[::8, ::8] = True  # dust
    with pytest.raises(CutSwapError, match="and no draw that stays there"):
        drawn(method, inside, 0)


def test_a_region_of_another_size_is_refused():
    with pytest.raises(CutSwapError, match="found 9x9"):
        drawn("cutswap", np.ones((9, 9), bool), 0)


def test_a_training_draws_inside(tmp_path):
    from cutswap.config import FineTuningSettings, TrainingSettings

    root = build_category(tmp_path / "bolt")
    write_image(root / "region.png", region(0.3))
    for index in range(3):
        write_image(root / f"train/good/{index:03d}.png", noise_photo(index, (SIDE, SIDE)))
    checked = CheckedCategory(open_dataset(root).category(), ())
    training = TrainingSettings(augment="cutpaste", image_size=SIDE)
    samples, _ = build_samples(checked, FineTuningSettings(training), 0)
    samples.count = 9
    for number in range(9):
        for negative in samples.sample(number).negatives:
            assert not negative.mask[~region(0.3)].any()


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_patches_placed_by_hand_stay_inside(share):
    inside, settings, clusters = region(share), NegativeSettings(), ClusterSettings()
    placed = 0
    for seed in range(4):
        negative = drawn("cutswap", inside, seed)
        saliency = np.random.default_rng(seed).random((SIDE, SIDE))
        placing = hand_placing(negative.record, saliency, settings, clusters, inside=inside)
        height, width = placing.room
        for y, x in np.argwhere(placing.places):
            if (y, x) not in negative.record.anchors:
                assert inside[y : y + height, x : x + width].all()
                assert y + height <= SIDE
                assert x + width <= SIDE
        positive = noise_photo(seed, (SIDE, SIDE))
        again = placing.swap(positive, *negative.record.anchors)
        np.testing.assert_array_equal(again.photo, negative.photo)
        for first in np.argwhere(placing.firsts)[:3].tolist():
            second = np.argwhere(placing.partners(tuple(first)))[-1]
            other = placing.swap(positive, tuple(first), tuple(second))
            assert not other.mask[~inside].any()
            placed += 1
    assert placed > 3
