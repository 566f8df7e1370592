"""Bank and head evaluated for several banks at once: each as if it were alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cutswap.config import SCORES
from cutswap.data.images import read_photo, save_png
from cutswap.data.loading import check_category, load_photos
from cutswap.errors import CutSwapError
from cutswap.evaluation import evaluate_head as module
from cutswap.evaluation.evaluate_head import evaluate_head, evaluate_head_banks
from cutswap.heads.patch_head import PatchHead
from cutswap.heads.validation import make_validation_set
from tests.helpers.head_runs import HEAD_LAYERS, HEAD_SIZE, train_tiny_head
from tests.helpers.scored import SETTINGS, build_parts
from tests.helpers.tiny_networks import tiny_backbone


@pytest.mark.parametrize("whiten", ["none", "pca"])
def test_each_of_several_banks_is_the_bank_alone(tmp_path: Path, monkeypatch, whiten: str):
    data = build_parts(tmp_path / "data")
    checked = check_category(data, "bolt", skip_bad=False)
    head = PatchHead.load(train_tiny_head(data, tmp_path / "run", "projector") / "head.safetensors")
    settings = SETTINGS.replace(
        layers=HEAD_LAYERS, image_size=HEAD_SIZE, coreset=0.05, whiten=whiten
    )
    backbone, seeds = tiny_backbone(0), (0, 3)
    alone = [evaluate_head(checked, backbone, head, settings, seed=seed) for seed in seeds]
    read = []
    taken = module.batches

    def counted(records, given):
        read.append(len(records))
        return taken(records, given)

    monkeypatch.setattr(module, "batches", counted)
    together = evaluate_head_banks(checked, backbone, head, settings, seeds)
    assert read == [len(checked.category.train), len(checked.category.test)]  # each read once
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.detector.bank.items, other.detector.bank.items)
        assert one.detector.join == other.detector.join
        for name in SCORES:
            np.testing.assert_array_equal(one.by_score[name].scores, other.by_score[name].scores)
            np.testing.assert_array_equal(
                one.by_score[name].heatmaps, other.by_score[name].heatmaps
            )
        told = one.result.summary["scores"], other.result.summary["scores"]
        assert told[0] == told[1]
    items = [one.detector.bank.items for one in together]
    assert not np.array_equal(*items)  # the seeds do choose otherwise


def test_a_head_is_weighed_in_the_region_it_was_trained_in(tmp_path: Path):
    data = build_parts(tmp_path / "data")
    shape = read_photo(next((data / "bolt/train/good").iterdir())).shape[:2]
    inside = np.zeros(shape, bool)
    inside[:, : shape[1] // 2] = True
    save_png(data / "bolt/region.png", inside)
    head = PatchHead.load(train_tiny_head(data, tmp_path / "run", "projector") / "head.safetensors")
    settings = SETTINGS.replace(layers=HEAD_LAYERS, image_size=HEAD_SIZE, coreset=0.05)
    backbone = tiny_backbone(0)
    checked = check_category(data, "bolt", skip_bad=False)
    (tmp_path / "right.png").write_bytes((data / "bolt/region.png").read_bytes())
    detector = evaluate_head(checked, backbone, head, settings).detector
    assert head.origin.region == detector.bank.region.mark
    held_out = load_photos(checked.category.train, HEAD_SIZE)[list(head.origin.held_out)]
    made_up = make_validation_set(held_out, head.origin.family, checked.region_at(HEAD_SIZE))
    assert len(head.validation.made_up) == len(made_up.made_up)  # without perlin's

    everywhere = check_category(data, "bolt", skip_bad=False, region="none")
    with pytest.raises(CutSwapError, match=r"region that the head was validated in, found none"):
        evaluate_head(everywhere, backbone, head, settings)
    save_png(tmp_path / "other.png", ~inside)
    elsewhere = check_category(data, "bolt", skip_bad=False, region=tmp_path / "other.png")
    with pytest.raises(CutSwapError, match="found another region"):
        evaluate_head(elsewhere, backbone, head, settings)
    copied = check_category(data, "bolt", skip_bad=False, region=tmp_path / "right.png")
    assert evaluate_head(copied, backbone, head, settings).detector.join == detector.join
