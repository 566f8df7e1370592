"""The Features page: no run, a run of another category, broken ones, and a finished set.

The demo set and all networks are tiny, so that a page costs milliseconds.
"""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.features import collecting as features_jobs
from app.features.charts import DEFECT_COLOUR, GROUPS, scatter
from app.features.collecting import WantedFeatures, feature_workshop
from app.features.point import nearest
from app.features.view import _first_index
from app.figures.take_home import LABEL
from app.shared import workspace
from app.viewer.hover import sheet
from cutswap.analysis.feature_set import ABOUT, ARRAYS, FeatureSet, read_features
from cutswap.analysis.feature_settings import FeatureSettings
from cutswap.commands.parser import main
from cutswap.data.datasets import open_dataset
from cutswap.utils.files import read_json, write_json
from tests.helpers.app import assert_alive, texts
from tests.helpers.datasets import write_image
from tests.helpers.feature_runs import build_run, tiny_everywhere
from tests.helpers.runs import write_run
from tests.helpers.scored import SIZE
from tests.helpers.small_photos import photo_of

ROOT = Path(__file__).resolve().parents[3]
PAGE = "../pages/features.py"
DRAWS = "20"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo set and a finished run on it; copied for each test."""
    folder = tmp_path_factory.mktemp("world")
    with tiny_everywhere():
        build_run(folder / "demo", folder / "tuned")
    return folder


@pytest.fixture
def world(trained, tmp_path, monkeypatch) -> Path:
    """The demo's categories bolt and nut, and runs/tuned of bolt; an empty cache."""
    shutil.copytree(trained / "demo", tmp_path / "demo")
    shutil.copytree(trained / "tuned", tmp_path / "runs/tuned")
    for name in ("train/good/000", "test/good/000"):
        write_image(tmp_path / f"demo/nut/{name}.png", photo_of(5, (SIZE, SIZE)))
    settings = read_json(tmp_path / "runs/tuned/settings.json")
    settings["data"]["root"] = str(tmp_path / "demo/bolt")
    write_json(tmp_path / "runs/tuned/settings.json", settings)
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CUTSWAP_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CUTSWAP_DATA", "")
    monkeypatch.setattr(workspace, "demo_root", lambda **_: tmp_path / "demo")
    monkeypatch.setattr(workspace, "DEMO_CATEGORIES", ("bolt", "nut"))
    st.cache_resource.clear()
    st.cache_data.clear()
    with tiny_everywhere():
        yield tmp_path
    st.cache_resource.clear()
    st.cache_data.clear()


def open_page(run: str = "tuned", category: str = "bolt", **query: str) -> AppTest:
    at = AppTest.from_file(str(ROOT / "app/main.py"), default_timeout=60)
    wanted = {"cat": f"{category} · Demo", "run": run, "draws": DRAWS, **query}
    for name, value in wanted.items():
        at.query_params[name] = value
    at.run().switch_page(PAGE).run()
    for _ in range(3):  # what it waits for: its own rerun is not AppTest's
        at = at.run()
    return at


def wanted(world: Path) -> WantedFeatures:
    category = open_dataset(world / "demo").category("bolt")
    return WantedFeatures(world / "runs/tuned", category, FeatureSettings(samples=int(DRAWS)))


def stored(world: Path) -> FeatureSet:
    return read_features(wanted(world).folder)


class TestWithoutARun:
    @pytest.mark.usefixtures("world")
    def test_pretrained_weights_have_learnt_nothing_and_runs_are_offered(self):
        at = open_page("embedded")
        assert_alive(at)
        assert "before and after fine-tuning, and **Embedded" in texts(at)
        at.button(key="features.run.tuned").click().run()
        assert at.selectbox(key="run").value == "tuned"
        assert "before and after fine-tuning, and" not in texts(at)

    @pytest.mark.usefixtures("world")
    def test_no_run_of_this_category_points_to_train(self):
        at = open_page("embedded", "nut")
        assert_alive(at)
        assert "There is no finished run of nut yet" in texts(at)
        assert not [b for b in at.button if str(b.key).startswith("features.run.")]

    @pytest.mark.usefixtures("world")
    def test_a_run_of_another_category_says_so_and_offers_its_own(self):
        at = open_page("tuned", "nut")
        assert_alive(at)
        assert "has learnt from bolt, not from nut" in texts(at)
        at.button(key="features.category").click().run()
        assert at.selectbox(key="cat").value == "demo/bolt"


