"""States of phi on the way: which are kept, how exactly, and that a killed run has them all."""

from __future__ import annotations

import itertools

import pytest
import torch

from cutswap.config import FineTuningSettings, HeadSettings, TrainingSettings
from cutswap.data.loading import check_category
from cutswap.errors import CutSwapError
from cutswap.runs.edits import contents
from cutswap.runs.folder import RunFolder
from cutswap.training import snapshots
from cutswap.training.finetuning import finetune, tuned_backbone
from cutswap.training.snapshots import (
    kept_updates,
    network_at,
    snapshot_updates,
    starting_state,
    write_snapshot,
)
from tests.helpers.feature_runs import TRAINING, build_run, tiny_everywhere
from tests.helpers.tiny_networks import tiny_backbone

KEPT = TRAINING.replace(snapshots=4, steps_per_epoch=6, checkpoint_every=4, precision="float32")


@pytest.fixture(autouse=True)
def tiny(tmp_path, monkeypatch):
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))
    with tiny_everywhere():
        yield


@pytest.mark.parametrize(
    ("count", "steps", "expected"),
    [
        (10, 48, (0, 5, 11, 16, 21, 27, 32, 37, 43, 48)),
        (0, 5, (0, 5)),  # the ends are there anyway
        (1, 5, (0, 5)),
        (2, 5, (0, 5)),
        (3, 4, (0, 2, 4)),
        (100, 3, (0, 1, 2, 3)),  # more states than updates
    ],
)
def test_states_are_spread_evenly_and_the_ends_are_among_them(count, steps, expected):
    assert snapshot_updates(count, steps) == expected


def test_a_snapshot_is_the_network_that_so_many_updates_make(tmp_path):
    run = build_run(tmp_path / "data", tmp_path / "run", training=KEPT)
    assert kept_updates(run, KEPT, 6) == (0, 2, 4, 6)
    start = starting_state(tiny_backbone(), KEPT)
    for step in (2, 4):
        # A run of the same settings that is stopped there tells its state by a checkpoint.
        stopped = RunFolder(tmp_path / f"stopped{step}")
        checked = check_category(tmp_path / "data", "bolt", skip_bad=False)
        asked = itertools.count(1)
        steps = finetune(
            checked,
            FineTuningSettings(training=KEPT),
            stopped.path,
            stop=lambda asked=asked, step=step: next(asked) >= step,
        )
        assert [s.step for s in steps][-1] == step
        exact = stopped.read_checkpoint()
        found = network_at(run, KEPT, 0, step).module.state_dict()
        for name, value in found.items():
            if name.startswith("fc."):
                continue
            wanted = exact[f"model.phi.{name}"]
            moved = (wanted - start[name]).abs().max()
            assert (value - wanted).abs().max() <= moved / 1000, name
    assert contents(run.path)[1] == ()  # no strangers' files for who deletes the run


def test_what_is_frozen_is_not_written_and_none_is_kept_unasked(tmp_path):
    run = build_run(tmp_path / "data", tmp_path / "run", training=KEPT)
    tensors, _ = snapshots.read_tensors(run.snapshot_file(2), fix="")
    assert {n.split(".")[0] for n in tensors} == {"layer3", "layer4"}
    assert {v.dtype for v in tensors.values()} == {torch.float16, torch.int64}
    plain = build_run(tmp_path / "data", tmp_path / "plain", training=KEPT.replace(snapshots=0))
    assert not list(plain.path.glob("snapshot_*"))
    assert all(
        torch.equal(one, two)
        for one, two in zip(
            tuned_backbone(run).module.state_dict().values(),
            tuned_backbone(plain).module.state_dict().values(),
            strict=True,
        )
    )  # looking back costs nothing of what is learnt


def test_a_killed_run_has_them_all_when_it_has_gone_on(tmp_path):
    whole = build_run(tmp_path / "data", tmp_path / "whole", training=KEPT)
    checked = check_category(tmp_path / "data", "bolt", skip_bad=False)
    for stop in (1, 3, 5, 6):  # before the first, after it, between checkpoint and state, the end
        steps = finetune(checked, FineTuningSettings(training=KEPT), tmp_path / "run")
        for progress in steps:
            if progress.step == stop < 6:
                break
        steps.close()
    files = [sorted(f.glob("snapshot_*")) for f in (whole.path, tmp_path / "run")]
    assert [f.name for f in files[1]] == [
        "snapshot_000002.safetensors",
        "snapshot_000004.safetensors",
    ]
    assert [f.read_bytes() for f in files[0]] == [f.read_bytes() for f in files[1]]


def test_what_is_beyond_half_precision_is_kept_whole(tmp_path):
    start = {"w": torch.zeros(2), "v": torch.zeros(2)}
    now = {"w": torch.tensor([1e6, 1.0]), "v": torch.tensor([0.5, 1.0])}
    write_snapshot(RunFolder(tmp_path), 3, now, start)
    tensors, about = snapshots.read_tensors(RunFolder(tmp_path).snapshot_file(3), fix="")
    assert torch.equal(tensors["w"], now["w"])
    assert tensors["v"].dtype == torch.float16
    assert about["step"] == 3


def test_another_network_s_state_and_other_weights_are_refused(tmp_path):
    run = build_run(tmp_path / "data", tmp_path / "run", training=KEPT)
    run.snapshot_file(2).write_bytes(run.snapshot_file(2).read_bytes()[:500])
    with pytest.raises(CutSwapError, match="whole safetensors file"):
        network_at(run, KEPT, 0, 2)
    write_snapshot(run, 2, {"layer9.weight": torch.ones(3)}, {"layer9.weight": torch.zeros(3)})
    with pytest.raises(CutSwapError, match="tensors of another network"):
        network_at(run, KEPT, 0, 2)
    environment = run.path / "environment.json"
    environment.write_text(environment.read_text().replace('"sha256": null', '"sha256": "ab"'))
    with pytest.raises(CutSwapError, match="weights that the run started from"):
        network_at(run, KEPT, 0, 4)


def test_where_phi_stays_as_it_is_there_is_nothing_to_keep():
    with pytest.raises(CutSwapError, match=r"--snapshots: expected 0, where a projector"):
        FineTuningSettings(
            training=TrainingSettings(snapshots=10), head=HeadSettings(train="projector")
        )
