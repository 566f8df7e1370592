"""The lesson step by step: a live picture each, and no answer before a prediction."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.lesson.recording import (
    FOLDER,
    _read,
    _read_history,
    recorded_features,
    recorded_history,
    separation,
)
from app.lesson.swap import pixels_kept
from app.lesson.view import DRAWN
from app.negatives.draws import draw
from app.shared import public, workspace
from app.shared.selection import found_runs
from cutswap.data.images import save_png
from cutswap.errors import CutSwapError
from cutswap.lessons.lesson_file import VARIABLE, read_lesson, shipped_lesson
from cutswap.lessons.live_pictures import PICTURES, UPDATES
from tests.app.test_pages import drawing
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.helpers.small_photos import photo_of

LESSON = read_lesson(shipped_lesson())
STEPS = range(1, len(LESSON.steps) + 1)


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A public demo of one small category that has the photo the recording shows first."""
    root = small_app(tmp_path, monkeypatch)
    (root / "part").rename(root / "hex_nut")
    save_png(root / "hex_nut/test/burr/000.png", photo_of(3, (64, 64)))
    mask = np.zeros((64, 64), bool)
    mask[20:40, 20:30] = True
    for name in ("burr", "crack"):
        save_png(root / f"hex_nut/ground_truth/{name}/000_mask.png", mask)
    ready = workspace.DemoRendering(root=root)
    monkeypatch.setattr(workspace, "demo_rendering", lambda: ready)
    monkeypatch.setenv("CUTSWAP_DATA", "")
    monkeypatch.setenv(public.VARIABLE, "1")
    workspace.dataset_of.clear()
    found_runs.clear()
    return root


def explanation(number: int) -> str:
    return LESSON.steps[number - 1].question.explanation


def answer(at: AppTest, number: int, index: int) -> AppTest:
    at.radio(key=f"lesson.choice.{number}").set_value(index).run()
    return at.button(key=f"lesson.answer.{number}").click().run()


def test_every_picture_can_be_drawn():
    assert set(DRAWN) == set(PICTURES)


@pytest.mark.parametrize("number", STEPS)
@pytest.mark.usefixtures("demo")
def test_a_step_works_in_public_and_hides_its_answer_until_one_has_predicted(number: int):
    step = LESSON.steps[number - 1]
    at = open_page("lesson", step=str(number))
    assert_alive(at)
    assert not at.error
    said = texts(at)
    assert step.text in said
    assert step.task in said
    assert step.question.text in said
    assert step.speaker not in said
    assert explanation(number) not in said
    assert at.button(key=f"lesson.answer.{number}").disabled
    assert [text.value for text in at.text] == [step.caption]
    has_been = {"swap": "Counted", "features": "What the figures say", "fakes": "A dot is one"}
    told = has_been.get(step.picture, step.question.explanation)
    assert told not in said
    answer(at, number, step.question.right)
    assert_alive(at)
    assert not at.error
    assert explanation(number) in texts(at)
    assert told in texts(at)
    assert "That is right" in at.success[0].value
    at.toggle(key="knob.note").set_value(True).run()
    assert step.speaker in texts(at)


@pytest.mark.usefixtures("demo")
def test_a_wrong_prediction_is_told_with_the_right_one_and_can_be_asked_again():
    at = open_page("lesson", step="2")
    asked = LESSON.steps[1].question
    answer(at, 2, (asked.right + 1) % len(asked.answers))
    assert asked.answers[asked.right] in at.warning[-1].value
    assert at.radio(key="lesson.choice.2").disabled
    assert "1 of 7 questions answered" in at.get("progress")[0].proto.text
    at.button(key="lesson.again.2").click().run()
    assert explanation(2) not in texts(at)
    assert at.radio(key="lesson.choice.2").value is None
    assert "0 of 7 questions answered" in at.get("progress")[0].proto.text


NONSENSE = {
    "a step that is none": ({"step": "99"}, "step"),
    "a step in words": ({"step": "two"}, "step"),
    "a category": ({"step": "3", "cat": "gone · Demo"}, "category gone"),
    "a photo": ({"step": "3", "img": "test/none/9"}, "image test/none/9"),
    "a value out of range": ({"step": "3", "k": "99"}, "link's k"),
    "a value that is none": ({"step": "3", "k": "<b>four</b>"}, "link's k"),
    "a setting of another step": ({"step": "2", "seed": "4"}, "seed is of another step"),
    "a setting without a control": ({"step": "4", "layer": "7"}, "link's layer"),
    "an unknown name": ({"step": "3", "[x](http://y)": "1"}, "nothing that a lesson has"),
}


@pytest.mark.parametrize("name", NONSENSE)
@pytest.mark.usefixtures("demo")
def test_a_link_with_nonsense_opens_the_start_and_says_why(name: str):
    link, reason = NONSENSE[name]
    at = open_page("lesson", present="1", **link)
    assert_alive(at)
    assert not at.error
    (said,) = [w.value for w in at.warning if "start" in w.value]
    assert reason in said
    assert "<b>" not in said
    assert "[x](" not in said
    assert not at.toast  # said once
    assert LESSON.steps[0].text in texts(at)
    assert dict(at.query_params) == {"present": ["1"]} or at.query_params == {"present": "1"}
    at.button(key="lesson.Right").click().run()
    assert not [w for w in at.warning if "start" in w.value]


@pytest.mark.usefixtures("demo")
def test_a_link_opens_step_photo_and_settings():
    at = open_page("lesson", step="3", k="6", layer="9", img="test/crack/000")
    assert_alive(at)
    assert not at.warning
    assert at.slider(key="knob.k").value == 6
    assert at.session_state["img"] == "test/crack/000"
    assert texts(at).count("number 6, has") == 1


