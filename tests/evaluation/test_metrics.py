"""Metrics: cases worked by hand, scikit-learn and brute force as references, laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from cutswap.errors import CutSwapError
from cutswap.evaluation.metrics import (
    aupro,
    auroc,
    average_precision,
    f1_max,
    pixel_auroc,
    summarise,
)


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Scores with many ties, and labels of both classes."""
    size = draw(st.integers(2, 40))
    scores = np.array(draw(st.lists(st.integers(0, 6), min_size=size, max_size=size)), float)
    labels = np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)))
    labels[0], labels[-1] = True, False
    return scores, labels


AUROC_CASES = [
    # (name, scores, labels, area)
    ("perfect", [1, 2, 3, 4], [0, 0, 1, 1], 1.0),
    ("reversed", [4, 3, 2, 1], [0, 0, 1, 1], 0.0),
    ("all tied count half", [5, 5, 5, 5], [0, 1, 0, 1], 0.5),
    ("one of four pairs wrong", [1, 3, 2, 4], [0, 0, 1, 1], 0.75),
    ("one tie among two pairs", [1, 2, 2], [0, 0, 1], 0.75),
]


class TestAuroc:
    @pytest.mark.parametrize(
        ("scores", "labels", "area"), [c[1:] for c in AUROC_CASES], ids=[c[0] for c in AUROC_CASES]
    )
    def test_by_hand(self, scores, labels, area):
        assert auroc(np.array(scores, float), np.array(labels, bool)) == pytest.approx(area)

    @given(scored())
    def test_agrees_with_scikit_learn_on_ties(self, data):
        assert auroc(*data) == pytest.approx(roc_auc_score(data[1], data[0]))

    @given(scored())
    def test_only_the_order_counts(self, data):
        scores, labels = data
        assert auroc(np.exp(scores) * 3 - 7, labels) == pytest.approx(auroc(scores, labels))

    def test_large_raw_distances_do_not_tie(self):
        # A sigmoid in float32 is 1 from 17 up: the trap of some metrics libraries.
        scores = np.array([100.0, 101.0, 102.0, 103.0], dtype=np.float32)
        assert auroc(scores, np.array([0, 0, 1, 1], bool)) == 1.0

    def test_one_class_has_none(self):
        assert auroc(np.array([1.0, 2.0]), np.array([True, True])) is None

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_not_finite_is_refused(self, bad):
        with pytest.raises(CutSwapError, match="finite"):
            auroc(np.array([1.0, bad]), np.array([True, False]))

    def test_pixels_of_all_images_are_pooled(self):
        maps = np.array([[[1.0, 2.0]], [[3.0, 4.0]]])
        masks = np.array([[[False, True]], [[False, True]]])
        # pairs: 2>1, 2<3, 4>1, 4>3
        assert pixel_auroc(maps, masks) == pytest.approx(0.75)


class TestPrecision:
    def test_by_hand(self):
        # ranked: hit, miss, hit: precision 1 at recall 1/2, 2/3 at recall 1
        found = average_precision(np.array([3.0, 2.0, 1.0]), np.array([1, 0, 1], bool))
        assert found == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)

    @given(scored())
    def test_agrees_with_scikit_learn(self, data):
        assert average_precision(*data) == pytest.approx(average_precision_score(data[1], data[0]))

    @given(scored())
    def test_f1_max_is_the_best_and_its_threshold_gives_it(self, data):
        scores, labels = data
        best, threshold = f1_max(scores, labels)
        precision, recall, _ = precision_recall_curve(labels, scores)
        both = precision + recall
        f1 = np.where(both > 0, 2 * precision * recall / np.where(both > 0, both, 1), 0)
        assert best == pytest.approx(f1.max())
        called = scores >= threshold
        assert best == pytest.approx(2 * (called & labels).sum() / (called.sum() + labels.sum()))