class TestTrouble:
    def test_torn_weights_are_a_message_until_they_are_whole_again(self, world):
        weights = world / "runs/tuned/backbone.safetensors"
        whole = weights.read_bytes()
        weights.write_bytes(whole[:200])
        at = open_page()
        assert_alive(at)
        assert "backbone" in at.error[0].value
        assert "To fix it" in at.error[0].value
        weights.write_bytes(whole)
        for _ in range(3):
            at.run()
        assert not at.error
        assert "Measured with the head" in texts(at)

    def test_a_run_that_was_made_by_hand_is_a_message(self, world):
        write_run(world / "runs/odd", name="bolt")
        at = open_page("odd")
        assert not at.exception
        assert "To fix it" in at.error[0].value

    def test_data_that_vanished_are_a_message(self, world):
        at = open_page()
        shutil.rmtree(world / "demo/bolt/train/good")
        workspace.dataset_of.clear()
        at.run()
        assert not at.exception
        # The sidebar gives way to the next category, which the run has not learnt from.
        assert "bolt" in at.toast[0].value
        assert "has learnt from bolt, not from nut" in texts(at)
        assert not [b for b in at.button if b.key == "features.category"]

    def test_a_photo_of_a_point_that_vanished_is_a_message_in_place(self, world, monkeypatch):
        at = open_page(img="test/spot/001")
        key = wanted(world).key
        # Gone between the collection and the look: the set itself is still the same one.
        monkeypatch.setattr(features_jobs, "features_key", lambda *_: key)
        (world / "demo/bolt/train/good/000.png").unlink()
        features = stored(world)
        index = next(i for i, p in enumerate(features.points) if p.name == "train/good/000")
        at.selectbox(key=f"features.shown.{key[:12]}").set_value(index).run()
        assert not at.exception
        assert "000.png" in at.error[0].value
        assert "Positives from negatives" in texts(at)

    def test_a_damaged_set_is_collected_again_on_request(self, world):
        open_page()
        file = wanted(world).folder / ARRAYS
        file.write_bytes(file.read_bytes()[:100])
        st.cache_resource.clear()
        at = open_page()
        assert "as they were written" in at.error[0].value
        at.button(key=f"features.again.{wanted(world).key}").click().run()
        for _ in range(3):
            at.run()
        assert not at.error
        assert_alive(at)
        assert len(stored(world).points) == 66

    def test_without_a_head_the_page_says_what_is_missing(self, world):
        (world / "runs/tuned/checkpoint.safetensors").unlink()
        at = open_page()
        assert_alive(at)
        assert "The head's own figures are missing" in texts(at)
        assert "Measured with a linear classifier" in texts(at)
        assert LABEL in [popover.proto.popover.label for popover in at.get("popover")]

    @pytest.mark.usefixtures("world")
    def test_many_draws_are_asked_for_first(self):
        at = open_page(draws="240")
        assert_alive(at)
        assert "Up to 726 images" in texts(at)
        assert "Positives from negatives" not in texts(at)
        start = next(b for b in at.button if str(b.key).startswith("features.start."))
        assert start.label == "Look at the features"


