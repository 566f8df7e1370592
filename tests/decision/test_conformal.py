"""The promise of a threshold from good photos: numbers worked by hand, and laws over many seeds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutswap.decision.conformal import (
    drift,
    need_photos,
    p_values,
    photos_needed,
    promised_threshold,
)
from cutswap.errors import CutSwapError

NINE = np.arange(1, 10, dtype=np.float32)  # 1, 2, ... 9


@pytest.mark.parametrize(
    ("rate", "needed"),
    [(0.5, 1), (0.29, 3), (0.2, 4), (0.1, 9), (0.07, 14), (0.05, 19), (0.01, 99)],
)
def test_photos_needed_by_hand(rate: float, needed: int):
    """1 / rate - 1, rounded up: 0.29 needs 3, for 0.29 * 4 = 1.16 holds the new photo itself."""
    assert photos_needed(rate) == needed
    need_photos(rate, needed)
    if needed > 1:
        with pytest.raises(
            CutSwapError, match=f"at least {needed} good photos .* found {needed - 1}"
        ):
            need_photos(rate, needed - 1)


def test_too_few_photos_are_told_how_many_and_which_rate_they_do_for():
    with pytest.raises(CutSwapError, match=r"add 59 good photos, or ask for 0\.025 or more"):
        need_photos(0.01, 40)
    need_photos(0.025, 40)


def test_p_values_by_hand():
    """Of 9 good scores and the photo itself: above all 1/10; equal to the highest 2/10."""
    scores = np.array([9.5, 9.0, 5.5, 1.0, 0.0])
    assert p_values(NINE, scores).tolist() == [0.1, 0.2, 0.5, 1.0, 1.0]


def test_a_threshold_by_hand():
    """At 0.1 of 9 photos nothing seen may be called: just above 9. At 0.2 the highest may."""
    one = promised_threshold(NINE, 0.1)
    assert 9 < one.threshold < 9.000002
    assert (one.photos, one.needed, one.expected) == (9, 9, 0.1)
    # Beta(1, 9): 1 - (1 - q)^(1 / 9)
    assert one.low == pytest.approx(1 - 0.975 ** (1 / 9))
    assert one.high == pytest.approx(1 - 0.025 ** (1 / 9))
    two = promised_threshold(NINE, 0.2)
    assert 8 < two.threshold < 8.000002
    assert two.expected == 0.2
    assert promised_threshold(NINE, 0.19).threshold == one.threshold


SCORES = st.lists(st.floats(0, 8, width=16), min_size=4, max_size=60)


@given(SCORES, st.lists(st.floats(0, 9, width=16), min_size=1), st.floats(0.2, 0.9))
def test_threshold_and_p_value_give_the_same_verdict(good, new, rate):
    """With ties, too: float16 values of one range."""
    good, new = np.array(good, np.float32), np.array([*new, *good], np.float32)
    threshold = promised_threshold(good, rate).threshold
    assert ((new >= threshold) == (p_values(good, new) <= rate + 1e-12)).all()


@given(SCORES)
def test_a_lower_rate_never_has_a_lower_threshold(good):
    rates = np.linspace(0.2, 0.9, 30)
    found = [promised_threshold(np.array(good), rate) for rate in rates]
    assert all(a.threshold >= b.threshold for a, b in zip(found, found[1:], strict=False))
    assert all(p.expected <= p.asked and p.low < p.expected < p.high for p in found)


@pytest.mark.parametrize(("photos", "rate"), [(40, 0.05), (99, 0.01), (99, 0.05), (250, 0.02)])
def test_exchangeable_photos_are_called_defective_at_the_promised_rate(photos: int, rate: float):
    """Over 2,000 deals: the mean rate is the expected one, and 95% lie in the interval.

    The rate of one deal is computed, not drawn: scores are uniform, so that it is 1 - threshold.
    """
    rng = np.random.default_rng(photos)
    found = [promised_threshold(rng.random(photos), rate) for _ in range(2000)]
    given = np.array([1 - one.threshold for one in found])
    standard_error = given.std() / np.sqrt(len(given))
    assert abs(given.mean() - found[0].expected) < 4 * standard_error
    assert given.mean() < rate + 4 * standard_error
    inside = np.mean([one.low <= rate <= one.high for one, rate in zip(found, given, strict=True)])
    assert abs(inside - 0.95) < 0.02  # four standard errors of 2,000


@pytest.mark.parametrize(
    ("move", "is_found", "is_higher"),
    [(0.0, False, None), (0.8, True, True), (-0.8, True, False)],
)
def test_drift_is_found_where_there_is_some(move: float, is_found: bool, is_higher: bool | None):
    """100 photos each over 200 seeds; at a level of 0.01 chance calls at most a few drift."""
    called = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        called.append(drift(rng.normal(size=100), rng.normal(move, size=100)))
    share = np.mean([one.is_drift for one in called])
    assert share > 0.95 if is_found else share <= 0.03
    if is_higher is not None:
        assert all(one.is_higher == is_higher for one in called)
        assert ("score higher" if is_higher else "score lower") in called[0].text()


@pytest.mark.parametrize("values", [[], [np.nan, 1.0], [np.inf], [[1.0, 2.0]]])
def test_scores_that_are_none_are_refused(values):
    for ask in (
        lambda v: p_values(v, NINE),
        lambda v: promised_threshold(v, 0.1),
        lambda v: drift(NINE, v),
    ):
        with pytest.raises(CutSwapError, match="all of them finite"):
            ask(np.array(values))


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, np.nan])
def test_rates_that_are_none_are_refused(rate: float):
    with pytest.raises(CutSwapError, match="a rate above 0 and below 1"):
        promised_threshold(NINE, rate)
