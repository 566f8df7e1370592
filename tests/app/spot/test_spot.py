"""Spot the fake: fair pairs that a whole class sees, an answer after a choice, a score."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.shared import public, workspace
from app.shared.selection import found_runs
from app.spot import view
from app.spot.pairs import EACH, pairs_of
from app.spot.verdicts import SpottedPair, answers_csv, by_method
from app.spot.view import FIRST
from cutswap.errors import CutSwapError
from tests.helpers.app import assert_alive, open_page, small_app, texts

METHODS = ("CutSwap", "CutPaste", "Perlin")


@pytest.fixture(autouse=True)
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A public demo of one small category."""
    root = small_app(tmp_path, monkeypatch)
    monkeypatch.setattr(workspace, "demo_rendering", lambda: workspace.DemoRendering(root=root))
    monkeypatch.setenv("CUTSWAP_DATA", "")
    monkeypatch.setenv(public.VARIABLE, "1")
    workspace.dataset_of.clear()
    found_runs.clear()
    return root


@pytest.mark.parametrize("photos", [2, 3, 40])
def test_a_game_is_the_same_for_everybody_and_fair(photos: int):
    games = [pairs_of(game, METHODS, photos) for game in range(60)]
    assert games == [pairs_of(game, METHODS, photos) for game in range(60)]
    assert len(set(games)) == 60
    for pairs in games:
        assert Counter(pair.method for pair in pairs) == dict.fromkeys(METHODS, EACH)
        assert all(pair.fake != pair.real for pair in pairs)
        assert all(0 <= n < photos for pair in pairs for n in (pair.fake, pair.real))
    every = [pair for pairs in games for pair in pairs]  # 540: 6 sigma of a coin are 70
    assert abs(sum(pair.is_left for pair in every) - len(every) / 2) < 70
    # Neither place nor side tells the method.
    assert len({pairs[0].method for pairs in games}) == len(METHODS)


@pytest.mark.parametrize("photos", [0, 1])
def test_one_photo_makes_no_pair(photos: int):
    with pytest.raises(CutSwapError, match=f"two good photos or more, found {photos}"):
        pairs_of(0, METHODS, photos)


def test_the_table_counts_by_method():
    answers = [
        SpottedPair("CutPaste", by_eye=True, by_network=True),
        SpottedPair("CutSwap", by_eye=False, by_network=True),
        SpottedPair("CutPaste", by_eye=False, by_network=False),
    ]
    rows = by_method(answers, ("CutSwap", "CutPaste", "NSA"))
    assert [tuple(row.values()) for row in rows] == [
        ("CutSwap", 1, 0, 1),
        ("CutPaste", 2, 1, 1),
        ("NSA", 0, 0, 0),
    ]
    assert answers_csv(answers).splitlines()[1:] == [
        "1,CutPaste,1,1",
        "2,CutSwap,0,1",
        "3,CutPaste,0,0",
    ]


def shown_name(at: AppTest) -> set[str]:
    """Names of methods on the screen, but for the control that chooses them."""
    images = [image for one in at.get("image") for image in one.proto.imgs]
    assert len(images) in (0, 2)
    said = texts(at) + " ".join(f"{image.caption} {image.alt}" for image in images)
    return {name for name in FIRST if name in said}


def test_a_game_from_the_first_pair_to_the_score():
    pairs = pairs_of(5, ("CutSwap", "CutPaste"), 4)
    at = open_page("spot", game="5", methods="CutSwap~CutPaste")
    for place, pair in enumerate(pairs):
        assert_alive(at)
        assert not at.error
        assert not shown_name(at), "before a choice nothing tells the method"
        assert len(at.get("image")) == 2
        assert f"{place} of {len(pairs)} pairs" in at.get("progress")[0].proto.text
        side = "Left" if pair.is_left == (place % 2 == 0) else "Right"  # every other one is wrong
        at.button(key=f"spot.{side}").click().run()
        said = [*at.success, *at.warning]
        assert len(said) == 1
        assert bool(at.success) == (place % 2 == 0)
        assert pair.method in said[0].value
        assert f"{'first' if pair.is_left else 'second'} one" in said[0].value
        at.run()  # looked at again: counted once
        at.button(key="spot.on").click().run()
    assert at.subheader[0].value == "You found 3 of 6"
    table = at.dataframe[0].value
    assert table["pairs"].tolist() == [EACH, EACH]
    assert table["found by you"].sum() == 3
    at.button(key="spot.again").click().run()
    assert "0 of 6 pairs" in at.get("progress")[0].proto.text


def test_nothing_of_a_game_is_written(demo: Path):
    def files() -> set[Path]:
        return {path for path in demo.parent.rglob("*") if path.is_file()}

    at = open_page("spot", game="1")
    before = files()
    at.button(key="spot.Left").click().run()
    assert_alive(at)
    assert files() == before


@pytest.mark.parametrize(
    ("fake", "real", "found"), [(2.0, 1.0, True), (1.0, 2.0, False), (1.0, 1.0, False)]
)
def test_the_network_finds_the_one_with_the_higher_score(monkeypatch, fake, real, found):
    class Bank:
        def score(self, _image):
            return type("P", (), {"scores": np.array([fake, real])})

    banks = []
    monkeypatch.setattr(view, "small_bank", lambda keys: banks.append(keys) or Bank())
    at = open_page("spot", game="1")
    at.button(key="spot.Left").click().run()
    (told,) = [one.value for one in (*at.success, *at.warning)]
    assert ("did not find" in told or "Nor did" in told) == (not found)
    pair = pairs_of(1, FIRST, 4)[0]
    inside = {key.path.stem for keys in banks for key in keys}
    assert inside == {f"{n:03d}" for n in range(4)} - {f"{pair.fake:03d}", f"{pair.real:03d}"}
