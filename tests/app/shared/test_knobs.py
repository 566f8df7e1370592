"""Values of knobs: what a link says, or the visitor has set, holds on every page that shows it."""

from __future__ import annotations

import pytest

from app.shared import knobs
from tests.helpers.app import assert_alive, open_page, small_app

PART = "part · mine"
LINK = {"k": "6", "size": "192", "layer": "9", "w": "random"}


@pytest.mark.parametrize(
    ("first", "others"),
    [("saliency", ("negatives", "saliency")), ("negatives", ("saliency", "train"))],
)
def test_a_link_s_values_survive_every_change_of_page(first, others, tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    at = open_page(first, cat=PART, **LINK)
    for name in (*others, first):
        at.switch_page(f"../pages/{name}.py").run()
        assert_alive(at)
        if name != "train":
            assert {k: at.query_params.get(k) for k in LINK} == LINK
            assert at.slider(key="knob.k").value == 6
            assert at.selectbox(key="knob.size").value == 192


def test_a_fresh_tab_s_defaults_survive_too(tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    at = open_page("saliency", cat=PART)
    at.switch_page("../pages/negatives.py").run()
    assert not set(at.query_params) & {"k", "size", "layer", "w", "net"}


def test_a_level_that_one_page_alone_knows_comes_back_there(tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    at = open_page("negatives", cat=PART, layer="all levels")
    at.switch_page("../pages/saliency.py").run()
    assert "layer" not in at.query_params
    at.switch_page("../pages/negatives.py").run()
    assert at.query_params["layer"] == "all levels"


def test_layers_of_a_network_come_back_with_it(tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    at = open_page("saliency", cat=PART, layer="9")
    at.selectbox(key="knob.net").set_value("resnet18").run()
    assert_alive(at)
    assert "layer" not in at.query_params
    at.selectbox(key="knob.net").set_value("vgg16").run()
    assert at.query_params["layer"] == "9"


def test_back_shows_what_its_link_says(tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    at = open_page("saliency", cat=PART, k="6")
    at.slider(key="knob.k").set_value(3).run()
    at.selectbox(key="knob.w").set_value("random").run()
    assert (at.query_params["k"], at.query_params["w"]) == ("3", "random")
    at.query_params["k"] = "6"
    del at.query_params["w"]
    with monkeypatch.context() as patched:
        patched.setattr(knobs, "is_back_or_forward", lambda: True)
        at.run()
    assert_alive(at)
    assert at.slider(key="knob.k").value == 6
    assert at.selectbox(key="knob.w").value == "embedded"
    at.slider(key="knob.k").set_value(5).run()  # and goes on from there
    assert at.query_params["k"] == "5"
    assert at.selectbox(key="knob.w").value == "embedded"
