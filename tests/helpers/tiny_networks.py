"""Networks with a ResNet's part names and a hundredth of its weights, to test the machinery."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cutswap.networks.backbone import Backbone
from cutswap.networks.slim_vgg import slim_vgg16
from cutswap.networks.weights import WeightsReport


class TinyResNet(nn.Module):
    """conv1, bn1, relu, layer1 to layer4, avgpool, fc: 16 channels wide."""

    def __init__(self, width: int = 16, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        for depth in range(1, 5):
            block = nn.Sequential(
                nn.Conv2d(width, width, 3, stride=1 if depth == 1 else 2, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            )
            setattr(self, f"layer{depth}", block)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(width, classes)

    def forward(self, image: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(image)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def tiny_backbone(seed: int = 0) -> Backbone:
    """An untrained seeded tiny ResNet under the name resnet18."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = TinyResNet()
    return Backbone("resnet18", module, WeightsReport("random", None, 0))


def slim_backbone(widths: tuple[int, ...] = (4, 6, 8, 8, 8), seed: int = 0) -> Backbone:
    """An untrained seeded VGG16 of a few channels a stage, 1000 classes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = slim_vgg16(widths)
    return Backbone("vgg16", module, WeightsReport("random", None, 0))
