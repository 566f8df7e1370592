"""Two ways to hold phi near its start, for the recipe search: by weights and by features.

    weights    g += 2 a (w - w0) for every trained weight of phi: L2-SP of Li et al. 2018, eq. 1
    features   + b mean over layers of |f(x+) - f0(x+)|^2 / |f0(x+)|^2: what a good part's patches
               look like stays, what a fake's look like is free to move

The rate may also stay as it is instead of falling on a cosine.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from cutswap.data.images import to_image
from cutswap.training.finetuner import FineTuner
from cutswap.utils.devices import autocast

LAYERS = ("layer2", "layer3")  # PatchCore reads these


@dataclass(frozen=True)
class Pull:
    """Strengths; 0 is off.

    Attributes:
        weights: a above.
        features: b above.
        constant: the learning rate does not fall.
    """

    weights: float = 0.0
    features: float = 0.0
    constant: bool = False


class PulledTuner(FineTuner):
    """A `FineTuner` with a pull; its loss is reported without it."""

    def __init__(self, *args: Any, pull: Pull, **more: Any) -> None:
        super().__init__(*args, **more)
        self._pull = pull
        phi = self.model.get_submodule("phi")
        self._start = {n: p.detach().clone() for n, p in phi.named_parameters() if p.requires_grad}
        self._frozen = copy.deepcopy(phi).eval() if pull.features else None
        self._positives: list[Tensor] = []
        self.optimizer.register_step_pre_hook(lambda *_: self._add())

    def _factor(self, step: int) -> float:
        return 1.0 if self._pull.constant else super()._factor(step)

    def _scores(self, photos: Tensor) -> Tensor:
        self._positives.append(photos[:, 0])
        return super()._scores(photos)

    def _add(self) -> None:
        """Put the pull's gradients onto the loss's."""
        positives, self._positives = self._positives, []
        phi = self.model.get_submodule("phi")
        if self._frozen is not None:
            image = to_image(torch.cat(positives).numpy())
            image = image.to(self.device).contiguous(memory_format=torch.channels_last)
            with autocast(self.device, self.settings.precision):
                with torch.no_grad():
                    wanted = _features(self._frozen, image)
                found = _features(phi, image)
            distance = torch.stack([_distance(*pair) for pair in zip(found, wanted, strict=True)])
            (self._pull.features * distance.mean()).backward()
        if self._pull.weights:
            with torch.no_grad():
                for name, parameter in phi.named_parameters():
                    if name in self._start and parameter.grad is not None:
                        away = parameter - self._start[name]
                        parameter.grad.add_(away, alpha=2 * self._pull.weights)


def _features(phi: nn.Module, image: Tensor) -> list[Tensor]:
    found = []
    for name, part in phi.named_children():
        image = part(image)
        if name in LAYERS:
            found.append(image)
        if name == LAYERS[-1]:
            break
    return found


def _distance(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean over patches of the relative squared distance."""
    rows = [rearrange(f.float(), "n c h w -> (n h w) c") for f in (found, wanted)]
    away, length = (rows[0] - rows[1]).square().sum(dim=1), rows[1].square().sum(dim=1)
    return (away / length.clamp_min(1e-12)).mean()
