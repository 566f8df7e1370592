"""A head trained on tiny features: a finished run's folder in a second."""

from __future__ import annotations

from pathlib import Path

import pytest

from cutswap.config import (
    FineTuningSettings,
    HeadSettings,
    NegativeSettings,
    TrainingSettings,
    WeakAugmentation,
)
from cutswap.data.loading import check_category
from cutswap.training import head_finetuning
from tests.helpers.tiny_networks import tiny_backbone

HEAD_SIZE = 64
HEAD_LAYERS = ("layer1", "layer2")


def train_tiny_head(
    root: Path, out: Path, kind: str = "projector", *, seed: int = 0, grid: int = 8
) -> Path:
    """Train on bolt of `root` with the network of `tiny_backbone(0)` and return `out`."""
    settings = FineTuningSettings(
        training=TrainingSettings(augment="nsa", image_size=HEAD_SIZE, ways=2, device="cpu"),
        negatives=NegativeSettings(area=(0.2, 0.4)),
        weak=WeakAugmentation(jitter=0.0),
        head=HeadSettings(
            train=kind,
            layers=HEAD_LAYERS,
            grid=grid,
            width=8,
            blocks=1,
            kernel=3,
            updates=4,
            photos=4,
        ),
    )
    checked = check_category(root, "bolt", skip_bad=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(head_finetuning, "load_backbone", lambda *_, **__: tiny_backbone(0))
        list(head_finetuning.finetune_head(checked, settings, out, seed=seed))
    return out
