"""Colour jitter is torchvision's on PIL images, exactly, and its draws survive JSON."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import functional as tv

from cutswap.config import WeakAugmentation
from cutswap.negatives.color_jitter import STEPS, Jitter, apply_jitter, draw_jitter, weakly_augment
from tests.helpers.small_photos import noise_photo, photo_of

ADJUST = {
    "brightness": tv.adjust_brightness,
    "contrast": tv.adjust_contrast,
    "saturation": tv.adjust_saturation,
    "hue": tv.adjust_hue,
}
NEUTRAL = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0}


def by_torchvision(photo: np.ndarray, jitter: Jitter) -> np.ndarray:
    image = Image.fromarray(photo)
    for step in jitter.order:
        image = ADJUST[step](image, getattr(jitter, step))
    return np.asarray(image)


PHOTOS = {
    "structure": photo_of(0, (40, 30)),
    "noise": noise_photo(0, (16, 16)),
    # 8 bits in any direction, one row, one pixel
    "black": np.zeros((4, 4, 3), np.uint8),
    "white": np.full((4, 4, 3), 255, np.uint8),
    "grey": np.full((4, 4, 3), 127, np.uint8),
    "row": noise_photo(1, (1, 9)),
    "pixel": noise_photo(2, (1, 1)),
}


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("share", [-0.5, -0.1, -0.0039, 0.0, 0.0039, 0.1, 0.33, 0.5])
def test_one_step_equals_torchvision_exactly(name: str, step: str, share: float):
    value = share if step == "hue" else 1 + share
    jitter = Jitter(**{**NEUTRAL, step: value}, order=(step,))
    np.testing.assert_array_equal(
        apply_jitter(PHOTOS[name], jitter), by_torchvision(PHOTOS[name], jitter)
    )


def test_every_hue_shift_equals_torchvision_exactly():
    photo = noise_photo(3, (8, 8))
    for shift in range(-128, 129):
        jitter = Jitter(1, 1, 1, max(-0.5, min(0.5, shift / 255)), order=("hue",))
        np.testing.assert_array_equal(apply_jitter(photo, jitter), by_torchvision(photo, jitter))


@given(amount=st.floats(0.001, 0.5), seed=st.integers(0, 10**6))
def test_a_whole_draw_equals_torchvision_exactly(amount: float, seed: int):
    photo = photo_of(seed % 7, (20, 24))
    jitter = draw_jitter(amount, np.random.default_rng(seed))
    np.testing.assert_array_equal(apply_jitter(photo, jitter), by_torchvision(photo, jitter))


@given(amount=st.floats(0.001, 0.5), seed=st.integers(0, 10**6))
def test_draws_stay_in_their_range_and_survive_json(amount: float, seed: int):
    jitter = draw_jitter(amount, np.random.default_rng(seed))
    assert jitter == draw_jitter(amount, np.random.default_rng(seed))
    for factor in (jitter.brightness, jitter.contrast, jitter.saturation):
        assert 1 - amount <= factor <= 1 + amount
    assert -amount <= jitter.hue <= amount
    assert sorted(jitter.order) == sorted(STEPS)
    assert Jitter.from_dict(json.loads(json.dumps(jitter.to_dict()))) == jitter


def test_draws_differ_in_every_factor_and_in_order():
    draws = [draw_jitter(0.1, np.random.default_rng(seed)) for seed in range(60)]
    for step in STEPS:
        values = [getattr(d, step) for d in draws]
        assert len(set(values)) == len(values)
        middle = 0.0 if step == "hue" else 1.0
        assert min(values) < middle < max(values)
    assert len({d.order for d in draws}) > 12  # of 24


def test_no_amount_draws_nothing_and_changes_nothing():
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    photo = photo_of(0, (16, 16))
    positive, jitter = weakly_augment(photo, WeakAugmentation(jitter=0.0), rng)
    assert jitter is None
    assert rng.bit_generator.state == before
    np.testing.assert_array_equal(positive, photo)


def test_the_positive_is_a_new_photo_of_the_same_size(photo: np.ndarray):
    original = photo.copy()
    positive, jitter = weakly_augment(photo, WeakAugmentation(), np.random.default_rng(0))
    assert positive.shape == photo.shape
    assert positive.dtype == np.uint8
    assert (positive != photo).any()
    np.testing.assert_array_equal(photo, original)
    np.testing.assert_array_equal(positive, apply_jitter(photo, jitter))


WHOLE = Jitter(0.9, 1.1, 1.0, -0.05).to_dict()


@pytest.mark.parametrize(
    "change",
    [
        # a number that is none, or outside what jitter can be
        {"brightness": "1"},
        {"brightness": None},
        {"brightness": True},
        {"contrast": math.nan},
        {"contrast": math.inf},
        {"saturation": -0.1},
        {"saturation": 1e300},
        {"hue": 0.51},
        {"hue": [0.1]},
        # an order with a step missing, twice, unknown; or none
        {"order": list(STEPS[:3])},
        {"order": [*STEPS, "hue"]},
        {"order": [*STEPS[:3], "gamma"]},
        {"order": [1, 2, 3, 4]},
        {"order": None},
        # a field nobody knows
        {"gamma": 1.0},
    ],
)
def test_a_stored_jitter_that_is_none_is_refused(change: dict):
    with pytest.raises((ValueError, TypeError)):
        Jitter.from_dict({**WHOLE, **change})


@pytest.mark.parametrize("field", [*STEPS, "order"])
def test_a_stored_jitter_lacking_a_field_is_refused(field: str):
    values = {k: v for k, v in WHOLE.items() if k != field}
    with pytest.raises((KeyError, TypeError)):
        Jitter.from_dict(values)


def test_a_positive_made_before_is_taken_and_the_draws_after_it_stay_the_same(photo: np.ndarray):
    first, second = np.random.default_rng(3), np.random.default_rng(3)
    positive, jitter = weakly_augment(photo, WeakAugmentation(), first)
    again, same = weakly_augment(photo, WeakAugmentation(), second, positive)
    assert again is positive
    assert same == jitter
    assert first.integers(10**9) == second.integers(10**9)
