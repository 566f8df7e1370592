"""The Results page in every state, and what its grid, chart and links are made of."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from app.figures.chart_style import BETTER, WORSE
from app.figures.take_home import LABEL
from app.results import chart as results_chart
from app.results import grid as results_grid
from app.shared import open_in_inspect as results_open
from app.shared.selection import found_runs
from cutswap.config import PatchCoreSettings
from cutswap.results.table import build_table
from cutswap.runs.find import find_runs
from cutswap.runs.queue import JobQueue
from cutswap.runs.states import FoundEvaluation, log_tail, read_evaluation
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.helpers.runs import write_evaluation, write_run
from tests.helpers.waiting import until
from tests.results.test_table import evaluation


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    return small_app(tmp_path, monkeypatch)


def scored(runs: Path, root: Path, name: str, **changes) -> Path:
    data = {"root": str(root / "part"), "name": "part"}
    return write_evaluation(runs / name, category="part", data=data, **changes)


def test_without_evaluations_there_is_a_way_to_one_and_the_paper_to_read(root):
    at = open_page("results")
    assert_alive(at)
    assert "No evaluation yet" in at.info[0].value
    assert [b.label for b in at.button if b.label.startswith("Evaluate part")]
    (paper,) = at.dataframe
    assert list(paper.value["category"])[-1] == "Average"
    assert "Nothing in this table was measured by this project" in texts(at)
    assert f"--data {root}" in texts(at)


@pytest.mark.usefixtures("root")
def test_the_papers_wrong_average_is_told_where_it_stands():
    at = open_page("results", paper="IV", papermetric="pixel_auroc")
    assert "its own rows give 0.936" in texts(at)
    assert "its own rows give" not in texts(open_page("results", paper="IV"))


def test_without_any_data_the_page_lives(root, monkeypatch):
    monkeypatch.setenv("CUTSWAP_DATA", "")
    shutil.rmtree(root)
    at = open_page("results")
    assert_alive(at)
    assert len(at.dataframe) == 1
    assert "--data FOLDER" in texts(at)


def test_evaluations_are_a_table_with_the_metric_switched(root, tmp_path):
    for seed, value in enumerate((0.7, 0.8, 0.9)):
        scored(tmp_path / "runs", root, f"s{seed}", seed=seed, image_auroc=value)
    at = open_page("results")
    assert_alive(at)
    table = at.dataframe[0].value
    assert list(table["category"]) == ["part", "mean (categories)"]
    assert table.iloc[0, 1] == "0.800 ± 0.100 (n=3)"
    assert LABEL in [popover.proto.popover.label for popover in at.get("popover")]
    at.segmented_control(key="knob.metric").set_value("pixel_auroc").run()
    assert at.dataframe[0].value.iloc[0, 1] == "0.800 ± 0.000 (n=3)"
    at.segmented_control(key="knob.metric").set_value("aupro").run()
    assert at.dataframe[0].value.iloc[0, 1] == "no masks"
    assert_alive(at)


def test_differences_are_signed(root, tmp_path):
    scored(tmp_path / "runs", root, "a", image_auroc=0.7)
    scored(
        tmp_path / "runs",
        root,
        "b",
        image_auroc=0.6,
        patchcore=PatchCoreSettings(coreset=0.1).to_dict(),
    )
    at = open_page("results")
    chosen = at.selectbox(key="knob.against")
    chosen.set_value(chosen.options[1]).run()
    row = at.dataframe[0].value.iloc[0]
    assert row.iloc[1] == "0.700"
    assert row.iloc[2] == "0.600  ▼ -0.100"
    assert_alive(at)


def test_a_broken_evaluation_and_a_broken_run_hide_nothing(root, tmp_path):
    runs = tmp_path / "runs"
    scored(runs, root, "sound")
    write_evaluation(runs / "torn", category=3)
    write_run(runs / "half")
    (runs / "half" / "settings.json").write_text("{")
    at = open_page("results")
    assert_alive(at)
    assert list(at.dataframe[0].value["category"])[0] == "part"
    assert "torn: result.json: no category" in texts(at)


@pytest.mark.usefixtures("root")
def test_a_runs_folder_that_is_none_is_a_sentence(tmp_path):
    (tmp_path / "runs").write_text("a file")
    at = open_page("results")
    assert not at.exception
    assert "choose another runs folder" in at.error[0].value


def test_a_link_with_nonsense_shows_the_defaults(root, tmp_path):
    scored(tmp_path / "runs", root, "a")
    at = open_page("results", metric="banana", against="7", paper="XII", newcoreset="-3")
    assert_alive(at)
    assert at.segmented_control(key="knob.metric").value == "image_auroc"


def test_one_sided_test_photos_get_a_reason_instead_of_a_button(root):
    shutil.rmtree(root / "part/test/crack")
    at = open_page("results")
    assert_alive(at)
    assert "1 good and 0 defective" in texts(at)
    assert not [b for b in at.button if b.label.startswith("Evaluate")]


def test_the_button_evaluates_in_a_process_of_its_own(root, tmp_path):
    at = open_page("results")
    (button,) = [b for b in at.button if b.label.startswith("Evaluate part")]
    button.click().run()
    assert_alive(at)
    out = tmp_path / "runs" / "part-embedded-0.01-seed0"
    until(lambda: not JobQueue(tmp_path / "runs").active(), 120)
    made = read_evaluation(out)
    assert made.state == "done", log_tail(out)
    assert made.root == str(root / "part")
    found_runs.clear()  # looked at again after five seconds
    again = open_page("results")
    assert_alive(again)
    assert list(again.dataframe[0].value["category"])[0] == "part"
    (button,) = [b for b in again.button if b.label.startswith("Evaluate part")]
    assert button.disabled  # it is there already


# Grid and chart


def test_headings_drop_what_all_share_and_stay_apart():
    table = build_table(
        [evaluation("a", category="screw"), evaluation("b", category="screw", coreset=0.001)],
        (),
        "image_auroc",
    )
    names = results_grid.headings(table)
    assert list(names.values())[:3] == [
        "0.001 · embedded weights",
        "0.01 · embedded weights",
        "paper Table I: ResNet18 + PC",
    ]
    assert len(set(names.values())) == len(table.columns)
    assert set(results_grid.shared_parts(table.setups).values()) == {
        "resnet18",
        "layer2+layer3",
        "256 pixels",
    }
    one = build_table([evaluation(category="bolt")], (), "image_auroc")
    assert list(results_grid.headings(one).values()) == ["embedded weights"]
    alike = [evaluation("a", weights="/x/w.pth"), evaluation("b", weights="/y/w.pth")]
    assert len(set(results_grid.headings(build_table(alike, (), "image_auroc")).values())) == 2


def test_shades_say_what_the_signs_say():
    table = build_table(
        [
            evaluation("a", category="bolt", image=0.5),
            evaluation("b", category="bolt", image=0.6, coreset=0.1),
            evaluation("c", category="nut", image=0.9),
            evaluation("d", category="nut", image=0.7, coreset=0.1),
            evaluation("e", category="rod", image=0.7),
            evaluation("f", category="rod", image=0.7, coreset=0.1),
        ],
        (),
        "image_auroc",
    )
    names = results_grid.headings(table)
    texts_, shades = results_grid._frames(table, names, table.setups[0])
    assert list(texts_[names[table.setups[1]]]) == [
        "0.600  ▲ +0.100",
        "0.700  ▼ -0.200",
        "0.700  = ±0.000",
        "0.667 (3 of 3)  ▼ -0.033 on 3",
    ]
    assert list(shades[names[table.setups[1]]]) == [BETTER, WORSE, "", WORSE]
    assert set(shades[names[table.setups[0]]]) == {""}
    plain, none = results_grid._frames(table, names, None)
    assert not plain.map(lambda text: "▲" in text).to_numpy().any()
    assert set(none.to_numpy().ravel()) == {""}


def test_the_chart_holds_every_cell():
    found = [evaluation(f"s{s}", category="screw", seed=s, image=v) for s, v in enumerate((0.8, 1))]
    table = build_table(found, (), "image_auroc")
    figure = results_chart.dots(table, results_grid.headings(table))
    seeds, mean, *paper = figure.data
    assert list(seeds.x) == [0.8, 1.0]
    assert list(mean.x) == [0.9]
    assert mean.error_x.array[0] == pytest.approx(0.1414, abs=1e-4)
    assert [list(p.x) for p in paper] == [[0.949], [0.848], [0.871]]
    assert all(p.name.startswith("paper Table II") for p in paper)
    assert figure.layout.xaxis.range[0] == pytest.approx(0.75)


# Click-through


def test_categories_are_found_by_their_folder(root, monkeypatch):
    monkeypatch.setenv("CUTSWAP_DATA", str(root))
    assert results_open.category_key(str(root / "part")) == "mine/part"
    assert results_open.category_key(str(root / "other")) is None
    assert results_open.category_key("") is None


def test_opening_sets_selection_and_knobs(root, tmp_path, monkeypatch):
    runs = tmp_path / "runs"
    write_run(runs / "tuned", name="part")
    by_run = {"source": f"fine-tuned run {runs / 'tuned'}"}
    scored(runs, root, "by-hand", weights=by_run)
    found = find_runs(runs)
    state: dict[str, object] = {}
    monkeypatch.setattr("app.shared.selection.st.session_state", state)
    monkeypatch.setattr("app.shared.knobs.st.session_state", state)
    results_open.inspect(found.evaluations[0], "mine/part", found.runs)
    assert state == {"cat": "mine/part", "run": "tuned", "knob.eval": "by-hand"}
    state.clear()
    own = evaluation(f"{results_open.CACHED}12345678", weights="random", neighbours=3, seed=4)
    results_open.inspect(own, "mine/part", found.runs)
    assert (state["run"], state["knob.eval"], state["knob.nn"]) == ("random", "this page", 3)
    assert state["knob.pcseed"] == 4
    assert (state["knob.highest"], state["knob.whiten"]) == (10, "auto")
    assert isinstance(own, FoundEvaluation)


def test_what_inspect_keeps_is_in_the_table_unless_switched_off(root, tmp_path):
    scored(tmp_path / "cache" / "evaluations", root, "0123456789abcdef")
    at = open_page("results")
    assert list(at.dataframe[0].value["category"])[0] == "part"
    at.toggle(key="knob.cached").set_value(False).run()
    assert_alive(at)
    assert "No evaluation yet" in at.info[0].value
