"""Fine-tuning phi to tell positives from negatives (equations 1 to 5 of the paper, 3-way).

    g = phi(x)             (N, 512)  pooled features of the ResNet
    y = psi(g)             (N, 2|3)  class scores: positive, patch negative, scar negative
    L = mean CE(y, label)            over all samples, so that the rate does not depend on the batch

psi is thrown away afterwards; PatchCore takes phi. The loop yields progress and knows nothing of
screens; files are the run folder's business, except that state goes in and out as tensors.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from einops import rearrange
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from cutswap.backbone import Backbone
from cutswap.config import TrainingSettings
from cutswap.devices import autocast, cache_sized, choose_device
from cutswap.errors import CutSwapError
from cutswap.images import to_image
from cutswap.training_samples import TrainingSamples

CLASS_NAMES = ("positive", "patch", "scar")
# Children of a torchvision ResNet before the last stage, shallow to deep; batch norm goes along.
DEPTHS = (("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",))
BATCH_NORM = nn.modules.batchnorm._BatchNorm


@dataclass(frozen=True)
class TrainingStep:
    """One update done.

    Attributes:
        step: updates done so far, from 1.
        steps: updates in all.
        loss: mean cross entropy of this update.
        accuracy: share of this update's samples classified rightly, in [0, 1].
        class_accuracy: the same by class, in the order of `CLASS_NAMES`.
        learning_rate: of layer4 and the head.
        images_per_second: samples, all classes counted, this update.
        waiting: share of this update spent waiting for data, in [0, 1].
        seconds_left: from the median update so far.
    """

    step: int
    steps: int
    loss: float
    accuracy: float
    class_accuracy: tuple[float, ...]
    learning_rate: float
    images_per_second: float
    waiting: float
    seconds_left: float


class Phi(nn.Module):
    """Feature extractor and head in one module: image to class scores.

    Args:
        backbone: a ResNet; copied, the original stays as it is.
        ways: number of classes.
        hidden: widths of psi's hidden layers.
        seed: of psi's random start.
    """

    def __init__(self, backbone: Backbone, ways: int, hidden: tuple[int, ...], seed: int) -> None:
        super().__init__()
        if not hasattr(backbone.module, "layer4"):
            raise CutSwapError(
                "backbone",
                expected="a ResNet (resnet18, wide_resnet50_2)",
                found=backbone.name,
                fix="pass --backbone resnet18",
            )
        self.phi = copy.deepcopy(backbone.module)
        head: Any = self.phi.fc
        width = int(head.in_features)
        self.phi.fc = nn.Identity()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers: list[nn.Module] = []
            for size in hidden:
                layers += [nn.Linear(width, size), nn.BatchNorm1d(size), nn.ReLU()]
                width = size
            self.psi = nn.Sequential(*layers, nn.Linear(width, ways))
        for part in self.phi.modules():
            if isinstance(part, nn.ReLU):
                part.inplace = True  # no tap here needs what came before it
        children = list(self.phi.named_children())
        cut = [name for name, _ in children].index("layer4")
        self._early = tuple(part for _, part in children[:cut])
        self._late = tuple(part for name, part in children[cut:] if name != "fc")

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) normalised image to (N, ways) scores.

        Where no batch statistics are taken before layer4, images do not meet there, and parts of
        the batch that fit the cache give the same features sooner.
        """
        meet = any(
            isinstance(m, BATCH_NORM) and m.training for e in self._early for m in e.modules()
        )
        parts = (image,) if meet else cache_sized(image)
        found = torch.cat([_through(self._early, part) for part in parts])
        return self.psi(_through(self._late, found).flatten(1))


def _through(layers: Iterable[nn.Module], found: Tensor) -> Tensor:
    for layer in layers:
        found = layer(found)
    return found


