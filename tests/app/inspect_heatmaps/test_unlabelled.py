"""Inspect without labels: verdicts by the threshold that somebody sets, and none before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.shared import workspace
from cutswap.evaluation.unlabelled import read_unlabelled
from tests.helpers.inspect_page import SMALL_SETTINGS, no_trace, open_page, settled, words
from tests.helpers.scored import SIZE, build_parts


@pytest.fixture
def unsorted(world, monkeypatch) -> Path:
    """Three photos of which nobody says whether they are good."""
    root = build_parts(world / "own", defects=0)
    (root / "bolt/test/good").rename(root / "bolt/test/unlabelled")
    monkeypatch.setattr(workspace, "demo_root", lambda **_: root)
    return world


def tiles(at) -> list[str]:
    return [b.label for b in at.button if (b.key or "").startswith("sheet.open.")]


def test_nothing_is_called_until_a_threshold_is_set_and_then_by_its_rule(unsorted):
    at = settled(open_page(**SMALL_SETTINGS))
    no_trace(at)
    assert "no threshold yet" in words(at)
    assert len(tiles(at)) == 3
    assert not any("called" in text for text in tiles(at))
    (folder,) = (unsorted / "cache/unlabelled").iterdir()
    scores = np.sort(read_unlabelled(folder).scores)
    at = at.slider(key="knob.thr").set_value(float(scores[2])).run()
    no_trace(at)
    assert scores[1] < scores[2]
    assert "**1** called defective, **2** called good" in words(at)
    assert sum("● called defective" in text for text in tiles(at)) == 1
    at = at.segmented_control(key="knob.sheet").set_value("called good").run()
    assert [("○ called good" in text) for text in tiles(at)] == [True, True]
    at = at.button(key="thr.none").click().run()
    no_trace(at)
    assert "no threshold yet" in words(at)
    assert len(tiles(at)) == 3
    at = at.button(key="thr.share").click().run()  # at least one
    assert "**1** called defective" in words(at)


def test_heatmaps_are_kept_beside_the_scores(unsorted):
    settled(open_page(**SMALL_SETTINGS))
    (folder,) = (unsorted / "cache/unlabelled").iterdir()
    found = read_unlabelled(folder)
    assert found.heatmaps.shape == (3, SIZE, SIZE)
    assert found.range == (found.heatmaps.min(), found.heatmaps.max())
    (folder / "heatmaps.npy").unlink()  # as an earlier version left it
    at = settled(open_page(**SMALL_SETTINGS))
    no_trace(at)
    assert [e.value for e in at.error] == []
    assert (folder / "heatmaps.npy").is_file()