@pytest.mark.usefixtures("demo")
def test_each_step_begins_with_its_own_photo_and_settings():
    at = open_page("lesson", step="3")
    at.slider(key="knob.k").set_value(7).run()
    at.selectbox(key="img").set_value("test/burr/000").run()
    assert at.query_params["img"] in ("test/burr/000", ["test/burr/000"])
    at.button(key="lesson.Right").click().run()
    assert at.session_state["img"] == "train/good/000"
    assert "k" not in at.query_params
    assert "img" not in at.query_params
    at.button(key="lesson.Left").click().run()
    assert at.slider(key="knob.k").value == 4
    shortcuts = {key: at.button(key=f"lesson.{key}").proto.shortcut for key in ("Left", "Right")}
    assert shortcuts == {"Left": "left", "Right": "right"}
    at.switch_page("../pages/saliency.py").run()  # a value of the lesson's is one of this page's
    assert_alive(at)
    at.slider(key="knob.k").set_value(2).run()
    at.query_params.clear()  # as the menu does in a browser
    at.switch_page("../pages/lesson.py").run()  # and back it begins anew, at the same step
    assert at.slider(key="knob.k").value == 4
    assert "3. What does" in at.subheader[0].value


def test_a_lesson_s_photo_that_is_not_here_is_told(tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    at = open_page("lesson")
    assert_alive(at)
    assert "category demo/hex\\_nut is not here" in at.warning[0].value


@pytest.mark.usefixtures("demo")
def test_a_lecturer_s_own_file_and_its_mistake(tmp_path, monkeypatch):
    text = shipped_lesson().read_text(encoding="utf-8")
    own = tmp_path / "mine.md"
    monkeypatch.setenv(VARIABLE, str(own))
    own.write_text(text.replace("## What is saliency?", "## Mine *"), encoding="utf-8")
    at = open_page("lesson")
    assert "1. Mine \\*" in at.subheader[0].value
    line = text[: text.index("layer: 16")].count("\n") + 1
    own.write_text(text.replace("layer: 16", "layer: seven", 1), encoding="utf-8")
    at = open_page("lesson")
    assert_alive(at)
    (said,) = [error.value for error in at.error]
    assert said.startswith(f"**mine.md, line {line}**")  # and no folder of the host
    own.unlink()
    (said,) = [error.value for error in open_page("lesson").error]
    assert said.startswith("**mine.md**")
    assert "check the path" in said


@pytest.mark.parametrize("seed", range(4))
def test_a_swap_keeps_every_pixel_and_a_paste_does_not(demo, seed: int):
    photo = demo / "hex_nut/train/good/001.png"
    drawn = {
        method: draw(drawing(photo, method, (2,), 1), seed) for method in ("CutSwap", "CutPaste")
    }
    kept = {m: pixels_kept(d.positive, d.negative.photo) for m, d in drawn.items()}
    assert kept["CutSwap"] == 64 * 64
    assert kept["CutPaste"] < 64 * 64


def test_pixels_kept_by_hand():
    photo = np.array([[[1, 2, 3], [1, 2, 3], [4, 5, 6]]], np.uint8)
    negative = np.array([[[4, 5, 6], [4, 5, 6], [1, 2, 3]]], np.uint8)
    assert pixels_kept(photo, negative) == 2
    assert pixels_kept(photo, photo[:, ::-1]) == 3


def test_the_recording_is_small_and_names_no_path_of_a_machine():
    files = [path for path in FOLDER.iterdir() if path.suffix != ".md"]
    assert sum(path.stat().st_size for path in files) < 800_000
    features = recorded_features(Path("demo"))
    assert all(not Path(str(p.file)).is_absolute() for p in features.points)
    assert features.about["run"] == "recorded"
    history = recorded_history(Path("demo"))
    assert [p.name for p in history.points] == [p.name for p in features.points]
    assert history.updates.tolist() == list(UPDATES)
    for file in files:
        if file.suffix == ".json":
            assert not re.search(r"/(home|root|tmp|work|Users)/", file.read_text(encoding="utf-8"))
    assert separation().defective == 20


@pytest.mark.usefixtures("demo")
def test_the_recorded_run_is_played_in_public_and_a_link_opens_an_update():
    at = open_page("lesson", step="5", look="time", update="27")
    assert_alive(at)
    assert not at.warning or "not here" in at.warning[0].value  # of this small demo's photos
    assert at.select_slider(key="knob.update").value == 27
    assert "test/burr/000**, after update **27**" in texts(at)
    assert "PatchCore's image AUROC" not in texts(at)
    answer(at, 5, 0)
    assert "PatchCore's image AUROC has not been shown to change" in texts(at)
    at.segmented_control(key="knob.look").set_value("ends").run()
    assert not at.select_slider
    assert_alive(at)
    at = open_page("lesson", step="5", look="time", update="26")  # between two states
    assert_alive(at)
    assert at.title[0].value == "Lesson"
    assert "This is the lesson's start" in texts(at)


def test_a_damaged_recording_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr("app.lesson.recording.FOLDER", tmp_path)
    _read.clear()
    try:
        with pytest.raises(CutSwapError, match="assets/lesson as it shipped"):
            recorded_features(tmp_path)
        _read_history.clear()
        with pytest.raises(CutSwapError, match="assets/lesson as it shipped"):
            recorded_history(tmp_path)
    finally:
        _read.clear()
        _read_history.clear()
