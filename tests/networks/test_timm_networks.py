"""timm's networks: names, levels, tokens as maps, their own colours; a transformer all the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cutswap.commands.parser import main
from cutswap.errors import CutSwapError
from cutswap.networks.backbone import Backbone, load_backbone
from cutswap.networks.timm_networks import Habits
from cutswap.saliency.layercam import explain
from tests.helpers.scored import build_parts

timm = pytest.importorskip("timm", reason="timm is an optional extra: pip install cutswap[timm]")
TINY, DINO = "timm:vit_tiny_patch16_224", "timm:vit_small_patch14_dinov2.lvd142m"


@pytest.fixture(scope="module")
def tiny() -> Backbone:
    return load_backbone(TINY, "random", seed=1)


def noise(side: int, count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def test_tokens_become_maps_where_they_lie(tiny):
    """Of timm's own tokens the first is the class's, the others lie row by row."""
    image = noise(64)
    found = tiny.features(image, ["blocks.11"])["blocks.11"]
    assert found.shape == (2, 192, 4, 4)
    with torch.no_grad():
        module = tiny.module
        colours = (image * image.new_tensor([0.229, 0.224, 0.225])[:, None, None]) + (
            image.new_tensor([0.485, 0.456, 0.406])[:, None, None]
        )
        own = (colours - 0.5) / 0.5 if module.pretrained_cfg["mean"][0] == 0.5 else image
        tokens = module.patch_embed(own)
        tokens = module.norm_pre(module.patch_drop(module._pos_embed(tokens)))
        for block in module.blocks:
            tokens = block(tokens)
    assert torch.allclose(found[1, :, 2, 3], tokens[1, 1 + 2 * 4 + 3], atol=1e-5)


def test_a_photo_gets_the_nearest_sides_that_its_patches_fill():
    habits = Habits.of(load_backbone(DINO, "random").module)
    assert (habits.side, habits.prefix, habits.has_classes) == (14, 1, False)
    assert habits.taken(noise(256, 1)).shape[-2:] == (252, 252)
    assert habits.taken(noise(28, 1)).equal(noise(28, 1))


def test_colours_of_another_training_by_hand():
    habits = Habits(1, None, False, True, None, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    white = (torch.ones(3) - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor(
        [0.229, 0.224, 0.225]
    )
    found = habits.taken(white[None, :, None, None].expand(1, 3, 2, 2))
    assert torch.allclose(found, torch.ones(1, 3, 2, 2), atol=1e-6)  # 1 is (1 - 0.5) / 0.5


def test_five_levels_and_saliency_of_a_network_of_maps():
    backbone = load_backbone("timm:resnet18d", "random")
    assert backbone.levels == ("act1", "layer1", "layer2", "layer3", "layer4")
    assert [m.shape[-1] for m in explain(backbone, noise(64, 1)).maps] == [32, 16, 8, 4, 2]


def test_where_layercam_has_no_meaning_it_is_said(tiny):
    for backbone, words in ((tiny, "tokens for maps"), (load_backbone(DINO, "random"), "no class")):
        with pytest.raises(CutSwapError, match=words):
            explain(backbone, noise(56, 1))


def test_weights_come_from_a_file_under_timms_names(tiny, tmp_path):
    save_file(tiny.module.state_dict(), tmp_path / "w.safetensors")
    again = load_backbone(TINY, str(tmp_path / "w.safetensors"))
    assert again.fingerprint == tiny.fingerprint
    assert again.report.not_loaded == ()
    save_file(
        {f"model.{n}": v.clone() for n, v in tiny.module.state_dict().items()},
        tmp_path / "p.safetensors",
    )
    assert load_backbone(TINY, str(tmp_path / "p.safetensors")).report.prefix == "model."
    with pytest.raises(CutSwapError, match="a state dict of timm:resnet18d"):
        load_backbone("timm:resnet18d", str(tmp_path / "w.safetensors"))
    same = Backbone.from_state(TINY, dict(tiny.module.state_dict()))
    assert same.features(noise(32), ["blocks.2"])["blocks.2"].equal(
        tiny.features(noise(32), ["blocks.2"])["blocks.2"]
    )


@pytest.mark.parametrize(
    ("name", "weights", "words"),
    [
        ("timm:vit_smal_patch16_224", "random", "did you mean vit_small_patch16_224"),
        ("timm:hf-hub:me/mine", "random", "a network of timm"),
        ("timm:", "random", "no name"),
        (TINY, "embedded", "nothing is downloaded"),
        (TINY, "imagenet", "nothing is downloaded"),
    ],
)
def test_what_cannot_be_had_is_refused_in_a_line(name, weights, words):
    with pytest.raises(CutSwapError, match=words):
        load_backbone(name, weights)


def test_a_network_of_one_size_says_which():
    habits = Habits(16, 1, False, True, 224, (0.5,) * 3, (0.5,) * 3)
    with pytest.raises(CutSwapError, match="--image-size 224"):
        habits.taken(noise(256, 1))
    assert habits.taken(noise(224, 1)).shape[-2:] == (224, 224)


def test_maps_with_channels_last_are_turned():
    swin = load_backbone("timm:swin_tiny_patch4_window7_224", "random")
    assert swin.features(noise(224, 1), ["layers.1"])["layers.1"].shape == (1, 192, 28, 28)
    with pytest.raises(CutSwapError, match="tokens for maps"):
        explain(swin, noise(224, 1))


@pytest.mark.journey
@pytest.mark.parametrize(
    ("name", "layers", "weights"),
    [(DINO, "blocks.8,blocks.11", "random"), ("wide_resnet50_2", "layer2,layer3", "file")],
)
def test_a_network_of_another_kind_runs_through_all_stages(tmp_path, name, layers, weights):
    """evaluate, PaDiM, a projector on its features, both scored, and photos that come in."""
    data = str(build_parts(tmp_path / "parts"))
    if weights == "file":
        weights = str(tmp_path / "w.safetensors")
        save_file(load_backbone(name, "random", seed=3).module.state_dict(), weights)
    looks = ["--data", data, "--quiet", "--device", "cpu"]
    network = ["--backbone", name, "--weights", weights, "--image-size", "64"]

    def done(*words: str) -> dict:
        out = next(Path(words[i + 1]) for i, w in enumerate(words) if w == "--out")
        assert main([*words, "--json", str(tmp_path / "r.json")]) == 0
        assert out.exists()
        return json.loads((tmp_path / "r.json").read_text())

    bank = done(
        "evaluate", *looks, *network, "--layers", layers, "--coreset", "0.5",
        "--out", str(tmp_path / "bank"),
    )  # fmt: skip
    assert bank["backbone"] == name
    assert 0 <= bank["image_auroc"] <= 1
    padim = done(
        "evaluate", "--detector", "padim", *looks, *network, "--layers", layers,
        "--out", str(tmp_path / "padim"),
    )  # fmt: skip
    assert 0 <= padim["pixel_auroc"] <= 1
    done(
        "finetune", *looks, *network, "--train", "projector", "--head-layers", layers,
        "--head-updates", "4", "--head-draws", "1", "--batch-size", "2",
        "--saliency-weights", "random", "--saliency-backbone", "squeezenet1_0",
        "--out", str(tmp_path / "run"),
    )  # fmt: skip
    both = done(
        "evaluate", *looks, "--run", str(tmp_path / "run"), "--layers", layers,
        "--image-size", "64", "--coreset", "0.5", "--out", str(tmp_path / "both"),
    )  # fmt: skip
    assert set(both["scores"]) == {"bank", "head", "both"}
    scored = done(
        "score", f"{data}/bolt/test/good", "--detector", str(tmp_path / "bank"), "--quiet",
        "--out", str(tmp_path / "scored"),
    )  # fmt: skip
    assert scored
