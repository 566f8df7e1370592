"""`show`, `caption` and `present` in a link: one mechanism for the controls of every page."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app.browser.lesson_link import LONGEST
from tests.app.test_pages import EVERY
from tests.helpers.app import assert_alive, open_page, small_app, texts

KINDS = ("selectbox", "slider", "number_input", "toggle", "multiselect", "segmented_control")


@pytest.fixture(autouse=True)
def parts(tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)


def controls(at: AppTest) -> set[str]:
    """Names of the controls that are drawn, as links have them."""
    keys = [str(one.key) for kind in KINDS for one in at.get(kind) if one.key]
    return {key.removeprefix("knob.") for key in keys}


@pytest.mark.parametrize("name", EVERY)
def test_without_a_name_no_page_draws_a_control(name: str):
    at = open_page(name, cat="part · mine", show="")
    assert_alive(at)
    assert controls(at) & {"cat", "img", "run"} == set()
    knobs = {str(one.key) for kind in KINDS for one in at.get(kind) if one.key}
    assert {key for key in knobs if key.startswith("knob.")} == set()
    assert not at.sidebar.children
    assert "Do this from the command line" not in [e.label for e in at.expander]
    assert [b.label for b in at.button if b.label == "Show the whole page"]


@pytest.mark.parametrize(
    ("page", "show", "drawn"),
    [
        ("saliency", "k,layer", {"k", "layer"}),
        ("saliency", " layer , layer", {"layer"}),
        ("saliency", "cat,img,k", {"cat", "img", "k"}),
        ("saliency", "size,net", {"size", "net"}),
        ("negatives", "seed,method", {"seed", "method"}),
        ("negatives", "angle,method", {"method"}),  # a patch has no angle
    ],
)
def test_only_what_a_link_names_is_drawn(page: str, show: str, drawn: set[str]):
    at = open_page(page, cat="part · mine", show=show, k="6")
    assert_alive(at)
    assert controls(at) == drawn
    assert not at.expander
    assert at.session_state["knob.k"] == 6  # what is not shown holds all the same
    told = [text.value for text in at.text]
    assert bool(told) == ("angle" in show)
    if told:
        assert "Not here: angle." in told[-1]
        assert "method" in told[-1]


@pytest.mark.parametrize(
    ("page", "part", "said"),
    [
        ("saliency", "histogram", "Dashed: boundaries between clusters"),
        ("saliency", "levels", "All levels, shallow to deep"),
        ("saliency", "guesses", "Best guesses"),
        ("negatives", "facts", "of the pixels changed"),
        ("negatives", "epochs", "Rejected draws"),
        ("negatives", "methods", "Fig. 1, live"),
        ("negatives", "command", "cutswap augment"),
    ],
)
def test_a_part_below_the_picture_is_there_where_it_is_named(page: str, part: str, said: str):
    at = open_page(page, cat="part · mine", size="128", show="k")
    assert said not in texts(at)
    at = open_page(page, cat="part · mine", size="128", show=f"k,{part}")
    assert_alive(at)
    assert said in texts(at)
    assert not at.warning


def test_an_unknown_name_is_told_with_those_that_there_are():
    at = open_page("saliency", cat="part · mine", show="k,**bold**,<script>")
    assert at.warning[-1].value.startswith("The link names what this page does not have")
    said = at.text[-1].value  # plain text: nothing in it is Markdown or HTML
    assert "Not here: **bold**, <script>. Here: " in said
    assert "histogram" in said


@pytest.mark.parametrize(
    ("caption", "shown"),
    [
        ("Move K", "Move K"),
        ("<b>a</b> **b** [c](d) :red[e] $x$", "<b>a</b> **b** [c](d) :red[e] $x$"),
        ("two\n\n# lines", "two # lines"),
        ("x" * 5000, "x" * (LONGEST - 1) + "…"),
        ("   ", None),
    ],
)
def test_a_caption_is_plain_text(caption: str, shown: str | None):
    at = open_page("data", cat="part · mine", show="cat", caption=caption)
    assert [text.value for text in at.text][:1] == ([shown] if shown else [])
    assert shown is None or caption.strip() not in [m.value for m in at.markdown]


def test_a_presenter_view_that_is_neither_on_nor_off_is_told():
    at = open_page("data", cat="part · mine", present="<b>yes</b>")
    assert "present is 1 or nothing" in at.warning[-1].value
    assert at.text[-1].value == "Here it is <b>yes</b>."
    assert not [b for b in at.button if b.key == "lesson_link.leave"]


def test_the_whole_page_is_one_click_away():
    at = open_page("saliency", cat="part · mine", show="k", caption="Move K", k="6", present="1")
    at.button(key="lesson_link.whole").click().run()
    assert_alive(at)
    assert at.selectbox(key="knob.net").value == "vgg16"
    assert at.slider(key="knob.k").value == 6
    assert not at.text
    assert "present" in at.query_params
    at.button(key="lesson_link.leave").click().run()
    assert "present" not in at.query_params
    assert not [b for b in at.button if b.key == "lesson_link.leave"]
