"""Training a head on cached features: half of each update clean photos, half negatives.

    x = normalised features of a clean photo or of a negative of it
    projector      L = mean (head(x) - clean)^2          balanced by what is drawn
    discriminator  L = mean of CE(changed), CE(unchanged)

Every update draws by (seed, update), never by what came before, and the rate is a function of the
update alone: so a killed run that goes on from a checkpoint gives the very same head.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from cutswap.config import HeadSettings
from cutswap.errors import CutSwapError
from cutswap.heads.discriminator import CHANGED, Discriminator
from cutswap.heads.feature_cache import HeadFeatures
from cutswap.heads.gaussian import Gaussian
from cutswap.heads.joining import ValidationScores
from cutswap.heads.patch_head import AT_ONCE, HeadOrigin, PatchHead, build_network
from cutswap.heads.projector import Projector
from cutswap.heads.residuals import ResidualStatistics
from cutswap.utils.devices import memory_in_use

_UPDATE = 3  # second entry of the seed tuple; draws of photos and negatives have 0 to 2
RISING = 0.3  # share of the updates in which the rate rises (one cycle)
START, END = 1 / 25, 1e-4  # of the highest rate, at the first and the last update


@dataclass(frozen=True)
class HeadStep:
    """One update done.

    Attributes:
        step: updates done so far, from 1.
        steps: updates in all.
        loss: of this update.
        accuracy: chance that a changed patch of this update scores above an unchanged one, in
            [0, 1]; 0.5 is guessing.
        learning_rate: of this update.
        images_per_second: photos this update.
        seconds_left: from the median update so far.
        memory: most that was ever in use, bytes.
    """

    step: int
    steps: int
    loss: float
    accuracy: float
    learning_rate: float
    images_per_second: float
    seconds_left: float
    memory: int


class HeadTrainer:
    """One training of a head; `run` yields after every update.

    Args:
        features: of the photos it learns from.
        settings: which head, and how it learns.
        seed: of its weights and of what every update draws.
        device: where it computes.
        learns: positions of the photos it learns from; default: all.

    Attributes:
        step: updates done.
        updates: in all; 0 of a head that only measures.
    """

    def __init__(
        self,
        features: HeadFeatures,
        settings: HeadSettings,
        seed: int,
        device: torch.device | str = "cpu",
        learns: np.ndarray | None = None,
    ) -> None:
        self._learns = np.arange(len(features.clean)) if learns is None else learns
        self.settings = settings
        self.seed = seed
        self.device = torch.device(device)
        self._features = features
        self.mean, self.deviation = channel_statistics(features.clean, self._learns)
        self.network = build_network(settings, len(self.mean), features.grid, seed).to(self.device)
        self.optimizer = torch.optim.AdamW(
            [{"params": list(self.network.parameters())}],  # a list of none would be refused
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        self.updates = settings.updates if settings.learns else 0
        self.step = 0

    def run(self, stop: Callable[[], bool] = lambda: False) -> Iterator[HeadStep]:
        """Update until the last step; stop iterating at any time and the state is whole.

        Args:
            stop: asked after every update; on yes it ends there.
        """
        seconds: list[float] = []
        while self.step < self.updates:
            began = time.perf_counter()
            rate = one_cycle(self.step, self.updates) * self.settings.learning_rate
            loss, accuracy = self._update(rate)
            self.step += 1
            seconds.append(time.perf_counter() - began)
            yield HeadStep(
                step=self.step,
                steps=self.updates,
                loss=loss,
                accuracy=accuracy,
                learning_rate=rate,
                images_per_second=self.settings.photos / seconds[-1],
                seconds_left=float(np.median(seconds[-50:])) * (self.updates - self.step),
                memory=memory_in_use(self.device),
            )
            if stop():
                return

    def head(self, origin: HeadOrigin, validation: ValidationScores | None = None) -> PatchHead:
        """The head as it is now, on the CPU.

        Args:
            origin: what it was trained on.
            validation: what a head trained without the held-out photos says of them.
        """
        grid = self._features.grid
        network = build_network(self.settings, len(self.mean), grid, self.seed)
        network.load_state_dict({n: v.cpu() for n, v in self.network.state_dict().items()})
        residuals = None
        if not isinstance(network, Discriminator):
            left = self._residuals(network.eval())
            residuals = ResidualStatistics.of(left, self.settings.scale)
        return PatchHead(
            self.settings, origin, self.mean, self.deviation, grid, network, residuals, validation
        )

    def _residuals(self, network: Projector | Gaussian) -> Iterator[Tensor]:
        for start in range(0, len(self._learns), AT_ONCE):
            clean = self._features.clean[self._learns[start : start + AT_ONCE]]
            with torch.no_grad():
                yield network.residual(self._normalised(clean))

    def state(self) -> dict[str, Tensor]:
        """Everything a resumed run needs, as tensors: weights, AdamW's two moments and the step."""
        tensors = {f"head.{n}": v for n, v in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"adam.{key}.{name}"] = value
        tensors["step"] = torch.tensor(self.step)
        return {n: v.detach().cpu().contiguous().clone() for n, v in tensors.items()}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Continue from `state`.

        Raises:
            CutSwapError: the state belongs to other settings.
        """
        weights = {n.removeprefix("head."): v for n, v in tensors.items() if n.startswith("head.")}
        try:
            self.network.load_state_dict(weights)
            step = int(tensors["step"])
        except (RuntimeError, KeyError) as error:
            raise CutSwapError(
                "checkpoint",
                expected="the tensors of this run's head",
                found=str(error).splitlines()[-1].strip(),
                fix="resume with the settings the run was started with",
            ) from error
        for name, parameter in self.network.named_parameters():
            moments: dict[str, Any] = {}
            for key in ("step", "exp_avg", "exp_avg_sq"):
                value = tensors.get(f"adam.{key}.{name}")
                if value is not None:
                    moments[key] = value if key == "step" else value.to(self.device)
            if moments:
                self.optimizer.state[parameter] = moments
        self.step = step

    def _update(self, rate: float) -> tuple[float, float]:
        x, clean, changed = self._batch()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        if isinstance(self.network, Gaussian):
            raise RuntimeError("a head that only measures has no updates")
        target = clean if isinstance(self.network, Projector) else changed
        loss, scores = self.network.loss(x, target)
        if not math.isfinite(loss.item()):
            raise CutSwapError(
                f"loss at update {self.step + 1}",
                expected="a finite number",
                found=loss.item(),
                fix="lower --head-learning-rate",
            )
        loss.backward()
        self.optimizer.step()
        return loss.item(), separation(scores.cpu().numpy(), changed.cpu().numpy())

    def _batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Features (B, h, w, D), their clean photos' likewise, and changed shares (B, h, w)."""
        s, f = self.settings, self._features
        rng = np.random.default_rng((self.seed, _UPDATE, self.step))
        photos = self._learns[rng.integers(len(self._learns), size=s.photos)]
        negatives = rng.integers(f.drawn.shape[1], size=s.photos)
        n_clean = s.photos // 2
        clean = f.clean[photos].astype(np.float32)
        x = np.concatenate([clean[:n_clean], f.drawn[photos[n_clean:], negatives[n_clean:]]])
        changed = np.zeros(x.shape[:3], dtype=np.float32)
        changed[n_clean:] = f.changed[photos[n_clean:], negatives[n_clean:]]
        seen, target = self._normalised(x), self._normalised(clean)
        if s.noise > 0:
            noise = rng.standard_normal(seen.shape, dtype=np.float32)
            seen = seen + s.noise * torch.from_numpy(noise)
        return (
            seen.to(self.device),
            target.to(self.device),
            torch.from_numpy(changed).to(self.device),
        )

    def _normalised(self, places: np.ndarray) -> Tensor:
        """(N, h, w, D) with channels of mean 0 and deviation 1."""
        return (torch.from_numpy(places.astype(np.float32)) - self.mean) / self.deviation