class FineTuner:
    """One fine-tuning run; `run` yields after every update.

    Args:
        backbone: where phi starts.
        samples: what it sees.
        settings: how it learns.
        seed: of psi's start.
    """

    def __init__(
        self, backbone: Backbone, samples: TrainingSamples, settings: TrainingSettings, seed: int
    ) -> None:
        self.settings = settings
        self.samples = samples
        self.steps = settings.epochs * (
            settings.steps_per_epoch or math.ceil(len(samples.photos) / settings.batch_size)
        )
        samples.count = self.steps * settings.batch_size
        self.device = choose_device(settings.device)
        self.model = Phi(backbone, settings.ways, settings.hidden, seed)
        self.model.to(self.device).to(memory_format=torch.channels_last)
        self.base = backbone
        self._groups = self._parameter_groups()
        self.optimizer = torch.optim.SGD(
            [{"params": list(p.values()), "lr": r} for r, p in self._groups],
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
        self.step = 0

    def run(self) -> Iterator[TrainingStep]:
        """Update until the last step; stop iterating at any time and the state is whole."""
        seconds: list[float] = []
        batches = iter(self._loader())
        while self.step < self.steps:
            began = time.perf_counter()
            photos = next(batches)
            waited = time.perf_counter() - began
            scores, labels, loss = self._update(photos)
            self.step += 1
            took = time.perf_counter() - began
            seconds.append(took)
            right = (scores.argmax(dim=1) == labels).float()
            by_class = tuple(float(right[labels == c].mean()) for c in range(self.settings.ways))
            yield TrainingStep(
                step=self.step,
                steps=self.steps,
                loss=loss,
                accuracy=float(right.mean()),
                class_accuracy=by_class,
                learning_rate=self.settings.learning_rate * self._factor(self.step - 1),
                images_per_second=len(labels) / took,
                waiting=waited / took,
                seconds_left=float(np.median(seconds[-50:])) * (self.steps - self.step),
            )

    def tuned(self) -> dict[str, Tensor]:
        """Phi's state dict on the CPU, complete with the `fc` it started with."""
        state = {n: v.detach().cpu().contiguous() for n, v in self.model.phi.state_dict().items()}
        head = {n: v for n, v in self.base.module.state_dict().items() if n.startswith("fc.")}
        return {**state, **{n: v.cpu().contiguous() for n, v in head.items()}}

    def state(self) -> dict[str, Tensor]:
        """Everything a resumed run needs, as tensors: phi, psi, momentum and the step."""
        tensors = {f"model.{n}": v for n, v in self.model.state_dict().items()}
        for _, group in self._groups:
            for name, parameter in group.items():
                buffer = self.optimizer.state.get(parameter, {}).get("momentum_buffer")
                if buffer is not None:
                    tensors[f"momentum.{name}"] = buffer
        tensors["step"] = torch.tensor(self.step)
        return {n: v.detach().cpu().contiguous().clone() for n, v in tensors.items()}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Continue from `state`.

        Raises:
            CutSwapError: the state belongs to other settings.
        """
        model = {n.removeprefix("model."): v for n, v in tensors.items() if n.startswith("model.")}
        try:
            self.model.load_state_dict(model)
        except RuntimeError as error:
            raise CutSwapError(
                "checkpoint",
                expected="the tensors of this run's network",
                found=str(error).splitlines()[-1].strip(),
                fix="resume with the settings the run was started with",
            ) from error
        for _, group in self._groups:
            for name, parameter in group.items():
                buffer = tensors.get(f"momentum.{name}")
                if buffer is not None:
                    # copied into the parameter's own memory layout, as SGD would have made it
                    own = torch.empty_like(parameter).copy_(buffer)
                    self.optimizer.state[parameter]["momentum_buffer"] = own
        self.step = int(tensors["step"])

    def _loader(self) -> Iterator[Tensor]:
        """Batches as (B, ways, H, W, 3) uint8 from the current step on."""
        s = self.settings
        rest = Subset(self.samples, range(self.step * s.batch_size, self.steps * s.batch_size))
        loader: Any = DataLoader(
            rest,
            batch_size=s.batch_size,
            num_workers=s.workers,
            persistent_workers=False,
            multiprocessing_context="spawn" if s.workers else None,
        )
        return iter(loader)

    def _update(self, photos: Tensor) -> tuple[Tensor, Tensor, float]:
        """One optimiser step on (B, ways, H, W, 3) uint8; scores, labels and loss, detached."""
        for group, (rate, _) in zip(self.optimizer.param_groups, self._groups, strict=True):
            group["lr"] = rate * self._factor(self.step)
        labels = torch.arange(photos.shape[1]).repeat(photos.shape[0]).to(self.device)
        image = to_image(rearrange(photos, "b ways h w c -> (b ways) h w c").numpy())
        image = image.to(self.device).contiguous(memory_format=torch.channels_last)
        self._train_mode()
        with autocast(self.device, self.settings.precision):
            scores = self.model(image)
        loss = F.cross_entropy(scores.float(), labels)
        if not torch.isfinite(loss):
            raise CutSwapError(
                f"loss at update {self.step + 1}",
                expected="a finite number",
                found=float(loss.detach()),
                fix="lower --learning-rate, or use --recipe gentle",
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return scores.detach().float().cpu(), labels.cpu(), float(loss.detach())

    def _train_mode(self) -> None:
        self.model.train()
        for name, part in self.model.phi.named_children():
            early = any(name in depth for depth in DEPTHS)
            if name in self.settings.frozen or (early and self.settings.freeze_batch_norm):
                part.eval()

    def _factor(self, step: int) -> float:
        """One cosine from 1 to 0 over the run."""
        return 0.5 * (1 + math.cos(math.pi * step / self.steps))

    def _parameter_groups(self) -> list[tuple[float, dict[str, nn.Parameter]]]:
        """(initial rate, parameters by name) by depth; frozen layers are left out."""
        s = self.settings
        children = dict(self.model.phi.named_children())
        unknown = [name for name in s.frozen if name not in children]
        if unknown:
            raise CutSwapError(
                "frozen",
                expected=f"some of {', '.join(children)}",
                found=", ".join(unknown),
                fix="name top-level layers",
            )
        rates = {
            name: s.learning_rate * s.pretrained_factor * s.depth_decay ** (len(DEPTHS) - 1 - depth)
            for depth, names in enumerate(DEPTHS)
            for name in names
        }
        groups: dict[float, dict[str, nn.Parameter]] = {}
        for name, parameter in self.model.named_parameters():
            part = name.split(".")[1] if name.startswith("phi.") else "psi"
            rate = rates.get(part, s.learning_rate)
            trained = part not in s.frozen and rate > 0
            parameter.requires_grad_(trained)
            if trained:
                groups.setdefault(rate, {})[name] = parameter
        return sorted(groups.items(), key=lambda item: item[0])
