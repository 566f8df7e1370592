"""Networks rewritten to gains of 1: the same function, and the same training however written."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from cutswap.networks.backbone import load_backbone
from cutswap.training.unit_gain import _pairs, unit_gain


@pytest.fixture(scope="module")
def embedded() -> nn.Module:
    return load_backbone("resnet18", "embedded").module.eval()


def gains(network: nn.Module) -> list[torch.Tensor]:
    return [n.weight.abs() / (n.running_var + n.eps).sqrt() for _, n in _pairs(network, ())]


def rewritten(network: nn.Module, seed: int) -> nn.Module:
    """The same function, each channel scaled by its own factor."""
    found = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for conv, norm in _pairs(found, ()):
            scale = 0.2 + 4 * torch.rand(len(norm.weight), generator=generator)
            conv.weight.mul_(scale[:, None, None, None])
            norm.running_mean.mul_(scale)
            norm.running_var.copy_(scale.square() * (norm.running_var + norm.eps) - norm.eps)
    return found


@pytest.mark.parametrize(("name", "pairs"), [("resnet18", 20), ("wide_resnet50_2", 53)])
def test_every_convolution_of_a_resnet_has_its_batch_norm(name, pairs):
    network = load_backbone(name, "random").module
    assert len(list(_pairs(network, ()))) == pairs
    assert sum(isinstance(part, nn.Conv2d) for part in network.modules()) == pairs


def test_outputs_stay_and_gains_become_one(embedded):
    network = copy.deepcopy(embedded)
    assert max(float(g.max()) for g in gains(network)) > 5
    unit_gain(network)
    for gain in gains(network):
        assert torch.allclose(gain, torch.ones_like(gain), atol=1e-4)
    image = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before, after = embedded(image), network(image)
    assert torch.allclose(before, after, rtol=1e-4, atol=1e-4 * float(before.abs().max()))


def test_frozen_layers_are_left_alone(embedded):
    network = copy.deepcopy(embedded)
    unit_gain(network, ("conv1", "bn1", "layer1", "layer2"))
    own = embedded.state_dict()
    same = {n for n, v in network.state_dict().items() if torch.equal(v, own[n])}
    assert {n for n in own if n.startswith(("conv1", "bn1", "layer1", "layer2"))} <= same
    assert "layer3.0.conv1.weight" not in same
    assert "layer4.1.conv2.weight" not in same


def test_a_channel_that_is_switched_off_stays_off(embedded):
    network = copy.deepcopy(embedded)
    with torch.no_grad():
        network.layer3[0].bn1.weight[5] = 0.0
    plain = copy.deepcopy(network)
    unit_gain(network)
    assert torch.equal(network.layer3[0].conv1.weight[5], plain.layer3[0].conv1.weight[5])


def test_training_does_not_depend_on_how_a_network_is_written(embedded):
    """Three steps of gradient descent from two writings of one network end at one function.

    In double precision, where roundings stay roundings from step to step.
    """
    image = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)).double()

    def trained(network: nn.Module, *, rewrite: bool) -> torch.Tensor:
        network = copy.deepcopy(network).double().eval().requires_grad_(True)
        if rewrite:
            unit_gain(network)
        descent = torch.optim.SGD(network.layer3.parameters(), lr=1e-5)
        for _ in range(3):
            descent.zero_grad()
            network(image).square().mean().backward()
            descent.step()
        with torch.no_grad():
            return network(image)

    other = rewritten(embedded, 3)
    differ = [
        float((trained(embedded, rewrite=r) - trained(other, rewrite=r)).abs().max())
        for r in (True, False)
    ]
    assert differ[0] < 1e-4 * differ[1]  # 7e-7 against 0.5: eps of the batch norms
