"""Distilling small networks from large ones on any folder of photographs.

What goes in: photographs, a teacher for activations (the student's own architecture) or for class
probabilities, or both. What comes out: a float16 safetensors file and a card beside it.

Stages, each skipped when its teacher is absent:
    forced      match every rectifier's input under teacher forcing (see `activation_matching`);
    own         the same on the student's own activations, at a lower rate;
    classes     match the class teacher's probabilities on fixed crops, training the layers that
                no stage before has trained; with a hint teacher (another architecture) match its
                layers on the same crops as well (see `layer_hints`);
    large       the same on crops as large as the images of use: at what scale an object is shown
                matters. SqueezeNet's last max cluster lies to 57% on the part in transistor photos
                of 128 pixels, to 17% in the same photos at 256;
    figures     match them on cut-out objects laid on patterned grounds, and keep LayerCAM's maps
                off the grounds (see `distill_cutouts`), so that saliency finds the object.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn

from cutswap.data.images import resize_photo, to_image
from cutswap.errors import CutSwapError
from cutswap.networks.activation_matching import (
    calibrate_batch_norm,
    count_trained_relus,
    matching_loss,
    relu_inputs,
)
from cutswap.networks.backbone import Backbone
from cutswap.networks.distill_crops import PhotoCrops, recolour
from cutswap.networks.distill_cutouts import compose, cut_out
from cutswap.networks.distill_settings import DistillSettings
from cutswap.networks.layer_hints import LayerHints
from cutswap.utils.devices import autocast, choose_device
from cutswap.utils.tensor_files import read_tensors, write_tensors

STAGES = ("forced", "own", "classes", "large", "figures")
_BLANK = 1e-6  # LayerCAM below this everywhere: nothing to be scaled up
BY_CLASS = ("classes", "large", "figures")  # what the class teacher teaches


@dataclass(frozen=True)
class Progress:
    """One update done.

    Attributes:
        stage: one of `STAGES`.
        step: updates of this stage done.
        steps: updates of this stage in all.
        loss: of this update.
        seconds_left: of this stage, from the median step so far.
    """

    stage: str
    step: int
    steps: int
    loss: float
    seconds_left: float


class Distiller:
    """Training of one student; `run` yields progress and may be stopped at any step.

    Args:
        student: network to train, any state; its rectifiers must not work in place.
        photos: what to train on.
        teacher: trained network of the student's architecture, or None.
        class_teacher: network with trained class scores, or None.
        hint_teacher: network of another architecture whose layers help the classes stage, or None.
        settings: lengths, sizes and rates.
        checkpoint: file that a stopped run resumes from, written as it goes.
    """

    def __init__(
        self,
        student: nn.Module,
        photos: PhotoCrops,
        *,
        teacher: Backbone | None,
        class_teacher: Backbone | None,
        hint_teacher: Backbone | None = None,
        settings: DistillSettings,
        checkpoint: Path,
    ) -> None:
        self.settings = settings
        self.device = choose_device(settings.device)
        self.student = student.to(self.device).to(memory_format=torch.channels_last)
        self.photos = photos
        self.teacher = teacher.to(self.device) if teacher else None
        self.class_teacher = class_teacher.to(self.device) if class_teacher else None
        self.hints: LayerHints | None = None
        if hint_teacher is not None:
            probe = self._crops("probe", 0, 64)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(settings.seed)
                hints = LayerHints(self.student, hint_teacher.to(self.device), probe)
            self.hints = hints.to(self.device)
        self.checkpoint = checkpoint
        self.curve: list[dict[str, Any]] = []
        self._relus = 0
        self._variance: list[Tensor] = []
        if self.teacher is not None:
            self.teacher.module.to(memory_format=torch.channels_last)
            probe = self._crops("probe", 0, 64)
            missing = self.teacher.report.not_loaded
            self._relus = count_trained_relus(self.teacher.module, missing, probe[:1])
            with torch.no_grad():
                targets = relu_inputs(self.teacher.module, probe, self._relus)
            self._variance = [t.var(dim=(0, 2, 3)).mean() for t in targets]
            self.student.eval()
            calibrate_batch_norm(self.student, probe, targets)

    def run(self) -> Iterator[Progress]:
        """Go through the stages, from the checkpoint when there is one."""
        start_stage, start_step, moments = self._resume()
        for stage in STAGES[STAGES.index(start_stage) :]:
            steps = self._steps(stage)
            if start_step < steps:
                yield from self._run_stage(stage, start_step, steps, moments)
            start_step, moments = 0, {}

    def _steps(self, stage: str) -> int:
        s = self.settings
        matched = self.teacher is not None
        return {
            "forced": s.forced_steps if matched else 0,
            "own": s.own_steps if matched else 0,
            "classes": s.class_steps if self.class_teacher is not None else 0,
            "large": s.large_steps if self.class_teacher is not None else 0,
            "figures": s.figure_steps if self.class_teacher is not None else 0,
        }[stage]

    def _run_stage(
        self, stage: str, start: int, steps: int, moments: dict[str, Tensor]
    ) -> Iterator[Progress]:
        s = self.settings
        named = self._trained(stage)
        rate = {
            "forced": s.forced_rate,
            "own": s.own_rate,
            "classes": s.class_rate,
            "large": s.large_rate,
            "figures": s.figure_rate,
        }[stage]
        optimizer = torch.optim.AdamW(
            [p for _, p in named], lr=rate, betas=(0.9, 0.99), weight_decay=1e-4
        )
        _restore_moments(optimizer, named, moments)
        if stage == "classes":
            self._prepare_views(stage, s.class_crop, s.teacher_crop, s.views)
        elif stage == "large":
            self._prepare_views(stage, s.large_crop, s.large_teacher_crop, s.large_views)
        elif stage == "figures":
            self._prepare_figures()
        seconds: list[float] = []
        for step in range(start, steps):
            began = time.perf_counter()
            for group in optimizer.param_groups:
                group["lr"] = rate * _warm_cosine(step, steps)
            loss = self._loss(stage, step)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            seconds.append(time.perf_counter() - began)
            value = float(loss.detach())
            if step % 20 == 0:
                self.curve.append({"stage": stage, "step": step, "loss": round(value, 5)})
            if (step + 1) % s.checkpoint_every == 0 or step + 1 == steps:
                self._save(stage, step + 1, optimizer, named)
            left = float(np.median(seconds[-50:])) * (steps - step - 1)
            yield Progress(stage=stage, step=step + 1, steps=steps, loss=value, seconds_left=left)

    def _loss(self, stage: str, step: int) -> Tensor:
        if stage == "figures":
            return self._figure_loss(step)
        if stage in BY_CLASS:
            return self._class_loss(stage, step)
        forced = stage == "forced"
        batch = self.settings.forced_batch if forced else self.settings.batch_size
        crops = self._crops(stage, step, batch)
        teacher = self._need(self.teacher)
        with autocast(self.device, "auto"):
            with torch.no_grad():
                targets = relu_inputs(teacher.module, crops, self._relus)
            self.student.eval()  # batch-norm statistics were calibrated once and stay
            own = relu_inputs(self.student, crops, self._relus, forced=targets if forced else None)
        return matching_loss([o.float() for o in own], [t.float() for t in targets], self._variance)

    def _class_loss(self, stage: str, step: int) -> Tensor:
        rng = self._rng(stage, step)
        s = self.settings
        batch = s.large_batch if stage == "large" else s.batch_size
        chosen = torch.from_numpy(rng.integers(len(self._views), size=batch))
        image = recolour(self._views[chosen], rng).to(self.device)
        self.student.train()
        for name, part in self.student.named_children():
            if name in self._frozen_parts():
                part.eval()
        with autocast(self.device, "auto"), LayerHints.pools(self.student) as pools:
            scores = self.student(image).float()
            hinted = self.hints.loss(pools, image).float() if self.hints else 0.0
        target = self._probabilities[chosen].float().to(self.device)
        matched = F.kl_div(F.log_softmax(scores, dim=1), target, reduction="batchmean")
        return matched + s.hint_weight * hinted

    def _figure_loss(self, step: int) -> Tensor:
        s = self.settings
        rng = self._rng("figures", step)
        side = int(rng.choice(s.figure_sides))
        batch = max(4, round(s.figure_batch * (min(s.figure_sides) / side) ** 2))
        chosen = rng.integers(len(self._figures), size=batch)
        drawn = [compose(self._figures[i], side, self._grounds, rng) for i in chosen]
        crops = torch.from_numpy(np.stack([d.picture for d in drawn])).permute(0, 3, 1, 2)
        shares = torch.from_numpy(np.stack([d.share for d in drawn]))[:, None].to(self.device)
        known = torch.tensor([not d.is_painted for d in drawn], device=self.device)
        image = recolour(crops, rng, turns=False).to(self.device)
        self.student.train()
        with autocast(self.device, "auto"), LayerHints.pools(self.student) as pools:
            scores = self.student(image).float()
        target = self._figure_probabilities[torch.from_numpy(chosen)].float().to(self.device)
        matched = F.kl_div(F.log_softmax(scores, dim=1), target, reduction="none").sum(dim=1)
        # The maps that will be asked for: of the highest class, with its gradients as they stand
        # (their own derivative would cost a second backward pass for little).
        highest = scores.amax(dim=1).sum()
        gradients = torch.autograd.grad(highest, pools[2:], retain_graph=True)
        maps = [
            (g.clamp_min(0).float() * pool.float()).sum(dim=1, keepdim=True)
            for g, pool in zip(gradients, pools[2:], strict=True)
        ]
        off = torch.stack([off_the_figure(saliency, shares) for saliency in maps]).mean()
        return (matched * known).mean() + s.saliency_weight * off

    def _prepare_figures(self) -> None:
        """Cut-outs, grounds for them, and the class teacher's probabilities of their photos."""
        teacher = self._need(self.class_teacher)
        self._grounds = [np.ascontiguousarray(p.permute(1, 2, 0)) for p in self.photos.photos]
        cutouts = [cut_out(photo, index) for index, photo in enumerate(self._grounds)]
        self._figures = [figure for figure in cutouts if figure is not None]
        if not self._figures:
            raise CutSwapError(
                "photographs",
                expected="some with an object that stands out in the middle",
                found=f"none among {len(cutouts)}",
                fix="pass --figure-steps 0, or other photographs",
            )
        probabilities = []
        for figure in self._figures:
            photo = resize_photo(self._grounds[figure.index], (self.settings.teacher_crop,) * 2)
            with torch.no_grad():
                scores = teacher.module(to_image(photo[None]).to(self.device))
            probabilities.append(scores.softmax(dim=1).half().cpu())
        self._figure_probabilities = torch.cat(probabilities)  # (figures, classes)

    def _prepare_views(self, stage: str, side: int, teacher_side: int, count: int) -> None:
        """Fixed crops and the class teacher's probabilities for them, as seen at its own size."""
        teacher = self._need(self.class_teacher)
        rng = self._rng("views", STAGES.index(stage) - STAGES.index("classes"))
        views, probabilities = [], []
        for index in range(len(self.photos.photos)):
            large = torch.stack(
                [
                    self.photos.crop(index, max(side, teacher_side), (0.35, 1.0), rng)
                    for _ in range(count)
                ]
            )
            seen = _resized(large, teacher_side)
            image = to_image(seen.permute(0, 2, 3, 1).numpy()).to(self.device)
            with torch.no_grad():
                probabilities.append(teacher.module(image).softmax(dim=1).half().cpu())
            views.append(_resized(large, side))
        self._views = torch.cat(views)  # (photos * views, 3, S, S)
        self._probabilities = torch.cat(probabilities)  # (photos * views, classes)

    @staticmethod
    def _need(teacher: Backbone | None) -> Backbone:
        if teacher is None:  # `_steps` gives a stage without its teacher no updates
            raise RuntimeError("this stage has no teacher")
        return teacher

    def _frozen_parts(self) -> set[str]:
        """Top-level parts that the matching stages have trained: `classes` leaves them alone."""
        if self.teacher is None:
            return set()
        random_parts = {n.split(".")[0] for n in self.teacher.report.not_loaded}
        return {n for n, _ in self.student.named_children()} - (random_parts or {"fc"})

    def _trained(self, stage: str) -> list[tuple[str, nn.Parameter]]:
        frozen = self._frozen_parts()
        chosen = []
        for name, parameter in self.student.named_parameters():
            early = name.split(".")[0] in frozen
            wanted = not early if stage in BY_CLASS else early
            parameter.requires_grad_(wanted)
            if wanted:
                chosen.append((name, parameter))
        if stage in ("classes", "large") and self.hints is not None:
            chosen += [(f"hints.{n}", p) for n, p in self.hints.named_parameters()]
        return chosen

    def _crops(self, stage: str, step: int, count: int) -> Tensor:
        rng = self._rng(stage, step)
        crops = self.photos.batch(count, self.settings.crop, (0.3, 1.0), rng)
        return recolour(crops, rng).to(self.device)

    def _rng(self, stage: str, step: int) -> np.random.Generator:
        # Seeded by position, so that a resumed run sees what an unbroken one would have seen.
        kind = ("probe", "views", *STAGES).index(stage)
        return np.random.default_rng((self.settings.seed, kind, step))

    def _save(
        self,
        stage: str,
        step: int,
        optimizer: torch.optim.Optimizer,
        named: list[tuple[str, nn.Parameter]],
    ) -> None:
        tensors = {f"student.{n}": v for n, v in self.student.state_dict().items()}
        if self.hints is not None:
            tensors |= {f"hints.{n}": v for n, v in self.hints.state_dict().items()}
        for name, parameter in named:
            for key, value in optimizer.state[parameter].items():
                tensors[f"adam.{key}.{name}"] = value
        about = {"stage": stage, "step": step, "curve": self.curve}
        write_tensors(self.checkpoint, tensors, about)

    def _resume(self) -> tuple[str, int, dict[str, Tensor]]:
        if not self.checkpoint.is_file():
            return STAGES[0], 0, {}
        tensors, state = read_tensors(self.checkpoint, fix="delete it to start again")
        self.student.load_state_dict(
            {n.removeprefix("student."): v for n, v in tensors.items() if n.startswith("student.")}
        )
        if self.hints is not None:
            self.hints.load_state_dict(
                {n.removeprefix("hints."): v for n, v in tensors.items() if n.startswith("hints.")}
            )
        self.curve = list(state["curve"])
        return (
            state["stage"],
            int(state["step"]),
            {n.removeprefix("adam."): v for n, v in tensors.items() if n.startswith("adam.")},
        )


