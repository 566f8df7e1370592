"""A head's run folder: stopped anywhere and started again it ends with the very same head."""

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
from cutswap.data.loading import CheckedCategory, check_category
from cutswap.errors import CutSwapError
from cutswap.heads.patch_head import PatchHead
from cutswap.runs.folder import RunFolder
from cutswap.training.head_finetuning import finetune_head
from tests.helpers.datasets import build_category

UPDATES = 3


def settings_for(kind: str, **changes: object) -> FineTuningSettings:
    small = {"updates": UPDATES, "width": 8, "kernel": 3, "blocks": 1, "draws": 1, "photos": 4}
    return FineTuningSettings(
        training=TrainingSettings(
            weights="random", image_size=64, augment="cutpaste", checkpoint_every=2, device="cpu"
        ),
        negatives=NegativeSettings(area=(0.2, 0.4)),
        weak=WeakAugmentation(jitter=0.0),
        head=HeadSettings(train=kind, grid=8, **{**small, **changes}),
    )


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> CheckedCategory:
    root = tmp_path_factory.mktemp("data")
    build_category(root / "bolt", train=6)
    return check_category(root, "bolt", skip_bad=False)


def go(checked: CheckedCategory, out: Path, kind: str, stop_at: int | None = None) -> list[int]:
    steps: list[int] = []
    for progress in finetune_head(
        checked, settings_for(kind), out, stop=lambda: bool(steps) and steps[-1] + 1 == stop_at
    ):
        steps.append(progress.step)
        assert progress.steps == 2 * UPDATES
    return steps


@pytest.fixture(scope="module", params=["projector", "discriminator"])
def unbroken(request, checked, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("unbroken") / request.param
    assert go(checked, out, request.param) == [1, 2, 3, 4, 5, 6]
    return out


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
def test_a_stopped_run_ends_the_same(unbroken: Path, checked, tmp_path: Path, at: int):
    out, kind = tmp_path / "run", unbroken.name
    began = [step for step in go(checked, out, kind, stop_at=at + 1)]
    assert not (out / "result.json").exists()
    rest = go(checked, out, kind)
    assert began + rest == [1, 2, 3, 4, 5, 6]
    for file in ("head.safetensors", "backbone.safetensors"):
        assert (out / file).read_bytes() == (unbroken / file).read_bytes()
    ours, theirs = (RunFolder(p).metrics() for p in (out, unbroken))
    assert [v["loss"] for v in ours] == [v["loss"] for v in theirs]


def test_a_killed_run_ends_the_same(unbroken: Path, checked, tmp_path: Path):
    """Killed after update 5: the last checkpoint is older, and its updates are done again."""
    out, kind = tmp_path / "run", unbroken.name
    steps = finetune_head(checked, settings_for(kind), out)
    for progress in steps:
        if progress.step == 5:
            steps.close()
    assert go(checked, out, kind)[-1] == 6
    assert (out / "head.safetensors").read_bytes() == (unbroken / "head.safetensors").read_bytes()


def test_a_run_with_other_settings_is_refused(unbroken: Path, checked):
    other = settings_for(unbroken.name, updates=4)
    with pytest.raises(CutSwapError, match=r"differs in head\.updates"):
        list(finetune_head(checked, other, unbroken))


def test_validation_is_of_the_held_out_photos(unbroken: Path):
    head = PatchHead.load(unbroken / "head.safetensors")
    assert head.origin.held_out == (0, 5)
    assert head.validation is not None
    assert len(head.validation.good) == 2
    assert (
        len(head.validation.made_up) == 2 * 2 * 3
    )  # photos, sizes, families that are not CutPaste
