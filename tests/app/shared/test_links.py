"""Links to what is not here: the page says so instead of showing something else in silence."""

from __future__ import annotations

import shutil

import pytest

from app.shared import selection, workspace
from tests.helpers.app import assert_alive, open_page, small_app


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ({"cat": "bolt · mine"}, "category bolt · mine is not here; shown is part · mine."),
        ({"cat": "part · mine", "img": "test/crack/9"}, "image test/crack/9 is not here"),
        ({"cat": "part · mine", "run": "gone"}, "run gone is not here; shown is Embedded"),
    ],
)
def test_a_link_to_what_is_not_here_says_so(link, said, tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    at = open_page("start", **link)
    assert_alive(at)
    told = [toast.value.replace("\\", "") for toast in at.toast]
    assert any(said in text for text in told), told
    at.run()
    assert len(at.toast) == 0


HERE = {"cat": "part · mine", "img": "train/good/002", "run": "Random, untrained"}


def test_a_link_s_selection_is_kept_over_pages_and_shown_where_it_does_something(
    tmp_path, monkeypatch
):
    small_app(tmp_path, monkeypatch)
    at = open_page("start", **HERE)
    assert not at.toast
    chosen = {"cat": "mine/part", "img": "train/good/002", "run": "random", "resize": "own"}
    for page, shown in (
        ("start", ()),
        ("saliency", ("cat", "img", "resize")),
        ("study", ("cat",)),
        ("results", ("cat", "run", "resize")),
        ("train", ("cat", "resize")),
        ("inspect_heatmaps", ("cat", "img", "run", "resize")),
        ("data", ("cat",)),
    ):
        at.switch_page(f"../pages/{page}.py").run()
        assert_alive(at)
        boxes = {box.key: box.value for box in at.sidebar.selectbox}
        assert boxes == {name: chosen[name] for name in shown}, page
        assert bool(at.sidebar.children) == bool(shown)
        link = {name: at.query_params.get(name) for name in HERE}
        assert link == {**HERE, "cat": None}, page  # the first category is the default


def test_back_shows_the_selection_that_its_link_names(tmp_path, monkeypatch):
    root = small_app(tmp_path, monkeypatch)
    shutil.copytree(root / "part", root / "other")
    shutil.copy(root / "part/train/good/000.png", root / "other/train/good/009.png")
    at = open_page("saliency", cat="part · mine")
    at.selectbox(key="img").set_value("train/good/001").run()
    at.selectbox(key="cat").set_value("mine/other").run()
    for _ in range(2):  # both have one of that name, in lists of different lengths
        assert at.selectbox(key="img").value == "train/good/001"
        at.run()
    assert at.query_params.get("cat") is None
    at.query_params["cat"] = "part · mine"
    del at.query_params["img"]
    with monkeypatch.context() as patched:
        patched.setattr(selection, "is_back_or_forward", lambda: True)
        at.run()
    assert_alive(at)
    assert at.selectbox(key="cat").value == "mine/part"
    assert at.selectbox(key="img").value == "test/crack/000"
    at.selectbox(key="img").set_value("train/good/003").run()  # and goes on from there
    assert (at.query_params["cat"], at.query_params["img"]) == ("part · mine", "train/good/003")


def test_a_category_that_vanishes_gives_way_to_another_without_a_stack_trace(
    tmp_path, monkeypatch, caplog
):
    root = small_app(tmp_path, monkeypatch)
    shutil.copytree(root / "part", root / "other")
    at = open_page("saliency", cat="part · mine", img="train/good/001")
    assert at.selectbox(key="cat").value == "mine/part"
    shutil.rmtree(root / "part")
    caplog.clear()
    at.run()  # the list of categories is some seconds old: a sentence
    assert_alive(at)
    assert "part" in at.info[0].value
    workspace.dataset_of.clear()
    at.run()
    assert_alive(at)
    assert at.selectbox(key="cat").value == "mine/other"
    assert any("no longer there" in toast.value for toast in at.toast)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    at.run()
    assert_alive(at)
    assert not at.toast
