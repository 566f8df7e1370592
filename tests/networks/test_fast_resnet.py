"""The folded copy of a ResNet: the network's own features, whatever the batch."""

from __future__ import annotations

import pytest
import torch
import torchvision

from cutswap.networks.backbone import Backbone, load_backbone
from cutswap.networks.fast_resnet import STAGES, QuickResNet
from cutswap.utils import devices


def shaken(name: str) -> torch.nn.Module:
    """An untrained network whose norms scale and shift for real."""
    torch.manual_seed(0)  # for the image that follows as well
    module = torchvision.models.get_model_builder(name)(weights=None).eval()
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            for values in (part.weight, part.bias, part.running_mean):
                values.data.uniform_(-0.3, 0.9)
            part.running_var.uniform_(0.5, 2.0)
    return module


def own_stages(module: torch.nn.Module, image: torch.Tensor) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        output = module.maxpool(module.relu(module.bn1(module.conv1(image))))
        found = {"maxpool": output}
        for name in STAGES[1:]:
            output = getattr(module, name)(output)
            found[name] = output
    return found


@pytest.mark.parametrize(
    "name", ["resnet18", pytest.param("wide_resnet50_2", marks=pytest.mark.journey)]
)
def test_equals_the_network_itself(name):
    module, image = shaken(name), torch.randn(2, 3, 64, 64)
    before = {n: v.clone() for n, v in module.state_dict().items()}
    expected = own_stages(module, image)
    found = QuickResNet(module).features(image, STAGES)
    for stage in STAGES:
        scale = expected[stage].abs().max()
        assert scale > 0.1
        assert (found[stage] - expected[stage]).abs().max() < 1e-5 * scale, stage
    assert all(torch.equal(v, before[n]) for n, v in module.state_dict().items())


def test_parts_of_a_batch_are_put_together_in_order(monkeypatch):
    module, image = shaken("resnet18"), torch.randn(5, 3, 64, 64)
    monkeypatch.setattr(devices, "CACHED_PIXELS", 2 * 64 * 64)
    assert [len(p) for p in devices.cache_sized(image)] == [2, 2, 1]
    found = QuickResNet(module).features(image, ["layer3", "layer2"])
    assert list(found) == ["layer3", "layer2"]
    expected = own_stages(module, image)
    for stage in found:
        torch.testing.assert_close(found[stage], expected[stage], rtol=1e-4, atol=1e-5)


def test_an_image_larger_than_the_cache_goes_alone(monkeypatch):
    monkeypatch.setattr(devices, "CACHED_PIXELS", 10)
    assert [len(p) for p in devices.cache_sized(torch.zeros(3, 3, 64, 64))] == [1, 1, 1]


def test_a_backbone_uses_it_for_stages_only(monkeypatch):
    asked = []
    features = QuickResNet.features
    monkeypatch.setattr(
        QuickResNet, "features", lambda s, i, names: asked.append(names) or features(s, i, names)
    )
    backbone: Backbone = load_backbone("resnet18", "random")
    image = torch.randn(1, 3, 64, 64)
    backbone.features(image, ["layer2", "layer3"])
    assert asked == [("layer2", "layer3")]
    backbone.features(image, ["layer2", "layer3.0.conv1"])  # inside a stage: the taps
    load_backbone("squeezenet1_0", "random").features(image, ["4"])
    assert len(asked) == 1
