"""How bank and head join: units, weights, and who is asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from cutswap.config import FAMILIES
from cutswap.errors import CutSwapError
from cutswap.heads.joining import PROVEN, TIED, WEIGHTS, Join, ValidationScores, fit_join
from cutswap.heads.validation import (
    VALIDATION_FAMILIES,
    held_out_positions,
    make_validation_set,
    validation_scores,
)
from cutswap.patchcore.patch_region import PatchRegion
from tests.helpers.small_photos import photo_of

scores = st.lists(st.floats(0, 1e6, width=32), min_size=1, max_size=20)


@given(scores, st.floats(0, 1e6), st.floats(0, 1e6))
def test_at_weight_0_it_is_the_bank_bit_for_bit(values, image_unit, patch_unit):
    bank = np.array(values, dtype=np.float32)
    join = Join(0.0, image_unit, patch_unit)
    head = np.linspace(0, 9, len(bank), dtype=np.float32)
    assert join.images(bank, head).tobytes() == (bank + 0.0).astype(np.float32).tobytes()
    maps = bank[:, None, None]
    assert join.patches(maps, head[:, None, None]).tobytes() == (maps + 0.0).tobytes()


@given(scores)
def test_at_weight_1_it_keeps_the_heads_order(values):
    head = np.array(values, dtype=np.float32)
    joined = Join(1.0, 2.0, 2.0).images(np.zeros_like(head), head)
    np.testing.assert_allclose(joined, 2 * head)


def test_by_hand():
    bank, head = np.array([2.0, 4.0], np.float32), np.array([0.1, 0.3], np.float32)
    np.testing.assert_allclose(Join(0.5, 10.0, 1.0).images(bank, head), [1.5, 3.5])


def scores_of(good: list[float], made_up: list[float]) -> ValidationScores:
    return ValidationScores(np.array(good), np.array(made_up), float(np.mean(good)))


def test_whoever_tells_better_counts_more():
    sharp, blind = scores_of([1, 2, 3], [4, 5, 6]), scores_of([1, 2, 3], [3, 2, 1])
    join, told = fit_join(sharp, blind)
    assert join.weight == 0
    assert told[0.0] == 1
    join, told = fit_join(blind, sharp)
    assert join.weight > 0
    assert max(told.values()) > told[0.0]


def told_at(share: int) -> tuple[ValidationScores, ValidationScores]:
    """A bank that tells no defect of ten; with the head `share` at weight 0.1, all at 0.5.

    A defect is told once (1 - w) 0.9 + w h > 1.
    """
    bank = scores_of([1.0, 1.0], [0.9] * 10)
    return bank, scores_of([1.0, 1.0], [2.5] * share + [1.11] * (10 - share))


@pytest.mark.parametrize(
    ("share", "margin", "weight"),
    [
        # One defect of ten more: 0.1, of a standard error of sqrt(0.1 / 10) = 0.1: tied.
        (9, TIED, 0.1),
        # Two: 0.2 of sqrt(0.1778 / 10) = 0.133: 1.5 standard errors.
        (8, TIED, 0.5),
        (8, PROVEN, 0.1),
        # Four: 0.4 of sqrt(0.2667 / 10) = 0.163: 2.4.
        (6, PROVEN, 0.5),
    ],
)
def test_the_smallest_weight_within_a_standard_error_of_the_best_is_taken(share, margin, weight):
    join, told = fit_join(*told_at(share), margin)
    assert (told[0.0], told[0.1], told[0.5]) == (0.0, share / 10, 1.0)
    assert join.weight == weight


def test_one_held_out_photo_gives_the_head_no_say():
    join, told = fit_join(scores_of([1.0], [0.9, 0.8]), scores_of([1.0], [3.0, 3.0]))
    assert told[1.0] == 1 > told[0.0]
    assert join.weight == 0


@given(scores, scores)
def test_the_aurocs_are_those_of_scikit_learn(good, made_up):
    one = ValidationScores(np.array(good, np.float32), np.array(made_up, np.float32), 1.0)
    _, told = fit_join(one, one)
    labels = [0] * len(good) + [1] * len(made_up)
    assert told[0.0] == pytest.approx(roc_auc_score(labels, good + made_up))


def test_of_equals_the_bank_counts_most():
    one = scores_of([1, 2, 3], [4, 5, 6])
    join, told = fit_join(one, one)
    assert join.weight == 0
    assert set(told) == set(WEIGHTS)


def test_units_make_a_good_photo_score_the_same():
    bank = ValidationScores(np.array([2.0, 4.0]), np.array([9.0]), 1.5)
    head = ValidationScores(np.array([0.1, 0.2]), np.array([0.9]), 0.3)
    join, _ = fit_join(bank, head)
    assert join.image_unit == pytest.approx(20)
    assert join.patch_unit == pytest.approx(5)


def test_a_head_of_zeros_needs_no_unit():
    join, _ = fit_join(scores_of([1, 2], [3, 4]), scores_of([0, 0], [0, 0]))
    assert join == Join(0.0, 1.0, 1.0)


def test_validation_sets_of_different_photos_are_refused():
    with pytest.raises(CutSwapError, match="the head's 2 good photos and 3 defects"):
        fit_join(scores_of([1, 2], [3, 4]), scores_of([1, 2], [3, 4, 5]))


@given(st.floats(0, 1), st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_join_survives_its_record(weight, image_unit, patch_unit):
    join = Join(weight, image_unit, patch_unit)
    assert Join.from_dict(join.to_dict(), "x") == join


@pytest.mark.parametrize(
    "values",
    [
        {}, None, [1, 2, 3], {"weight": 0.5}, {"weight": 2.0, "image_unit": 1.0, "patch_unit": 1.0},
        {"weight": 0.5, "image_unit": float("nan"), "patch_unit": 1.0},
        {"weight": 0.5, "image_unit": -1.0, "patch_unit": 1.0},
        {"weight": "0.5", "image_unit": 1.0, "patch_unit": 1.0},
        {"weight": True, "image_unit": 1.0, "patch_unit": 1.0},
    ],
)  # fmt: skip
def test_a_join_edited_by_hand_is_refused(values):
    with pytest.raises(CutSwapError, match="a weight in"):
        Join.from_dict(values, "file")


@given(st.integers(2, 500), st.floats(0.01, 0.5))
def test_some_photos_are_held_out_and_some_are_left(count, share):
    held = held_out_positions(count, share)
    assert 1 <= len(held) <= (count + 1) // 2
    assert len(set(held.tolist())) == len(held)
    assert 0 <= held.min() <= held.max() < count
    if count * share >= 2:
        assert abs(len(held) / count - share) < 0.17  # one in a whole number


@pytest.mark.parametrize("count", [0, 1])
def test_one_photo_is_refused(count):
    with pytest.raises(CutSwapError, match="at least 2 good ones"):
        held_out_positions(count, 0.2)


@pytest.mark.parametrize("family", FAMILIES)
def test_judges_are_of_families_not_trained_on(family):
    good = np.stack([photo_of(seed, (64, 64)) for seed in range(2)])
    found = make_validation_set(good, family)
    assert found.families == tuple(f for f in VALIDATION_FAMILIES if f != family)
    assert found.made_up.shape == (2 * 2 * len(found.families), 64, 64, 3)
    each = found.made_up.reshape(2, -1, 64, 64, 3)
    assert (each != good[:, None]).any(axis=(2, 3, 4)).all()
    again = make_validation_set(good, family)
    np.testing.assert_array_equal(found.made_up, again.made_up)


@pytest.mark.parametrize("family", FAMILIES)
def test_defects_that_weigh_lie_in_the_region(family):
    good = np.stack([photo_of(seed, (64, 64)) for seed in range(2)])
    inside = np.zeros((64, 64), bool)
    inside[:, 34:] = True
    found = make_validation_set(good, family, inside)
    assert found.families == tuple(f for f in VALIDATION_FAMILIES if f not in (family, "perlin"))
    changed = found.made_up.reshape(2, -1, 64, 64, 3) != good[:, None]
    assert changed.any(axis=(2, 3, 4)).all()
    assert not changed[:, :, ~inside].any()
    whole, everywhere = (
        make_validation_set(good, family, i) for i in (np.ones((64, 64), bool), None)
    )
    np.testing.assert_array_equal(whole.made_up, everywhere.made_up)


class _Says:
    """A head whose patch scores are given."""

    def score_patches(self, embedded: torch.Tensor) -> np.ndarray:
        return embedded[..., 0].numpy()

    def image_scores(self, patches: np.ndarray) -> np.ndarray:
        return patches.reshape(len(patches), -1).max(axis=1)


def test_a_head_is_asked_about_the_region_alone():
    rng = np.random.default_rng(0)
    good, bad = (torch.from_numpy(rng.random((3, 4, 4, 1))) for _ in range(2))
    pixels = np.zeros((64, 64), bool)
    pixels[:, 32:] = True
    inside = validation_scores(_Says(), [good], [bad], PatchRegion(pixels))
    np.testing.assert_array_equal(inside.good, good[:, :, 2:].amax(dim=(1, 2, 3)))
    np.testing.assert_array_equal(inside.made_up, bad[:, :, 2:].amax(dim=(1, 2, 3)))
    assert inside.patch == pytest.approx(float(good[:, :, 2:].mean()))
    everywhere = validation_scores(_Says(), [good], [bad])
    assert everywhere.patch == pytest.approx(float(good.mean()))
