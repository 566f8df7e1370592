"""Inspect with a run that trained a head: one evaluation, three scores, and what keeps it away."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
import torch
from streamlit.testing.v1 import AppTest

from app.inspect_heatmaps.heads import below_good, join_words, with_head
from app.inspect_heatmaps.painting import view as painting
from app.shared import caches, workspace
from app.shared.evaluations import Wanted
from app.shared.heads import head_of
from app.shared.selection import found_runs
from cutswap.config import PatchCoreSettings
from cutswap.data.datasets import open_dataset
from cutswap.data.images import to_image
from cutswap.evaluation.scored_set import read_scored
from cutswap.heads.detector import HeadDetector
from cutswap.networks.backbone import Backbone
from cutswap.strokes.stroke import BRUSH, Stroke
from tests.app.inspect_heatmaps.test_painting import Painter
from tests.helpers.app import MAIN, assert_alive, texts
from tests.helpers.head_runs import HEAD_LAYERS, HEAD_SIZE, train_tiny_head
from tests.helpers.scored import build_parts
from tests.helpers.tiny_networks import tiny_backbone

PAGE = "../pages/inspect_heatmaps.py"


def _rebuilt(_name: str, tensors: dict[str, torch.Tensor], _device: object = "cpu") -> Backbone:
    backbone = tiny_backbone()
    backbone.module.load_state_dict(tensors)
    return backbone


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data, in demo, and the finished run, in projector."""
    folder = tmp_path_factory.mktemp("trained")
    train_tiny_head(build_parts(folder / "demo"), folder / "projector")
    return folder


@pytest.fixture
def world(tmp_path, monkeypatch, trained: Path) -> Path:
    """Its own cache and runs folders; the tiny data as the demo, the tiny network everywhere."""
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CUTSWAP_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CUTSWAP_DATA", "")
    shutil.copytree(trained / "demo", tmp_path / "demo")
    shutil.copytree(trained / "projector", tmp_path / "runs/projector")
    monkeypatch.setattr(workspace, "demo_root", lambda **_: tmp_path / "demo")
    monkeypatch.setattr(workspace, "DEMO_CATEGORIES", ("bolt",))
    monkeypatch.setattr(caches, "network", lambda *_: tiny_backbone(0))
    monkeypatch.setattr(Backbone, "from_state", staticmethod(_rebuilt))
    st.cache_resource.clear()
    yield tmp_path
    st.cache_resource.clear()


def open_page(**query: str) -> AppTest:
    at = AppTest.from_file(MAIN, default_timeout=60)
    for name, value in {"run": "projector", "coreset": "0.05", **query}.items():
        at.query_params[name] = value
    at = at.run().switch_page(PAGE).run()
    for _ in range(3):  # the page's own rerun, when what it waited for is there, is not AppTest's
        at = at.run()
    assert_alive(at)
    return at


def scores_from(at: AppTest):
    return next(c for c in at.button_group if c.label == "Scores from")


def evaluated(world: Path) -> Path:
    (folder,) = (world / "cache/evaluations").iterdir()
    return folder


def test_one_evaluation_serves_the_three(world: Path):
    at = open_page()
    folder = evaluated(world)
    name = at.session_state["img"]
    for score in ("both", "head", "bank"):
        if score != "both":
            at = scores_from(at).set_value(score).run()
            assert_alive(at)
        kept = read_scored(folder, score=score)
        own = float(kept.scores[kept.names.index(name)])
        assert f"score **{own:.3f}**, threshold {kept.summary['threshold']:.3f}" in texts(at)
        assert f"--score {score}" in texts(at)
        assert f"--run {world / 'runs/projector'}" in texts(at)
        found, passed = kept.labels & (kept.scores >= kept.summary["threshold"]), ~kept.labels
        passed &= kept.scores < kept.summary["threshold"]
        assert f"✔ {int(found.sum())} found" in texts(at)
        assert f"✔ {int(passed.sum())} passed" in texts(at)
        assert evaluated(world) == folder
    share = json.loads((folder / "result.json").read_text())["head"]["join"]["weight"]
    assert f"share in both is **{share:.0%}**, chosen without any test image" in texts(at)
    assert "What each of them misses" in texts(at)


@pytest.mark.usefixtures("world")
def test_a_training_photo_is_scored_by_the_head_too():
    at = open_page(score="head", img="train/good/000")
    assert "A training photo" in texts(at)
    assert "--score head" in texts(at)


def test_settings_are_the_heads(world: Path):
    open_page(pclayers="layer3", pcsize="128")
    settings = read_scored(evaluated(world)).settings
    assert (settings.layers, settings.image_size) == (HEAD_LAYERS, HEAD_SIZE)


