"""A tiny world for the Inspect page: demo set and networks that cost milliseconds."""

from __future__ import annotations

from pathlib import Path

import pytest
import streamlit as st
import torch

from app.shared import caches, workspace
from cutswap.errors import CutSwapError
from cutswap.networks.backbone import Backbone
from tests.helpers.scored import build_parts, score_parts
from tests.helpers.tiny_networks import tiny_backbone


@pytest.fixture
def world(tmp_path, monkeypatch) -> Path:
    """Empty cache and runs folders, a tiny demo set of one category, tiny networks."""
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CUTSWAP_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CUTSWAP_DATA", "")
    demo = build_parts(tmp_path / "demo")
    monkeypatch.setattr(workspace, "demo_root", lambda **_: demo)
    monkeypatch.setattr(workspace, "DEMO_CATEGORIES", ("bolt",))
    networks = {"embedded": tiny_backbone(0), "random": tiny_backbone(1)}

    def network(_name: str, weights: str):
        if weights not in networks:
            raise CutSwapError(weights, expected="weights", found="none", fix="choose others")
        return networks[weights]

    monkeypatch.setattr(caches, "network", network)
    monkeypatch.setattr(Backbone, "from_state", staticmethod(_rebuilt))
    st.cache_resource.clear()
    yield tmp_path
    st.cache_resource.clear()


def _rebuilt(_name: str, tensors: dict[str, torch.Tensor], _device: object = "cpu") -> Backbone:
    """What a saved bank does with its network's tensors, for the tiny one."""
    backbone = tiny_backbone()
    backbone.module.load_state_dict(tensors)
    return backbone


@pytest.fixture
def saved(world) -> Path:
    """The runs folder with one evaluation of the demo's category."""
    score_parts(world / "demo", world / "runs/first")
    return world / "runs"
