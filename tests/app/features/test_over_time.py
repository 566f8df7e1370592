"""A run's states on the Features page: asked for, scrubbed, played, and what stands in the way."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.features import over_time
from app.features.collecting import WantedHistory, feature_workshop
from app.features.over_time import curves_over_time
from app.shared import workspace
from cutswap.analysis.over_time.history import ABOUT, ARRAYS, read_history
from cutswap.data.datasets import open_dataset
from cutswap.utils.files import read_json, write_json
from tests.helpers.app import assert_alive, texts
from tests.helpers.feature_runs import TRAINING, build_run, tiny_everywhere

MAIN = str(Path(__file__).resolve().parents[3] / "app/main.py")
UPDATES = (0, 2, 4, 6)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo set, and runs on it with states on the way and without."""
    folder = tmp_path_factory.mktemp("time")
    kept = TRAINING.replace(snapshots=4, steps_per_epoch=6)
    with tiny_everywhere():
        build_run(folder / "demo", folder / "runs/kept", training=kept)
        build_run(folder / "demo", folder / "runs/plain")
    return folder


@pytest.fixture
def world(trained, tmp_path, monkeypatch) -> Path:
    """Both runs of bolt; an empty cache."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True, copy_function=shutil.copy2)
    for run in ("kept", "plain"):
        settings = read_json(tmp_path / "runs" / run / "settings.json")
        settings["data"]["root"] = str(tmp_path / "demo/bolt")
        write_json(tmp_path / "runs" / run / "settings.json", settings)
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CUTSWAP_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CUTSWAP_DATA", "")
    monkeypatch.setattr(workspace, "demo_root", lambda **_: tmp_path / "demo")
    monkeypatch.setattr(workspace, "DEMO_CATEGORIES", ("bolt",))
    st.cache_resource.clear()
    st.cache_data.clear()
    with tiny_everywhere():
        yield tmp_path
    st.cache_resource.clear()
    st.cache_data.clear()


def open_page(run: str = "kept", **query: str) -> AppTest:
    at = AppTest.from_file(MAIN, default_timeout=60)
    wanted = {"cat": "bolt · Demo", "run": run, "look": "time", "img": "test/spot/001", **query}
    for name, value in wanted.items():
        at.query_params[name] = value
    return at.run().switch_page("../pages/features.py").run()


def asked(at: AppTest) -> AppTest:
    """Its history collected."""
    next(b for b in at.button if b.label in ("Look at every state", "Try again")).click().run()
    for _ in range(3):  # what it waits for: its own rerun is not AppTest's
        at.run()
    return at


def slider(at: AppTest) -> int:
    """What is shown; while it plays there is no slider that a slow browser could set back."""
    plays = at.button(key="features.time.play").label == "Pause"
    assert len(at.select_slider) == (0 if plays else 1)
    value = at.session_state["knob.update"]
    assert plays or at.select_slider(key="knob.update").value == value
    return int(value)


def test_it_is_asked_for_once_and_kept_beside_the_run(world):
    at = open_page()
    assert_alive(at)
    assert "Every state looks at some" in texts(at)
    assert not (world / "runs/kept" / ABOUT).exists()
    asked(at)
    assert_alive(at)
    history = read_history(world / "runs/kept")
    assert history.updates.tolist() == list(UPDATES)
    assert history.answer().replace("~", "\\~") in texts(at)
    assert "test/spot/001**, after update **0**" in texts(at)
    st.cache_resource.clear()
    again = open_page()
    assert "after update **0**" in texts(again)
    assert not [b for b in again.button if b.label == "Look at every state"]


def test_the_scrubber_moves_all_of_it(world):
    at = asked(open_page())
    history = read_history(world / "runs/kept")
    photo = history.position("test/spot/001")
    assert at.button(key="features.time.back").disabled
    for state, update in enumerate(UPDATES):
        assert slider(at) == update
        assert f"after update **{update}**" in texts(at)
        assert f"Score **{history.scores[state, photo]:.2f}**" in texts(at)
        assert at.query_params.get("update", ["0"])[0] == str(update)
        if update != UPDATES[-1]:
            at.button(key="features.time.next").click().run()
    assert at.button(key="features.time.next").disabled
    at.select_slider(key="knob.update").set_value(2).run()
    assert "after update **2**" in texts(at)
    at.selectbox(key="img").set_value("test/good/001").run()
    assert "test/good/001**, after update **2**" in texts(at)
    assert_alive(at)


@pytest.mark.usefixtures("world")
def test_playing_goes_to_the_end_and_stops(monkeypatch):
    at = asked(open_page())
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(over_time.time, "monotonic", lambda: float(next(clock)))
    seen = [slider(at)]
    at.button(key="features.time.play").click().run()
    for _ in range(5):
        seen.append(slider(at))
        at.run()
    assert sorted(set(seen)) == list(UPDATES)
    assert seen == sorted(seen)
    assert at.button(key="features.time.play").label == "Play"
    # From the end it begins anew, and a hand on a button stops it.
    at.button(key="features.time.play").click().run()
    assert at.button(key="features.time.play").label == "Pause"
    at.run()
    assert 0 < slider(at) < UPDATES[-1]
    at.button(key="features.time.back").click().run()
    assert at.button(key="features.time.play").label == "Play"
    assert_alive(at)


@pytest.mark.usefixtures("world")
def test_a_link_opens_an_update_and_nonsense_the_first():
    asked(open_page())
    at = open_page(update="4")
    assert "after update **4**" in texts(at)
    assert not at.button(key="features.time.back").disabled
    assert not at.button(key="features.time.next").disabled
    for nonsense in ("3", "last", "-1"):
        at = open_page(update=nonsense)
        assert "after update **0**" in texts(at)
        assert "update" in at.toast[0].value
    at = open_page(img="train/good/000")  # no state was asked about it: another list
    assert at.selectbox(key="features.time.photo").value.startswith("test/")
    assert_alive(at)


def test_a_run_without_states_says_how_to_keep_some_and_shows_a_recorded_one(world):
    del world
    at = open_page("plain")
    assert_alive(at)
    assert "`--snapshots 10`" in texts(at)
    at.button(key="features.recorded").click().run()
    assert_alive(at)
    assert at.title[0].value == "Lesson"


def test_a_changed_run_is_asked_for_again_and_a_lost_state_is_named(world):
    asked(open_page())
    run = world / "runs/kept"
    (run / "snapshot_000004.safetensors").unlink()
    at = asked(open_page())
    assert not at.exception
    assert "none of update 4" in at.error[0].value


def test_a_damaged_history_is_collected_again_on_request(world):
    asked(open_page())
    file = world / "runs/kept" / ARRAYS
    file.write_bytes(file.read_bytes()[:100])
    st.cache_resource.clear()
    at = open_page()
    assert "as they were written" in at.error[0].value
    key = WantedHistory(world / "runs/kept", open_dataset(world / "demo").category("bolt")).key
    at.button(key=f"features.again.{key}").click().run()
    for _ in range(3):
        at.run()
    assert not at.error
    assert "after update **0**" in texts(at)
    assert feature_workshop().of(key) is not None


def test_the_curves_mark_where_one_is(world):
    asked(open_page())
    history = read_history(world / "runs/kept")
    for state, update in enumerate(UPDATES):
        figure = curves_over_time(history, state)
        line = next(s for s in figure.layout.shapes if s.x0 == s.x1)
        assert line.x0 == update
        detector = next(t for t in figure.data if t.name == "PatchCore")
        np.testing.assert_allclose(detector.y, [one.value for one in history.aurocs])
        assert np.argmax(detector.marker.size) == state
