"""The Inspect page on an evaluation by PaDiM: no memory bank, and all else as ever."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cutswap.config import PadimSettings
from cutswap.data.loading import check_category
from cutswap.evaluation.evaluate_padim import evaluate_padim, write_padim
from tests.helpers.inspect_page import no_trace, open_page, words
from tests.helpers.scored import SIZE
from tests.helpers.tiny_networks import tiny_backbone

SETTINGS = PadimSettings(image_size=SIZE, channels=8, sigma=1.0)


@pytest.fixture
def padim(world: Path) -> Path:
    """An evaluation by PaDiM in the runs folder, called gaussians."""
    checked = check_category(world / "demo", "bolt", skip_bad=False)
    out = world / "runs/gaussians"
    write_padim(evaluate_padim(checked, tiny_backbone(), SETTINGS), out)
    return out


def test_it_shows_score_heat_and_figures_and_says_why_no_patch_is_nearest(padim):
    at = open_page(eval="gaussians", img="test/spot/000")
    no_trace(at)
    said = words(at)
    summary = json.loads((padim / "result.json").read_text())
    assert f"image AUROC **{summary['image_auroc']:.3f}**" in said
    assert "PaDiM: a gaussian at every place, 8 channels of layer1+layer2+layer3" in said
    assert "PaDiM remembers no patches" in said
    assert not at.error
    assert "bank of" not in said
    assert "test/spot/000 · score **" in said
    assert "The most similar normal patch" not in [s.value for s in at.subheader]
    assert any("--detector padim" in c.value for c in at.code)


def test_a_training_photo_is_scored_by_its_file_and_a_damaged_one_says_so(padim):
    at = open_page(eval="gaussians", img="train/good/000")
    no_trace(at)
    assert "A training photo: it was learnt from" in words(at)
    assert "score **" in words(at)
    (padim / "padim.safetensors").write_bytes(b"broken")
    at = open_page(eval="gaussians", img="train/good/001")
    no_trace(at)
    assert "fit it again with evaluate --detector padim" in words(at)