def test_a_head_of_another_category_is_said_and_the_bank_shown(world: Path):
    shutil.copytree(world / "demo/bolt", world / "demo/nut")
    at = open_page(cat="nut · Demo", pcsize="64", pclayers="layer1~layer2")
    assert "has learnt **bolt** and cannot judge **nut**" in texts(at)
    assert not [c for c in at.button_group if c.label == "Scores from"]
    assert "score" not in json.loads((evaluated(world) / "result.json").read_text())


def test_a_head_that_is_gone_is_said(world: Path):
    (world / "runs/projector/head.safetensors").unlink()
    at = open_page()
    assert "resume the run on the Train page" in texts(at)
    assert not (world / "cache/evaluations").exists()


def test_an_unfinished_run_is_not_offered(world: Path):
    (world / "runs/projector/result.json").unlink()
    at = open_page()
    options = next(s for s in at.selectbox if s.label == "Weights or run").options
    assert "projector" not in options


def test_photos_without_labels_are_scored_by_the_bank_and_that_is_said(world: Path):
    shutil.rmtree(world / "demo/bolt/test")
    shutil.rmtree(world / "demo/bolt/ground_truth")
    at = open_page(pcsize="64", pclayers="layer1~layer2")
    assert "projector is not asked" in texts(at)


def test_a_saved_evaluation_offers_the_same_switch(world: Path):
    open_page()
    shutil.copytree(evaluated(world), world / "runs/saved")
    found_runs.clear()
    at = open_page(run="embedded", eval="saved")
    for score in ("both", "head", "bank"):
        at = scores_from(at).set_value(score).run()
        assert_alive(at)
        kept = read_scored(world / "runs/saved", score=score)
        own = float(kept.scores[kept.names.index(at.session_state["img"])])
        assert f"score **{own:.3f}**" in texts(at)
        assert f"--score {score}" in texts(at)
    shutil.rmtree(world / "runs/saved/by_score/head")
    st.cache_resource.clear()
    at = scores_from(at).set_value("head").run()
    assert_alive(at)
    assert "To fix it" in texts(at)


def test_the_identity_holds_the_head(world: Path):
    run = world / "runs/projector"
    category = open_dataset(world / "demo").category("bolt")
    plain = Wanted(category, "resnet18", str(run), PatchCoreSettings(coreset=0.05))
    joined = with_head(plain, head_of(str(run)))
    assert joined.key != with_head(plain, None).key
    copy = shutil.copytree(run, world / "runs/copy")
    assert with_head(plain, head_of(str(copy))).key == joined.key
    other = train_tiny_head(world / "demo", world / "runs/other", seed=1)
    assert with_head(plain, head_of(str(other))).key != joined.key


def test_what_no_threshold_parts_from_good_photos_by_hand(world: Path):
    open_page()
    kept = read_scored(evaluated(world), score="bank")  # three good photos, then three with a spot
    assert kept.labels.tolist() == [False] * 3 + [True] * 3
    spots = kept.names[3:]
    for good, bad, missed in (
        ([1, 2, 3], [9, 8, 7], []),
        ([1, 2, 3], [3, 4, 2], [spots[2], spots[0]]),
        ([5, 9, 5], [8, 7, 6], [spots[2], spots[1], spots[0]]),
    ):
        scores = np.array([*good, *bad], dtype=np.float64)
        assert below_good(replace(kept, scores=scores)) == missed


def test_words_of_the_join_need_a_head(world: Path):
    open_page()
    kept = read_scored(evaluated(world), score="both")
    assert "made-up defects from held-out good photos" in join_words(kept)
    kept.summary["head"]["join"]["weight"] = 0.0
    assert "So both are the bank alone here." in join_words(kept)
    kept.summary["head"] = "nonsense"
    assert join_words(kept) == ""


def test_bank_and_head_judge_a_painting_side_by_side(world: Path, monkeypatch):
    painter = Painter()
    monkeypatch.setattr(painting, "canvas", painter)
    at = open_page(paint="1", img="test/spot/000")
    assert [panel.name for panel in painter.panels] == ["projector, bank", "projector, head"]
    assert "Scores from" not in [control.label for control in at.button_group]
    painter.paint(at, Stroke(BRUSH, ((5, 5), (30, 40)), 8, (255, 0, 0)))
    said = HeadDetector.load(evaluated(world) / "detector.safetensors").score(
        to_image(painter.painted[None])
    )
    for panel, expected in zip(painter.panels, (said.bank, said.head), strict=True):
        assert np.array_equal(panel.values, expected.heatmaps[0])
        assert f"score {float(expected.scores[0]):.3f}" in panel.says
    assert painter.panels[0].unit != painter.panels[1].unit
