"""How long a fine-tuning will take, and by what that is known."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from app.shared.page_parts import plain_text
from cutswap.config import SPD_VIEWS, TrainingSettings
from cutswap.runs.states import DONE, FoundRun
from cutswap.training.flags import trained_in

# Measured on two cores at 256 pixels, ResNet18, 3-way, updates of 18 samples: with early layers
# frozen 54 a second alone and 31 to 34 with this page open, with all layers trained 33 alone.
SAMPLES_A_SECOND = 30.0
SAMPLES_A_SECOND_ALL_LAYERS = 20.0
SECONDS_TO_BEGIN = 8.0  # imports, weights, checking files: 5 alone
SECONDS_A_SALIENCY = 0.1  # an image of 256 pixels, the first time; then it is cached


@dataclass(frozen=True)
class Estimate:
    """Estimated cost of a run.

    Attributes:
        updates: optimiser steps in all.
        samples: images classified in all, positives and negatives.
        seconds: from the start to the end.
        basis: what the speed was taken from, as the end of a sentence.
    """

    updates: int
    samples: int
    seconds: float
    basis: str

    def sentence(self) -> str:
        """One line for the screen."""
        if not self.updates:
            return f"no updates: {duration(self.seconds)}, {self.basis}"
        noun = "update" if self.updates == 1 else "updates"
        return (
            f"{self.updates:,} {noun}, {self.samples:,} samples: {duration(self.seconds)},"
            f" {plain_text(self.basis)}"
        )


def estimate(settings: TrainingSettings, images: int, runs: Iterable[FoundRun]) -> Estimate:
    """Price a run before it starts.

    Args:
        settings: of the run.
        images: good training photos.
        runs: earlier ones; the newest finished one on the same device setting tells the speed.
    """
    a_pass = math.ceil(images / settings.batch_size)
    updates = settings.epochs * (settings.steps_per_epoch or a_pass)
    is_spd = settings.objective == "spd"
    samples = updates * settings.batch_size * (len(SPD_VIEWS) if is_spd else settings.ways)
    usual = SAMPLES_A_SECOND if settings.frozen else SAMPLES_A_SECOND_ALL_LAYERS
    speed, basis = usual, "as measured on two CPU cores; a GPU is far faster"
    area = (settings.image_size / 256) ** 2
    for run in sorted(runs, key=lambda r: -r.changed):
        known = _speed(run, settings)
        if known is not None:
            speed, basis = known, f"as fast as {run.name} was"
            break
    begin = SECONDS_TO_BEGIN + (0 if is_spd else images * SECONDS_A_SALIENCY * area)
    return Estimate(updates, samples, begin + samples * area / speed, basis)


def duration(seconds: float) -> str:
    """`about 40 s`, `about 7 min`, `about 2.5 h`, `about 3 days`."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"about {seconds / 60:.0f} min"
    if seconds < 36 * 3600:
        return f"about {seconds / 3600:.1f} h"
    return f"about {seconds / 86400:.0f} days"


def _speed(run: FoundRun, settings: TrainingSettings) -> float | None:
    """Samples of 256 pixels a second of a finished run like this one."""
    training = run.settings.get("training")
    speed = run.result.get("images_per_second")
    if run.state != DONE or not isinstance(training, dict):
        return None
    if trained_in(run.settings) != "backbone":  # its photos are no samples of the network
        return None
    if not isinstance(speed, (int, float)) or not 0 < speed < math.inf:
        return None
    alike = (
        all(
            training.get(name) == getattr(settings, name)
            for name in ("device", "backbone", "precision")
        )
        and training.get("objective", "classes") == settings.objective
    )
    alike &= bool(training.get("frozen")) == bool(settings.frozen)  # all layers cost twice as much
    size = training.get("image_size")
    if not alike or not isinstance(size, int):
        return None
    return float(speed) * (size / 256) ** 2
