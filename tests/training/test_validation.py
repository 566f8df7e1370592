"""The detector measured at checkpoints: on photos that training never sees, and the same again."""

from __future__ import annotations

import json

import pytest

from cutswap.config import FineTuningSettings, HeadSettings, TrainingSettings
from cutswap.data.loading import check_category
from cutswap.errors import CutSwapError
from cutswap.runs.folder import RunFolder
from cutswap.runs.states import read_validation
from cutswap.training import finetuning
from cutswap.training.finetuning import finetune, tuned_backbone
from cutswap.training.head_finetuning import finetune_head
from cutswap.training.validation import Validation
from tests.helpers.datasets import build_category

SETTINGS = FineTuningSettings(
    training=TrainingSettings(
        image_size=64,
        augment="cutpaste",  # needs no saliency
        epochs=1,
        steps_per_epoch=5,
        batch_size=2,
        checkpoint_every=2,
        validate=True,
        device="cpu",
        precision="float32",
    )
)


@pytest.fixture
def checked(tmp_path, monkeypatch):
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))
    build_category(tmp_path / "bolt", train=6)
    return check_category(tmp_path / "bolt", None, skip_bad=False)


def test_start_checkpoints_and_end_are_measured_on_photos_never_trained_on(
    checked, tmp_path, monkeypatch
):
    learnt = []
    build = finetuning.build_samples

    def watched(*given):
        samples, watcher = build(*given)
        learnt.extend(samples.names)
        return samples, watcher

    monkeypatch.setattr(finetuning, "build_samples", watched)
    run = RunFolder(tmp_path / "run")
    list(finetune(checked, SETTINGS, run.path))
    lines = read_validation(run.path)
    assert [line["step"] for line in lines] == [0, 2, 4, 5]
    validation = Validation(checked, SETTINGS, 0)
    assert learnt == [str(record.image) for record in validation.training.category.train]
    assert len(learnt) == 4  # of six
    # What the finished run's network is, measured from outside.
    again = validation.score(tuned_backbone(run))
    assert lines[-1]["auroc"] == pytest.approx(again, abs=1e-6)
    assert json.loads(run.result_file.read_text())["validation_auroc"] == round(again, 4)


@pytest.mark.journey
def test_a_run_that_was_killed_measures_the_same_and_each_checkpoint_once(checked, tmp_path):
    list(finetune(checked, SETTINGS, tmp_path / "whole"))
    for stop in (1, 3, 5):  # before the first checkpoint, after it, and to the end
        steps = finetune(checked, SETTINGS, tmp_path / "run")
        for progress in steps:
            if progress.step == stop < 5:
                break
        steps.close()
        if stop == 3:  # killed between measuring at 4 and the checkpoint of 4: measured anew
            RunFolder(tmp_path / "run").add_validation(4, 0.123)
    assert read_validation(tmp_path / "run") == read_validation(tmp_path / "whole")


@pytest.mark.journey
def test_measuring_changes_nothing_of_what_is_learnt(checked, tmp_path):
    """Trained on the same photos, with and without a look at the detector in between."""
    list(finetune(checked, SETTINGS, tmp_path / "measured"))
    plain = SETTINGS.replace(training=SETTINGS.training.replace(validate=False))
    training = Validation(checked, SETTINGS, 0).training
    list(finetune(training, plain, tmp_path / "plain"))
    weights = [
        (tmp_path / name / "backbone.safetensors").read_bytes() for name in ("measured", "plain")
    ]
    assert weights[0] == weights[1]
    assert not (tmp_path / "plain" / "validation.jsonl").exists()
    assert read_validation(tmp_path / "plain") == []


def test_a_head_refuses_it(checked, tmp_path):
    head = SETTINGS.replace(head=HeadSettings(train="projector"))
    with pytest.raises(CutSwapError, match="held-out photos of its own"):
        list(finetune_head(checked, head, tmp_path / "run"))


@pytest.mark.parametrize(
    "line", ["[]", "{}", '{"step": -1, "auroc": 0.5}', '{"step": 1, "auroc": 2}']
)
def test_a_file_edited_by_hand_is_named(line, tmp_path):
    (tmp_path / "validation.jsonl").write_text('{"step": 0, "auroc": 0.5}\n' + line + "\n")
    with pytest.raises(CutSwapError, match="line 2"):
        read_validation(tmp_path)
