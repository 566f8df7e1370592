"""Probability of detection: a published fit, laws of bounds, and data that have no curve."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binom

from cutswap.decision.detectable.pod import PodFit, fit_pod, lower_bound, upper_bound

# Bliss's beetles (1935), as in Dobson and Barnett, An Introduction to Generalized Linear Models,
# table 7.2: log10 of the dose, beetles, killed. The logit fit is their table 7.4's.
DOSES = (1.6907, 1.7242, 1.7552, 1.7842, 1.8113, 1.8369, 1.8610, 1.8839)
BEETLES = (59, 60, 62, 56, 63, 59, 62, 60)
KILLED = (6, 13, 18, 28, 52, 53, 61, 60)


def log_likelihood(fit: PodFit, intercept: float, slope: float) -> float:
    logits = intercept + slope * np.log(fit.sizes)
    y, n = np.array(fit.found), np.array(fit.count)
    return float((y * logits - n * np.log1p(np.exp(logits))).sum())


def test_a_published_fit():
    # Sizes are whole pixels here: the doses times 1e6, which moves the intercept alone.
    sizes = [round(10**dose * 1e6) for dose in DOSES]
    fit = fit_pod(sizes, KILLED, BEETLES)
    slope = fit.slope * math.log(10)
    intercept = fit.intercept + 6 * slope
    assert slope == pytest.approx(34.27, abs=0.005)  # published: 34.270 and -60.717
    assert intercept == pytest.approx(-60.717, abs=0.02)
    # a90 by hand: the dose whose logit is log 9
    assert math.log10(fit.a90 / 1e6) == pytest.approx((math.log(9) + 60.717) / 34.27, abs=1e-4)
    # their standard errors, 5.181 and 2.912, give Wald's bound, which is near the likelihood's
    p = 1 / (1 + np.exp(-(intercept + slope * np.array(DOSES))))
    weights = np.array(BEETLES) * p * (1 - p)
    design = np.stack([np.ones(8), np.array(DOSES)], axis=1)
    covariance = np.linalg.inv((design * weights[:, None]).T @ design)
    assert np.sqrt(np.diag(covariance)) == pytest.approx([5.181, 2.912], rel=1e-3)
    a90 = (math.log(9) - intercept) / slope
    gradient = np.array([-1, -a90]) / slope
    wald = a90 + 1.645 * math.sqrt(gradient @ covariance @ gradient)
    assert math.log10(fit.a90_95 / 1e6) == pytest.approx(wald, abs=0.002)
    assert a90 < math.log10(fit.a90_95 / 1e6)


def test_the_bound_is_where_the_likelihood_has_fallen_by_half_of_chi_square():
    fit = fit_pod((2, 4, 8, 16, 32), (1, 4, 14, 24, 29), (30,) * 5)
    best = log_likelihood(fit, fit.intercept, fit.slope)

    def best_with(size: float, p: float) -> float:
        """By another optimiser: the likeliest curve through (size, p)."""
        logit = math.log(p / (1 - p))
        found = minimize_scalar(
            lambda slope: -log_likelihood(fit, logit - slope * math.log(size), slope),
            bounds=(0.01, 20),
            method="bounded",
            options={"xatol": 1e-10},
        )
        return -found.fun

    assert 2 * (best - best_with(fit.a90_95, 0.9)) == pytest.approx(2.7055, abs=1e-3)
    # and the lower bound of the whole curve passes through that point
    assert fit.lower(np.array([fit.a90_95])) == pytest.approx([0.9], abs=1e-6)
    assert fit.pod(np.array([fit.a90])) == pytest.approx([0.9])
    sizes = fit.drawn()
    assert (np.diff(fit.lower(sizes)) > 0).all()
    assert (fit.lower(sizes) <= fit.pod(sizes)).all()


def test_the_bound_covers_what_it_says():
    """Of 150 experiments on a known curve about 5% state a size that is found less often."""
    rng = np.random.default_rng(0)
    sizes, count = np.array([2, 4, 8, 16, 32, 64]), 30
    truth = 1 / (1 + np.exp(-(-6 + 2.5 * np.log(sizes))))
    a90 = math.exp((math.log(9) + 6) / 2.5)
    stated = [fit_pod(sizes, rng.binomial(count, truth), (count,) * 6).a90_95 for _ in range(150)]
    told = [size for size in stated if size is not None]
    assert len(told) > 145
    too_small = sum(size < a90 for size in told)
    assert 1 <= too_small <= 16  # 7.5 expected, 2.7 is a standard error


HITS = st.lists(st.integers(0, 30), min_size=2, max_size=6)


@given(HITS)
def test_any_counts_give_a_sentence(found: list[int]):
    fit = fit_pod([2 ** (k + 1) for k in range(len(found))], found, [30] * len(found))
    assert fit.sentence()
    if fit.a90_95 is not None:
        assert fit.a90 is not None
        assert fit.a90 <= fit.a90_95 <= fit.sizes[-1]
    if fit.how == "curve":
        assert fit.slope > 0
        sizes = fit.drawn()
        assert (np.diff(fit.pod(sizes)) >= 0).all()
        assert np.isfinite(fit.lower(sizes)).all()
    else:
        assert fit.pod(np.array([3.0])) is None
        assert fit.lower(np.array([3.0])) is None


@given(HITS, st.integers(0, 5))
def test_one_more_hit_at_the_largest_size_makes_no_fit_impossible(found: list[int], more: int):
    """Better data at the large end never states a larger a90 by counting."""
    sizes, count = [2 ** (k + 1) for k in range(len(found))], [30] * len(found)
    better = [*found[:-1], min(30, found[-1] + more)]
    one, other = (fit_pod(sizes, hits, count) for hits in (found, better))
    if one.how == other.how == "count" and one.a90 is not None:
        assert other.a90 is not None
        assert other.a90 <= one.a90


@pytest.mark.parametrize(
    ("found", "a90", "a90_95", "says"),
    [
        # nothing found: the exact upper bound of 0 of 30 is 9.5%
        ((0, 0, 0), None, None, "none of 90 found; of 8 px at most 10% are"),
        # everything found: 30 of 30 prove more than 90%
        ((30, 30, 30), 2, 2, "all 90 found: a90/95 is 2 px, the smallest painted, or less"),
        # sizes part hits from misses: counted
        ((0, 0, 30), 8, 8, "counted by size, as no curve fits: 30 of 30 found at 8 px"),
        # one size has both, so the steepest curve is still the likeliest
        ((0, 12, 30), 8, 8, "a90/95 8 px or less: 30 of 30 found at 8 px"),
        # 28 of 30 are nine in ten, and prove less
        ((0, 28, 30), 4, 8, "28 of 30 found at 4 px; a90/95 8 px or less"),
        # large ones are found less often
        ((30, 20, 0), None, None, "no size is found nine times in ten, up to 8 px"),
    ],
)
def test_counts_without_a_curve(found, a90, a90_95, says):
    fit = fit_pod((2, 4, 8), found, (30, 30, 30))
    assert fit.how == "count"
    assert (fit.a90, fit.a90_95) == (a90, a90_95)
    assert says in fit.sentence()


def test_too_few_places_say_so():
    fit = fit_pod((2, 4, 8), (0, 0, 12), (12, 12, 12))
    assert (fit.a90, fit.a90_95) == (8, None)
    assert "at least 29 of 29 must be found at a size" in fit.sentence()


def test_29_of_29_is_the_fewest():
    # 1 - 0.9 ** 29 = 0.953: the rule of inspectors
    assert lower_bound(29, 29) > 0.9 > lower_bound(28, 28)
    assert lower_bound(29, 29) == pytest.approx(0.05 ** (1 / 29))
    assert lower_bound(0, 10) == 0
    assert upper_bound(10, 10) == 1
    # the bounds are those at which the tail is 5%
    assert binom.sf(17, 30, lower_bound(18, 30)) == pytest.approx(0.05)
    assert binom.cdf(18, 30, upper_bound(18, 30)) == pytest.approx(0.05)


def test_sizes_beyond_what_was_painted_are_not_stated():
    fit = fit_pod((2, 4, 8), (1, 5, 12), (30, 30, 30))
    assert fit.how == "curve"
    assert (fit.a90, fit.a90_95) == (None, None)
    assert fit.sentence() == "a90 lies above 8 px, the largest painted"
    near = fit_pod((2, 4, 8), (5, 20, 28), (30, 30, 30))
    assert near.a90 < 8
    assert near.a90_95 is None
    assert "more places tell" in near.sentence()


@pytest.mark.parametrize(
    ("sizes", "found", "count"),
    [((2, 2), (1, 1), (3, 3)), ((2, 4), (1, 4), (3, 3)), ((0, 4), (1, 1), (3, 3)), ((), (), ())],
)
def test_counts_that_cannot_be(sizes, found, count):
    with pytest.raises(ValueError, match="sizes that rise|hits between"):
        fit_pod(sizes, found, count)