class TestFinished:
    @pytest.mark.usefixtures("world")
    def test_the_page_says_what_the_command_says(self, tmp_path):
        at = open_page()
        assert_alive(at)
        assert not at.error
        line = next(c.value for c in at.code if "cutswap features" in c.value)
        words = shlex.split(line)[3:]
        words[words.index("--out") + 1] = str(tmp_path / "out")
        assert main([*words, "--quiet"]) == 0
        written = json.loads((tmp_path / "out/figures.json").read_text())
        assert written["answer"].replace("~", "\\~") in texts(at)
        after = written["figures"]["fakes_after"]
        assert f"{after['value']:.2f} ({after['low']:.2f} to {after['high']:.2f})" in texts(at)
        rows = {r["type"]: r["called defective"] for _, r in at.dataframe[0].value.iterrows()}
        spot = written["figures"]["called"]["spot"]
        assert rows["spot"] == f"{spot['count']} of {spot['total']}"
        assert [c for c in rows if "false alarms" in c]

    def test_a_second_visit_collects_nothing(self, world, monkeypatch):
        open_page()
        before = (wanted(world).folder / ABOUT).stat().st_mtime_ns

        def never(*_: object) -> None:
            raise AssertionError

        monkeypatch.setattr(feature_workshop(), "start", never)
        assert_alive(open_page())
        assert (wanted(world).folder / ABOUT).stat().st_mtime_ns == before

    def test_a_changed_run_is_another_set(self, world):
        before = wanted(world).key
        file = world / "runs/tuned/result.json"
        file.write_text(file.read_text() + "\n")
        assert wanted(world).key != before

    @pytest.mark.parametrize("method", ["tsne", "lda"])
    @pytest.mark.usefixtures("world")
    def test_every_projection_shows(self, method):
        at = open_page(flat=method)
        assert_alive(at)
        assert not at.error
        assert "--projection=" + method in "\n".join(c.value for c in at.code)

    def test_the_sidebar_s_image_is_the_shown_point(self, world):
        at = open_page(img="test/spot/001")
        key = f"features.shown.{wanted(world).key[:12]}"
        features = stored(world)
        assert features.points[at.selectbox(key=key).value].name == "test/spot/001"
        at.selectbox(key="img").set_value("test/good/002").run()
        assert features.points[at.selectbox(key=key).value].name == "test/good/002"

    def test_choosing_a_real_point_selects_its_image_everywhere(self, world):
        at = open_page(img="test/spot/001")
        key = f"features.shown.{wanted(world).key[:12]}"
        names = [p.name for p in stored(world).points]
        at.selectbox(key=key).set_value(names.index("test/good/001")).run()
        assert at.selectbox(key="img").value == "test/good/001"
        at.selectbox(key=key).set_value(4).run()  # a fake: the image stays
        assert at.selectbox(key="img").value == "test/good/001"
        assert at.selectbox(key=key).value == 4
        assert "p(positive)" in texts(at)

    def test_notes_are_shown(self, world):
        record = read_json(world / "runs/tuned/environment.json")
        record["weights"]["phi"]["sha256"] = "f00d"
        write_json(world / "runs/tuned/environment.json", record)
        assert "have changed since the run" in texts(open_page())

    def test_old_sets_give_way(self, world, monkeypatch):
        monkeypatch.setattr(features_jobs, "KEPT", 2)
        for number in range(3):
            old = world / "cache/features" / f"old{number}"
            old.mkdir(parents=True)
        open_page()
        kept = sorted(p.name for p in (world / "cache/features").iterdir())
        assert len(kept) == 2
        assert wanted(world).key in kept


class TestPieces:
    def test_groups_differ_by_colour_and_by_shape(self, world):
        open_page()
        features = stored(world)
        places = np.zeros((len(features.points), 2))
        figure = scatter(features.points, places, ("x", "y"), 3, [""] * len(places))
        marks = [(t.marker.color, t.marker.symbol) for t in figure.data]
        assert len(set(marks)) == len(marks) == len(GROUPS) + 2  # a type of defect, the ring
        assert len({m[1] for m in marks}) == len(marks)
        assert (DEFECT_COLOUR, "x") in marks
        every = sorted(int(i) for t in figure.data[:-1] for i in t.customdata)
        assert every == list(range(len(features.points)))

    def test_the_sheet_holds_thumbnails_row_by_row(self):
        small = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((5, 2, 2, 3), np.uint8)
        assert sheet(small)[::2, ::2, 0].tolist() == [[0, 1, 2], [3, 4, 0]]

    def test_nearest_by_hand(self):
        assert nearest(np.array([[0.0], [5], [1], [-2]]), 0, 2) == [2, 3]

    @pytest.mark.parametrize(
        ("event", "index"),
        [
            ({"selection": {"points": [{"customdata": [7]}]}}, 7),
            ({"selection": {"points": [{"customdata": 7}]}}, 7),
            ({"selection": {"points": []}}, None),
            ({"selection": {"points": [{}]}}, None),
            (None, None),
        ],
    )
    def test_what_a_click_says(self, event, index):
        assert _first_index(event) == index
