"""InTra as a detector: learn to paint good photos, then score by what is painted otherwise.

The map is the squared deviation of a photo's difference from what it is on good photos at that
place; a photo's score is the map's highest.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

from cutswap.errors import CutSwapError
from cutswap.intra.network import InpaintingTransformer
from cutswap.intra.settings import IntraSettings
from cutswap.intra.similarity import difference_map, gradient_similarity, ssim
from cutswap.intra.windows import Windows, every_patch, random_windows, to_patches, to_photos
from cutswap.utils.devices import autocast
from cutswap.utils.signals import Stopped

MOST_HELD_OUT = 20  # photos, the paper's
CHOICES = 20  # states among which the held-out photos choose
_AT_ONCE = 256  # windows a forward pass without gradients: one photo of 256 pixels
_LEAST = 11  # pixels: SSIM's window, which a patch must hold
Progress = Callable[[int, int], None]


class IntraDetector:
    """An inpainting transformer of one category; `fit` it, then `score`.

    Attributes:
        settings: sizes and length.
        network: the transformer.
        normal: (S, S) float32, mean difference of the good photos; None before `fit`.
        losses: held-out loss of each state that could be chosen, in order; training loss where no
            photo was held out.

    Args:
        settings: sizes and length.
        seed: of weights and windows.
        device: where it computes.
    """

    def __init__(self, settings: IntraSettings, seed: int, device: str) -> None:
        self.settings, self.device = settings, torch.device(device)
        self._generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = InpaintingTransformer(settings).to(self.device)
        self.normal: Tensor | None = None
        self.losses: list[float] = []

    def fit(self, photos: np.ndarray, progress: Progress, stop: Callable[[], bool]) -> None:
        """Learn from good photos, the best of twenty states by photos held out.

        Args:
            photos: (N, S, S, 3) uint8, good ones, N >= 1.
            progress: called with (done, total), of updates and then of photos that are painted.
            stop: asked after each of them.

        Raises:
            Stopped: the answer was yes.
            CutSwapError: photos of another size, or a loss that is no number.
        """
        own, total = self.settings, self.settings.updates
        patches = self._patches(photos)
        steps = total + len(patches)
        order = torch.randperm(len(patches), generator=self._generator)
        held = min(MOST_HELD_OUT, int(len(patches) * own.held_out))
        watched, learnt = patches[order[:held]], patches[order[held:]]
        fixed = every_patch(own.grid, own.window)
        optimiser = torch.optim.Adam(self.network.parameters(), lr=own.learning_rate)
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, total)
        best, chosen, recent = math.inf, self._state(), 0.0
        moments = {round(total * (n + 1) / CHOICES) for n in range(CHOICES)}
        self.network.train()
        for update in range(1, total + 1):
            windows = random_windows(own.windows, own.grid, own.window, self._generator)
            which = torch.randint(len(learnt), (own.windows,), generator=self._generator)
            loss = self._loss(learnt, which, windows)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            falling.step()
            recent = float(loss.detach())
            if not math.isfinite(recent):
                raise CutSwapError(
                    "InTra's loss",
                    expected="a number",
                    found=f"{recent} at update {update}",
                    fix="lower the learning rate",
                )
            progress(update, steps)
            if stop():
                raise Stopped
            if update in moments:
                now = self._held_out_loss(watched, fixed) if held else recent
                self.losses.append(now)
                if now < best or not held:
                    best, chosen = now, self._state()
        self.network.load_state_dict(chosen)
        found = []
        for number, one in enumerate(patches, start=1):
            found.append(self._difference(one[None])[0])
            progress(total + number, steps)
            if stop():
                raise Stopped
        self.normal = torch.stack(found).mean(dim=0)

    def score(self, photos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Judge some photos.

        Args:
            photos: (N, S, S, 3) uint8.

        Returns:
            (N,) float32 scores and (N, S, S) float32 maps, larger where less normal.

        Raises:
            CutSwapError: photos of another size, or nothing was learnt.
        """
        if self.normal is None:
            raise CutSwapError(
                "InTra", expected="a detector that has learnt", found="none", fix="fit it first"
            )
        found = [self._difference(one[None])[0] for one in self._patches(photos)]
        maps = ((torch.stack(found) - self.normal) ** 2).cpu().numpy()
        return maps.reshape(len(maps), -1).max(axis=1), maps

    def painted(self, photos: np.ndarray) -> Tensor:
        """(N, 3, S, S) float32: each photo, every patch painted from its neighbours alone.

        Args:
            photos: (N, S, S, 3) uint8.
        """
        return torch.cat([self._painted(one[None]) for one in self._patches(photos)])

    def _patches(self, photos: np.ndarray) -> Tensor:
        side = self.settings.image_size
        if photos.shape[1:] != (side, side, 3):
            raise CutSwapError(
                "photos",
                expected=f"{side} x {side} pixels of three colours",
                found=" x ".join(map(str, photos.shape[1:])),
                fix="load them at the image size of its settings",
            )
        return to_patches(photos, self.settings.patch).to(self.device)

    def _painted(self, patches: Tensor) -> Tensor:
        """(1, 3, S, S) of one photo's (1, G * G, 3 * K * K) uint8 patches."""
        self.network.eval()
        every = every_patch(self.settings.grid, self.settings.window)
        found = []
        with torch.no_grad():
            for start in range(0, len(every.hidden), _AT_ONCE):
                part = slice(start, start + _AT_ONCE)
                some = self._here(Windows(every.places[part], every.hidden[part]))
                with autocast(self.device, self.settings.precision):
                    found.append(self.network(_unit(patches[0][some.places]), some).float())
        return to_photos(torch.cat(found)[None], self.settings.patch).clamp(0, 1)

    def _difference(self, patches: Tensor) -> Tensor:
        return difference_map(
            to_photos(_unit(patches), self.settings.patch), self._painted(patches)
        )

    def _loss(self, patches: Tensor, which: Tensor, windows: Windows) -> Tensor:
        """Squared error, and what SSIM and gradients miss of 1, of the hidden patches."""
        windows, which = self._here(windows), which.to(self.device)
        with autocast(self.device, self.settings.precision):
            painted = self.network(_unit(patches[which[:, None], windows.places]), windows)
        side = self.settings.patch
        painted = painted.float().reshape(-1, 3, side, side)
        wanted = _unit(patches[which, windows.targets]).reshape(painted.shape)
        loss = F.mse_loss(painted, wanted)
        weight = self.settings.similarity
        if weight:
            loss = loss + weight * (1 - gradient_similarity(painted, wanted).mean())
            if side >= _LEAST:  # of a smaller patch there is no SSIM
                loss = loss + weight * (1 - ssim(painted, wanted).mean())
        return loss

    def _held_out_loss(self, patches: Tensor, fixed: Windows) -> float:
        self.network.eval()
        with torch.no_grad():
            lost = [
                float(self._loss(patches, torch.full_like(fixed.hidden, number), fixed))
                for number in range(len(patches))
            ]
        self.network.train()
        return sum(lost) / len(lost)

    def _here(self, windows: Windows) -> Windows:
        return Windows(windows.places.to(self.device), windows.hidden.to(self.device))

    def _state(self) -> dict[str, Tensor]:
        return {n: v.detach().clone() for n, v in self.network.state_dict().items()}


def _unit(patches: Tensor) -> Tensor:
    """Bytes as float32 in [0, 1]."""
    return patches.float() / 255
