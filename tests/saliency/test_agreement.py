"""Two maps compared: figures known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cutswap.saliency.agreement import map_agreement

RAMP = np.linspace(0, 1, 16).reshape(4, 4)
HALF = RAMP > 0.5


@pytest.mark.parametrize(
    ("second", "region", "correlation", "overlap"),
    [
        (RAMP, HALF, 1.0, 1.0),
        (RAMP * 0.1 + 0.3, HALF, 1.0, 1.0),  # each map is stretched by itself: scale says nothing
        (1 - RAMP, ~HALF, -1.0, 0.0),
        (RAMP, np.eye(4, dtype=bool), 1.0, 2 / 10),
        (RAMP, np.zeros((4, 4), dtype=bool), 1.0, 0.0),
        (np.zeros((4, 4)), HALF, None, 1.0),
    ],
)
def test_agreement_by_hand(second, region, correlation, overlap):
    found = map_agreement(RAMP, second, (HALF, region))
    assert found.correlation == (None if correlation is None else pytest.approx(correlation))
    assert found.overlap == pytest.approx(overlap)


def test_two_empty_regions_have_no_overlap_to_speak_of():
    empty = np.zeros((4, 4), dtype=bool)
    assert map_agreement(RAMP, RAMP, (empty, empty)).overlap is None
