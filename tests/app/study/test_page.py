"""The Study page in every state: none, unfinished, at work, failed, broken, finished."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from app.figures.chart_style import BETTER, WORSE
from app.study import new_study as study_new
from app.study import table as study_table
from app.study import view as study_view
from app.study.chart import ablation
from cutswap.config import SaliencySettings
from cutswap.data.published import PUBLISHED_COUNTS
from cutswap.evaluation.missed import missed_defects
from cutswap.runs.heartbeat import Heart
from cutswap.runs.queue import JobQueue
from cutswap.runs.states import log_tail
from cutswap.studies.folder import FINISHED, read_study, write_cell
from cutswap.studies.plan import PRESETS, StudySettings
from cutswap.studies.tables import entries
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.helpers.studies import done, write_small_study
from tests.helpers.waiting import until


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    study_view.studies.clear()
    return small_app(tmp_path, monkeypatch)


def buttons(at) -> list[str]:
    return [b.label for b in at.button]


def test_without_a_study_there_is_a_way_to_one(root):
    at = open_page("study")
    assert_alive(at)
    assert "No study yet" in at.info[0].value
    assert at.button(key="study.begin").label.startswith("Start study (about ")
    assert f"reproduce --table 5,6 --data {root}" in texts(at)
    said = texts(at).replace("\\", "")
    assert f"together {(6 + 3) * 3} entries of the tables" in said
    assert "24 cells to measure" in said  # K = 4 of V is CutSwap of VI: one cell
    assert "Written to study-VVI-mine" in said


def test_without_any_data_the_page_lives(root, monkeypatch):
    monkeypatch.setenv("CUTSWAP_DATA", "")
    shutil.rmtree(root)
    at = open_page("study")
    assert_alive(at)
    assert "--data FOLDER" in texts(at)


def test_a_finished_study_is_figures_differences_and_files(root, tmp_path):
    counts = PUBLISHED_COUNTS["MVTec AD"]
    write_small_study(
        tmp_path / "runs/nuts",
        lambda c: 0.5 + 0.01 * c.seed,
        tables=("II", "V"),
        categories=("screw",),
        root=str(root),
        counts={"screw": counts["screw"]},
    )
    at = open_page("study")
    assert_alive(at)
    said = texts(at)
    assert "it does not reproduce" in said
    assert "for want of training" in said
    assert "Continue the study" not in buttons(at)
    frame = at.dataframe[0].value
    assert list(frame["category"])[-1] == "Average"
    row = frame[(frame["category"] == "screw") & (frame["row"] == "CutSwap + PC")].iloc[0]
    assert (round(row["ours"], 6), round(row["±"], 6), row["paper"]) == (0.51, 0.01, 0.871)
    assert round(row[study_table.GAP], 6) == -0.361
    assert row["verdict"] == "does not reproduce"
    intra = frame[frame["row"] == "InTra"].iloc[0]
    assert intra["verdict"] == "paper only"
    assert {d.label for d in at.get("download_button")} == {
        "All figures as CSV",
        "Tables as LaTeX",
        "Report as HTML",
    }
    assert f"--out {tmp_path / 'runs/nuts'}" in said

    at.segmented_control(key="knob.studytable").set_value("V").run()
    assert_alive(at)
    assert "the paper averages the 15 categories" in at.warning[0].value
    at.segmented_control(key="knob.studymetric").set_value("pixel_auroc").run()
    assert_alive(at)
    assert round(at.dataframe[0].value["ours"].iloc[0], 6) == 0.41
    at.selectbox(key="knob.studyplace").set_value("screw").run()
    assert_alive(at)


@pytest.mark.usefixtures("root")
def test_the_papers_wrong_average_is_flagged_in_its_table(tmp_path):
    write_small_study(
        tmp_path / "runs/visa", lambda _: 0.9, tables=("IV",), categories=("candle",), seeds=1
    )
    at = open_page("study", studymetric="pixel_auroc")
    assert_alive(at)
    assert "its own rows give 0.936" in texts(at)


def test_an_unfinished_study_says_what_is_missing_and_what_failed(root, tmp_path):
    def value(cell):
        if cell.variant.row == "K=6":
            return "it ran out of memory"
        return 0.9 if cell.seed == 0 else None

    study = write_small_study(tmp_path / "runs/s", value, root=str(root), categories=("part",))
    Heart(study.path).end("failed", "the disk is full")
    at = open_page("study")
    assert_alive(at)
    said = texts(at)
    assert "Not computed yet: 10 cells" in [e.label for e in at.expander]
    assert "Failed: 3 cells" in [e.label for e in at.expander]
    assert "it ran out of memory" in said
    assert "the disk is full" in said
    assert "Remaining: 13 cells, 13 networks to fine-tune, about 3 min" in said.replace(
        "156 s", "3 min"
    )
    assert "Continue the study" in buttons(at)


@pytest.mark.usefixtures("root")
def test_a_broken_study_hides_no_other(tmp_path):
    write_small_study(tmp_path / "runs/sound", lambda _: 0.9)
    (tmp_path / "runs/broken").mkdir()
    (tmp_path / "runs/broken/study.json").write_text("{")
    at = open_page("study")
    assert_alive(at)
    assert "cannot be read" in at.error[0].value
    at.selectbox(key="knob.study").set_value("sound").run()
    assert_alive(at)
    assert not at.error
    assert len(at.dataframe) == 1


@pytest.mark.usefixtures("root")
def test_settings_edited_by_hand_are_a_sentence(tmp_path):
    study = write_small_study(tmp_path / "runs/s", lambda _: 0.9)
    text = (study.path / "study.json").read_text()
    (study.path / "study.json").write_text(text.replace('"batch_size": 8', '"batch_size": -8'))
    at = open_page("study")
    assert_alive(at)
    assert "found -8" in "\n".join(e.value for e in at.error)
    assert len(at.dataframe) == 1  # the figures are there all the same


@pytest.mark.usefixtures("root")
def test_one_at_work_in_a_terminal_is_watched_and_not_started_twice(tmp_path):
    study = write_small_study(tmp_path / "runs/s", lambda c: None if c.seed else 0.9)
    Heart(study.path).beat("cell 3 of 12: bolt, K=3; fine-tuning", 7, 90)
    at = open_page("study")
    assert_alive(at)
    assert "cell 3 of 12: bolt, K=3; fine-tuning 7 of 90" in [i.value for i in at.info]
    assert "Continue the study" not in buttons(at)
    assert "Started in a terminal: stop it there." in texts(at)


@pytest.mark.usefixtures("root")
def test_a_link_with_nonsense_shows_the_defaults(tmp_path):
    write_small_study(tmp_path / "runs/s", lambda _: 0.9)
    at = open_page("study", study="x", studytable="XII", studymetric="0", newseeds="-1")
    assert_alive(at)
    assert at.segmented_control(key="knob.studytable").value == "V"


def test_the_button_computes_the_rest_in_a_process_of_its_own(root, tmp_path):
    tiny = StudySettings(
        "laptop",
        PRESETS["laptop"].training.replace(
            image_size=64,
            weights="random",
            steps_per_epoch=1,
            batch_size=2,
            hidden=(8,),
            device="cpu",
        ),
        SaliencySettings(backbone="squeezenet1_0", weights="random", image_size=64),
    )
    runs = tmp_path / "runs"
    write_small_study(
        runs / "s",
        lambda _: None,
        tables=("I",),
        categories=("part",),
        seeds=1,
        root=str(root),
        settings=tiny,
    )
    at = open_page("study")
    assert_alive(at)
    (button,) = [b for b in at.button if b.label == "Continue the study"]
    button.click().run()
    assert_alive(at)
    assert "Continue the study" not in buttons(at)
    assert "Stop" in buttons(at)
    until(lambda: not JobQueue(runs).active(), 180)
    made = read_study(runs / "s")
    assert made.state == FINISHED, log_tail(runs / "s", 20)
    study_view.studies.clear()
    again = open_page("study")
    assert_alive(again)
    assert "3 of 3 cells" in again.selectbox(key="knob.study").options[0]


def test_a_new_study_is_queued_with_what_the_form_says(root, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("app.shared.jobs.enqueue", lambda *words: asked.append(words))
    at = open_page("study")
    at.multiselect(key="knob.newtables").set_value(["VIII"]).run()
    at.button(key="study.begin").click().run()
    assert_alive(at)
    ((run, command, device),) = asked
    assert run == tmp_path / "runs/study-VIII-mine"
    assert device == "auto"
    assert command == [
        "reproduce",
        "--table",
        "8",
        "--data",
        str(root),
        "--categories",
        "part",
        "--seeds",
        "3",
        "--preset",
        "laptop",
        "--out",
        str(run),
    ]


@pytest.mark.journey
def test_a_begun_study_is_shown_as_soon_as_it_is_there(root, tmp_path, monkeypatch):
    del root
    monkeypatch.setattr("app.shared.jobs.wake", lambda _: None)  # it waits, as behind another one
    at = open_page("study")
    at.button(key="study.begin").click().run()
    assert_alive(at)
    assert "**study-VVI-mine** begins" in at.info[0].value.replace("\\", "")
    write_small_study(tmp_path / "runs/study-VVI-mine", lambda _: 0.9)
    at.run()  # as the page itself does every two seconds
    assert_alive(at)
    assert at.selectbox(key="knob.study").value == "study-VVI-mine"
    queue = JobQueue(tmp_path / "runs")
    queue.stop(tmp_path / "runs/study-VVI-mine")


def test_a_study_that_ended_before_it_began_says_so(root, tmp_path, monkeypatch):
    del root
    monkeypatch.setattr("app.shared.jobs.wake", lambda _: None)
    at = open_page("study")
    at.button(key="study.begin").click().run()
    JobQueue(tmp_path / "runs").stop(tmp_path / "runs/study-VVI-mine")
    at.run()
    assert_alive(at)
    assert "failed to start" in at.error[0].value


@pytest.mark.usefixtures("root")
def test_other_detectors_join_tables_that_have_a_place_for_them(monkeypatch):
    asked = []
    monkeypatch.setattr("app.shared.jobs.enqueue", lambda *words: asked.append(words))
    monkeypatch.setattr(study_new, "has_anomalib", lambda: True)
    at = open_page("study")
    assert "newdetectors" not in str([m.key for m in at.multiselect])  # V and VI ablate CutSwap
    at.multiselect(key="knob.newtables").set_value(["I"]).run()
    at.multiselect(key="knob.newdetectors").set_value(["draem", "padim"]).run()
    assert_alive(at)
    assert f"{5 * 3} cells" in texts(at)
    button = at.button(key="study.begin")
    button.click().run()
    ((_, command, _),) = asked
    assert command[-2:] == ["--detectors", "padim,draem"]


@pytest.mark.usefixtures("root")
def test_heads_and_other_negatives_join_them_too(monkeypatch):
    asked = []
    monkeypatch.setattr("app.shared.jobs.enqueue", lambda *words: asked.append(words))
    at = open_page("study")
    assert "newmethods" not in str([m.key for m in at.multiselect])
    at.multiselect(key="knob.newtables").set_value(["I"]).run()
    at.multiselect(key="knob.newmethods").set_value(["gaussian", "random-swap-projector"]).run()
    assert_alive(at)
    assert f"{5 * 3} cells" in texts(at)
    at.button(key="study.begin").click().run()
    ((_, command, _),) = asked
    assert command[-2:] == ["--methods", "random-swap-projector,gaussian"]


@pytest.mark.usefixtures("root")
def test_without_anomalib_the_form_says_what_to_install(monkeypatch):
    monkeypatch.setattr(study_new, "has_anomalib", lambda: False)
    at = open_page("study")
    assert "cutswap[anomalib]" not in texts(at)
    at.multiselect(key="knob.newtables").set_value(["II"]).run()
    assert_alive(at)
    assert 'pip install "cutswap[anomalib]"' in texts(at)


# Grid and chart


@pytest.mark.usefixtures("root")
def test_missed_defects_stand_below_their_table(tmp_path):
    tables = ("V", "VI")
    study = write_small_study(tmp_path / "runs/nuts", lambda _: 0.9, tables=tables, seeds=2)
    at = open_page("study")
    assert "Which defects are missed" not in [e.label for e in at.expander]  # an earlier version's
    missed = missed_defects(["good", "crack", "crack"], np.array([0.1, 0.4, 0.9]), 0.5, None)
    for cell in study.cells:
        write_cell(study.path, cell.id, done(cell.id, 0.9, missed=missed.to_dict()))
    study_view.studies.clear()
    at = open_page("study")
    assert_alive(at)
    (section,) = [e for e in at.expander if e.label == "Which defects are missed"]
    assert [m.value for m in section.markdown] == ["**Table V, bolt, coreset 0.001**"]
    (grid,) = section.dataframe
    assert list(grid.value.columns) == ["row", "good, called defective (1)", "crack (2)"]
    assert list(grid.value["row"]) == [f"K={k}" for k in range(1, 7)]
    assert grid.value["crack (2)"][0] == "0.50 (0.09 to 0.91)"


def test_shades_follow_the_sign(tmp_path):
    study = write_small_study(
        tmp_path / "s", lambda c: 0.98 if c.variant.clusters.k == 2 else 0.9, seeds=2
    )
    found = entries(study, "V", "image_auroc")
    frame = study_table.frame_of(found)
    shades = study_table._shades(frame)
    by_row = dict(
        zip(zip(frame["category"], frame["row"], strict=True), shades[study_table.GAP], strict=True)
    )
    assert by_row["Average", "K=2"] == BETTER
    assert by_row["Average", "K=4"] == WORSE
    assert by_row["bolt", "K=2"] == ""  # the paper has no number there
    assert set(shades.drop(columns=study_table.GAP).to_numpy().ravel()) == {""}


def test_the_chart_holds_spread_seeds_and_the_paper(tmp_path):
    study = write_small_study(tmp_path / "s", lambda c: 0.8 + 0.02 * c.seed)
    averages = [e for e in entries(study, "V", "image_auroc") if e.is_average]
    seeds, ours, paper = ablation(averages, "Image AUROC").data
    assert len(seeds.y) == 18
    assert list(ours.y) == pytest.approx([0.82] * 6)
    assert list(ours.error_y.array) == pytest.approx([0.02] * 6)
    assert list(paper.y) == [0.936, 0.937, 0.938, 0.955, 0.940, 0.927]
    study = write_small_study(tmp_path / "t", lambda _: 0.8, tables=("VIII",))
    averages = [e for e in entries(study, "VIII", "image_auroc") if e.is_average]
    names = [t.name for t in ablation(averages, "Image AUROC").data if t.name]
    assert names == [
        "ours, coreset 0.001",
        "the paper, coreset 0.001",
        "ours, coreset 0.01",
        "the paper, coreset 0.01",
    ]


@pytest.mark.usefixtures("root")
def test_whether_guidance_helps_is_told_by_pairs_and_by_place(tmp_path):
    def value(cell):
        better = {"CutSwap + PC": 0.02, "CutSwap projector": -0.01}.get(cell.variant.row, 0)
        return 0.8 + better + (0.01 if cell.category == "nut" else 0) * cell.seed

    write_small_study(
        tmp_path / "runs/s",
        value,
        tables=("II",),
        categories=("bolt", "nut"),
        others=("random-swap", "random-swap-projector", "cutswap-projector"),
    )
    at = open_page("study")
    assert_alive(at)
    said = texts(at).replace("\\", "")
    assert "CutSwap less random swap +0.020 ± 0.000 image AUROC (6 pairs" in said
    assert "coreset 0.01: CutSwap less random swap -0.010 ± 0.000" in said
    frame = at.dataframe[1].value
    row = frame[frame["CutSwap less"] == "Random swap"].iloc[0]
    assert (row["pairs"], row["says"], row["where"]) == (6, "helps", "all categories")
    at.selectbox(key="knob.guidanceplace").set_value("nut").run()
    assert_alive(at)
    assert set(at.dataframe[1].value["where"]) == {"nut"}
    assert set(at.dataframe[1].value["pairs"]) == {3}


@pytest.mark.usefixtures("root")
def test_a_study_without_random_swap_says_how_to_ask(tmp_path):
    write_small_study(tmp_path / "runs/s", lambda _: 0.9)
    at = open_page("study")
    assert_alive(at)
    assert "reproduce --methods random-swap projector" in texts(at)
