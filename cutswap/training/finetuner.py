"""Fine-tuning phi to tell positives from negatives (equations 1 to 5 of the paper, 3-way).

    g = phi(x)             (N, 512)  pooled features of the ResNet
    y = psi(g)             (N, 2|3)  class scores: positive, patch negative, scar negative
    L = mean CE(y, label)            over all samples, so that the rate does not depend on the batch

psi is thrown away afterwards; PatchCore takes phi. The loop yields progress and knows nothing of
screens; files are the run folder's business, except that state goes in and out as tensors.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from cutswap.config import TrainingSettings
from cutswap.data.images import to_image
from cutswap.errors import CutSwapError
from cutswap.negatives.samples import TrainingSamples
from cutswap.networks.backbone import Backbone
from cutswap.training.distributed import Team
from cutswap.training.feeding import (
    DeviceImages,
    Feeding,
    batches,
    choose_feeding,
    telling_lost_workers,
)
from cutswap.training.kept_memory import kept_memory
from cutswap.training.late_reading import LAG, Unread, total_loss
from cutswap.training.micro_batches import MicroBatches, cross_entropy_of
from cutswap.training.snapshots import snapshot_updates
from cutswap.training.unit_gain import unit_gain
from cutswap.utils.devices import autocast, is_accelerator, is_half, memory_in_use, tf32

CLASS_NAMES = ("positive", "patch", "scar")
# Children of a torchvision ResNet before the last stage, shallow to deep; batch norm goes along.
DEPTHS = (("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",))


@dataclass(frozen=True)
class TrainingStep:
    """One update done.

    Attributes:
        step: updates done so far, from 1.
        steps: updates in all.
        loss: mean cross entropy of this update; of SPD see `spd_loss`.
        accuracy: share of this update's samples classified rightly, in [0, 1]; of SPD share of its
            photos that lie nearer their weak view than their SmoothBlend.
        class_accuracy: the same by class, in the order of `CLASS_NAMES`; of SPD none.
        learning_rate: of layer4 and the head.
        images_per_second: samples, all classes counted, this update.
        waiting: share of this update spent waiting for data, in [0, 1].
        seconds_left: from the median update so far.
        memory: most that was ever in use, bytes: of the CUDA device, else of this process.
        micro_batch: photos computed at once; below this process's share of the batch when memory
            was short.
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
    memory: int
    micro_batch: int


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
                expected="a ResNet (resnet18, resnet50, wide_resnet50_2)",
                found=backbone.name,
                fix="pass --backbone resnet18, or --train projector, which leaves its features"
                " as they are",
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

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) normalised image to (N, ways) scores."""
        return self.psi(self.phi(image))


class FineTuner:
    """One fine-tuning run; `run` yields after every update.

    Args:
        backbone: where phi starts.
        samples: what it sees.
        settings: how it learns.
        seed: of psi's start.
        team: the processes that share the run; default: this one alone.

    Attributes:
        seen: photos (B, ways, H, W, 3) uint8 of the last update and their scores (B, ways, ways),
            the own share of the batch; None before the first. Of SPD views in the place of ways,
            and cosines (B, views) in that of scores.
        snapshots: updates, between the first and the last, after which phi is to be kept.
    """

    def __init__(
        self,
        backbone: Backbone,
        samples: TrainingSamples,
        settings: TrainingSettings,
        seed: int,
        team: Team | None = None,
    ) -> None:
        self.settings = settings
        self.team = team or Team()
        self._share = self.team.share(settings.batch_size)
        self.samples = samples
        self.steps = settings.epochs * (
            settings.steps_per_epoch or math.ceil(len(samples.photos) / settings.batch_size)
        )
        samples.count = self.steps * settings.batch_size
        self.snapshots = snapshot_updates(settings.snapshots, self.steps)[1:-1]
        self.device = self.team.device(settings.device)
        self.base = backbone
        model = self._new_model(seed)
        unit_gain(model.get_submodule("phi"), settings.frozen)
        model.to(self.device).to(memory_format=torch.channels_last)
        self.model: nn.Module = self.team.synchronise(model, self.device)
        self._groups = self._parameter_groups()
        self.optimizer = torch.optim.SGD(
            [{"params": list(p.values()), "lr": r} for r, p in self._groups],
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
        self._network = self.team.wrap(self.model, self.device).eval()
        if settings.compile:
            self._network = cast(nn.Module, torch.compile(self._network))
        beside = is_accelerator(self.device)
        self._images: Callable[[Tensor], Tensor] | None = None  # default: `to_image`, here
        if beside:
            self._images = DeviceImages(self.device)
        # Processes of a team wait for each other at every update anyway.
        self._lag = LAG if beside and self.team.size == 1 else 0
        self.pieces = MicroBatches(
            self._share[1] - self._share[0], may_halve=self.team.size == 1 and self._may_halve
        )
        self.seen: tuple[Tensor, Tensor] | None = None
        self.step = 0

    def run(self, stop: Callable[[], bool] = lambda: False) -> Iterator[TrainingStep]:
        """Update until the last step; stop iterating at any time and the state is whole.

        On an accelerator updates are told up to `LAG` later than they are made, except where a
        checkpoint is due, every `checkpoint_every` updates from the first of this call, where a
        snapshot is, and at the end: there the state is the one after the update told.

        Args:
            stop: asked after every update; once any process of the team says yes, all end there.

        Raises:
            CutSwapError: a loss that is no number, or a process that draws failed.
        """
        with (
            kept_memory(),
            tf32(self.settings.tf32),
            telling_lost_workers(),
            contextlib.closing(self._batches()) as batches,
        ):
            yield from self._run(batches, stop)

    def _run(self, batches: Iterator[Tensor], stop: Callable[[], bool]) -> Iterator[TrainingStep]:
        seconds: list[float] = []
        unread: deque[Unread] = deque()
        first, last_read, asked = self.step, 0.0, False
        while self.step < self.steps and not asked:
            began = time.perf_counter()
            photos = next(batches)
            waited = time.perf_counter() - began
            scores, labels, loss = self._update(photos)
            self.step += 1
            unread.append(Unread.sent(self.step, photos, scores, labels, loss, began, waited))
            asked = stop()
            # A checkpoint holds the state after the update that was told last.
            is_due = (self.step - first) % self.settings.checkpoint_every == 0
            is_due = is_due or self.step in self.snapshots
            keep = 0 if asked or is_due or self.step == self.steps else self._lag
            while len(unread) > keep:
                update = unread.popleft().arrived()
                now = time.perf_counter()
                took = now - max(update.began, last_read)
                last_read = now
                seconds.append(took)
                told, asked = self._told(update, took, asked, float(np.median(seconds[-50:])))
                yield told

    def _told(
        self, update: Unread, took: float, asked: bool, usual: float
    ) -> tuple[TrainingStep, bool]:
        """The record of an update that has been read, and whether any process is to stop."""
        loss = update.mean_loss
        self._need_finite(loss, update.step)
        by_class, said = self._judged(update)
        # Summed together, for one message between the processes is cheaper than four.
        own = [loss, float(asked), *(v for pair in by_class for v in pair)]
        sums = self.team.total(torch.tensor(own, dtype=torch.float64))
        total_loss, stops = float(sums[0]), float(sums[1])
        hits, counts = sums[2:].reshape(-1, 2).T
        self.seen = (update.photos, said)
        return TrainingStep(
            step=update.step,
            steps=self.steps,
            loss=total_loss / self.team.size,
            accuracy=float(hits.sum() / counts.sum()),
            class_accuracy=tuple(float(v) for v in hits / counts) if self._has_classes else (),
            learning_rate=self.settings.learning_rate * self._factor(update.step - 1),
            images_per_second=self.settings.batch_size * self.views / took,
            waiting=min(1.0, update.waited / took),
            seconds_left=usual * (self.steps - update.step),
            memory=memory_in_use(self.device),
            micro_batch=self.pieces.size,
        ), stops > 0

    def _judged(self, update: Unread) -> tuple[list[list[float]], Tensor]:
        """What was right of how many, by class; and the scores by photo (B, ways, ways)."""
        scores, labels, ways = update.scores, update.labels, self.settings.ways
        right = (scores.argmax(dim=1) == labels).double()
        by_class = [
            [float(right[labels == c].sum()), float((labels == c).sum())] for c in range(ways)
        ]
        return by_class, scores.reshape(len(update.photos), ways, -1)

    def _need_finite(self, loss: float, step: int) -> None:
        if not math.isfinite(loss):
            raise CutSwapError(
                f"loss at update {step}",
                expected="a finite number",
                found=loss,
                fix="lower --learning-rate, or use --recipe gentle",
            )

    # What another objective on the same loop has in their place.

    _has_classes = True
    _may_halve = True  # the loss is a mean over photos

    def _new_model(self, seed: int) -> nn.Module:
        """With the parts `phi` and `psi`."""
        return Phi(self.base, self.settings.ways, self.settings.hidden, seed)

    @property
    def views(self) -> int:
        """Pictures that a sample has: one a class."""
        return self.settings.ways

    def _loss(self, scores: Tensor, ways: int) -> Tensor:
        return cross_entropy_of(scores, ways)

    def _stage(self, name: str) -> str:
        """Which top-level layer of a ResNet, or `psi`, a parameter or a module belongs to."""
        part, _, rest = name.partition(".")
        return rest.partition(".")[0] if part == "phi" else "psi"

    def _layers(self) -> tuple[str, ...]:
        """What may be frozen."""
        return tuple(name for name, _ in self.model.get_submodule("phi").named_children())

    @property
    def is_half(self) -> bool:
        """Whether the network computes in bfloat16 here."""
        return is_half(self.device, self.settings.precision)

    def time_steps(self, photos: Tensor, warm_up: int, count: int) -> float:
        """Seconds of one update on a batch that lies on the device, drawing and telling left out.

        Args:
            photos: (B, ways, H, W, 3) uint8.
            warm_up: updates made before, untimed.
            count: updates timed.
        """
        there = photos.to(self.device)
        with kept_memory(), tf32(self.settings.tf32):
            for _ in range(warm_up):
                self._update(there)
            self._wait()
            began = time.perf_counter()
            for _ in range(count):
                self._update(there)
            self._wait()
            return (time.perf_counter() - began) / count

    def be_free(self, network: nn.Module, lag: int) -> None:
        """Train with a network that takes photos as they are drawn, to time the rest.

        Args:
            network: from (N, H, W, 3) uint8 to (N, ways) scores.
            lag: updates given before one is read, as beside an accelerator.
        """
        self._network, self._lag, self._images = network, lag, lambda photos: photos

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def tuned(self) -> dict[str, Tensor]:
        """Phi's state dict on the CPU, complete with the classifier it started with."""
        state = {
            n: v.detach().cpu().contiguous()
            for n, v in self.model.get_submodule("phi").state_dict().items()
        }
        left_out = {n: v for n, v in self.base.module.state_dict().items() if n not in state}
        return {**state, **{n: v.cpu().contiguous() for n, v in left_out.items()}}

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

    def _batches(self) -> Generator[Tensor]:
        """Batches as (B, views, H, W, 3) uint8 from the current step on, of each our share."""
        first, end = self._share
        numbers = [
            step * self.settings.batch_size + place
            for step in range(self.step, self.steps)
            for place in range(first, end)
        ]
        return batches(self.samples, numbers, end - first, self.feeding)

    @functools.cached_property
    def feeding(self) -> Feeding:
        """How photos are drawn for the updates left, chosen when it is first asked for."""
        first, end = self._share
        return choose_feeding(
            self.settings.workers,
            self.device,
            batch_bytes=(end - first) * self.views * self.samples.photos[0].nbytes,
            updates=self.steps - self.step,
            processes=self.team.size,
        )

    def _update(self, photos: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One optimiser step on (B, ways, H, W, 3) uint8; scores, labels and loss, detached."""
        for group, (rate, _) in zip(self.optimizer.param_groups, self._groups, strict=True):
            group["lr"] = rate * self._factor(self.step)
        self._train_mode()
        self.optimizer.zero_grad(set_to_none=True)
        scores, labels, loss = self.pieces.backward(self.model, photos, self._scores, self._loss)
        if not self._lag:
            self._need_finite(total_loss(loss), self.step + 1)
        self.optimizer.step()
        return scores, labels, loss

    def _scores(self, photos: Tensor) -> Tensor:
        """From (b, views, H, W, 3) uint8 to (b * views, K) scores, photo by photo."""
        flat = rearrange(photos, "b ways h w c -> (b ways) h w c")
        if self._images is None:
            image = to_image(flat.numpy()).contiguous(memory_format=torch.channels_last)
        else:
            image = self._images(flat)
        with autocast(self.device, self.settings.precision):
            return self._network(image)

    def _train_mode(self) -> None:
        if self._network.training:
            return  # since an earlier update
        self._network.train()
        for name, part in self.model.get_submodule("phi").named_children():
            early = any(name in depth for depth in DEPTHS)
            if name in self.settings.frozen or (early and self.settings.freeze_batch_norm):
                part.eval()

    def _factor(self, step: int) -> float:
        """One cosine from 1 to 0 over the run."""
        return 0.5 * (1 + math.cos(math.pi * step / self.steps))

    def _parameter_groups(self) -> list[tuple[float, dict[str, nn.Parameter]]]:
        """(initial rate, parameters by name) by depth; frozen layers are left out."""
        s, layers = self.settings, self._layers()
        unknown = [name for name in s.frozen if name not in layers]
        if unknown:
            raise CutSwapError(
                "frozen",
                expected=f"some of {', '.join(layers)}",
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
            part = self._stage(name)
            rate = rates.get(part, s.learning_rate)
            trained = part not in s.frozen and rate > 0
            parameter.requires_grad_(trained)
            if trained:
                groups.setdefault(rate, {})[name] = parameter
        return sorted(groups.items(), key=lambda item: item[0])
