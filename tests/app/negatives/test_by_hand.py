"""Placing a swap by hand on the Negatives page: clicks, the link, what is refused, what is made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import streamlit as st

from app.negatives import view
from app.negatives.by_hand import Hand, placing_of
from app.negatives.command import augment_command
from app.negatives.draws import draw
from app.viewer.viewer import Picking, Picture
from cutswap.commands.parser import main
from cutswap.data.images import read_photo
from tests.app.test_pages import drawing
from tests.helpers.app import assert_alive, open_page, small_app, texts

PART = "part · mine"
SWAPS = ("CutSwap", "CutSwap scar", "Random swap")


class Seen:
    """Stands for the viewers in the browser: keeps what they show, and picks by a plain button."""

    def __init__(self) -> None:
        self.pictures: dict[str, Picture] = {}
        self.picking: Picking | None = None
        self.place: tuple[int, int] | None = None

    def __call__(
        self, picture: Picture, *, key: str, picking: Picking | None = None,
        on_pick: Any = None, **_: Any,
    ) -> None:  # fmt: skip
        self.pictures[key] = picture
        if picking is not None:
            self.picking = picking
            st.button("pick", key="pick", on_click=lambda: on_pick(self.place))

    def pick(self, at: Any, place: tuple[int, int] | None) -> None:
        """Click there, or with None press Escape."""
        self.pictures, self.place = {}, place
        at.button(key="pick").click().run()
        assert_alive(at)


@pytest.fixture
def seen(monkeypatch, tmp_path) -> Seen:
    small_app(tmp_path, monkeypatch)
    viewers = Seen()
    monkeypatch.setattr(view, "viewer", viewers)
    return viewers


def some(allowed: np.ndarray) -> tuple[int, int]:
    """One of the allowed places, the middle one in reading order."""
    places = np.argwhere(allowed).tolist()
    return tuple(places[len(places) // 2])


def url(at: Any, name: str) -> str:
    value = at.query_params.get(name, "")
    return value if isinstance(value, str) else value[0]


@pytest.mark.parametrize(("method", "pair"), [(SWAPS[0], "side by side"), (SWAPS[1], "wipe")])
def test_two_clicks_swap_and_the_link_repeats_it(method, pair, seen):
    at = open_page("negatives", cat=PART, size="128", method=method, pair=pair, hand="1")
    assert_alive(at)
    assert list(seen.pictures) == [f"{'negative' if pair == 'wipe' else 'positive'}.hand"]
    assert "1 of 2" in texts(at)
    first = some(seen.picking.allowed)
    seen.pick(at, first)
    assert "2 of 2" in texts(at)
    assert url(at, "at") == f"{first[0]}.{first[1]}"
    (picture,) = seen.pictures.values()
    assert [box.place for box in picture.boxes] == [(*first, *seen.picking.size)]
    lit = picture.heat.any(axis=2)  # the partners light up, all else is dimmed
    assert (lit == seen.picking.allowed).all()
    assert set(picture.heat_alpha[~lit].tolist()) == {255}
    assert not seen.picking.allowed[first]
    second = some(seen.picking.allowed)
    seen.pick(at, second)
    assert "Swapped" in texts(at)
    link = url(at, "at")
    assert link == f"{first[0]}.{first[1]}~{second[0]}.{second[1]}"
    assert len(seen.pictures) == (2 if pair == "wipe" else 3)
    mask = seen.pictures["difference"].mask
    assert mask.any()
    assert f"**{mask.mean():.1%}** of the pixels changed" in texts(at)
    assert f"--at {first[0]},{first[1]},{second[0]},{second[1]}" in texts(at)
    # another tab with this link shows the same
    shown = dict(seen.pictures)
    again = open_page(
        "negatives", cat=PART, size="128", method=method, pair=pair, hand="1", at=link
    )
    assert_alive(again)
    for key, picture in shown.items():
        np.testing.assert_array_equal(seen.pictures[key].base, picture.base)
        np.testing.assert_array_equal(seen.pictures[key].mask, picture.mask)


def test_escape_and_the_buttons_take_back(seen):
    at = open_page("negatives", cat=PART, size="128", hand="1")
    first = some(seen.picking.allowed)
    seen.pick(at, first)
    second = some(seen.picking.allowed)
    seen.pick(at, second)
    seen.pick(at, None)
    assert url(at, "at") == f"{first[0]}.{first[1]}"
    at.button(key="hand.undo").click().run()
    assert url(at, "at") == ""
    assert at.button(key="hand.undo").disabled
    seen.pick(at, first)
    seen.pick(at, second)
    at.button(key="hand.clear").click().run()
    assert url(at, "at") == ""
    assert "1 of 2" in texts(at)


def test_a_click_where_no_patch_may_lie_says_why_and_changes_nothing(seen):
    at = open_page("negatives", cat=PART, size="128", hand="1")
    seen.pick(at, (127, 127))
    assert "Row 127, column 127: no patch of" in texts(at)
    assert url(at, "at") == ""
    first = some(seen.picking.allowed)
    seen.pick(at, first)
    assert "Row 127" not in texts(at)
    seen.pick(at, first)
    assert "would overlap the first" in texts(at)
    assert url(at, "at") == f"{first[0]}.{first[1]}"


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("9999.3", "The first patch does not fit at row 9999, column 3"),
        ("127.127~3.3", "The first patch does not fit at row 127"),
    ],
)
def test_a_link_with_a_place_that_is_none_says_so(link, words, seen):
    at = open_page("negatives", cat=PART, size="128", hand="1", at=link)
    assert_alive(at)
    assert words in texts(at)
    assert "1 of 2" in texts(at)
    assert seen.picking.allowed.any()


@pytest.mark.parametrize("link", ["nonsense", "3", "3.4~", "3.4~5.6~7.8", "-1.5", "٣.٤"])
def test_a_link_of_nonsense_gets_a_notice(link, seen):
    at = open_page("negatives", cat=PART, size="128", hand="1", at=link)
    assert_alive(at)
    assert any("The link's at is not one" in toast.value for toast in at.toast)
    assert seen.picking.allowed.any()


def test_with_other_settings_the_second_patch_may_no_longer_fit(seen):
    at = open_page("negatives", cat=PART, size="128", hand="1", anchors="whole-image")
    seen.pick(at, (0, 0))
    h, w = seen.picking.size
    seen.pick(at, (h, 0))
    assert "Swapped" in texts(at)
    at.slider(key="knob.area").set_value((0.25, 0.3)).run()
    assert_alive(at)
    assert "The second patch does not fit at row" in texts(at)


def test_only_swaps_are_placed(seen):
    at = open_page("negatives", cat=PART, size="128", hand="1", at="3.4", method="CutPaste")
    assert_alive(at)
    assert "those of CutPaste cannot" in texts(at)
    assert seen.picking is None


@pytest.mark.parametrize("method", SWAPS)
@pytest.mark.parametrize("levels", [(2,), (0, 1, 2, 3, 4)])
def test_placed_where_the_draw_is_it_is_the_draw_and_the_command_repeats_it(
    method, levels, tmp_path, monkeypatch
):
    root = small_app(tmp_path, monkeypatch)
    asked = drawing(root / "part/train/good/001.png", method, levels, 1)
    drawn = draw(asked, 1)
    placing = placing_of(asked, drawn)
    negative = placing.swap(drawn.positive, *drawn.negative.record.anchors)
    np.testing.assert_array_equal(negative.photo, drawn.negative.photo)
    np.testing.assert_array_equal(negative.mask, drawn.negative.mask)
    if len(levels) > 1:
        return
    first = some(placing.places)
    other = placing.swap(drawn.positive, first, some(placing.partners(first)))
    hand = Hand(placing, other.record.anchors, None)
    assert not hand.allowed[first]
    shown = type(drawn)(drawn.epoch, drawn.number, drawn.positive, drawn.jitter, other)
    *words, _, _ = map(str, augment_command(asked, shown))
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    np.testing.assert_array_equal(read_photo(tmp_path / "out/negative_000.png"), other.photo)
