"""Layers are called by what they are: the grid in the name is the network's own."""

from __future__ import annotations

import pytest
import torch

from app.shared.networks import layer_name, selectable_layers
from cutswap.networks.backbone import SALIENCY_LEVELS, load_backbone


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("vgg16", "embedded"),
        ("resnet18", "embedded"),
        ("squeezenet1_0", "random"),
        ("wide_resnet50_2", "random"),
    ],
)
@pytest.mark.parametrize("size", [64, 97])
def test_the_grid_in_a_layer_s_name_is_what_the_network_gives(name, weights, size):
    layers = selectable_layers(name)
    with torch.no_grad():
        outputs, _ = load_backbone(name, weights).differentiable(
            torch.zeros(1, 3, size, size), layers
        )
    for layer in layers:
        height, width = outputs[layer].shape[2:]
        said, grid, depth = layer_name(name, layer, size).split(" · ")
        assert (said, grid) == (layer, f"{height}x{width}")
        assert depth in ("shallow", "middle", "deep")


@pytest.mark.parametrize("name", list(SALIENCY_LEVELS))
def test_levels_go_from_shallow_to_deep(name):
    depths = [layer_name(name, level, 256).split(" · ")[2] for level in SALIENCY_LEVELS[name]]
    order = ["shallow", "middle", "deep"]
    assert depths == sorted(depths, key=order.index)
    assert set(depths) == set(order)


def test_the_paper_s_middle_level():
    assert layer_name("vgg16", "16", 256) == "16 · 32x32 · middle"


@pytest.mark.parametrize("word", ["fused", "all levels"])
def test_what_is_no_layer_stays_as_it_is(word):
    assert layer_name("vgg16", word, 256) == word
