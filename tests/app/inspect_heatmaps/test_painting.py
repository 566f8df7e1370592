"""Painting a defect on the Inspect page: strokes, what judges them, the link that keeps them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.inspect_heatmaps.painting import view as painting
from app.inspect_heatmaps.painting.canvas import HeatPanel
from app.inspect_heatmaps.painting.held import MOST_ACTS
from app.shared import caches
from app.shared.caches import PhotoKey
from cutswap.data.datasets import open_dataset
from cutswap.data.images import to_image
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.strokes.link_text import from_link, to_link
from cutswap.strokes.rendering import paint_strokes
from cutswap.strokes.stroke import BRUSH, MOST_STROKES, STAIN, Stroke
from tests.helpers.inspect_page import SMALL_SETTINGS, no_trace, open_page, settled, words
from tests.helpers.scored import SIZE

pytestmark = pytest.mark.usefixtures("world")
LINE = Stroke(BRUSH, ((10, 12), (40, 44)), 7, (250, 240, 20), 90, 5)
SPOT = Stroke(STAIN, ((30, 20),), 16, (10, 10, 10), 80, 9)


class Painter:
    """Stands for the canvas in the browser: keeps what it shows, and acts by a plain button."""

    def __init__(self) -> None:
        self.painted = np.zeros((0, 0, 3), np.uint8)
        self.panels: Sequence[HeatPanel] = ()
        self.shown: dict[str, Any] = {}
        self.acts: list[dict[str, Any]] = []
        self.number = 0

    def __call__(
        self, painted: np.ndarray, panels: Sequence[HeatPanel], *,
        on_act: Callable[[Sequence[dict[str, Any]]], None], **shown: Any,
    ) -> None:  # fmt: skip
        self.painted, self.panels, self.shown = painted, panels, shown
        st.button("act", key="act", on_click=lambda: on_act(self.acts))

    def act(self, at: AppTest, *acts: dict[str, Any]) -> AppTest:
        """What the browser sends: acts with numbers that rise."""
        self.acts = []
        for act in acts:
            self.number += 1
            self.acts.append({"n": self.number, **act})
        at = at.button(key="act").click().run()
        no_trace(at)
        return at

    def paint(self, at: AppTest, *strokes: Stroke) -> AppTest:
        return self.act(at, *[{"stroke": stroke.to_dict()} for stroke in strokes])


@pytest.fixture
def painter(monkeypatch) -> Painter:
    found = Painter()
    monkeypatch.setattr(painting, "canvas", found)
    return found


def opened(**query: str) -> AppTest:
    at = settled(open_page(**SMALL_SETTINGS, paint="1", **query))
    no_trace(at)
    return at


def clean(world, name: str = "test/spot/000") -> np.ndarray:
    category = open_dataset(world / "demo").category("bolt")
    record = next(r for r in (*category.test, *category.train) if r.name == name)
    return caches.photo(PhotoKey.of_record(record, SIZE))


def link(at: AppTest) -> str:
    value = at.query_params.get("strokes", "")
    return value if isinstance(value, str) else value[0]


def test_without_a_stroke_it_is_the_evaluated_photo(world, painter):
    opened()
    assert np.array_equal(painter.painted, clean(world))
    (panel,) = painter.panels
    (folder,) = (world / "cache/evaluations").iterdir()
    expected = MemoryBank.load(next(folder.glob("bank*"))).score(to_image(clean(world)[None]))
    assert np.array_equal(panel.values, expected.heatmaps[0])
    score = f"{float(expected.scores[0]):.3f}"
    assert f"score {score}, as it was {score}" in panel.says
    assert painter.shown["strokes"] == 0


def test_a_stroke_is_painted_judged_and_kept_in_the_link(world, painter):
    at = opened()
    before = painter.panels[0].values.copy()
    at = painter.paint(at, LINE)
    expected = paint_strokes(clean(world), [LINE])
    assert np.array_equal(painter.painted, expected)
    assert not np.array_equal(painter.panels[0].values, before)
    assert painter.shown["done"] == painter.number
    assert from_link(link(at), "demo/bolt test/spot/000") == ((LINE,), SIZE)
    text = link(painter.paint(at, SPOT))
    another = opened(strokes=text)
    assert np.array_equal(painter.painted, paint_strokes(clean(world), [LINE, SPOT]))
    assert link(another) == text
    assert "2 of 40 strokes" in words(another)


def test_strokes_are_taken_back_one_by_one_or_all(world, painter):
    at = painter.paint(opened(), LINE, SPOT)
    at = painter.act(at, {"undo": True})
    assert np.array_equal(painter.painted, paint_strokes(clean(world), [LINE]))
    at = painter.act(at, {"stroke": SPOT.to_dict()}, {"clear": True})
    assert np.array_equal(painter.painted, clean(world))
    assert link(at) == ""
    painter.act(at, {"undo": True})  # of nothing is nothing
    assert np.array_equal(painter.painted, clean(world))


def test_an_act_that_comes_twice_is_done_once(world, painter):
    """The browser sends again what it does not know to be done."""
    at = painter.paint(opened(), LINE)
    painter.acts += [{"n": 2, "stroke": SPOT.to_dict()}]
    at.button(key="act").click().run()
    assert np.array_equal(painter.painted, paint_strokes(clean(world), [LINE, SPOT]))


@pytest.mark.parametrize(
    "act",
    [
        {"stroke": {**LINE.to_dict(), "size": 10_000}},
        {"stroke": {**LINE.to_dict(), "kind": "<b>"}},
        {"stroke": "x"},
        {"stroke": None},
        {},
    ],
)
def test_a_record_that_is_none_is_told_in_a_line_and_loses_nothing(world, painter, act):
    at = painter.paint(opened(), LINE)
    at = painter.act(at, act)
    assert np.array_equal(painter.painted, paint_strokes(clean(world), [LINE]))
    assert len([w for w in at.warning if "Stroke, " in w.value]) == 1
    at = painter.paint(at, SPOT)
    assert not at.warning
    assert np.array_equal(painter.painted, paint_strokes(clean(world), [LINE, SPOT]))


def test_a_full_painting_is_told(painter):
    at = painter.paint(opened(), *[SPOT] * (MOST_STROKES + 1))
    assert painter.shown["strokes"] == MOST_STROKES
    assert "at most 40 strokes" in words(at)


def test_one_message_does_only_so_much(painter):
    painter.act(opened(), *[{"undo": True}] * MOST_ACTS, {"stroke": LINE.to_dict()})
    assert painter.shown["strokes"] == 0
    assert painter.shown["done"] == MOST_ACTS


@pytest.mark.parametrize("text", ["nonsense", "A" * 5000, "%3Cb%3E"])
def test_nonsense_in_the_link_opens_the_clean_photo_and_says_why(world, painter, text):
    at = opened(strokes=text)
    assert np.array_equal(painter.painted, clean(world))
    assert "This is the photo without a painting" in words(at)
    assert link(at) == ""


def test_a_painting_of_another_photo_opens_the_clean_one_and_says_why(world, painter):
    at = opened(strokes=to_link([LINE], SIZE, "demo/bolt test/spot/002"))
    assert np.array_equal(painter.painted, clean(world))
    assert "found one of another photo" in words(at)


def test_each_photo_keeps_its_own_painting(world, painter):
    at = painter.paint(opened(), LINE)
    at = at.selectbox(key="img").set_value("test/spot/001").run()
    no_trace(at)
    assert not at.warning
    assert np.array_equal(painter.painted, clean(world, "test/spot/001"))
    assert link(at) == ""
    at = painter.paint(at, SPOT)
    at = at.selectbox(key="img").set_value("test/spot/000").run()
    assert np.array_equal(painter.painted, paint_strokes(clean(world), [LINE]))
    assert from_link(link(at), "demo/bolt test/spot/000")[0] == (LINE,)


def test_a_painting_at_another_size_is_scaled(world, painter):
    twice = replace(LINE, points=tuple((2 * y, 2 * x) for y, x in LINE.points), size=14)
    opened(strokes=to_link([twice], 2 * SIZE, "demo/bolt test/spot/000"))
    assert np.array_equal(painter.painted, paint_strokes(clean(world), [twice.scaled(0.5)]))


def test_two_networks_judge_beside_each_other(painter):
    at = opened(beside="random")
    at = settled(at)
    assert [panel.name for panel in painter.panels] == [
        "Embedded, not fine-tuned",
        "Random, untrained",
    ]
    alone = painter.paint(at, LINE)
    heat = [panel.values.copy() for panel in painter.panels]
    assert not np.array_equal(*heat)
    no_trace(alone)
    opened(strokes=link(alone))
    assert np.array_equal(painter.panels[0].values, heat[0])


def test_an_exercise_hides_the_heat_until_a_click(painter):
    opened(ask="1")
    assert painter.shown["exercise"] == f"demo/bolt test/spot/000 {SIZE}"
    opened()
    assert painter.shown["exercise"] == ""


def test_switched_off_the_page_is_as_before_and_the_painting_waits(painter):
    at = painter.paint(opened(), LINE)
    at = at.toggle(key="knob.paint").set_value(False).run()
    no_trace(at)
    assert link(at) == ""
    assert "Pixel threshold" in "".join(one.value for one in at.subheader)
    at = at.toggle(key="knob.paint").set_value(True).run()
    assert painter.shown["strokes"] == 1


def test_heat_is_not_seen_outside_the_region_nor_where_good_photos_have_it():
    values = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    region = np.ones((64, 64), bool)
    region[32:] = False
    panel = HeatPanel("bank", values, (0.0, 1.0), 0.5, region, "distance", "score 1")
    url = panel.to_dict()["alpha"].removeprefix("data:image/jpeg;base64,")
    alpha = cv2.imdecode(np.frombuffer(base64.b64decode(url), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert alpha[:24, :24].max() < 8
    assert alpha[40:].max() < 8
    assert alpha[:24, 48:].min() > 247
