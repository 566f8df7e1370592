"""Scores of photos without labels, read back: whole, or refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cutswap.data.datasets import open_dataset
from cutswap.errors import CutSwapError
from cutswap.evaluation.unlabelled import UnlabelledSet, read_unlabelled, score_unlabelled
from tests.helpers.scored import SETTINGS, SIZE, build_parts
from tests.helpers.tiny_networks import tiny_backbone


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> Path:
    """Three photos scored."""
    root = build_parts(tmp_path_factory.mktemp("unlabelled") / "data", defects=0)
    out = root.parent / "scored"
    out.mkdir()
    score_unlabelled(open_dataset(root).category("bolt"), tiny_backbone(), SETTINGS, out)
    return out


def test_heatmaps_come_back_with_the_scores_in_one_order(scored):
    found = read_unlabelled(scored)
    assert found.names == tuple(f"test/good/{i:03d}" for i in range(3))
    assert found.heatmaps.shape == (3, SIZE, SIZE)
    assert found.range == (found.heatmaps.min(), found.heatmaps.max())
    assert not found.learnt


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b"nonsense"),
        lambda path: np.save(path, np.zeros((2, SIZE, SIZE), np.float32)),
        lambda path: np.save(path, np.zeros((3, SIZE, SIZE))),
        lambda path: np.save(path, np.zeros(3, np.float32)),
        lambda path: (path.unlink(), path.symlink_to("/dev/zero")),
        lambda path: path.with_name("unlabelled.json").write_text(json.dumps({"scores": {}})),
    ],
    ids=["gone", "nonsense", "another count", "float64", "one dimension", "a device", "scores"],
)
def test_what_is_damaged_is_refused(scored, tmp_path, damage):
    folder = shutil.copytree(scored, tmp_path / "scored")
    damage(folder / "heatmaps.npy")
    with pytest.raises(CutSwapError, match="delete the folder"):
        read_unlabelled(folder)


def test_usual_heat_is_that_of_the_less_unusual_half(tmp_path):
    heatmaps = np.zeros((4, 8, 8), np.float32)
    heatmaps[0], heatmaps[1], heatmaps[2:] = 1.0, 2.0, 9.0  # the last two are far from normal
    scores = np.array([0.1, 0.2, 5.0, 6.0])
    found = UnlabelledSet(tmp_path, ("a", "b", "c", "d"), scores, heatmaps, (0, 9), False, 1.0)
    assert found.usual_heat() == 2.0
    alone = UnlabelledSet(tmp_path, ("a",), scores[:1], heatmaps[:1], (0, 9), False, 1.0)
    assert alone.usual_heat() == 1.0
