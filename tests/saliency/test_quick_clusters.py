"""Quick clusters part the same pixels as K-means, or leave it to K-means."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutswap.errors import CutSwapError
from cutswap.saliency import quick_clusters
from cutswap.saliency.clusters import cluster_saliency
from cutswap.saliency.quick_clusters import clusters_for_regions
from tests.helpers.small_photos import smooth_map


@given(
    seed=st.integers(0, 10**6),
    k=st.integers(1, 8),
    kind=st.sampled_from(["float32", "float64", "rounded", "noise", "skewed"]),
)
def test_regions_are_those_of_k_means(seed: int, k: int, kind: str):
    saliency = smooth_map(seed, (40, 50))
    if kind in ("noise", "skewed"):
        saliency = np.random.default_rng(seed).random((40, 50)) ** (1 if kind == "noise" else 9)
    if kind == "rounded":
        saliency = np.round(saliency, 2)
    if kind != "float64":
        saliency = saliency.astype(np.float32)
    slow, quick = cluster_saliency(saliency, k), clusters_for_regions(saliency, k)
    np.testing.assert_array_equal(slow.regions(saliency), quick.regions(saliency))
    np.testing.assert_allclose(slow.centroids, quick.centroids, atol=1e-11)
    for cluster in range(k):
        np.testing.assert_array_equal(
            quick.region(saliency, cluster), quick.regions(saliency) == cluster
        )


def test_k_means_decides_where_a_value_lies_on_a_boundary(monkeypatch: pytest.MonkeyPatch):
    asked = []

    def ask(saliency: np.ndarray, k: int):
        asked.append(k)
        return cluster_saliency(saliency, k)

    monkeypatch.setattr(quick_clusters, "cluster_saliency", ask)
    # One value halfway between the centroids that the iterations begin with.
    monkeypatch.setattr(quick_clusters, "best_start", lambda *_: np.array([0.25, 0.75]))
    tied = np.array([[0.25] * 50 + [0.5] + [0.75] * 50])
    clusters_for_regions(tied, 2)
    assert asked == [2]
    clusters_for_regions(np.array([[0.25] * 50 + [0.51] + [0.75] * 50]), 2)
    assert asked == [2]


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_errors_are_those_of_k_means(value: float):
    bad = np.full((4, 4), value)
    with pytest.raises(CutSwapError) as slow:
        cluster_saliency(bad, 4)
    with pytest.raises(CutSwapError) as quick:
        clusters_for_regions(bad, 4)
    assert str(quick.value) == str(slow.value)
