"""Heatmaps: the right size, smooth, and nothing invented."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from cutswap.patchcore.heatmaps import to_heatmap


def test_agrees_with_bilinear_and_scipy_s_gaussian():
    distances = np.random.default_rng(0).random((2, 8, 8)).astype(np.float32)
    large = torch.nn.functional.interpolate(
        torch.from_numpy(distances)[:, None], size=(32, 48), mode="bilinear", align_corners=False
    )[:, 0].numpy()
    expected = np.stack([gaussian_filter(m, 4.0) for m in large])
    found = to_heatmap(distances, (32, 48), 4.0)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=1e-5)
    assert np.allclose(to_heatmap(distances, (32, 48), 0.0), large)


def test_a_constant_map_stays_constant():
    assert np.allclose(to_heatmap(np.full((1, 4, 4), 3.0), (32, 32)), 3.0, atol=1e-5)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 5), (7, 7)])
def test_the_peak_stays_where_it_is(row, column):
    distances = np.zeros((1, 8, 8), np.float32)
    distances[0, row, column] = 1.0
    found = to_heatmap(distances, (64, 64), 2.0)[0]
    y, x = np.unravel_index(found.argmax(), found.shape)
    assert (y // 8, x // 8) == (row, column)
