"""One-dimensional K-means: intervals, as good as scikit-learn's best of ten, no seed needed."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np
from sklearn.cluster import KMeans

from cutswap.config import ANCHORS, ClusterSettings
from cutswap.errors import CutSwapError
from cutswap.saliency.clusters import Clusters, anchor_region, cluster_saliency
from tests.helpers.small_photos import disc, smooth_map

SIDE = 48
PIXELS = SIDE * SIDE


def unit(values: np.ndarray) -> np.ndarray:
    return ((values - values.min()) / np.ptp(values)).reshape(SIDE, SIDE)


def spread_of(saliency: np.ndarray, centroids: np.ndarray) -> float:
    """Inertia: squared distances to the nearest centroid, added up."""
    return float((np.abs(saliency.reshape(-1, 1) - centroids) ** 2).min(axis=1).sum())


def rng_of(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


# Maps as they come, and as they may come at worst.
MAPS = {
    # no structure at all
    "uniform": lambda r: r.random(PIXELS),
    # an object before a ground
    "bimodal": lambda r: np.where(
        r.random(PIXELS) < 0.8, r.normal(0.1, 0.05, PIXELS), r.normal(0.8, 0.1, PIXELS)
    ),
    # a deep layer, upsampled
    "smooth": lambda r: smooth_map(int(r.integers(99)), (SIDE, SIDE)),
    # a shallow layer: a few bright spots over a dark bulk that fills one 256th of the range
    "spots": lambda r: np.r_[[0.3, 0.5, 0.7, 1.0], r.random(PIXELS - 4) / 300],
    "skewed": lambda r: r.lognormal(0, 2, PIXELS),
    # exact zeros where no gradient was positive
    "mostly zero": lambda r: r.exponential(0.1, PIXELS) * (r.random(PIXELS) < 0.3),
    # eight values, some of them rare
    "tied": lambda r: r.choice(r.random(8), PIXELS, p=r.dirichlet(np.full(8, 0.5))),
    # distinct values far closer than a 256th of the range, and one far away
    "close ties": lambda r: np.r_[1.0, r.choice([0, 1e-5, 2e-5, 3e-5, 9e-5, 1e-3], PIXELS - 1)],
}


@pytest.mark.parametrize("k", [2, 4, 7])
@pytest.mark.parametrize("name", MAPS)
def test_inertia_is_no_worse_than_scikit_learns_best_of_ten(name: str, k: int):
    saliency = unit(np.asarray(MAPS[name](rng_of(k)), dtype=np.float64).reshape(-1))
    if len(np.unique(saliency)) < k:
        pytest.skip("fewer distinct values than clusters")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # scikit-learn warns of clusters that fall together
        found = cluster_saliency(saliency, k)
    assert found.k == k
    best = KMeans(k, n_init=10, random_state=0, tol=1e-8).fit(saliency.reshape(-1, 1))
    assert spread_of(saliency, found.centroids) <= 1.001 * best.inertia_ + 1e-9
    if name in ("bimodal", "smooth"):  # where one optimum stands out, it is the same one
        np.testing.assert_allclose(found.centroids, np.sort(best.cluster_centers_[:, 0]), atol=0.01)


@given(seed=st.integers(0, 10**6), k=st.integers(2, 3), distinct=st.integers(3, 30))
def test_few_distinct_values_are_clustered_as_well_as_can_be(seed: int, k: int, distinct: int):
    """Against every cut of the sorted values into two or three intervals."""
    rng = rng_of(seed)
    saliency = rng.choice(rng.random(distinct), (20, 20))
    values = np.unique(saliency)
    assume(len(values) >= k)
    cuts = (
        [(a,) for a in range(1, len(values))]
        if k == 2
        else [(a, b) for a in range(1, len(values)) for b in range(a + 1, len(values))]
    )
    best = np.inf
    for cut in cuts:
        edges = values[list(cut)]
        label = np.searchsorted(edges, saliency.ravel(), side="right")
        best = min(
            best,
            sum(
                ((g - g.mean()) ** 2).sum()
                for i in range(k)
                if len(g := saliency.ravel()[label == i])
            ),
        )
    found = cluster_saliency(saliency, k)
    assert spread_of(saliency, found.centroids) <= best * (1 + 1e-9) + 1e-12


@pytest.mark.shared
def test_real_saliency_is_clustered_as_well_as_scikit_learns_best_of_ten(shared: Path):
    from cutswap.data.images import read_photo, resize_photo, to_image
    from cutswap.networks.backbone import load_backbone
    from cutswap.saliency.layercam import saliency_maps

    backbone = load_backbone("squeezenet1_0", str(shared / "weights/squeezenet1_0_imagenet.pth"))
    path = sorted((shared / "data" / "transistor").rglob("train/good/*.png"))[0]
    maps = saliency_maps(backbone, to_image(resize_photo(read_photo(path), (96, 96))[None]))
    for saliency in maps[0].numpy().astype(np.float64):
        found = cluster_saliency(saliency, 4)
        best = KMeans(4, n_init=10, random_state=0, tol=1e-8).fit(saliency.reshape(-1, 1))
        assert spread_of(saliency, found.centroids) <= 1.001 * best.inertia_


# Laws


unit_maps = st_np.arrays(
    np.float64,
    st_np.array_shapes(min_dims=2, max_dims=2, min_side=3, max_side=12),
    # few levels give ties, floats give none; 1e-9 steps hide from any histogram
    elements=st.one_of(
        st.floats(0, 1, allow_subnormal=False),
        st.integers(0, 5).map(lambda n: n / 5),
        st.integers(0, 9).map(lambda n: n * 1e-9),
    ),
)


@given(saliency=unit_maps, k=st.integers(2, 6))
def test_clusters_are_intervals_of_their_nearest_centroid(saliency: np.ndarray, k: int):
    if len(np.unique(saliency)) < k:
        with pytest.raises(CutSwapError, match=f"at least K={k} distinct values"):
            cluster_saliency(saliency, k)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # values 1e-9 apart: scikit-learn may merge clusters
        found = cluster_saliency(saliency, k)
    assert found.centroids.shape == (k,)
    assert (np.diff(found.centroids) >= 0).all()
    assert saliency.min() <= found.centroids[0]
    assert found.centroids[-1] <= saliency.max()
    # boundaries lie halfway
    np.testing.assert_array_equal(
        found.boundaries, (found.centroids[1:] + found.centroids[:-1]) / 2
    )
    regions = found.regions(saliency)
    assert regions.shape == saliency.shape
    assert regions.dtype == np.int64
    # every pixel is with its nearest centroid,
    distance = np.abs(saliency[..., None] - found.centroids)
    own = np.take_along_axis(distance, regions[..., None], axis=-1)[..., 0]
    assert (own <= distance.min(axis=-1) + 1e-15).all()
    # more saliency is never a lower cluster, and the highest is an upper interval of the values
    order = np.argsort(saliency, axis=None)
    assert (np.diff(regions.ravel()[order]) >= 0).all()
    top = regions == k - 1
    assert top.any()
    assert top.all() or saliency[top].min() > saliency[~top].max()
    np.testing.assert_array_equal(top, saliency >= saliency[top].min())


@given(saliency=unit_maps)
def test_positions_do_not_matter(saliency: np.ndarray):
    assume(len(np.unique(saliency)) >= 2)
    shuffled = rng_of(0).permutation(saliency.ravel()).reshape(saliency.shape)
    np.testing.assert_allclose(
        cluster_saliency(saliency, 2).centroids,
        cluster_saliency(shuffled, 2).centroids,
        atol=1e-12,
    )


def test_a_clustering_repeats_bit_for_bit():
    saliency = smooth_map(3, (SIDE, SIDE))
    first, second = cluster_saliency(saliency, 4), cluster_saliency(saliency.copy(), 4)
    np.testing.assert_array_equal(first.centroids, second.centroids)


def test_float32_maps_give_the_same_clusters():
    saliency = smooth_map(4, (SIDE, SIDE)).astype(np.float32)
    exact = cluster_saliency(saliency.astype(np.float64), 4)
    np.testing.assert_array_equal(cluster_saliency(saliency, 4).centroids, exact.centroids)


def test_a_value_on_a_boundary_belongs_to_the_lower_cluster():
    clusters = Clusters(np.array([0.0, 0.5, 1.0]), np.array([0.25, 0.75]))
    values = np.array([[0.0, 0.25, np.nextafter(0.25, 1), 0.75, np.nextafter(0.75, 1), 1.0]])
    assert clusters.regions(values).tolist() == [[0, 0, 1, 1, 2, 2]]


@pytest.mark.parametrize(
    ("saliency", "k", "centroids"),
    [
        # one cluster is the mean
        ([[0.0, 1.0], [0.5, 0.5]], 1, [0.5]),
        # blank, and one cluster: nothing to refuse
        ([[0.0, 0.0], [0.0, 0.0]], 1, [0.0]),
        # as many values as clusters
        ([[0.0, 1.0], [0.25, 0.5]], 4, [0.0, 0.25, 0.5, 1.0]),
        # weights count: three dark pixels pull their centroid
        ([[0.0, 0.0, 0.0, 0.4], [1.0, 1.0, 1.0, 1.0]], 2, [0.1, 1.0]),
        # two values
        ([[0.0, 0.0], [0.0, 1.0]], 2, [0.0, 1.0]),
    ],
)
def test_centroids_by_hand(saliency, k, centroids):
    found = cluster_saliency(np.array(saliency), k)
    np.testing.assert_allclose(found.centroids, centroids, atol=1e-12)


@pytest.mark.parametrize(
    ("saliency", "k", "found"),
    [
        # blank; fewer values than clusters; NaN; infinity; no cluster
        (np.zeros((8, 8)), 4, "1 (the map is blank)"),
        (np.full((8, 8), 0.7), 2, "1 (the map is blank)"),
        (np.eye(8), 3, "2"),
        (np.full((8, 8), np.nan), 4, "NaN or infinity"),
        (np.where(np.eye(8) > 0, np.nan, 0.5), 1, "NaN or infinity"),
        (np.where(np.eye(8) > 0, np.inf, 0.5), 4, "NaN or infinity"),
        (np.eye(8), 0, "0"),
        (np.eye(8), -1, "-1"),
    ],
)
def test_degenerate_maps_are_refused(saliency: np.ndarray, k: int, found: str):
    with pytest.raises(CutSwapError) as caught:
        cluster_saliency(saliency, k)
    assert caught.value.found == found


# Anchors


def region_of(
    saliency: np.ndarray, rng: np.random.Generator | None = None, **settings
) -> np.ndarray:
    return anchor_region(saliency, ClusterSettings(**settings), rng or rng_of(0))


def test_strategies_pick_their_part_of_a_drawn_map():
    """Four grey levels: a bright disc in the middle, three rings around it."""
    radii = (6, 12, 18)
    discs = [disc((SIDE, SIDE), (24, 24), r) for r in radii]
    saliency = np.sum(discs, axis=0) / 3 + rng_of(0).uniform(-0.02, 0.02, (SIDE, SIDE))
    np.testing.assert_array_equal(region_of(saliency, anchors="max-cluster"), discs[0])
    np.testing.assert_array_equal(region_of(saliency, anchors="min-cluster"), ~discs[2])
    assert region_of(saliency, anchors="whole-image").all()
    top = region_of(saliency, anchors="top-n", top_n=50)
    assert top.sum() == 50
    assert discs[0][top].all()
    known = [region_of(saliency, rng_of(s), anchors="random-cluster") for s in range(40)]
    rings = [discs[0], discs[1] & ~discs[0], discs[2] & ~discs[1], ~discs[2]]
    drawn = [next(i for i, ring in enumerate(rings) if (ring == r).all()) for r in known]
    assert set(drawn) == {0, 1, 2, 3}
    # the same seed draws the same cluster
    again = region_of(saliency, rng_of(5), anchors="random-cluster")
    np.testing.assert_array_equal(again, known[5])


def test_only_random_cluster_uses_the_generator():
    saliency = smooth_map(0, (SIDE, SIDE))
    for anchors in ANCHORS:
        rng = rng_of(0)
        before = rng.bit_generator.state
        region_of(saliency, rng, anchors=anchors)
        assert (rng.bit_generator.state != before) == (anchors == "random-cluster"), anchors


@pytest.mark.parametrize("anchors", ["max-cluster", "min-cluster", "random-cluster"])
def test_one_cluster_is_the_whole_image(anchors: str):
    assert region_of(np.zeros((8, 8)), anchors=anchors, k=1).all()


def test_top_n_does_not_depend_on_k():
    saliency = smooth_map(0, (SIDE, SIDE))
    for k in (1, 4):
        assert region_of(saliency, anchors="top-n", k=k).sum() == 300


@given(levels=st.integers(1, 6), top_n=st.sampled_from([2, 300, 575, 576]), seed=st.integers(0, 99))
def test_top_n_takes_that_many_and_ties_by_position(levels: int, top_n: int, seed: int):
    saliency = rng_of(seed).integers(0, levels, (24, 24)) / 6
    region = region_of(saliency, anchors="top-n", top_n=top_n)
    assert region.sum() == top_n
    # none left out is brighter than one taken; of equals the earlier ones are taken
    if top_n < saliency.size:
        border = saliency[region].min()
        assert saliency[~region].max() <= border
        equal = region.ravel()[saliency.ravel() == border]
        assert (np.diff(equal.astype(int)) <= 0).all()


def test_more_pixels_than_there_are_is_refused():
    with pytest.raises(CutSwapError, match="at most 64 pixels"):
        region_of(np.eye(8), anchors="top-n", top_n=65)


def test_known_clusters_are_used_as_they_are():
    saliency = smooth_map(0, (SIDE, SIDE))
    clusters = Clusters(np.array([0.0, 1.0]), np.array([0.9]))
    region = anchor_region(saliency, ClusterSettings(k=2), rng_of(0), clusters)
    np.testing.assert_array_equal(region, saliency > 0.9)
