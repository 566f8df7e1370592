"""Teaching a student of another architecture: its pools predict layers of equal stride.

A VGG16's pools 9, 16 and 23 have strides 4, 8 and 16, as a ResNet's layer1, layer2 and layer3 have,
so the grids agree cell by cell and one 1x1 convolution a pair, trained along and then thrown away,
maps channels to channels (the hints of FitNets, Romero et al. 2015). Measured on 19 transistors,
share of the max cluster (K = 4) on the part, layers 4, 9, 16, 23, 30: 0.54, 0.49, 0.28, 0.11, 0.02
after 700 updates of 64 crops and 1,500 of 16 large ones with hints, against 0.23, 0.18, 0.09, 0.10,
0.25 after 700 updates on class probabilities alone. So they help the shallow levels, not the deep;
those need `distill_cutouts`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from cutswap.networks.backbone import Backbone

# (student's max-pool counted from the input, teacher's layer)
PAIRS = ((1, "layer1"), (2, "layer2"), (3, "layer3"))
TEACHERS = ("resnet18", "wide_resnet50_2")


class LayerHints(nn.Module):
    """The 1x1 convolutions from student pools to teacher layers, and their loss.

    Args:
        student: network whose max-pools are to predict the teacher's layers.
        teacher: one of `TEACHERS`.
        probe: (N, 3, H, W) normalised crops that set the scale of every teacher channel.
    """

    def __init__(self, student: nn.Module, teacher: Backbone, probe: Tensor) -> None:
        super().__init__()
        self.teacher = [teacher]  # in a list: not a part to train or save
        names = [layer for _, layer in PAIRS]
        targets = teacher.features(probe, names)
        with torch.no_grad(), self.pools(student) as pools:
            student(probe)
        self.predict = nn.ModuleList(
            nn.Conv2d(pools[pool].shape[1], targets[layer].shape[1], 1) for pool, layer in PAIRS
        )
        self.spread = [targets[n].std(dim=(0, 2, 3), keepdim=True) + 1e-3 for n in names]

    @staticmethod
    @contextlib.contextmanager
    def pools(student: nn.Module) -> Iterator[list[Tensor]]:
        """Outputs (N, C, h, w) of the max-pools of one forward pass, in order."""
        seen: list[Tensor] = []

        def keep(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            seen.append(output)

        handles = [
            m.register_forward_hook(keep) for m in student.modules() if isinstance(m, nn.MaxPool2d)
        ]
        try:
            yield seen
        finally:
            for handle in handles:
                handle.remove()

    def loss(self, pools: list[Tensor], image: Tensor) -> Tensor:
        """Mean over pairs and channels of the squared difference as a share of the variance.

        Args:
            pools: of the student's pass over `image`, see `pools`.
            image: (N, 3, H, W) normalised.

        Returns:
            () float; 1 is as bad as predicting each channel's mean, 0 is perfect.
        """
        targets = self.teacher[0].features(image, [layer for _, layer in PAIRS])
        terms = [
            ((predict(pools[pool]) - targets[layer]) / spread).square().mean()
            for predict, spread, (pool, layer) in zip(self.predict, self.spread, PAIRS, strict=True)
        ]
        return torch.stack(terms).mean()
