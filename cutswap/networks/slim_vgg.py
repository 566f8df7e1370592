"""VGG16 with fewer channels: the same 31 `features`, so every layer index means the same."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

# torchvision's configuration D: convolutions a stage, before its max-pool.
CONVOLUTIONS = (2, 2, 3, 3, 3)


def slim_vgg16(
    widths: tuple[int, ...], classes: int = 1000, *, batch_norm: bool = False
) -> SlimVGG:
    """VGG16's `features` at the given stage widths, then global average pooling and one linear.

    Args:
        widths: channels of the five stages (torchvision's: 64, 128, 256, 512, 512).
        classes: number of class scores.
        batch_norm: put a batch norm after every convolution, for training only: indices then
            differ until `fold_batch_norm` removes them.

    Returns:
        A module with `features` (indices 0 to 30; pools at 4, 9, 16, 23, 30) and `classifier`.
    """
    features: list[nn.Module] = []
    channels = 3
    for width, count in zip(widths, CONVOLUTIONS, strict=True):
        for _ in range(count):
            features.append(nn.Conv2d(channels, width, 3, padding=1))
            if batch_norm:
                features.append(nn.BatchNorm2d(width))
            features.append(nn.ReLU())
            channels = width
        features.append(nn.MaxPool2d(2))
    return SlimVGG(nn.Sequential(*features), nn.Linear(channels, classes))


class SlimVGG(nn.Module):
    """`features`, global average pooling, `classifier`."""

    def __init__(self, features: nn.Sequential, classifier: nn.Linear) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = classifier

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) normalised image to (N, classes) scores."""
        return self.classifier(self.avgpool(self.features(image)).flatten(1))


def fold_batch_norm(network: nn.Module) -> SlimVGG:
    """A slim VGG16 trained with batch norm as the equal one without, in eval mode."""
    folded: list[nn.Module] = []
    features = network.get_submodule("features").eval()
    parts = list(features.children())
    for part, after in zip(parts, [*parts[1:], None], strict=True):
        if isinstance(part, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
            folded.append(fuse_conv_bn_eval(part.eval(), after))
        elif not isinstance(part, nn.BatchNorm2d):
            folded.append(part)
    classifier = network.get_submodule("classifier")
    if not isinstance(classifier, nn.Linear):
        raise TypeError(f"a slim VGG16 ends in one linear layer, this in {type(classifier)}")
    return SlimVGG(nn.Sequential(*folded), classifier).eval()


@torch.no_grad()
def unfold_batch_norm(network: SlimVGG, probe: Tensor) -> SlimVGG:
    """The equal network with a batch norm after every convolution, to be trained on.

    Without them a few updates at an AdamW rate of 5e-4 silence the network for good. On the probe
    the new batch norms undo themselves: scale and shift are its own standard deviation and mean.

    Args:
        network: a slim VGG16 without batch norm.
        probe: (N, 3, H, W) normalised images.
    """
    unfolded: list[nn.Module] = []
    seen = probe
    for part in network.features.eval():
        unfolded.append(part)
        seen = part(seen)
        if isinstance(part, nn.Conv2d):
            norm = nn.BatchNorm2d(part.out_channels)
            mean, variance = seen.mean(dim=(0, 2, 3)), seen.var(dim=(0, 2, 3), correction=0)
            norm.running_mean, norm.running_var = mean.clone(), variance.clone()
            norm.bias.copy_(mean)
            norm.weight.copy_((variance + norm.eps).sqrt())
            unfolded.append(norm)
    return SlimVGG(nn.Sequential(*unfolded), network.classifier)


def widths_of(tensors: dict[str, Tensor]) -> tuple[int, int, int, int, int] | None:
    """Stage widths of a slim VGG16 state dict, read off its last convolution a stage.

    None where one of the five is missing: another network's `features` (SqueezeNet has some too).
    """
    last = ("features.2", "features.7", "features.14", "features.21", "features.28")
    kernels = [tensors.get(f"{name}.weight") for name in last]
    if any(v is None or v.ndim != 4 for v in kernels):
        return None
    a, b, c, d, e = (int(v.shape[0]) for v in kernels if v is not None)
    return a, b, c, d, e
