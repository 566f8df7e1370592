"""Patch embeddings as colours: laws."""

from __future__ import annotations

import numpy as np
import pytest

from cutswap.analysis.patch_colours import patch_colours

FEATURES = np.random.default_rng(0).normal(size=(2, 6, 5, 9)) * np.arange(1, 10)


def test_equal_patches_have_equal_colours_in_all_photos():
    twice = FEATURES.copy()
    twice[1, 2, 3] = twice[0, 4, 1]
    colours = patch_colours(twice)
    assert colours.shape == (2, 6, 5, 3)
    assert colours.dtype == np.uint8
    assert np.array_equal(colours[1, 2, 3], colours[0, 4, 1])
    swapped = patch_colours(twice[::-1])
    assert np.abs(swapped[::-1].astype(int) - colours).max() <= 1


def test_unit_and_origin_of_features_do_not_matter():
    moved = patch_colours(3.5 * FEATURES + 7)
    assert np.abs(moved.astype(int) - patch_colours(FEATURES)).max() <= 1


def test_the_direction_of_most_variance_is_red():
    features = np.zeros((1, 4, 25, 3))
    features[..., 1] = np.linspace(-1, 1, 100).reshape(1, 4, 25)
    features[..., 0] = 0.1 * np.sin(np.arange(100)).reshape(1, 4, 25)
    red = patch_colours(features)[..., 0].ravel().astype(int)
    assert (np.diff(red) >= 0).all()
    assert red[0] == 0
    assert red[-1] == 255


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_what_does_not_vary_is_grey(depth):
    assert (patch_colours(np.full((1, 3, 3, depth), 2.5)) == 128).all()
    one = np.zeros((1, 3, 3, depth))
    one[..., 0] = np.arange(9).reshape(3, 3)
    colours = patch_colours(one)
    assert np.ptp(colours[..., 0]) == 255
    assert (colours[..., 1:] == 128).all()


@pytest.mark.parametrize("seed", range(8))
def test_bright_is_where_the_strongest_feature_is_high(seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(1, 8, 8, 4)) * 0.1
    features[..., seed % 4] += rng.normal(size=(1, 8, 8))
    red = patch_colours(features)[..., 0].ravel()
    assert np.corrcoef(red, features[..., seed % 4].ravel())[0, 1] > 0.9


def test_rounding_is_no_colour():
    rank_one = np.linspace(-1, 1, 64).reshape(1, 8, 8, 1) * np.array([0.3, 0.5, 0.7])
    colours = patch_colours(rank_one + 0.1)
    assert np.ptp(colours[..., 0]) == 255
    assert (colours[..., 1:] == 128).all()
