"""Thresholds: a set worked by hand, laws over random sets with ties, agreement with the metrics."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutswap.errors import CutSwapError
from cutswap.evaluation.metrics import auroc, average_precision, f1_max
from cutswap.evaluation.thresholds import BINS, CURVE_POINTS, Confusion, ThresholdCounts

# Good: 1, 2, 4. Defective: 3, 4, 5.
SCORES = np.array([1.0, 2.0, 4.0, 3.0, 4.0, 5.0])
LABELS = np.array([0, 0, 0, 1, 1, 1], bool)


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Scores with many ties, and labels of both classes."""
    size = draw(st.integers(2, 40))
    scores = np.array(draw(st.lists(st.integers(-3, 6), min_size=size, max_size=size)), float)
    labels = np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)))
    labels[0], labels[-1] = True, False
    return scores, labels


@st.composite
def mapped(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Heatmaps (N, 6, 7) float32, now and then with a far outlier, and masks with both kinds."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    count = draw(st.integers(1, 3))
    masks = rng.random((count, 6, 7)) < draw(st.floats(0.05, 0.9))
    masks[0, 0, :2] = True, False
    heatmaps = (rng.gamma(2, 1, masks.shape) + masks).astype(np.float32)
    heatmaps[0, 1, 1] += draw(st.sampled_from([0, 50]))
    return heatmaps, masks


def brute(values: np.ndarray, truth: np.ndarray, threshold: float) -> Confusion:
    called = values >= threshold
    return Confusion(
        int((called & truth).sum()),
        int((called & ~truth).sum()),
        int((~called & truth).sum()),
        int((~called & ~truth).sum()),
    )


class TestByHand:
    @pytest.mark.parametrize(
        ("threshold", "expected"),
        [
            (0.0, (3, 3, 0, 0)),  # below all
            (1.0, (3, 3, 0, 0)),  # at the lowest
            (2.5, (3, 1, 0, 2)),
            (3.0, (3, 1, 0, 2)),
            (4.0, (2, 1, 1, 2)),  # both kinds tie there
            (4.1, (1, 0, 2, 3)),
            (5.0, (1, 0, 2, 3)),
            (9.0, (0, 0, 3, 3)),  # above all
            (-np.inf, (3, 3, 0, 0)),
            (np.inf, (0, 0, 3, 3)),
        ],
    )
    def test_counts(self, threshold, expected):
        assert ThresholdCounts.of_images(SCORES, LABELS).at(threshold) == Confusion(*expected)

    def test_rates(self):
        found = Confusion(hits=3, alarms=1, missed=2, passed=4)
        assert (found.precision, found.recall, found.alarm_rate) == (0.75, 0.6, 0.2)
        assert found.f1 == pytest.approx(2 * 0.75 * 0.6 / (0.75 + 0.6))
        assert found.cost(10, 0.5) == 20.5

    def test_rates_without_a_denominator(self):
        nothing = Confusion(0, 0, 0, 0)
        assert (nothing.precision, nothing.recall, nothing.alarm_rate, nothing.f1) == (
            None,
            None,
            None,
            0.0,
        )

    @pytest.mark.parametrize(
        ("miss", "alarm", "threshold"),
        [
            (1, 1, 3.0),  # one mistake; every other place has more
            (10, 1, 3.0),
            (1, 10, 5.0),  # two missed at 2 beat one alarm at 10
            (0, 1, None),  # missing is free: call nothing
            (1, 0, 3.0),  # alarms are free, and 3 is the highest that misses none
        ],
    )
    def test_cheapest(self, miss, alarm, threshold):
        tally = ThresholdCounts.of_images(SCORES, LABELS)
        expected = tally.beyond if threshold is None else threshold
        assert tally.cheapest(miss, alarm) == expected

    def test_curves(self):
        tally = ThresholdCounts.of_images(SCORES, LABELS)
        third = 1 / 3
        roc = [(p.x, p.y, p.threshold) for p in tally.roc()]
        assert roc == [
            (0, 0, tally.beyond), (0, third, 5), (third, 2 * third, 4), (third, 1, 3),
            (2 * third, 1, 2), (1, 1, 1),
        ]  # fmt: skip
        curve = [(p.x, p.y, p.threshold) for p in tally.precision_recall()]
        assert curve == [
            (third, 1, 5), (2 * third, 2 * third, 4), (1, 0.75, 3), (1, 0.6, 2), (1, 0.5, 1),
        ]  # fmt: skip

    def test_pixels_of_equal_heat(self):
        tally = ThresholdCounts.of_pixels(
            np.full((1, 2, 2), 3, np.float32), np.eye(2, dtype=bool)[None]
        )
        assert tally.is_exact
        assert tally.at(3.0) == Confusion(2, 2, 0, 0)
        assert tally.at(tally.beyond) == Confusion(0, 0, 2, 2)


class TestImages:
    @given(scored(), st.floats(-5, 8))
    def test_counts_are_those_of_the_rule(self, data, threshold):
        assert ThresholdCounts.of_images(*data).at(threshold) == brute(*data, threshold)

    @given(scored())
    def test_best_f1_is_the_metrics_one(self, data):
        tally = ThresholdCounts.of_images(*data)
        best, threshold = f1_max(*data)
        assert (tally.at(tally.best_f1()).f1, tally.best_f1()) == (best, threshold)

    @given(scored())
    def test_area_under_the_curves_is_the_metrics_one(self, data):
        tally = ThresholdCounts.of_images(*data)
        roc = tally.roc()
        area = np.trapezoid([p.y for p in roc], [p.x for p in roc])
        assert area == pytest.approx(auroc(*data))
        curve = tally.precision_recall()
        steps = np.diff([p.x for p in curve], prepend=0)
        assert steps @ [p.y for p in curve] == pytest.approx(average_precision(*data))

    @given(scored(), st.floats(0, 9), st.floats(0, 9))
    def test_no_threshold_is_cheaper_than_the_cheapest(self, data, miss, alarm):
        tally = ThresholdCounts.of_images(*data)
        best = tally.at(tally.cheapest(miss, alarm)).cost(miss, alarm)
        every = [brute(*data, t).cost(miss, alarm) for t in (*np.unique(data[0]), np.inf)]
        assert best == pytest.approx(min(every))

    @given(scored())
    def test_a_higher_threshold_never_calls_more(self, data):
        tally = ThresholdCounts.of_images(*data)
        found = [tally.at(t) for t in np.linspace(tally.low - 1, tally.beyond + 1, 40)]
        assert all(a.hits >= b.hits and a.alarms >= b.alarms for a, b in itertools.pairwise(found))
        assert all(c.hits + c.missed == data[1].sum() for c in found)
        assert all(c.alarms + c.passed == (~data[1]).sum() for c in found)


class TestPixels:
    @given(mapped(), st.floats(-1, 60))
    def test_counts_are_exact_at_the_step_a_threshold_acts_as(self, data, threshold):
        tally = ThresholdCounts.of_pixels(*data)
        acting = tally.acting(threshold)
        assert tally.at(threshold) == brute(data[0].astype(float), data[1], acting)

    def test_counts_are_exact_where_values_lie_on_the_steps(self):
        # Steps rounded to float32, as numpy would for float32 values, part some from their equals.
        heatmaps = np.linspace(0.1, 7.3, BINS + 1, dtype=np.float32)[None, None]
        masks = np.arange(BINS + 1)[None, None] % 3 == 0
        tally = ThresholdCounts.of_pixels(heatmaps, masks)
        for step in tally.steps[:-1:7]:
            assert tally.at(step) == brute(heatmaps.astype(float), masks, step)

    @given(mapped(), st.floats(0, 1))
    def test_a_threshold_acts_as_the_next_step_less_than_a_bin_higher(self, data, share):
        tally = ThresholdCounts.of_pixels(*data)
        span = float(data[0].max()) - tally.low
        threshold = tally.low + share * span * (1 - 1 / BINS)
        assert 0 <= tally.acting(threshold) - threshold < span / BINS * (1 + 1e-9)

    @given(mapped())
    def test_at_the_ends_all_or_nothing(self, data):
        tally = ThresholdCounts.of_pixels(*data)
        positive = int(data[1].sum())
        assert tally.at(tally.low) == Confusion(positive, data[1].size - positive, 0, 0)
        assert tally.at(tally.beyond) == Confusion(0, 0, positive, data[1].size - positive)

    @given(mapped())
    def test_best_f1_and_area_are_the_exact_ones_but_for_the_steps(self, data):
        heatmaps, masks = data
        tally = ThresholdCounts.of_pixels(heatmaps, masks)
        # Of these few pixels hardly two share a step unless an outlier stretches the range.
        exact, _ = f1_max(heatmaps.reshape(-1), masks.reshape(-1))
        assert exact - 0.03 <= tally.at(tally.best_f1()).f1 <= exact
        roc = tally.roc()
        area = np.trapezoid([p.y for p in roc], [p.x for p in roc])
        assert area == pytest.approx(auroc(heatmaps.reshape(-1), masks.reshape(-1)), abs=0.01)

    def test_a_finer_step_is_nearer_to_the_exact_f1(self):
        rng = np.random.default_rng(0)
        masks = rng.random((2, 40, 40)) < 0.1
        heatmaps = (rng.normal(size=masks.shape) + 2 * masks).astype(np.float32)
        exact, _ = f1_max(heatmaps.reshape(-1), masks.reshape(-1))
        coarse, fine = (ThresholdCounts.of_pixels(heatmaps, masks, bins) for bins in (8, BINS))
        gaps = [exact - t.at(t.best_f1()).f1 for t in (coarse, fine)]
        assert 0 <= gaps[1] < 2e-3 < gaps[0]


@pytest.fixture(scope="module")
def tally() -> ThresholdCounts:
    """Of 3000 values: more steps than a curve has points."""
    rng = np.random.default_rng(1)
    labels = rng.random(3000) < 0.3
    return ThresholdCounts.of_images(rng.normal(size=3000) + labels, labels)


class TestCurves:
    @pytest.mark.parametrize("name", ["roc", "precision_recall"])
    def test_thinned_with_ends_and_the_best_f1(self, tally, name):
        curve = getattr(tally, name)()
        assert 150 < len(curve) <= CURVE_POINTS
        thresholds = [p.threshold for p in curve]
        assert thresholds == sorted(thresholds, reverse=True)
        assert tally.best_f1() in thresholds
        assert thresholds[-1] == tally.low
        assert thresholds[0] == (tally.beyond if name == "roc" else tally.steps[-2])

    def test_every_point_is_what_its_threshold_gives(self, tally):
        for point in tally.roc():
            found = tally.at(point.threshold)
            assert (point.x, point.y) == (found.alarm_rate, found.recall)
        for point in tally.precision_recall():
            found = tally.at(point.threshold)
            assert (point.x, point.y) == (found.recall, found.precision)

    def test_thinning_hardly_changes_the_area(self, tally):
        roc = tally.roc()
        whole = np.trapezoid(tally.defective[::-1], tally.good[::-1])
        whole = whole / tally.defective[0] / tally.good[0]
        area = np.trapezoid([p.y for p in roc], [p.x for p in roc])
        assert area == pytest.approx(whole, abs=2e-3)

    def test_one_kind_alone_has_no_curve(self):
        for labels in (np.ones(6, bool), np.zeros(6, bool)):
            tally = ThresholdCounts.of_images(SCORES, labels)
            assert (tally.roc(), tally.precision_recall()) == ([], [])


class TestRefusals:
    @pytest.mark.parametrize(
        ("scores", "labels"), [([1.0], [True, False]), ([], []), ([np.nan], [True])]
    )
    def test_scores(self, scores, labels):
        with pytest.raises(CutSwapError, match="evaluate again"):
            ThresholdCounts.of_images(np.array(scores), np.array(labels, bool))

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    @pytest.mark.parametrize("image", [0, 1])
    def test_heatmaps(self, bad, image):
        heatmaps = np.zeros((2, 3, 3), np.float32)
        heatmaps[image, 1, 1] = bad
        with pytest.raises(CutSwapError, match="finite"):
            ThresholdCounts.of_pixels(heatmaps, np.zeros((2, 3, 3), bool))
        with pytest.raises(CutSwapError, match="shapes"):
            ThresholdCounts.of_pixels(heatmaps, np.zeros((2, 3, 4), bool))

    @pytest.mark.parametrize("price", [-1.0, np.nan, np.inf])
    def test_prices(self, price):
        tally = ThresholdCounts.of_images(SCORES, LABELS)
        with pytest.raises(CutSwapError, match="missed defect"):
            tally.cheapest(price, 1)
        with pytest.raises(CutSwapError, match="false alarm"):
            tally.cheapest(1, price)

    def test_a_threshold_that_is_no_number(self):
        with pytest.raises(CutSwapError, match="threshold"):
            ThresholdCounts.of_images(SCORES, LABELS).at(np.nan)


@pytest.mark.parametrize("is_flat", [False, True])
def test_in_a_region_only_its_pixels_count(is_flat):
    rng = np.random.default_rng(3)
    heat = rng.random((3, 6, 8)).astype(np.float32)
    masks = rng.random((3, 6, 8)) < 0.3
    region = np.zeros((6, 8), bool)
    region[1:4, 2:7] = True
    heat[:, ~region] = 9.0  # beside it there is more than anywhere inside
    if is_flat:
        heat[:, region] = 0.5
    found = ThresholdCounts.of_pixels(heat, masks, region=region)
    wanted = ThresholdCounts.of_pixels(heat[:, 1:4, 2:7], masks[:, 1:4, 2:7])
    for name in ("steps", "defective", "good"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