def brute_aupro(maps: np.ndarray, masks: np.ndarray, limit: float) -> float:
    """The definition, threshold by threshold, with flood-filled 8-neighbour regions."""
    regions = []
    for index, mask in enumerate(masks):
        left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
        while left:
            stack, region = [left.pop()], []
            while stack:
                y, x = stack.pop()
                region.append((index, y, x))
                around = {(y + a, x + b) for a in (-1, 0, 1) for b in (-1, 0, 1)} & left
                left -= around
                stack += around
            regions.append(region)
    points = [(0.0, 0.0)]
    for threshold in sorted(set(maps.reshape(-1)), reverse=True):
        hit = maps >= threshold
        fpr = (hit & ~masks).sum() / (~masks).sum()
        points.append((fpr, float(np.mean([np.mean([hit[p] for p in r]) for r in regions]))))
    fpr, pro = np.array(points).T
    grid = np.unique(np.concatenate([fpr[fpr <= limit], [limit]]))
    area = 0.0
    for a, b in zip(grid, grid[1:], strict=False):
        # just after a (a vertical rise belongs to its left end) and just before b
        left_height = pro[np.flatnonzero(fpr <= a)[-1]]
        later = np.flatnonzero(fpr >= b)[0]
        right = pro[later] if fpr[later] == b else np.interp(b, fpr, pro)
        area += (b - a) * (left_height + right) / 2
    return area / limit


class TestAupro:
    @given(st.integers(0, 10_000), st.sampled_from([0.3, 0.1, 1.0]), st.integers(2, 9))
    def test_agrees_with_the_definition(self, seed, limit, levels):
        rng = np.random.default_rng(seed)
        masks = rng.random((2, 6, 6)) < 0.2
        masks[0, 0, 0], masks[0, 5, 5] = True, False
        maps = rng.integers(0, levels, masks.shape).astype(float)
        assert aupro(maps, masks, limit) == pytest.approx(brute_aupro(maps, masks, limit))

    def test_perfect_and_hopeless(self):
        masks = np.zeros((1, 8, 8), bool)
        masks[0, 2:4, 2:4] = True
        assert aupro(masks.astype(float), masks) == pytest.approx(1.0)
        assert aupro(-masks.astype(float), masks) == pytest.approx(0.0)

    def test_small_regions_weigh_as_much_as_large_ones(self):
        masks = np.zeros((1, 10, 10), bool)
        masks[0, 0, 0] = True  # one pixel
        masks[0, 4:8, 4:8] = True  # sixteen
        only_small = np.zeros(masks.shape)
        only_small[0, 0, 0] = 1.0
        # PRO is 1/2 from FPR 0 on, then rises in a line to 1 at FPR 1: at 0.3 it is 0.65.
        assert aupro(only_small, masks) == pytest.approx((0.5 + 0.65) / 2)

    def test_diagonal_neighbours_are_one_region(self):
        masks = np.zeros((1, 6, 6), bool)
        masks[0, 1, 1] = masks[0, 2, 2] = True
        maps = np.zeros(masks.shape)
        maps[0, 1, 1] = 1.0
        assert aupro(maps, masks, 1.0) == pytest.approx((0.5 + 1.0) / 2)

    def test_no_defect_has_none(self):
        assert aupro(np.zeros((1, 4, 4)), np.zeros((1, 4, 4), bool)) is None

    @pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
    def test_masks_of_numbers_count_as_masks(self, dtype):
        rng = np.random.default_rng(0)
        masks, maps = rng.random((2, 8, 8)) < 0.2, rng.random((2, 8, 8))
        assert aupro(maps, (masks * 255).astype(dtype)) == aupro(maps, masks)

    def test_maps_and_masks_of_different_shapes_are_refused(self):
        maps, masks = np.zeros((2, 3, 4)), np.zeros((2, 4, 3), bool)  # as many pixels
        masks[0, 0, 0] = True
        for metric in (aupro, pixel_auroc):
            with pytest.raises(CutSwapError, match="one shape"):
                metric(maps, masks)
        with pytest.raises(CutSwapError, match="one shape"):
            summarise(np.array([1.0, 2.0]), np.array([0, 1], bool), maps, masks)

    @pytest.mark.parametrize("limit", [0.0, -0.1, 1.1, np.nan])
    def test_a_limit_out_of_range_is_refused(self, limit):
        with pytest.raises(CutSwapError, match="fpr_limit"):
            aupro(np.zeros((1, 2, 2)), np.eye(2, dtype=bool)[None], limit)


