"""The control of a threshold from good photos alone, on Inspect."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from cutswap.config import FalseAlarmSettings
from cutswap.decision.deciding import decide
from cutswap.decision.decision import Decision, read_decision, write_decision
from tests.helpers.inspect_page import SMALL_SETTINGS, button, no_trace, open_page, settled, words
from tests.helpers.scored import SETTINGS, build_parts, score_parts


def labels(at) -> list[str]:
    return [b.label for b in at.button]


def test_good_photos_are_held_out_once_and_their_threshold_is_used(world):
    scored = score_parts(world / "demo", world / "runs/first")
    wanted = decide(scored.checked, scored.backbone, SETTINGS, FalseAlarmSettings(false_alarms=0.2))
    assert wanted is not None
    at = open_page(eval="first", rate="0.2")
    no_trace(at)
    assert "Needs 4 good photos; there are 6." in words(at)
    at = settled(button(at, "Score the good photos").click().run())
    no_trace(at)
    (kept,) = (world / "cache/held_out").iterdir()
    found = read_decision(kept)
    assert found is not None
    assert found.good.tolist() == wanted.good.tolist()
    promise = wanted.promise
    said = words(at)
    assert f"Threshold **{promise.threshold:.4g}** · gives **14%** on average" in said
    assert "of 3 good called defective" in said
    assert "of 3 defects missed" in said
    assert "exchangeable" in said
    at = button(at, "Use this threshold").click().run()
    no_trace(at)
    slider = at.slider(key="knob.thr")
    wanted_value = np.clip(
        promise.threshold, slider.min, slider.max
    )  # all test photos may be above
    assert at.session_state["knob.thr"] == pytest.approx(wanted_value)
    # another rate of the same scores, without computing again
    at = open_page(eval="first", rate="0.2")
    assert "Score the good photos" not in labels(at)


@pytest.mark.usefixtures("saved")
def test_too_few_good_photos_says_how_many():
    at = open_page(eval="first", rate="0.01")
    no_trace(at)
    assert "Needs 99 good photos; there are 6." in words(at)
    assert "93 good photos too few for 1%: add them, or ask for 20%." in words(at)
    assert "Score the good photos" not in labels(at)
    assert "Use this threshold" not in labels(at)


def test_the_decision_of_the_evaluation_is_taken_and_drift_is_told(saved):
    good = np.linspace(100, 200, 99).astype(np.float32)  # all test photos score far lower
    write_decision(Decision.of("bolt", "bank", good, 0.05, "by hand"), saved / "first")
    at = open_page(eval="first", rate="0.01")
    no_trace(at)
    assert "Threshold **200** · gives **1%** on average" in words(at)
    assert "By hand." in words(at)
    assert "Drift: 3 new photos score lower than the good ones did" in words(at)
    write_decision(Decision.of("bolt", "both", good, 0.05, "by hand"), saved / "first")
    assert "Threshold **" not in words(open_page(eval="first", rate="0.2"))  # another score's


@pytest.mark.usefixtures("saved")
def test_good_photos_that_changed_are_refused(world):
    (world / "demo/bolt/train/good/000.png").unlink()
    at = open_page(eval="first", rate="0.2")
    no_trace(at)
    assert "The good photos have changed since this evaluation" in words(at)


def test_photos_without_labels_get_verdicts_by_it(world):
    shutil.rmtree(world / "demo")
    build_parts(world / "demo", defects=0)
    at = settled(settled(open_page(**SMALL_SETTINGS, rate="0.2")))
    no_trace(at)
    at = settled(button(at, "Score the good photos").click().run())
    no_trace(at)
    assert "no defect is labelled" in words(at)
    assert "No threshold is set" in words(at)
    at = button(at, "Use this threshold").click().run()
    no_trace(at)
    assert "called defective" in words(at)
    assert "No threshold is set" not in words(at)


def test_strangers_hold_nothing_out(world, monkeypatch):
    score_parts(world / "demo", world / "runs/first")
    asked = {**SMALL_SETTINGS, "rate": "0.2"}
    assert "Score the good photos" in labels(settled(open_page(**asked)))
    monkeypatch.setenv("CUTSWAP_PUBLIC", "1")
    at = settled(open_page(**asked))
    no_trace(at)
    assert "Score the good photos" not in labels(at)
