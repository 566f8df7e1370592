"""SPD (Zou et al., ECCV 2022): a base loss, and a photo nearer its weak view than its SmoothBlend.

    z = projector(phi(x)),  p = predictor(z)          one row a view
    L_SPD = mean of cos(z_photo, z_smoothblend) - cos(z_photo, z_weak)          in [-2, 2]
    L     = L_base(strong, strong) + weight * L_SPD
    SimSiam:  -cos(p1, stop(z2)) / 2 - cos(p2, stop(z1)) / 2                    in [-1, 1]
    SimCLR:   cross entropy of finding the other view among those of the batch  >= 0

A base alone learns to overlook small local changes, for crops and colours are to be alike; the SPD
term asks for the opposite where it matters. Projector and predictor are thrown away afterwards.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn

from cutswap.config import SPD_VIEWS, SpdSettings
from cutswap.networks.backbone import Backbone

PHOTO, WEAK, BLEND = (SPD_VIEWS.index(name) for name in ("photo", "weak", "smoothblend"))
_SIMCLR = 128  # numbers that SimCLR compares, of its paper
_BOTTLENECK = 4  # SimSiam's predictor is a quarter as wide inside: 512 of 2048
_PROBE = 64  # pixels: a photo that every backbone takes, to ask how many numbers it gives


class SpdNetwork(nn.Module):
    """Pooled features, and the heads that the losses compare.

    Args:
        backbone: copied, the original stays as it is.
        settings: which base, how wide.
        seed: of the heads' random start.

    Attributes:
        phi: (N, 3, H, W) normalised image to (N, C) pooled features, its parts named as the
            backbone's.
        psi: projector and, for SimSiam, predictor.
    """

    def __init__(self, backbone: Backbone, settings: SpdSettings, seed: int) -> None:
        super().__init__()
        self.phi = pooled(backbone.module)
        with torch.no_grad():
            features = self.phi.eval()(torch.zeros(1, 3, _PROBE, _PROBE)).shape[1]
        width = settings.width or features
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if settings.base == "simsiam":
                projector = [
                    *_layer(features, width),
                    *_layer(width, width),
                    nn.Linear(width, width, bias=False),
                    nn.BatchNorm1d(width, affine=False),
                ]
                inner = max(1, width // _BOTTLENECK)
                predictor = [*_layer(width, inner), nn.Linear(inner, width)]
            else:
                projector = [*_layer(features, width), nn.Linear(width, _SIMCLR)]
                predictor = []
            self.psi = nn.ModuleDict(
                {"projector": nn.Sequential(*projector), "predictor": nn.Sequential(*predictor)}
            )
        for part in self.phi.modules():
            if isinstance(part, nn.ReLU):
                part.inplace = True  # no tap here needs what came before it

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) normalised image to (N, 2 K): z, then p; without a predictor p is z."""
        z = self.psi["projector"](self.phi(image))
        return torch.cat([z, self.psi["predictor"](z)], dim=1)


def _layer(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]


def pooled(network: nn.Module) -> nn.Module:
    """A copy of a network of ours that ends in the mean of its last features.

    Args:
        network: ResNet, VGG16 or SqueezeNet of torchvision, or a slim VGG16.

    Returns:
        From (N, 3, H, W) to (N, C); what is left of it keeps its names.
    """
    copied = copy.deepcopy(network)
    if hasattr(copied, "fc"):
        copied.fc = nn.Identity()  # a ResNet has pooled before it
    elif hasattr(copied, "avgpool"):
        copied.avgpool, copied.classifier = nn.AdaptiveAvgPool2d(1), nn.Identity()
    else:
        copied.classifier = nn.AdaptiveAvgPool2d(1)  # SqueezeNet's pools inside
    return copied


def spd_loss(outputs: Tensor, settings: SpdSettings) -> Tensor:
    """The loss of a batch.

    Args:
        outputs: (B * 5, 2 K) of `SpdNetwork`, photo by photo, views as in `config.SPD_VIEWS`.
        settings: base, weight and temperature.

    Returns:
        A number: mean over the photos.
    """
    z, p = outputs.reshape(-1, len(SPD_VIEWS), outputs.shape[1]).chunk(2, dim=2)
    base = _simsiam(z, p) if settings.base == "simsiam" else _simclr(z, settings.temperature)
    return base + settings.weight * spot_the_difference(z)


def spot_the_difference(z: Tensor) -> Tensor:
    """SPD's term of (B, 5, K) projections: in [-2, 2], low where a SmoothBlend is farther away."""
    near = similarities(z)
    return (near[:, BLEND] - near[:, WEAK]).mean()


def similarities(z: Tensor) -> Tensor:
    """(B, 5, K) projections to (B, 5): each view's cosine to the photo, in [-1, 1]."""
    return F.cosine_similarity(z, z[:, PHOTO : PHOTO + 1], dim=2)


def _simsiam(z: Tensor, p: Tensor) -> Tensor:
    """Of (B, 5, K): each strong view predicts the other, whose gradient is stopped."""
    first = F.cosine_similarity(p[:, 0], z[:, 1].detach(), dim=1)
    second = F.cosine_similarity(p[:, 1], z[:, 0].detach(), dim=1)
    return -(first + second).mean() / 2


def _simclr(z: Tensor, temperature: float) -> Tensor:
    """NT-Xent of the strong views of (B, 5, K): 2 B rows, each to find its other."""
    count = len(z)
    unit = F.normalize(torch.cat([z[:, 0], z[:, 1]]), dim=1)
    scores = unit @ unit.T / temperature
    own = torch.eye(2 * count, dtype=torch.bool, device=z.device)
    wanted = torch.arange(2 * count, device=z.device).roll(count)
    return F.cross_entropy(scores.masked_fill(own, -torch.inf), wanted)
