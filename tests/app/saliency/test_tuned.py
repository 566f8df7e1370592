"""A fine-tuned run's saliency beside that of the weights it began with."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from app.saliency import comparison
from app.saliency.tuned import tuned_runs
from app.shared.selection import found_runs
from cutswap.networks.weights import EMBEDDED_FOLDER
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.helpers.runs import write_run

PART = "part · mine"
VERSUS = "a fine-tuned run"


def tuned_run(folder: Path, name: str, change: float, **settings: Any) -> Path:
    """A finished run of ResNet18 whose layer3 differs from the embedded one by so much."""
    run = write_run(folder / "runs" / name, name="part")
    state = load_file(EMBEDDED_FOLDER / "resnet18.safetensors")
    torch.manual_seed(0)
    for key in [k for k in state if k.startswith("layer3") and k.endswith("weight")]:
        if state[key].ndim == 4:
            state[key] += change * state[key].std() * torch.randn(state[key].shape).half()
    save_file(state, run / "backbone.safetensors")
    record = json.loads((run / "settings.json").read_text())
    (run / "settings.json").write_text(json.dumps({**record, **settings}))
    found_runs.clear()
    return run


def viewers(at: Any) -> list[str]:
    found = [json.loads(e.proto.json) for e in at.get("bidi_component") if e.proto.json]
    return [v["left"] for v in found if "opacity" in v]


def test_without_a_run_it_says_so(tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    at = open_page("saliency", cat=PART, size="128", versus=VERSUS)
    assert_alive(at)
    assert "no finished fine-tuning run yet" in texts(at)


@pytest.mark.parametrize("level", ["16", "fused"])
def test_a_run_is_shown_beside_the_weights_it_began_with(level, tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    tuned_run(tmp_path, "same", 0.0)
    tuned_run(tmp_path, "tuned", 0.5)
    at = open_page("saliency", cat=PART, size="128", versus=VERSUS, run2="same", layer=level)
    assert_alive(at)
    assert not at.error
    assert "before · embedded" in viewers(at)
    assert "fine-tuned · same" in viewers(at)
    assert "share 100% of their area; the maps correlate at 1.00" in texts(at)
    at.selectbox(key="knob.run2").set_value("tuned").run()
    assert_alive(at)
    assert "fine-tuned · tuned" in viewers(at)
    assert "of their area; the maps correlate at 0." in texts(at)
    assert "not from this part" not in texts(at)


def test_both_share_their_colours_where_that_is_asked(tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    tuned_run(tmp_path, "tuned", 0.5)
    query = {"cat": PART, "size": "128", "versus": VERSUS, "colours": "one for both"}
    at = open_page("saliency", **query)
    assert_alive(at)
    found = [json.loads(e.proto.json) for e in at.get("bidi_component") if e.proto.json]
    legends = [v["legend"] for v in found if "opacity" in v and "one range" in v["legend"]["unit"]]
    assert len(legends) == 2  # the page's own map above keeps its range
    assert legends[0] == legends[1]
    assert "fine-tuning also changes how large the class score is" in texts(at)


def test_a_run_that_changed_is_looked_with_anew(tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    tuned_run(tmp_path, "run", 0.0)
    at = open_page("saliency", cat=PART, size="128", versus=VERSUS)
    assert "correlate at 1.00" in texts(at)
    tuned_run(tmp_path, "run", 0.5)
    at.run()
    assert "correlate at 0." in texts(at)


def test_a_run_whose_weights_are_gone_is_a_message_in_place(tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    write_run(tmp_path / "runs" / "torn")  # its file holds no weights
    at = open_page("saliency", cat=PART, size="128", versus=VERSUS)
    assert_alive(at)
    assert "backbone.safetensors" in at.error[0].value
    assert "All levels" in texts(at)


@pytest.mark.parametrize(
    "settings",
    [
        {"head": {"train": "projector"}},  # its network is as it was
        {"training": {"backbone": "nonsense", "weights": "embedded"}},
        {"training": {"backbone": "resnet18", "weights": 3}},
        {"training": "torn"},
    ],
)
def test_what_has_no_network_of_its_own_is_not_offered(settings, tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    run = write_run(tmp_path / "runs" / "sound")
    assert list(tuned_runs()) == ["sound"]
    record = json.loads((run / "settings.json").read_text())
    (run / "settings.json").write_text(json.dumps({**record, **settings}))
    found_runs.clear()
    assert tuned_runs() == {}


def test_a_stranger_is_offered_no_runs(tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    strangers = SimpleNamespace(is_public=lambda: True, small=tuple, offered=tuple)
    monkeypatch.setattr(comparison, "public", strangers)  # the page alone: strangers see no folder
    at = open_page("saliency", cat=PART, size="128", versus=VERSUS)
    assert_alive(at)
    assert any("The link's versus is not one" in toast.value for toast in at.toast)
    assert "fine-tuning run" not in texts(at)
