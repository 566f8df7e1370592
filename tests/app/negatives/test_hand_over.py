"""From Negatives to Train: every setting arrives, in the fields and in the command."""

from __future__ import annotations

import pytest

from app.negatives.draws import METHODS
from app.negatives.hand_over import training_record
from cutswap.commands.parser import parse
from cutswap.training.flags import finetune_arguments, finetuning_settings
from tests.app.test_pages import LAYERS, drawing
from tests.helpers.app import assert_alive, open_page, small_app, texts

PART = "part · mine"


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("levels", [(2,), (0, 1, 2, 3, 4)])
def test_a_run_of_the_record_draws_as_the_page_does(method, levels, tmp_path):
    shown = drawing(tmp_path / "a.png", method, levels, 0)
    record = training_record(shown)
    words = finetune_arguments(record, tmp_path, "part", tmp_path / "run")
    settings = finetuning_settings(parse(words))
    negatives, clusters = shown.settings()
    assert settings.clusters == clusters
    assert settings.negatives.replace(method=negatives.method) == negatives
    assert settings.weak == shown.weak
    assert settings.training.augment == negatives.method.removesuffix("-scar")
    assert settings.training.image_size == settings.saliency.image_size == 64
    assert settings.training.levels == (None if len(levels) == 5 else (LAYERS[levels[0]],))
    assert words[words.index("--seed") + 1] == "7"


def test_all_settings_of_the_page_reach_the_command_of_train(tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    at = open_page(
        "negatives", cat=PART, img="train/good/001", size="128", k="6", layer="23", seed="11",
        area="0.05~0.1", anchors="min-cluster", w="random", weak="0.2", method="CutSwap",
    )  # fmt: skip
    assert_alive(at)
    at.button(key="negatives.train").click().run()
    at.switch_page("../pages/train.py").run()  # AppTest stays where it is
    assert_alive(at)
    said = texts(at)
    for words in (
        "--k=6", "--seed 11", "--levels=23", "--anchors=min-cluster", "--area=0.05,0.1",
        "--saliency-weights=random", "--weak-jitter=0.2", "--image-size=128",
    ):  # fmt: skip
        assert words in said, words
    assert "From the Negatives page" in said
    assert at.number_input(key="train.k").value == 6
    at.number_input(key="train.k").set_value(5).run()  # the fields are still the visitor's
    assert "--k=5" in texts(at)
    at.button(key="train.forget").click().run()
    assert "--area" not in texts(at)
    assert "From the Negatives page" not in texts(at)


def test_the_dice_rolls_another_seed(tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    at = open_page("negatives", cat=PART, size="128")
    monkeypatch.setattr("app.negatives.controls.secrets.randbelow", lambda _below: 4711)
    at.button(key="seed.roll").click().run()
    assert_alive(at)
    assert at.number_input(key="knob.seed").value == 4711
    assert at.query_params["seed"] in ("4711", ["4711"])


@pytest.mark.parametrize(("pair", "viewers"), [("side by side", 3), ("wipe", 2)])
def test_positive_negative_and_difference_are_seen_at_once(pair, viewers, tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    at = open_page("negatives", cat=PART, size="128", pair=pair)
    assert_alive(at)
    shown = [
        e for e in at.get("bidi_component")
        if e.proto.component_name.endswith("viewer")
    ]  # fmt: skip
    assert len(shown) == viewers


def test_the_methods_are_one_list_above_the_pictures(tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    at = open_page("negatives", cat=PART, size="128", method="NSA scar")
    assert_alive(at)
    (control,) = (c for c in at.selectbox if c.label == "Method")
    assert tuple(control.options) == tuple(METHODS)
    assert control.value == "NSA scar"
    assert not [c for c in at.button_group if c.label == "Method"]
    at = control.set_value("Perlin").run()
    assert_alive(at)
    assert at.query_params["method"] in ("Perlin", ["Perlin"])
