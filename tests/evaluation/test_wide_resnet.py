"""WideResNet50 from a file of weights through all stages with the defaults of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.torch import save_file

from cutswap.commands.parser import main
from cutswap.evaluation.scored_set import read_scored
from cutswap.networks.backbone import load_backbone
from tests.helpers.scored import build_parts

NAME = "wide_resnet50_2"


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Iterator[Path]:
    """Random ones: 275 MB, which pytest would keep of three runs."""
    path = tmp_path_factory.mktemp("wide") / "wide.safetensors"
    state = load_backbone(NAME, "random", seed=1).module.state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, path)
    yield path
    path.unlink()


@pytest.mark.journey
def test_every_stage_takes_it_with_its_own_defaults(weights, tmp_path):
    data = build_parts(tmp_path / "parts", defects=1, good=1)
    for spare in range(2, 6):
        (data / f"bolt/train/good/{spare:03d}.png").unlink()
    here = ["--data", str(data), "--quiet", "--device", "cpu"]
    wide = ["--backbone", NAME, "--weights", str(weights)]

    photo = data / "bolt/test/spot/000.png"
    looked = ["saliency", str(photo), *wide, "--quiet", "--out", str(tmp_path / "saliency")]
    assert main(looked) == 0

    assert main(["evaluate", *here, *wide, "--out", str(tmp_path / "bank")]) == 0
    bank = read_scored(tmp_path / "bank")
    assert (bank.settings.layers, bank.size) == (("layer2", "layer3"), 256)
    assert bank.summary["backbone"] == NAME
    assert bank.summary["bank_size"] == int(0.01 * 2 * 32 * 32)
    assert bank.summary["weights"]["source"] == str(weights)
    assert bank.summary["weights"]["not_loaded"] == []

    # 550 channels, as published, would take 5 GB at 256 pixels
    small = ["--image-size", "64", "--padim-channels", "40"]
    words = ["evaluate", "--detector", "padim", *here, *wide, *small]
    assert main([*words, "--out", str(tmp_path / "padim")]) == 0
    padim = read_scored(tmp_path / "padim")
    assert padim.settings.layers == ("layer1", "layer2", "layer3")

    run = tmp_path / "run"
    train = ["finetune", *here, *wide, "--augment", "cutpaste", "--image-size", "64"]
    train += ["--epochs", "1", "--steps-per-epoch", "1", "--batch-size", "2", "--out", str(run)]
    assert main(train) == 0
    assert json.loads((run / "result.json").read_text())["updates"] == 1

    tuned = ["evaluate", *here, "--run", str(run), "--image-size", "64"]
    assert main([*tuned, "--out", str(tmp_path / "tuned")]) == 0
    again = read_scored(tmp_path / "tuned")
    assert again.summary["backbone"] == NAME
    assert again.summary["fingerprint"] != bank.summary["fingerprint"]
