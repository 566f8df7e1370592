"""Seven places in the order of work, second views behind their first, and a next step each."""

from __future__ import annotations

import pytest

from app.shared import places, public
from tests.helpers.app import assert_alive, open_page, small_app

PLACES = ["Start", "Data", "Saliency", "Negatives", "Train", "Inspect", "Results"]


def links(at) -> list[tuple[str, str]]:
    """Pages that the main part links to, and what the links say."""
    return [(link.proto.page, link.proto.label) for link in at.main.get("page_link")]


@pytest.mark.parametrize(
    ("page", "both"),
    [
        ("train", ["train", "features"]),
        ("features", ["train", "features"]),
        ("results", ["results", "study"]),
        ("study", ["results", "study"]),
        ("data", []),
    ],
)
def test_the_menu_has_seven_places_and_a_place_shows_its_views(page, both, tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    at = open_page(page)
    assert_alive(at)
    pages = at.session_state["pages"].values()
    assert [one.title for one in pages if one.visibility == "visible"] == PLACES
    assert {one.url_path for one in pages if one.visibility == "hidden"} == {
        "features",
        "study",
        "lesson",
        "spot",
        "stages",
    }
    assert [link for link, _ in links(at)][: len(both)] == both


@pytest.mark.parametrize(
    ("page", "following"),
    [
        ("start", "data"),
        ("data", "saliency"),
        ("negatives", "train"),
        ("train", "inspect"),
        ("features", "inspect"),
        ("results", "study"),
        ("study", "data"),
    ],
)
def test_a_page_ends_with_the_next_step(page, following, tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    at = open_page(page)
    assert_alive(at)
    name, label = links(at)[-1]
    assert name == following
    assert label.startswith("Next: **")


def test_from_every_page_the_steps_lead_through_all_places():
    """Nobody ends in a circle of a few of them."""
    assert set(places.NEXT) == set(public.NOTES)
    for first in places.NEXT:
        seen, page = [], first
        while page not in seen:
            seen.append(page)
            page = places.NEXT[page][0]
        wanted = {"data", "saliency", "negatives", "train", "inspect_heatmaps", "results"}
        assert wanted <= set(seen), first
