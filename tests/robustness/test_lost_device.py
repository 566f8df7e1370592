"""A card that goes away or is full in the middle of a run: one line, and the run can be gone on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cutswap.commands.parser import main, parse
from cutswap.data.loading import check_category
from cutswap.errors import DeviceLostError
from cutswap.runs.states import read_run
from cutswap.runs.status import INTERRUPTED, RESUMABLE, status_of
from cutswap.training.finetuner import FineTuner
from cutswap.training.finetuning import finetune
from cutswap.training.flags import finetuning_settings
from cutswap.utils import devices
from tests.helpers.datasets import build_category
from tests.robustness.test_kills import STEPS, command, losses

LOST = "CUDA error: uncorrectable ECC error encountered\nCompile with TORCH_USE_CUDA_DSA"
BUS = "is killed by signal: Bus error. It is possible that workers are out of shared memory."


@pytest.mark.journey
def test_a_lost_card_interrupts_and_the_run_goes_on(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))
    build_category(tmp_path / "bolt", train=4)
    checked = check_category(tmp_path / "bolt", None, skip_bad=False)

    def run(name: str) -> Path:
        options = parse(command(tmp_path / "bolt", tmp_path / name)[3:])
        list(finetune(checked, finetuning_settings(options), tmp_path / name))
        return tmp_path / name

    expected = losses(run("whole"))
    real = FineTuner._update

    def fails(self: FineTuner, photos: torch.Tensor):
        if self.step == 7:
            raise RuntimeError(LOST)
        return real(self, photos)

    monkeypatch.setattr(FineTuner, "_update", fails)
    with pytest.raises(DeviceLostError) as told:
        run("broken")
    assert "\n" not in str(told.value)
    stands = status_of(read_run(tmp_path / "broken"), None)
    assert stands.word == INTERRUPTED
    assert stands.word in RESUMABLE
    assert "uncorrectable ECC error" in stands.why
    monkeypatch.setattr(FineTuner, "_update", real)
    assert losses(run("broken")) == expected
    assert len(expected) == STEPS


@pytest.mark.journey
def test_a_run_of_an_older_version_goes_on(tmp_path: Path, monkeypatch):
    """Its record lacks what is new, and names workers that were asked for by default."""
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))
    build_category(tmp_path / "bolt", train=4)
    checked = check_category(tmp_path / "bolt", None, skip_bad=False)
    out = tmp_path / "run"
    options = parse(command(tmp_path / "bolt", out)[3:])
    for stop in (7, STEPS):
        steps = finetune(checked, finetuning_settings(options), out)
        for progress in steps:
            if progress.step == stop < STEPS:
                break
        steps.close()
        if stop < STEPS:
            record = json.loads((out / "settings.json").read_text())
            del record["training"]["tf32"], record["training"]["compile"]
            record["training"]["workers"] = 0
            (out / "settings.json").write_text(json.dumps(record))
            about = json.loads((out / "environment.json").read_text())
            assert about["feeding"]["workers"] == 0  # what was chosen is recorded
    assert [step for step, _, _ in losses(out)] == list(range(1, STEPS + 1))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError(LOST), ("uncorrectable ECC error", "nvidia-smi")),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"), ("9 GiB", "cpu")),
        (RuntimeError(f"DataLoader worker (pid 5) {BUS}"), ("Bus error", "--workers 0", "shm")),
    ],
)
def test_wherever_it_strikes_it_is_one_line(error, words, monkeypatch, capsys, tmp_path):
    def strikes(_: object) -> None:
        raise error

    monkeypatch.setattr("cutswap.commands.check_data.run", strikes)
    assert main(["check-data", "--data", str(tmp_path)]) == 2
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0
    assert all(word in said for word in words)


@pytest.mark.parametrize(
    ("version", "error", "words"),
    [
        (None, "", ("was built without CUDA", "pytorch.org")),
        (
            "13.0",
            "The NVIDIA driver on your system is too old (found version 11040).",
            ("driver is older than CUDA 13.0", "update the driver"),
        ),
        ("13.0", "No CUDA GPUs are available", ("No CUDA GPUs", "nvidia-smi")),
        ("13.0", "", ("no NVIDIA device is visible", "CUDA_VISIBLE_DEVICES")),
    ],
)
def test_cuda_without_a_card_says_why(version, error, words, monkeypatch, capsys, tmp_path):
    def init() -> None:
        if error:
            raise RuntimeError(error)

    monkeypatch.setattr(torch.version, "cuda", version)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.cuda, "init", init)
    build_category(tmp_path / "bolt", train=4)
    arguments = ["evaluate", "--data", str(tmp_path / "bolt"), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--device", "cuda"]) == 2
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0
    assert all(word in said for word in words)
    assert "--device auto" in said
    assert devices.why_no_cuda()[0] in said
