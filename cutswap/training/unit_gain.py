"""The same network, written so that one learning rate means the same for any weights.

A convolution and its batch norm, gamma (W x - mu) / sigma + beta with kept statistics, stay the
same function when W, mu and sigma are all multiplied by s. A step of gradient descent does not:
written with a small W and a large gain gamma / sigma it changes W by gain^2 as large a share of
itself. The embedded ResNet18 was distilled to gains of 3 to 8 in layer3, ImageNet's has 1. So
`gentle`, found with the latter, was up to 60 times as strong on the former: 60 updates moved the
features of good leather by three times their length. Here every gain becomes 1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import torch
from torch import nn

_SMALLEST = 1e-3  # of a gain: channels below are switched off, and stay as they are written


def unit_gain(network: nn.Module, frozen: Collection[str] = ()) -> None:
    """Rewrite every convolution that a batch norm follows, in place; outputs stay, up to rounding.

    Args:
        network: a torchvision ResNet.
        frozen: top-level layers that are left alone.
    """
    with torch.no_grad():
        for conv, norm in _pairs(network, frozen):
            mean, var = norm.running_mean, norm.running_var
            if mean is None or var is None:
                continue
            gain = norm.weight.abs() / (var + norm.eps).sqrt()
            scale = torch.where(gain < _SMALLEST, 1.0, gain)
            conv.weight.mul_(scale[:, None, None, None])
            mean.mul_(scale)
            var.copy_((scale.square() * (var + norm.eps) - norm.eps).clamp_min(0.0))


def _pairs(
    network: nn.Module, frozen: Collection[str]
) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions without a bias, each with the batch norm that follows: bn1 follows conv1."""
    for path, part in network.named_modules():
        children = dict(part.named_children())
        for name, norm in children.items():
            if (path or name).partition(".")[0] in frozen:
                continue
            if name.startswith("bn"):
                before = children.get(name.replace("bn", "conv"))
            else:  # downsample is a convolution, 0, and its batch norm, 1
                before = children.get("0") if name == "1" else None
            if (
                isinstance(before, nn.Conv2d)
                and before.bias is None
                and isinstance(norm, nn.BatchNorm2d)
            ):
                yield before, norm
