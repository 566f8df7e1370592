"""The Stages page: every stage of one photo in order, each following the settings."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.stages import pictures, view
from app.stages.pictures import WIDE, StagePicture
from app.viewer.pictures import jpeg_url
from tests.helpers.app import assert_alive, open_page, small_app, texts

TITLES = [
    "1 Photo", *["2 Saliency"] * 5, "3 Clusters", "4 Anchors", "5 Negative", "6 Changed pixels",
    *["7 Features"] * 2, *["8 Heatmap"] * 3,
]  # fmt: skip


@pytest.fixture
def shown(tmp_path, monkeypatch) -> list[StagePicture]:
    """The pictures of the last rerun, by a small network for the bank."""
    small_app(tmp_path, monkeypatch)
    found: list[StagePicture] = []
    make = pictures.stage_pictures

    def kept(*args) -> list[StagePicture]:
        found[:] = make(*args)
        return found

    monkeypatch.setattr(view, "stage_pictures", kept)
    return found


def opened(**query: str) -> AppTest:
    at = open_page("stages", cat="part · mine", size="128", **query)
    assert_alive(at)
    assert not at.error
    return at


def picture(shown: list[StagePicture], title: str, place: int = 0) -> np.ndarray:
    return [one.picture for one in shown if one.title == title][place].copy()


def test_all_stages_in_their_order(shown):
    at = opened()
    assert [one.title for one in shown] == TITLES
    assert {one.picture.shape for one in shown} == {(WIDE, WIDE, 3)}
    assert {one.picture.dtype for one in shown} == {np.dtype(np.uint8)}
    assert [one.says for one in shown if one.chosen] == ["16 · 16x16 · middle"]
    assert "layer 16 · K 4 · CutSwap, seed 0, epoch 0 · bank of 4 good photos" in texts(at)
    (html,) = [one.proto.body for one in at.main.get("html") if "class='stages'" in one.proto.body]
    assert re.findall(r"<b>(.*?)</b>", html) == TITLES
    assert html.count(" alt='") == len(TITLES)


def test_a_setting_acts_on_what_comes_after_it_alone(shown):
    opened()
    before = {n: picture(shown, n) for n in TITLES}
    opened(k="7")
    assert not np.array_equal(picture(shown, "3 Clusters"), before["3 Clusters"])
    assert np.array_equal(picture(shown, "2 Saliency"), before["2 Saliency"])
    opened(seed="5")
    for title in ("4 Anchors", "5 Negative", "6 Changed pixels"):
        assert not np.array_equal(picture(shown, title), before[title])
    assert np.array_equal(picture(shown, "3 Clusters"), before["3 Clusters"])
    assert np.array_equal(picture(shown, "1 Photo"), before["1 Photo"])


def test_the_heatmap_follows_negative_and_bank(shown):
    opened()
    said = [one.says for one in shown if one.title == "8 Heatmap"]
    opened(seed="5")
    another = [one.says for one in shown if one.title == "8 Heatmap"]
    assert another[0] == said[0]
    assert another[1] != said[1]
    assert another[2] == said[2]
    opened(photos="1")
    assert [one.says for one in shown if one.title == "8 Heatmap"] != said


@pytest.mark.parametrize("method", ["CutPaste", "Perlin scar", "Random swap"])
def test_a_method_without_saliency_chooses_no_map(shown, method):
    opened(method=method)
    assert [one.title for one in shown] == TITLES
    is_guided = method == "Random swap"  # it draws from a map's whole area
    assert any(one.chosen for one in shown) == is_guided


def test_the_fused_map_is_shown_where_it_is_drawn_from(shown):
    opened(layer="fused")
    assert [one.says for one in shown if one.title == "2 Saliency"][-1] == "fused"
    assert [one.says for one in shown if one.chosen] == ["fused"]


def test_a_training_photo_is_in_no_bank_that_judges_it(shown):
    at = opened(img="train/good/001")
    assert "bank of 3 good photos" in texts(at)
    assert [one.title for one in shown] == TITLES


@pytest.mark.parametrize("width", [1004, 2126])
def test_the_sheet_has_them_all(width):
    flat = [np.full((WIDE, WIDE, 3), 10 * n, np.uint8) for n in range(14)]
    grey = [StagePicture(f"stage {n}", one, "") for n, one in enumerate(flat)]
    sheet = view._sheet(tuple(grey), width)
    assert sheet.shape[1] == width
    for n in range(14):
        assert (sheet == 10 * n).all(axis=2).sum() > (width // 8) ** 2


def test_on_a_phone_photo_negative_and_heat_stand_above_the_settings(shown):
    at = opened()
    (html,) = [one.proto.body for one in at.main.get("html") if "class='glance'" in one.proto.body]
    assert re.findall(r"<figcaption>(.*?)</figcaption>", html) == [
        "1 Photo",
        "5 Negative",
        "8 Heatmap",
    ]
    found = re.findall(r"src='(.*?)'", html)
    wanted = [picture(shown, "1 Photo"), picture(shown, "5 Negative")]
    assert found == [jpeg_url(one) for one in (*wanted, picture(shown, "8 Heatmap", 1))]


class TestBadData:
    def test_a_broken_photo_is_one_sentence(self, tmp_path, monkeypatch):
        root = small_app(tmp_path, monkeypatch)
        (root / "part/test/crack/000.png").write_bytes(b"no picture")
        at = open_page("stages", cat="part · mine", size="128", img="test/crack/000")
        assert_alive(at)
        assert "000.png" in at.error[0].value
        assert "To fix it" in at.error[0].value
        at.selectbox(key="img").set_value("test/good/000").run()
        assert_alive(at)
        assert not at.error

    def test_a_broken_photo_of_the_bank_is_named_and_the_page_goes_on(self, tmp_path, monkeypatch):
        root = small_app(tmp_path, monkeypatch)
        (root / "part/train/good/001.png").write_bytes(b"no picture")
        at = open_page("stages", cat="part · mine", size="128", img="test/good/000")
        assert_alive(at)
        assert "001.png" in at.error[0].value
        assert at.slider(key="knob.k").value == 4

    def test_without_any_category_the_page_points_to_data(self, tmp_path, monkeypatch):
        root = small_app(tmp_path, monkeypatch)
        shutil.rmtree(root / "part")
        at = open_page("stages")
        assert_alive(at)
        assert not [one for one in at.main.get("html") if "class='stages'" in one.proto.body]
        assert [link for link in at.main.get("page_link") if link.proto.page == "data"]

    def test_a_category_without_test_photos_shows_all_stages(self, tmp_path, monkeypatch):
        root = small_app(tmp_path, monkeypatch)
        shutil.rmtree(root / "part/test")
        at = open_page("stages", cat="part · mine", size="128")
        assert_alive(at)
        assert not at.error
        (html,) = [
            one.proto.body for one in at.main.get("html") if "class='stages'" in one.proto.body
        ]
        assert re.findall(r"<b>(.*?)</b>", html) == TITLES
