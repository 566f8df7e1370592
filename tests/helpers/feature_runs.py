"""A finished run of a tiny network on six photos, made by the trainer itself in a second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from cutswap.analysis import feature_collection
from cutswap.analysis.over_time import collection
from cutswap.config import FineTuningSettings, TrainingSettings
from cutswap.data.loading import check_category
from cutswap.networks.backbone import Backbone
from cutswap.runs.folder import RunFolder
from cutswap.training import finetuning, snapshots
from cutswap.training.finetuning import finetune
from tests.helpers.scored import SIZE, build_parts
from tests.helpers.tiny_networks import tiny_backbone

PHOTOS = 6  # of build_parts
TRAINING = TrainingSettings(
    image_size=SIZE,
    augment="cutpaste",
    epochs=1,
    steps_per_epoch=5,
    batch_size=4,
    hidden=(8,),
    device="cpu",
)


def rebuilt(_name: str, tensors: dict[str, torch.Tensor], _device: object = "cpu") -> Backbone:
    """What reading a run does with its tensors, for the tiny network."""
    backbone = tiny_backbone()
    backbone.module.load_state_dict(tensors)
    return backbone


@contextmanager
def tiny_everywhere() -> Iterator[None]:
    """The tiny network in the place of every ResNet18 that a run starts from or has tuned."""

    def load(_name: str, _weights: str, seed: int = 0, **_: object) -> Backbone:
        del seed
        return tiny_backbone()

    with pytest.MonkeyPatch.context() as patch:
        for module in (finetuning, feature_collection, snapshots, collection):
            patch.setattr(module, "load_backbone", load)
        patch.setattr(Backbone, "from_state", staticmethod(rebuilt))
        yield


def build_run(data: Path, out: Path, *, training: TrainingSettings = TRAINING) -> RunFolder:
    """Fine-tune the tiny network on bolt, which is made in `data` where it is not yet.

    Call it inside `tiny_everywhere`.
    """
    if not data.exists():
        build_parts(data)
    checked = check_category(data, "bolt", skip_bad=False)
    list(finetune(checked, FineTuningSettings(training=training), out))
    return RunFolder(out)
