"""Runs compared, renamed and deleted on the Train page, in every state."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.shared.selection import found_runs
from app.train import compare as run_compare
from app.train import compare_chart as run_compare_chart
from app.train import form as run_form
from app.train import metrics as run_metrics
from cutswap.runs.heartbeat import STOPPED, Heart
from cutswap.runs.metrics_log import run_series
from cutswap.runs.states import log_file
from cutswap.utils.files import write_json
from tests.app.train.test_page import at_work, button, queue  # noqa: F401 - a fixture
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.helpers.runs import write_evaluation, write_run
from tests.helpers.studies import write_small_study

SPEED = 12.0


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch) -> Path:
    return small_app(tmp_path, monkeypatch)


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "runs"


def written(path: Path, done: int = 10, *, finished: bool = True, **training: Any) -> Path:
    """A run with its speed in every update and some settings changed, an hour old."""
    write_run(path, done, finished=finished)
    settings = json.loads((path / "settings.json").read_text())
    settings["training"] |= training
    write_json(path / "settings.json", settings)
    lines = [
        {"step": s, "steps": 10, "loss": 1 / s, "accuracy": 0.5, "images_per_second": SPEED}
        for s in range(1, done + 1)
    ]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    aged(path)
    return path


def aged(path: Path) -> None:
    then = time.time() - 3600
    for file in path.iterdir():
        os.utime(file, (then, then))


def comparison(at) -> dict[str, list[str]]:
    """The table below the curves, by its first column."""
    (frame,) = [d.value for d in at.dataframe if " " in d.value.columns]
    return {row[0]: list(row[1:]) for row in frame.itertuples(index=False)}


def chart(at) -> dict[str, Any]:
    """The figure of the comparison; the panel above has one of its own."""
    specs = [json.loads(c.proto.spec) for c in at.get("plotly_chart")]
    return specs[-1]


# Comparing


def test_without_runs_or_with_one_it_says_what_to_do(folder):
    at = open_page("train")
    assert_alive(at)
    assert "There is no run to compare yet" in texts(at)
    written(folder / "one")
    found_runs.clear()
    at = open_page("train")
    assert_alive(at)
    assert "There is one run to compare; it takes two" in texts(at)
    assert not at.multiselect


def test_two_runs_side_by_side(folder):
    written(folder / "a")
    written(folder / "b", 6, finished=False, learning_rate=0.1, batch_size=8)
    at = open_page("train")
    at.multiselect(key=run_compare.CHOSEN).set_value(["a", "b"]).run()
    assert_alive(at)
    assert comparison(at) == {
        "batch size": ["16", "8"],
        "learning rate": ["0.03", "0.1"],
        "updates": ["10 of 10", "6 of 10"],
        "accuracy, last 20": ["0.500", "0.500"],
        "loss, last 20": ["0.293", "0.408"],
        "samples a second": ["12.0", "12.0"],
    }
    assert "2 settings differ" in texts(at)
    (table,) = [d for d in at.dataframe if " " in d.value.columns]
    assert (
        table.proto.arrow_data.styler.styles.count("background-color") == 1
    )  # one rule, for two cells:
    assert "row0_col2, " in table.proto.arrow_data.styler.styles
    assert "row1_col2 {" in table.proto.arrow_data.styler.styles
    lines = chart(at)["data"]
    assert [line["name"] for line in lines] == ["a", "a", "b", "b"]  # ten updates: not smoothed
    colours = [line["line"]["color"] for line in lines]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    at.segmented_control(key="compare.axis").set_value("Seconds").run()
    assert_alive(at)
    x = {line["name"]: line["x"] for line in chart(at)["data"]}
    assert x["a"][-1] == pytest.approx(10 * 16 * 3 / SPEED)
    assert x["b"][-1] == pytest.approx(6 * 8 * 3 / SPEED)
    at.select_slider(key="compare.width").set_value(5).run()
    assert_alive(at)
    assert len(chart(at)["data"]) == 8  # and the raw lines behind
    assert "the mean of 5 updates around each" in texts(at)


def test_equal_settings_and_evaluations_are_told(folder):
    one, two = written(folder / "one"), written(folder / "two")
    write_evaluation(folder / "after", weights={"source": f"fine-tuned run {one}"})
    at = open_page("train")
    at.multiselect(key=run_compare.CHOSEN).set_value([two.name, one.name]).run()
    assert_alive(at)
    assert "the very same settings" in texts(at)
    found = comparison(at)
    assert found["Image AUROC"] == ["–", "0.900"]
    assert found["Pixel AUROC"] == ["–", "0.800"]
    assert "AUROC on real defects, bolt, coreset 0.01, layer2+layer3." in texts(at)


def test_runs_that_cannot_be_compared_are_left_out_with_their_reason(folder):
    written(folder / "a")
    written(folder / "b", ways=2)
    (written(folder / "torn") / "settings.json").write_text("{ torn")
    (written(folder / "new", finished=False) / "metrics.jsonl").unlink()
    odd = written(folder / "odd")
    (odd / "metrics.jsonl").write_text('hello\n{"step": 2, "loss": 1, "accuracy": 1}\n')
    at = open_page("train")
    assert set(at.multiselect(key=run_compare.CHOSEN).options) == {"a", "b", "odd"}
    at.multiselect(key=run_compare.CHOSEN).set_value(["a", "b", "odd"]).run()
    assert_alive(at)
    said = texts(at)
    assert "torn: settings.json: expected a readable JSON file" in said
    assert "new: no update yet" in said
    assert "odd: metrics.jsonl, line 1: expected one JSON object a line, found hello" in said
    assert "Numbers of classes differ (2: b; 3: a)" in said
    assert list(comparison(at)["ways"]) == ["3", "2"]
    chances = [a["text"] for a in chart(at)["layout"]["annotations"]]
    assert chances == ["chance, 2 classes", "chance, 3 classes"]


def test_a_run_without_speed_is_not_drawn_over_seconds(folder):
    written(folder / "a")
    written(folder / "b")
    write_run(folder / "mute")
    at = open_page("train")
    at.multiselect(key=run_compare.CHOSEN).set_value(["a", "b", "mute"]).run()
    at.segmented_control(key="compare.axis").set_value("Seconds").run()
    assert_alive(at)
    assert {line["name"] for line in chart(at)["data"]} == {"a", "b"}
    assert "Without a recorded speed, and not drawn: mute." in texts(at)
    assert comparison(at)["samples a second"] == ["12.0", "12.0", "–"]


def test_a_compared_run_that_vanishes_falls_out(folder):
    for name in ("a", "b", "c"):
        written(folder / name)
    at = open_page("train")
    at.multiselect(key=run_compare.CHOSEN).set_value(["a", "b", "c"]).run()
    (folder / "b" / "settings.json").write_text("{")
    found_runs.clear()
    at.run()
    assert_alive(at)
    assert at.multiselect(key=run_compare.CHOSEN).value == ["a", "c"]


def test_a_curve_is_read_anew_only_when_its_file_has_changed(folder, monkeypatch):
    run = written(folder / "a", 4)
    first = run_metrics.series(run, 48)
    assert first.steps.tolist() == [1, 2, 3, 4]
    monkeypatch.setattr(run_metrics, "run_series", None)  # would be called, and fail
    assert run_metrics.series(run, 48) is first
    monkeypatch.undo()
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "loss": 1, "accuracy": 0}\n')
    assert run_metrics.series(run, 48).steps.tolist() == [1, 2, 3, 4, 5]
    assert run_metrics.series(folder / "none", 48).steps.tolist() == []


def test_long_curves_are_thinned_and_smoothed():
    lines = [
        {"step": s, "loss": 1.0 + (s % 2), "accuracy": 0.5, "images_per_second": 10.0}
        for s in range(1, 20_001)
    ]
    curve = run_series(lines, 30)
    assert run_compare_chart.default_width([curve]) == 1001
    figure = run_compare_chart.compared({"a": curve}, 101, {"a": 3}, by_seconds=False)
    raw, smooth = figure.data[0], figure.data[1]
    assert len(raw.x) <= run_compare_chart.POINTS
    assert (min(raw.y), max(raw.y)) == (1.0, 2.0)
    assert raw.opacity < 0.5
    assert raw.line.color == smooth.line.color
    middle = np.array(smooth.y)[50:-50]
    assert abs(middle - 1.5).max() < 0.01
    assert smooth.x[-1] == 20_000


def test_every_run_has_a_look_of_its_own():
    looks = [
        (colour, run_compare_chart.DASHES[i % len(run_compare_chart.DASHES)])
        for i, colour in enumerate(run_compare_chart.COLOURS)
    ]
    assert len({colour for colour, _ in looks}) == run_compare.MOST == 8


# Renaming


def rename(at, old: str, new: str):
    at.text_input(key=f"train.edit.name.{old}").set_value(new)
    (found,) = [b for b in at.button if b.label == "Rename it"]
    return found.click().run()


def test_a_renamed_run_is_shown_selected_and_compared_by_its_new_name(folder):
    for name in ("a", "b"):
        written(folder / name)
    log_file(folder / "a").write_text("said")
    at = open_page("train", run="a")
    at.selectbox(key=run_form.SHOWN).set_value("a").run()
    at.multiselect(key=run_compare.CHOSEN).set_value(["a", "b"]).run()
    rename(at, "a", "recipe-gentle")
    assert_alive(at)
    assert at.selectbox(key=run_form.SHOWN).value == "recipe-gentle"
    assert "**recipe-gentle** on bolt" in texts(at)
    assert at.multiselect(key=run_compare.CHOSEN).value == ["recipe-gentle", "b"]
    assert at.session_state["run"] == "recipe-gentle"
    assert sorted(p.name for p in folder.iterdir()) == ["b", "recipe-gentle", "recipe-gentle.log"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("b", "a name that is free"), ("../up", "expected letters"), ("", "expected letters")],
)
def test_a_name_that_cannot_be_is_refused_in_place(folder, name, reason):
    for one in ("a", "b"):
        written(folder / one)
    at = open_page("train")
    at.selectbox(key=run_form.SHOWN).set_value("a").run()
    rename(at, "a", name)
    assert not at.exception
    assert any(reason in e.value for e in at.error)
    assert sorted(p.name for p in folder.iterdir()) == ["a", "b"]
    at.run()
    assert not at.error


def test_a_nested_run_stays_in_its_folder(folder):
    written(folder / "demo" / "run")
    at = open_page("train")
    rename(at, "demo/run", "tuned")
    assert_alive(at)
    assert at.selectbox(key=run_form.SHOWN).value == "demo/tuned"
    assert (folder / "demo" / "tuned" / "settings.json").is_file()


# Deleting


def delete(at):
    """Ask, look, confirm; AppTest draws a dialog with the page that opens it."""
    button(at, "Delete").click().run()
    assert_alive(at)
    said = texts(at)
    at.button(key="delete.confirmed").click().run()
    return said


def test_a_deleted_run_is_gone_and_the_page_shows_another(folder):
    for name in ("a", "b"):
        written(folder / name)
    write_evaluation(folder / "after", weights={"source": f"fine-tuned run {folder / 'a'}"})
    at = open_page("train", run="a")
    other = open_page("train", run="a")  # another tab
    at.selectbox(key=run_form.SHOWN).set_value("a").run()
    other.selectbox(key=run_form.SHOWN).set_value("a").run()
    said = delete(at)
    assert "**a** will be gone for good" in said
    assert "MB on disk" in said
    assert "10 updates of 10" in said
    assert "1 evaluation that used it keeps its numbers" in said
    assert_alive(at)
    assert sorted(p.name for p in folder.iterdir()) == ["after", "b"]
    assert "a is deleted." in [toast.value for toast in at.toast]
    assert at.selectbox(key=run_form.SHOWN).options == ["b"]
    assert "**b** on bolt" in texts(at)
    assert at.session_state["run"] == "embedded"
    other.run()
    assert_alive(other)
    assert other.selectbox(key=run_form.SHOWN).value == "b"
    summary = json.loads((folder / "after" / "result.json").read_text())
    assert summary["image_auroc"] == 0.9
    assert "a (deleted " in summary["weights"]["source"]
    results = open_page("results")
    assert_alive(results)


def test_foreign_files_in_a_run_are_told_before(folder):
    (written(folder / "a") / "my_notes.txt").write_text("x")
    at = open_page("train")
    assert "my\\_notes.txt" in delete(at)
    assert_alive(at)
    assert list(folder.iterdir()) == []
    assert "No run yet" in texts(at)


def test_what_only_looks_like_a_run_is_refused_in_place(folder):
    run = written(folder / "a")
    (run / "settings.json").write_text("{ torn")
    (run / "thesis.tex").write_text("years")
    at = open_page("train")
    delete(at)
    assert not at.exception
    assert any("thesis.tex" in e.value for e in at.error)
    assert (run / "thesis.tex").read_text() == "years"


def test_a_runs_folder_that_is_a_run_itself_stays(folder):
    written(folder)
    at = open_page("train")
    assert_alive(at)
    delete(at)
    assert not at.exception
    assert any("found another place" in e.value for e in at.error)
    assert (folder / "settings.json").is_file()


def test_a_run_at_work_offers_neither(folder, queue):  # noqa: F811
    at_work(queue, "busy")
    at = open_page("train")
    assert_alive(at)
    assert button(at, "Delete").disabled
    queue.finish(queue.active()[0].number, 0)
    log_file(folder / "busy").write_text("said")
    at = open_page("train")
    assert not button(at, "Delete").disabled
    delete(at)  # it never made its folder
    assert_alive(at)
    assert "No run yet" in texts(at)
    assert queue.last_of_all() == []


def test_a_run_that_begins_between_question_and_answer_stays(folder, queue):  # noqa: F811
    written(folder / "a", 4, finished=False)
    at = open_page("train")
    button(at, "Delete").click().run()
    at_work(queue, "a")
    at.button(key="delete.confirmed").click().run()
    assert not at.exception
    assert any("a process at work" in e.value for e in at.error)
    assert (folder / "a" / "settings.json").is_file()
    queue.finish(queue.active()[0].number, 0)


def test_a_run_that_a_terminal_is_at_work_on_offers_neither(folder):
    run = written(folder / "a", 4, finished=False)
    Heart(run).beat("fine-tuning", 4, 10)
    at = open_page("train")
    assert_alive(at)
    assert button(at, "Delete").disabled
    assert "at work" in texts(at)
    Heart(run).end(STOPPED)
    at = open_page("train")
    assert not button(at, "Delete").disabled


def test_entries_of_the_queue_follow_a_renamed_run(folder, queue):  # noqa: F811
    written(folder / "a", 4, finished=False)
    at_work(queue, "a")
    queue.finish(queue.active()[0].number, 0)
    at = open_page("train")
    at.text_input(key="train.edit.name.a").set_value("b")
    button(at, "Rename it").click().run()
    assert_alive(at)
    assert [job.run.name for job in queue.last_of_all()] == ["b"]


# Its evaluation


def test_the_way_to_its_evaluation(folder, root):
    run = written(folder / "a")
    at = open_page("train")
    assert not [b for b in at.button if b.label.startswith("Its evaluation")]
    part = root / "part"
    write_evaluation(
        folder / "after",
        weights={"source": f"fine-tuned run {run}"},
        category="part",
        data={"root": str(part), "name": "part"},
    )
    found_runs.clear()
    at = open_page("train")
    assert_alive(at)
    assert button(at, "Its evaluation, image AUROC 0.900")


# Networks of a study


def test_a_network_of_a_study_is_marked_and_goes_on_with_it(folder):
    write_small_study(folder / "long", lambda _: None, tables=("VI",), seeds=1)
    written(folder / "long/runs/r1", 6, finished=False)
    written(folder / "own")
    at = open_page("train")
    assert_alive(at)
    (frame,) = [d.value for d in at.dataframe if "of" in d.value.columns]
    assert dict(zip(frame["run"], frame["of"], strict=True)) == {
        "long/runs/r1": "study long",
        "own": "",
    }
    at.selectbox(key=run_form.SHOWN).set_value("long/runs/r1").run()
    assert_alive(at)
    assert "**study long**" in texts(at)
    assert "It belongs to a study" in texts(at)
    assert not [b for b in at.button if b.label == "Resume"]
    assert any("cutswap reproduce --table 6" in c.value for c in at.code)