def off_the_figure(saliency: Tensor, shares: Tensor) -> Tensor:
    """How badly maps fit the figures' outlines: one minus their Dice coefficient.

    A share of the map beside the figure would do for silence around it, but is lowest when only a
    few peaks are left; smooth parts then stay dark. Dice wants the figure filled as well.

    Args:
        saliency: (N, 1, h, w) >= 0, scaled here to a maximum of 1 each.
        shares: (N, 1, H, W) float, share of the figure in every pixel.

    Returns:
        (N,) float in [0, 1]; 1 for a blank map.
    """
    largest = saliency.detach().amax(dim=(1, 2, 3), keepdim=True)
    # Scaling up a blank map would scale up its gradient, beyond all numbers.
    scaled = saliency / largest.clamp_min(_BLANK)
    cells = F.adaptive_avg_pool2d(shares, (saliency.shape[-2], saliency.shape[-1]))
    both = (scaled * cells).sum(dim=(1, 2, 3))
    each = scaled.square().sum(dim=(1, 2, 3)) + cells.square().sum(dim=(1, 2, 3))
    return 1 - 2 * both / each.clamp_min(1e-6)


def _resized(crops: Tensor, side: int) -> Tensor:
    """(N, 3, S, S) uint8 to (N, 3, side, side) uint8, antialiased."""
    if crops.shape[-1] == side:
        return crops
    small = F.interpolate(crops.float(), (side, side), mode="bilinear", antialias=True)
    return small.round().clamp(0, 255).to(torch.uint8)


def _restore_moments(
    optimizer: torch.optim.Optimizer,
    named: list[tuple[str, nn.Parameter]],
    moments: dict[str, Tensor],
) -> None:
    for key_name, value in moments.items():
        key, name = key_name.split(".", 1)
        for own_name, parameter in named:
            if own_name == name:
                optimizer.state[parameter][key] = value.to(
                    parameter.device if key != "step" else "cpu"
                )


def _warm_cosine(step: int, steps: int) -> float:
    """Rate factor: a linear rise over the first 3%, then one cosine down to nothing."""
    warm = max(1, int(0.03 * steps))
    if step < warm:
        return (step + 1) / warm
    return float(0.5 * (1 + np.cos(np.pi * (step - warm) / max(1, steps - warm))))
