"""Drawing and feeding alone, as an accelerator would be fed: how much one core gives.

All but the megabytes is counted in seconds of computing, which other work on the machine moves
least. The network of the last line costs nothing, so what is left is the trainer's own time.
"""

from __future__ import annotations

import itertools
import statistics
import time

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from cutswap.benchmark.learning import LEVELS, PHOTOS, made_up_saliency, samples_for
from cutswap.benchmark.measurement import Measurement, seconds, times_faster
from cutswap.benchmark.pictures import demo_photos
from cutswap.benchmark.sizes import Sizes
from cutswap.config import TrainingSettings
from cutswap.networks.backbone import load_backbone
from cutswap.saliency.clusters import cluster_saliency
from cutswap.saliency.quick_clusters import clusters_for_regions
from cutswap.training.feeding import Feeding, batches
from cutswap.training.finetuner import FineTuner
from cutswap.training.late_reading import LAG

SAMPLES, OWN_TIME = 400.0, 8e-3  # a second and core; seconds an update
_WARM_UP = 3  # updates


class _Ready(Dataset[np.ndarray]):
    """One sample again and again, so that only its way is timed."""

    def __init__(self, sample: np.ndarray) -> None:
        self._sample = sample

    def __getitem__(self, number: int) -> np.ndarray:
        return self._sample.copy()


class _Free(nn.Module):
    """Scores that cost nothing and still have a gradient."""

    def __init__(self, model: nn.Module, ways: int) -> None:
        super().__init__()
        self.model = model
        self._bias = next(p for p in model.get_submodule("psi").parameters() if len(p) >= ways)
        self._ways = ways

    def forward(self, photos: Tensor) -> Tensor:
        """(N, H, W, 3) uint8 to (N, ways)."""
        return self._bias.flatten()[: self._ways].expand(len(photos), -1)


def measure_feeding(sizes: Sizes) -> list[Measurement]:
    """Samples a second and core, regions, megabytes a second, the trainer's own time."""
    photos = demo_photos(min(PHOTOS, sizes.fed_batch), sizes.side)
    return [
        _drawing(photos, sizes),
        _regions(photos, sizes),
        _way(photos, sizes),
        _own(photos, sizes),
    ]


def _drawing(photos: np.ndarray, sizes: Sizes) -> Measurement:
    samples = samples_for(photos, TrainingSettings())
    samples.count = sizes.drawn * (sizes.turns + 1)
    samples.find_regions()
    numbers = itertools.count()

    def draw() -> None:
        for _ in range(sizes.drawn):
            samples[next(numbers)]

    draw()
    rates = [sizes.drawn / seconds(draw, "processor") for _ in range(sizes.turns)]
    return Measurement(
        "feeding, drawing",
        f"positive, patch and scar of a photo of {sizes.side}: samples drawn",
        figure=statistics.median(rates),
        unit="a second and core",
        target=SAMPLES,
        at_least=True,
        repetitions=len(rates),
        spread=(min(rates), max(rates)),
    )


def _regions(photos: np.ndarray, sizes: Sizes) -> Measurement:
    maps = made_up_saliency(photos)
    seen = [maps.at(0, level) for level in range(len(LEVELS))]
    for level in seen:  # a time counts only where the regions are the same
        quick, plain = clusters_for_regions(level, 4), cluster_saliency(level, 4)
        np.testing.assert_array_equal(quick.regions(level), plain.regions(level))
    ours = [
        seconds(lambda: [clusters_for_regions(m, 4) for m in seen], "processor") / len(seen)
        for _ in range(sizes.turns)
    ]
    plain_times = [
        seconds(lambda: [cluster_saliency(m, 4) for m in seen], "processor") / len(seen)
        for _ in range(sizes.turns)
    ]
    what = f"clusters of a map of {sizes.side} for its region, beside K-means on all pixels"
    return times_faster("feeding, regions", what, ours, plain_times, None)


def _way(photos: np.ndarray, sizes: Sizes) -> Measurement:
    """Ready-made batches from one other process to this one, by the wall."""
    sample = np.stack([photos[0]] * TrainingSettings().ways)
    numbers = list(range((sizes.fed_updates + _WARM_UP) * sizes.fed_batch))
    fed = batches(_Ready(sample), numbers, sizes.fed_batch, Feeding(1, 4, False, "to be timed"))
    for _ in range(_WARM_UP):
        next(fed)
    began = time.perf_counter()
    size = sum(batch.nbytes for batch in fed)
    rate = size / 1e6 / (time.perf_counter() - began)
    return Measurement(
        "feeding, way",
        f"batches of {sizes.fed_batch} x 3 images from another process (wall time)",
        figure=rate,
        unit="MB a second",
        repetitions=sizes.fed_updates,
    )


def _own(photos: np.ndarray, sizes: Sizes) -> Measurement:
    """The trainer as beside a card, with a process that draws and a network that costs nothing."""
    settings = TrainingSettings(
        batch_size=sizes.fed_batch,
        epochs=1,
        steps_per_epoch=sizes.fed_updates + _WARM_UP,
        device="cpu",
        precision="float32",
        workers=1,
    )
    samples = samples_for(photos, settings)
    tuner = FineTuner(load_backbone("resnet18"), samples, settings, seed=0)
    samples.find_regions()
    tuner.be_free(_Free(tuner.model, settings.ways), LAG)
    times: list[float] = []
    before = 0.0
    for step in tuner.run():
        now = time.process_time()
        if step.step > _WARM_UP:
            times.append(now - before)
        before = now
    what = f"the trainer's own time an update of {sizes.fed_batch} x 3 images of {sizes.side}"
    return Measurement(
        "feeding, trainer",
        f"{what}, the network costing nothing",
        ours=statistics.mean(times),
        figure=statistics.mean(times),
        target=OWN_TIME,
        repetitions=len(times),
        spread=(min(times), max(times)),
        more={"threads": torch.get_num_threads()},
    )
