"""Strips of photo, heat and truth: their size, where heat is seen, that no defect vanishes."""

from __future__ import annotations

import numpy as np
import pytest

from cutswap.evaluation.photo_strips import GAP, clear_and_full, photo_strip

SIDE = 32


@pytest.fixture
def photo() -> np.ndarray:
    return np.full((SIDE, SIDE, 3), 120, np.uint8)


def parts(strip: np.ndarray) -> list[np.ndarray]:
    step = SIDE + GAP
    return [strip[:, x : x + SIDE] for x in range(0, strip.shape[1], step)]


@pytest.mark.parametrize(("mask", "count"), [(None, 2), (np.zeros((64, 64), bool), 3)])
def test_there_is_a_truth_where_somebody_knows_it(photo, mask, count):
    strip = photo_strip(photo, np.zeros((64, 64), np.float32), (0, 1), 0.5, mask)
    assert strip.shape == (SIDE, count * SIDE + (count - 1) * GAP, 3)
    assert np.array_equal(parts(strip)[0], photo)


@pytest.mark.parametrize("side", [16, 32, 64])
def test_heat_is_seen_beyond_the_usual_alone(photo, side):
    values = np.full((side, side), 0.4, np.float32)
    values[: side // 4, : side // 4] = 1.0
    _, heat = parts(photo_strip(photo, values, (0.0, 1.0), 0.5))
    assert np.array_equal(heat[SIDE // 2 :], photo[SIDE // 2 :])
    assert np.abs(heat[0, 0].astype(int) - 120).max() > 50
    _, hazed = parts(photo_strip(photo, values, (0.0, 1.0)))  # nobody knows what is usual
    assert not np.array_equal(hazed[SIDE // 2 :], photo[SIDE // 2 :])


def test_a_defect_of_one_pixel_is_still_marked(photo):
    mask = np.zeros((512, 512), bool)
    mask[300, 300] = True
    truth = parts(photo_strip(photo, np.zeros((8, 8), np.float32), (0, 1), 0.5, mask))[2]
    assert truth.max() == 255  # its outline
    none = parts(photo_strip(photo, np.zeros((8, 8), np.float32), (0, 1), 0.5, mask & False))[2]
    assert none.max() < 120


def test_heat_is_full_before_the_highest_value():
    assert clear_and_full(2.0, 12.0) == (2.0, 5.0)
    assert clear_and_full(2.0, 1.0) == (2.0, 2.0)  # a test set calmer than its good photos


def test_what_is_not_looked_at_is_dimmed_behind_an_outline(photo):
    values = np.ones((64, 64), np.float32)
    region = np.zeros((64, 64), bool)
    region[:, :32] = True
    mask = np.zeros((64, 64), bool)
    for part in parts(photo_strip(photo, values, (0.0, 1.0), 0.5, mask, region))[:2]:
        assert (part[:, 19:] == 60).all()
        assert (part[2:-2, 15] == 255).all()  # the outline
    plain = photo_strip(photo, values, (0.0, 1.0), 0.5, mask)
    whole = photo_strip(photo, values, (0.0, 1.0), 0.5, mask, np.ones((8, 8), bool))
    np.testing.assert_array_equal(plain, whole)
