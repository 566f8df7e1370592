"""Feedback on Inspect: said, shown, accepted, opened, taken back."""

from __future__ import annotations

import pytest

from cutswap.decision.feedback import FINE, UNDO, history_of
from cutswap.evaluation.scored_set import read_scored
from tests.helpers.inspect_page import SMALL_SETTINGS, button, no_trace, open_page, settled, words
from tests.helpers.scored import build_parts, score_parts


def labels(at) -> list[str]:
    return [b.label for b in at.button]


def alarmed(at):
    """With the lowest threshold: every photo is called defective."""
    slider = at.slider(key="knob.thr")
    return slider.set_value(slider.min).run()


@pytest.fixture
def first(world):
    """An evaluation whose good test photos differ: one may leave."""
    build_parts(world / "demo", good=4, defects=4)
    score_parts(world / "demo", world / "runs/first")
    return world / "runs"


def test_a_photo_that_is_fine_is_shown_accepted_and_taken_back(first):
    at = alarmed(open_page(eval="first", img="test/good/000"))
    at = button(at, "This is fine").click().run()
    no_trace(at)
    assert "Said: fine: test/good/000." in words(at)
    assert "Accept" not in labels(at)  # shown first
    at = settled(button(at, "Show what changes").click().run())
    no_trace(at)
    said = words(at)
    assert "| good, called defective | 3 of 3" in said  # not the one that was used
    assert "join the bank" in said
    assert [p.name for p in first.iterdir()] == ["first"]  # nothing is written before

    at = settled(button(at, "Accept").click().run())
    no_trace(at)
    out = first / "bolt-feedback-1"
    assert [s.value for s in at.success] == ["Written as bolt-feedback-1."]
    found = read_scored(out)
    (entry,) = history_of(found.summary, out)
    assert (entry.action, entry.fine) == (FINE, ("test/good/000",))
    assert "test/good/000" not in found.names
    assert sorted(p.name for p in first.iterdir()) == ["bolt-feedback-1", "first"]

    at = settled(button(at, "Open the new evaluation").click().run())
    no_trace(at)
    assert at.selectbox(key="knob.eval").value == "bolt-feedback-1"
    assert "1. fine: test/good/000" in words(at)
    at = button(at, "Take the last back").click().run()
    at = settled(button(at, "Show what changes").click().run())
    assert "leave the bank" in words(at)
    at = settled(button(at, "Accept").click().run())
    no_trace(at)
    back = read_scored(first / "bolt-feedback-2")
    assert [e.action for e in history_of(back.summary, first)] == [FINE, UNDO]
    before = read_scored(first / "first")
    assert back.names == before.names
    assert back.scores.tolist() == pytest.approx(before.scores.tolist(), rel=1e-5)


def test_a_defect_without_a_label_is_an_example(first):
    at = alarmed(open_page(eval="first", img="test/good/001"))
    at = button(at, "This is a defect").click().run()
    no_trace(at)
    assert "Said: a defect: test/good/001." in words(at)
    at = settled(button(at, "Show what changes").click().run())
    no_trace(at)
    assert "| defects found | 5 of 5" in words(at)  # four with a label, and it
    at = button(at, "Discard").click().run()
    no_trace(at)
    assert "Said:" not in words(at)
    assert [p.name for p in first.iterdir()] == ["first"]


def test_nothing_is_said_of_labelled_defects_nor_by_strangers(first, monkeypatch):
    at = open_page(eval="first", img="test/spot/000")
    assert "This is fine" not in labels(at)
    assert "This is fine" in labels(open_page(eval="first", img="test/good/000"))
    asked = {**SMALL_SETTINGS, "img": "test/good/000"}
    assert "This is fine" in labels(settled(open_page(**asked)))
    monkeypatch.setenv("CUTSWAP_PUBLIC", "1")
    assert "This is fine" not in labels(settled(open_page(**asked)))
    assert first.is_dir()


def test_one_photo_too_many_says_so(first):
    """All good test photos cannot be used: nothing would be left to measure on."""
    at = alarmed(open_page(eval="first", img="test/good/000"))
    at = button(at, "This is fine").click().run()
    for number in (1, 2, 3):
        at = at.sidebar.selectbox[1].select(f"test/good/{number:03d}").run()
        at = button(at, "This is fine").click().run()
    at = settled(button(at, "Show what changes").click().run())
    no_trace(at)
    assert "no such photo" in words(at)
    at = settled(button(at, "Accept").click().run())
    no_trace(at)
    assert "To fix it" in words(at)
    assert [p.name for p in first.iterdir()] == ["first"]
