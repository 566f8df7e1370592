"""How small a defect, on the Inspect page: measuring, measured, stale, refused, stopped."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pytest

from app.inspect_heatmaps.detectable import work
from app.inspect_heatmaps.detectable.charts import pod_chart
from app.inspect_heatmaps.detectable.work import Measuring, measuring
from cutswap.config import DetectableSettings
from cutswap.decision.detectable.measured import FILE, read_measured, write_measured
from cutswap.decision.detectable.measuring import measure
from cutswap.decision.detectable.pod import fit_pod
from cutswap.errors import CutSwapError
from tests.helpers.inspect_page import button, no_trace, open_page, words

SMALL = DetectableSettings(sizes=(2, 4, 8), contrasts=(25, 75), places=3)
SAVED = {"eval": "first"}


@pytest.fixture
def measured(saved: Path) -> Path:
    """The saved evaluation's folder, with what was measured of it."""
    folder = saved / "first"
    write_measured(measure(folder, SMALL), folder)
    return folder


def section(text: str) -> str:
    return text.partition("from which size on it finds them")[2]


def test_before_anything_was_measured_there_is_a_button_with_its_price(saved: Path):
    at = open_page(**SAVED)
    no_trace(at)
    assert button(at, "Measure (about").disabled is False
    assert "a90/95" not in section(words(at))
    assert not (saved / "first" / FILE).exists()


def test_pressed_it_measures_in_the_background_and_shows_what_came_of_it(saved: Path, monkeypatch):
    folder = saved / "first"
    asked: list[DetectableSettings] = []

    def few(folder: Path, settings: DetectableSettings, **more: object):
        asked.append(settings)
        return measure(folder, SMALL, **more)

    monkeypatch.setattr(work, "measure", few)
    at = open_page(**SAVED, podplaces="10", podkinds="spot~swap", podcontrast="10~60")
    button(at, "Measure (about").click()
    at.run()
    thread = measuring().of(folder).thread
    thread.join(60)
    assert asked == [DetectableSettings(kinds=("spot", "swap"), contrasts=(10, 60), places=10)]
    at = at.run()
    no_trace(at)
    assert button(at, "Measure again").disabled is False
    text = words(at)
    assert "| kind | contrast | grey levels | a90 | a90/95 |" in text
    assert "of 3 good photos are called defective" in text
    assert "54 defects on 3 photos, seed 0" in text
    assert "Rows: scratch, spot, swap. Columns: 2, 4, 8 pixels, contrast 75%" in text
    assert read_measured(folder).settings == SMALL


def test_it_follows_the_thresholds_of_the_page(measured: Path):
    scores = read_measured(measured).numbers["score"]
    at = open_page(**SAVED, thr="0")
    low = words(at)
    high = words(open_page(**SAVED, thr=f"{scores.max() * 0.999:.6g}"))
    assert "unpainted, 3 of 3" in low.lower()
    assert "Unpainted, 3 of 3" in low
    assert "by chance. That is so often" in low
    assert "choose a higher threshold" in low
    assert "unpainted, 0 of 3" in high.lower()
    at = open_page(**SAVED, podsense="place", podshow="25")
    no_trace(at)
    assert at.session_state["knob.podsense"] == "place"
    charts = [c.proto.spec for c in at.get("plotly_chart") if "size, pixels" in c.proto.spec]
    assert len(charts) == 1


def test_of_another_detector_nothing_is_shown(measured: Path):
    values = json.loads((measured / FILE).read_text())
    values["detector"] = "0" * 16 + " bank"
    (measured / FILE).write_text(json.dumps(values))
    at = open_page(**SAVED)
    no_trace(at)
    assert "was another detector's" in words(at)
    assert "a90/95" not in section(words(at))
    assert button(at, "Measure (about")


def test_a_damaged_file_is_told_and_the_rest_lives(measured: Path):
    (measured / FILE).write_text("{")
    at = open_page(**SAVED)
    no_trace(at)
    assert "expected a readable JSON file" in words(at)
    assert button(at, "Best F1")


@pytest.mark.usefixtures("measured")
def test_photos_that_are_gone(world: Path):
    shutil.rmtree(world / "demo/bolt/test/good")
    text = words(open_page(**SAVED))
    assert "Something went wrong" not in text


def test_in_public_what_was_measured_can_be_read_and_no_more(saved: Path, monkeypatch):
    monkeypatch.setenv("CUTSWAP_PUBLIC", "1")
    with pytest.raises(CutSwapError, match="an app of one's own"):
        Measuring().start(saved / "first", SMALL, None)


def test_stop_keeps_nothing(saved: Path, monkeypatch):
    line, folder = Measuring(), saved / "first"

    def stopped_meanwhile(folder: Path, _: DetectableSettings, **more: object):
        found = measure(folder, SMALL, **more)
        line.stop(folder)
        return found

    monkeypatch.setattr(work, "measure", stopped_meanwhile)
    line.start(folder, SMALL, None)
    for thread in threading.enumerate():
        if thread.name.startswith("detectable"):
            thread.join(60)
    assert not (folder / FILE).exists()
    assert line.of(folder) is None


def test_an_error_is_told(saved: Path, monkeypatch):
    def broken(*_: object, **__: object):
        raise CutSwapError("the photo", expected="a photo", found="none", fix="put it back")

    monkeypatch.setattr(work, "measure", broken)
    at = open_page(**SAVED)
    button(at, "Measure (about").click()
    at.run()
    measuring().of(saved / "first").thread.join(60)
    at = at.run()
    no_trace(at)
    assert "**the photo**: expected a photo, found none" in words(at)


def test_the_chart_tells_kinds_apart_without_colour():
    fits = [
        ("scratch", fit_pod((2, 4, 8), (1, 4, 9), (10, 10, 10))),
        ("spot", fit_pod((2, 4, 8), (0, 0, 10), (10, 10, 10))),
    ]
    traces = pod_chart(fits).data
    assert [trace.name for trace in traces if trace.showlegend is None] == ["scratch", "spot"]
    assert len(traces) == 4  # a curve and its bound; of what has no curve the shares alone
    assert len({trace.marker.symbol for trace in traces if trace.marker.symbol}) == 2
    assert list(traces[0].y) == [0.1, 0.4, 0.9]
