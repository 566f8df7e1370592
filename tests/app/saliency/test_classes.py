"""The class that the maps explain: by name, among the best guesses, in the link, in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from app.saliency.classes import explained_sentence, percent
from app.shared.caches import Explained
from tests.helpers.app import assert_alive, open_page, small_app, texts

PART = "part · mine"


def explained(target: int, probability: float) -> Explained:
    guesses = ((318, 0.31), (412, 0.2), (7, 0.1), (8, 0.05), (9, 0.04))
    return Explained(np.zeros((1, 2, 2)), ((2, 2),), target, 3.0, probability, guesses, "some")


def opened(tmp_path: Any, monkeypatch: Any, **query: str) -> Any:
    small_app(tmp_path, monkeypatch)
    at = open_page("saliency", cat=PART, size="128", **query)
    assert_alive(at)
    return at


def guesses(at: Any) -> list[Any]:
    return [at.button(key=f"class.{rank}") for rank in range(5)]


@pytest.mark.parametrize(
    ("target", "asked", "is_random", "words"),
    [
        (318, None, False, ["**lacewing** (class 318)", "best guess for this photo, at 31%"]),
        (318, 318, False, ["best guess for this photo, at 31%"]),
        (7, 7, False, ["**cock** (class 7), the class you chose", "gives 10%", "**lacewing**"]),
        (318, None, True, ["the weights are random", "the class is a chance"]),
    ],
)  # fmt: skip
def test_the_sentence_says_whose_class_it_is(target, asked, is_random, words):
    said = explained_sentence(
        explained(target, 0.31 if target == 318 else 0.1), asked, is_random=is_random
    )
    for word in words:
        assert word in said
    assert ("you chose" in said) == (asked == 7)


@pytest.mark.parametrize(
    ("probability", "said"),
    [(1.0, "100%"), (0.314, "31%"), (0.0996, "10%"), (0.012, "1.2%"), (0.0001, "below 0.1%")],
)
def test_a_probability_has_the_digits_it_is_worth(probability, said):
    assert percent(probability) == said


def test_a_best_guess_is_explained_by_a_click_and_the_link_repeats_it(tmp_path, monkeypatch):
    at = opened(tmp_path, monkeypatch)
    labels = [button.label for button in guesses(at)]
    assert len(set(labels)) == 5
    shares = [float(label.rpartition("· ")[2].rstrip("%")) for label in labels]
    assert shares == sorted(shares, reverse=True)
    first, second, *_ = labels
    name = second.split(" · ")[0]
    assert "best guess for this photo" in texts(at)
    guesses(at)[1].click().run()
    assert_alive(at)
    assert f"**{name}** (class " in texts(at)
    assert "the class you chose" in texts(at)
    assert [button.label for button in guesses(at)] == labels  # of the network, not of the choice
    found = at.query_params["class"]
    number = found if isinstance(found, str) else found[0]
    again = open_page("saliency", cat=PART, size="128", **{"class": number})
    assert f"**{name}** (class {number}), the class you chose" in texts(again)
    assert f"--target-class {number}" in texts(again)
    guesses(at)[0].click().run()
    assert "class" not in at.query_params
    assert first.split(" · ")[0] in texts(at)


def test_every_class_is_found_by_its_name(tmp_path, monkeypatch):
    at = opened(tmp_path, monkeypatch)
    box = at.selectbox(key="knob.class")
    assert len(box.options) == 1001
    assert box.options[0] == "The network's best guess"
    assert "318: lacewing" in box.options
    box.set_value(318).run()
    assert_alive(at)
    assert "**lacewing** (class 318), the class you chose" in texts(at)


@pytest.mark.parametrize("link", ["1000", "-1", "lacewing"])
def test_a_link_with_a_class_that_is_none_gets_a_notice(link, tmp_path, monkeypatch):
    at = opened(tmp_path, monkeypatch, **{"class": link})
    assert any("The link's class is not one" in toast.value for toast in at.toast)
    assert "best guess for this photo" in texts(at)
