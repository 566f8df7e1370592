"""Verdicts at a threshold, and the order in which photos are looked at."""

from __future__ import annotations

import numpy as np
import pytest

from cutswap.errors import CutSwapError
from cutswap.evaluation.thresholds import ThresholdCounts
from cutswap.evaluation.verdicts import (
    HIGHEST,
    LABELLED_GROUPS,
    LOWEST,
    MOST_WRONG,
    UNLABELLED_GROUPS,
    Verdict,
    chosen,
    in_order,
    verdict_of,
    verdicts_of,
)

SCORES = np.array([1.0, 5.0, 3.0, 2.0, 3.0])
LABELS = np.array([True, False, True, False, False])
AT_3 = (Verdict.MISSED, Verdict.FALSE_ALARM, Verdict.FOUND, Verdict.PASSED, Verdict.FALSE_ALARM)


def test_a_score_at_the_threshold_is_called():
    assert verdicts_of(SCORES, LABELS, 3.0) == AT_3


@pytest.mark.parametrize(
    ("truth", "threshold", "verdict"),
    [
        (None, None, Verdict.UNDECIDED),
        (True, None, Verdict.UNDECIDED),
        (None, 2.0, Verdict.CALLED_DEFECTIVE),
        (None, 2.1, Verdict.CALLED_GOOD),
    ],
)
def test_without_a_truth_the_rule_alone_speaks(truth, threshold, verdict):
    assert verdict_of(truth, 2.0, threshold) == verdict


@pytest.mark.parametrize("threshold", [0.0, 2.0, 3.0, 9.0])
def test_verdicts_are_counted_as_the_confusion_counts_them(threshold: float):
    counts = ThresholdCounts.of_images(SCORES, LABELS).at(threshold)
    told = [verdicts_of(SCORES, LABELS, threshold).count(v) for v in list(Verdict)[:4]]
    assert told == [counts.hits, counts.missed, counts.alarms, counts.passed]


def test_every_verdict_has_a_text_of_its_own_and_a_group():
    assert len({v.text for v in Verdict}) == len(Verdict)
    grouped = [v for g in (LABELLED_GROUPS, UNLABELLED_GROUPS) for vs in g.values() for v in vs]
    assert sorted(grouped) == sorted(v for v in Verdict if v != Verdict.UNDECIDED)
    assert [v for v in Verdict if v.is_mistake] == [Verdict.MISSED, Verdict.FALSE_ALARM]


@pytest.mark.parametrize(
    ("labels", "threshold", "order", "places"),
    [
        # missed by 2, alarm by 2, found, passed by 1, alarm by 0
        (LABELS, 3.0, MOST_WRONG, [0, 1, 4, 2, 3]),
        (LABELS, 3.0, HIGHEST, [1, 2, 4, 3, 0]),
        (LABELS, 3.0, LOWEST, [0, 3, 2, 4, 1]),
        (None, 3.0, MOST_WRONG, [1, 2, 4, 3, 0]),
        (None, None, MOST_WRONG, [1, 2, 4, 3, 0]),
        (LABELS, None, MOST_WRONG, [1, 2, 4, 3, 0]),
    ],
)
def test_what_is_looked_at_first(labels, threshold, order, places):
    assert in_order(SCORES, labels, threshold, order) == places


def test_an_order_that_is_none_is_refused():
    with pytest.raises(CutSwapError, match="most wrong first"):
        in_order(SCORES, LABELS, 3.0, "by colour")


def test_filters_keep_the_order():
    defects = ("crack", "good", "spot", "good", "good")
    order = in_order(SCORES, LABELS, 3.0)
    assert chosen(order, AT_3, defects) == order
    assert chosen(order, AT_3, defects, wanted=LABELLED_GROUPS["falsely called"]) == [1, 4]
    assert chosen(order, AT_3, defects, wanted=LABELLED_GROUPS["right"]) == [2, 3]
    assert chosen(order, AT_3, defects, defect="spot") == [2]
    assert chosen(order, AT_3, defects, wanted=LABELLED_GROUPS["missed"], defect="spot") == []
    assert chosen(order, AT_3, None, defect="spot") == order  # nobody knows the types