def one_cycle(step: int, steps: int) -> float:
    """Rate of an update as a share of the highest: a cosine up, then a cosine down.

    Args:
        step: updates done before, from 0.
        steps: updates in all.

    Returns:
        In (0, 1]: 1/25 at the first, 1 after `RISING` of them, 1e-4 at the last.
    """
    peak = RISING * (steps - 1)
    if step < peak:
        return START + (1 - START) * 0.5 * (1 - math.cos(math.pi * step / peak))
    left = (step - peak) / max(steps - 1 - peak, 1e-9)
    return END + (1 - END) * 0.5 * (1 + math.cos(math.pi * left))


def channel_statistics(clean: np.ndarray, photos: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel over all patches: two (D,) float32.

    A channel that never varies gets the deviation 1, and so stays 0.

    Args:
        clean: (N, h, w, D) float16.
        photos: positions of those that count.
    """
    total, squares, count = 0.0, 0.0, 0
    for photo in photos:  # a photo at a time: no float64 copy of all
        patches = clean[photo].reshape(-1, clean.shape[-1]).astype(np.float64)
        total, squares = total + patches.sum(axis=0), squares + (patches**2).sum(axis=0)
        count += len(patches)
    mean = np.asarray(total) / count
    variance = np.maximum(np.asarray(squares) / count - mean**2, 0)
    deviation = np.where(variance > 1e-10, np.sqrt(variance), 1.0)
    return torch.from_numpy(mean.astype(np.float32)), torch.from_numpy(deviation.astype(np.float32))


def separation(scores: np.ndarray, changed: np.ndarray) -> float:
    """Chance that a changed patch scores above an unchanged one; cells in between do not count.

    Args:
        scores: (N, h, w) float.
        changed: (N, h, w) share of each cell's pixels that changed.

    Returns:
        In [0, 1], ties counting half; 0.5 where one of the two kinds is absent.
    """
    is_changed, is_same = changed > CHANGED, changed == 0
    high, low = int(is_changed.sum()), int(is_same.sum())
    if not high or not low:
        return 0.5
    ranks = rankdata(np.concatenate([scores[is_changed], scores[is_same]]))
    return float((ranks[:high].sum() - high * (high + 1) / 2) / (high * low))
