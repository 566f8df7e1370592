"""Files of a scored photo: they tell its score, the thresholds and the verdict."""

from __future__ import annotations

from typing import Any

import pytest

from app.figures import take_home as homes
from app.shared import workspace
from tests.helpers.inspect_page import SMALL_SETTINGS, no_trace, open_page, settled
from tests.helpers.scored import build_parts

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture
def taken(monkeypatch) -> list[tuple[homes.Figure, Any]]:
    """What the open button offers, newest last."""
    offered: list[tuple[homes.Figure, Any]] = []
    monkeypatch.setattr(homes, "_files", lambda f, origin, _: offered.append((f, origin)))
    return offered


def test_threshold_and_verdict_are_in_the_file_and_on_the_figure(taken, monkeypatch):
    drawn: list[str] = []
    real = homes.draw_picture
    monkeypatch.setattr(
        homes, "draw_picture", lambda p, width: (drawn.append(p.legend.unit), real(p, width))[1]
    )
    at = settled(open_page(**SMALL_SETTINGS))
    at.session_state["inspect.home"] = True  # as a click opens it
    at = at.run()
    no_trace(at)
    figure, origin = taken[-1]
    said = origin.settings
    assert said["threshold"] == at.slider(key="knob.thr").value
    assert said["pixel_threshold"] == at.slider(key="knob.pthr").value
    assert said["verdict"] in ("found", "missed")
    verdicts = {said["verdict"]}
    for end in ("min", "max"):
        slider = at.slider(key="knob.thr")
        at = slider.set_value(getattr(slider, end)).run()
        no_trace(at)
        figure, origin = taken[-1]
        assert origin.settings["threshold"] == at.slider(key="knob.thr").value
        verdicts.add(origin.settings["verdict"])
        figure.draw(300)
        score, threshold = origin.settings["score"], origin.settings["threshold"]
        wanted = f"score {score:.4g}, threshold {threshold:.4g}: {origin.settings['verdict']}; "
        assert drawn[-1].startswith(wanted)
    assert verdicts == {"found", "missed"}


def test_a_photo_without_labels_is_taken_home_too(world, taken, monkeypatch):
    root = build_parts(world / "own", defects=0)
    (root / "bolt/test/good").rename(root / "bolt/test/unlabelled")
    monkeypatch.setattr(workspace, "demo_root", lambda **_: root)
    at = settled(open_page(**SMALL_SETTINGS))
    at.session_state["inspect.home"] = True
    at = at.run()
    no_trace(at)
    (_, origin) = taken[-1]
    assert origin.settings["verdict"] == "no threshold yet"
    assert origin.settings["threshold"] is None
    at = at.button(key="thr.share").click().run()
    no_trace(at)
    (_, origin) = taken[-1]
    assert origin.settings["threshold"] is not None
    assert origin.settings["verdict"].startswith("called ")
    assert origin.settings["patchcore"]["coreset"] == 0.05