class TestSummary:
    def test_figures_are_those_of_the_single_functions(self):
        rng = np.random.default_rng(0)
        masks, maps = rng.random((3, 8, 8)) < 0.2, rng.integers(0, 9, (3, 8, 8)) / 4
        labels = np.array([False, True, True])
        found = summarise(maps.max(axis=(1, 2)), labels, maps, masks)
        assert found.aupro == aupro(maps, masks)
        assert found.pixel_auroc == pytest.approx(pixel_auroc(maps, masks))
        assert found.pixel_average_precision == average_precision(maps.ravel(), masks.ravel())
        assert (found.pixel_f1_max, found.pixel_threshold) == f1_max(maps.ravel(), masks.ravel())

    def test_everything_at_once(self):
        masks = np.zeros((2, 4, 4), bool)
        masks[1, 1, 1] = True
        found = summarise(np.array([0.1, 0.9]), np.array([False, True]), masks * 2.0, masks)
        assert found.image_auroc == found.pixel_auroc == found.aupro == found.f1_max == 1.0
        assert found.threshold == pytest.approx(0.9)

    def test_without_masks_no_pixel_figures(self):
        found = summarise(np.array([1.0, 2.0]), np.array([0, 1], bool), np.zeros((2, 4, 4)), None)
        assert found.image_auroc == 1.0
        assert (found.pixel_auroc, found.aupro, found.pixel_f1_max) == (None, None, None)


class TestRegion:
    """Pixel figures of a 4 x 4 heatmap by hand: only the region's pixels count."""

    HEAT = np.array([[[9, 1, 9, 9], [2, 3, 9, 9], [5, 4, 9, 9], [9, 9, 9, 9]]], np.float32)
    TRUTH = np.zeros((1, 4, 4), bool)
    REGION = np.zeros((4, 4), bool)

    def setup_method(self):
        self.TRUTH[:] = False
        self.TRUTH[0, 1, 1:3] = True  # of this defect one pixel lies outside
        self.TRUTH[0, 2, 0] = True
        self.TRUTH[0, 3, 3] = True  # and all of this one
        self.REGION[:] = False
        self.REGION[:3, :2] = True
        self.REGION[0, 0] = False  # inside are 1, 2, 4 and, defective, 3, 5

    def figures(self, region):
        labels = np.array([True])
        return summarise(np.array([1.0]), labels, self.HEAT, self.TRUTH, None, region)

    def test_only_pixels_inside_count(self):
        found = self.figures(self.REGION)
        assert found.pixel_auroc == pytest.approx(5 / 6)  # of six pairs only 3 and 4 lie wrong
        assert found.pixel_average_precision == pytest.approx((1 + 2 / 3) / 2)
        assert (found.pixel_f1_max, found.pixel_threshold) == (pytest.approx(2 * 2 / 5), 3)
        # Half of the one region is found without a false positive, the rest at 1 of 3.
        assert found.aupro == pytest.approx(0.5)
        assert found.pixel_auroc != self.figures(None).pixel_auroc

    def test_all_ones_is_no_region(self):
        assert self.figures(np.ones((4, 4), bool)) == self.figures(None)

    def test_without_a_defect_inside_there_are_no_pixel_figures(self):
        self.REGION[1, 1] = self.REGION[2, 0] = False
        found = self.figures(self.REGION)
        assert (found.pixel_auroc, found.aupro, found.pixel_f1_max) == (None, None, None)
        assert found.image_auroc is None
