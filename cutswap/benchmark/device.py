"""One device measured from end to end, in under four minutes: `benchmark --device cuda`.

The network's step alone is what fine-tuning is held against: photos already on the device, nothing
drawn, nothing read back. The last line is the finetune command itself, Python's start included.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cutswap.benchmark import pictures
from cutswap.benchmark.learning import samples_for
from cutswap.benchmark.machine import describe_machine
from cutswap.benchmark.measurement import Measurement, skipped, within
from cutswap.benchmark.sizes import Sizes
from cutswap.config import PatchCoreSettings, TrainingSettings
from cutswap.data.datasets import open_dataset
from cutswap.data.images import to_image
from cutswap.evaluation.metrics import summarise
from cutswap.networks.backbone import load_backbone
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.saliency.cache import saliency_of
from cutswap.training.finetuner import FineTuner
from cutswap.utils.devices import choose_device, describe_device

TIME = 240.0  # seconds in all; what would go beyond is left out and said
_USUAL_RUN = 60.0  # seconds a run of 600 updates may take
_WARM_UP = 10  # updates: cuDNN looks for its fastest ways in the first


def run_device_benchmark(
    name: str,
    sizes: Sizes,
    notify: Callable[[str, int, int], None] | None = None,
    *,
    limit: float = TIME,
) -> tuple[dict[str, Any], list[Measurement]]:
    """The whole table of a device.

    Args:
        name: cuda, cuda:N, mps, cpu or auto.
        sizes: how much each step is given.
        notify: called with (step, done, total).
        limit: seconds in all.

    Returns:
        What the JSON file holds, and the measurements.

    Raises:
        CutSwapError: no such device.
    """
    device = choose_device(name)
    began = time.perf_counter()
    photos = pictures.demo_photos(sizes.device_photos, sizes.side)
    steps: list[Callable[[], list[Measurement]]] = [
        lambda: _training(photos, sizes, device),
        lambda: [_saliency(photos, sizes, device)],
        lambda: _bank(photos, sizes, device),
        lambda: [_pixels(sizes, device)],
        lambda: [_run(sizes, device, began + limit)],
    ]
    measurements: list[Measurement] = []
    for done, step in enumerate(steps):
        if notify:
            notify(f"benchmark {device}", done, len(steps))
        measurements += step()
    return {
        "kind": "benchmark",
        "machine": {**describe_machine(), "device": describe_device(device)},
        "sizes": sizes.to_dict(),
        "seconds": round(time.perf_counter() - began, 1),
        "measurements": [m.to_dict() for m in measurements],
    }, measurements


def _training(photos: np.ndarray, sizes: Sizes, device: torch.device) -> list[Measurement]:
    """Images a second: the step alone in both precisions, and the trainer with its defaults."""
    count = max(2, sizes.device_updates // 6) + _WARM_UP
    base = TrainingSettings(
        batch_size=sizes.fed_batch, epochs=1, steps_per_epoch=count, device=str(device)
    )
    images = base.batch_size * base.ways
    what = f"{base.batch_size} x {base.ways} images of {sizes.side}"
    measurements = []
    alone: dict[str, float] = {}
    for precision in ("float32", "bfloat16"):
        settings = base.replace(precision=precision)
        tuner = FineTuner(load_backbone("resnet18"), samples_for(photos, settings), settings, 0)
        batch = torch.from_numpy(np.stack([tuner.samples[i] for i in range(base.batch_size)]))
        took = tuner.time_steps(batch, _WARM_UP, count - _WARM_UP)
        alone[precision] = images / took
        measurements.append(
            _rate(
                f"step alone, {precision}",
                f"the network's step alone, {what}, {precision}",
                alone[precision],
            )
        )
        del tuner
    samples = samples_for(photos, base)
    tuner = FineTuner(load_backbone("resnet18"), samples, base, 0)
    samples.find_regions()
    waits, times = [], []
    for step in tuner.run():
        now = time.perf_counter()
        times.append(now)
        waits.append(step.waiting)
    seen = len(times) - 1 - _WARM_UP
    rate = images * seen / (times[-1] - times[_WARM_UP])
    usual = alone["bfloat16" if tuner.is_half else "float32"]
    more = {
        "waiting": float(np.mean(waits[_WARM_UP:])),
        "feeding": tuner.feeding.sentence(),
        "images_per_second": rate,
        "memory_mb": step.memory / 1e6,
    }
    return [
        *measurements,
        _rate(
            "finetune, defaults",
            f"fine-tuning with the defaults, {what}; {tuner.feeding.sentence()}",
            rate,
        ),
        Measurement(
            "finetune, share",
            "fine-tuning with the defaults beside the step alone",
            figure=rate / usual,
            unit="of the step alone",
            target=0.8,
            at_least=True,
            repetitions=seen,
            more=more,
        ),
    ]


def _rate(name: str, what: str, images_per_second: float) -> Measurement:
    return Measurement(name, what, figure=images_per_second, unit="images a second", repetitions=1)


def _saliency(photos: np.ndarray, sizes: Sizes, device: torch.device) -> Measurement:
    backbone = load_backbone("vgg16", device=device)
    with tempfile.TemporaryDirectory() as cache:
        saliency_of(backbone, photos[:1, ::-1].copy(), cache=Path(cache))
        began = time.perf_counter()
        saliency_of(backbone, photos, cache=Path(cache))
        took = time.perf_counter() - began
    what = f"saliency of {len(photos)} photos of {sizes.side}, five levels, stored"
    return within("saliency", what, [took], 2.0)


def _bank(photos: np.ndarray, sizes: Sizes, device: torch.device) -> list[Measurement]:
    """From photos in memory to a bank, and from photos in memory to scores and heatmaps."""
    settings = PatchCoreSettings(image_size=sizes.side)
    backbone = load_backbone("resnet18", device=device)
    parts = [photos[i : i + 16] for i in range(0, len(photos), 16)]
    MemoryBank.fit(backbone, (to_image(p) for p in parts[:1]), settings)
    began = time.perf_counter()
    bank = MemoryBank.fit(backbone, (to_image(p) for p in parts), settings, count=len(photos))
    took = time.perf_counter() - began
    scored = np.resize(photos, (sizes.device_scored, *photos.shape[1:]))
    bank.score(to_image(scored[:1]))
    began = time.perf_counter()
    for low in range(0, len(scored), 16):
        bank.score(to_image(scored[low : low + 16]))
    seconds = time.perf_counter() - began
    what = f"a bank of {settings.coreset:.0%} of {len(photos)} photos of {sizes.side}"
    return [
        within("bank", f"{what}, embedded and chosen", [took], 1.0, items=bank.size),
        within("scoring", f"{len(scored)} photos scored against it", [seconds], 1.0),
    ]


def _pixels(sizes: Sizes, device: torch.device) -> Measurement:
    rng = np.random.default_rng(0)
    masks = np.zeros((sizes.device_scored, sizes.side, sizes.side), dtype=bool)
    masks[::2, :16, :16] = True
    maps = rng.random(masks.shape, dtype=np.float32) + masks
    scores, labels = maps.max(axis=(1, 2)), np.arange(len(masks)) % 2 == 0
    began = time.perf_counter()
    summarise(scores, labels, maps, masks, device)
    took = time.perf_counter() - began
    return within("figures", f"all figures of {masks.size:,} pixels", [took], None)


def _run(sizes: Sizes, device: torch.device, ends: float) -> Measurement:
    """The command itself, from its start to its end."""
    updates = sizes.device_updates
    what = f"finetune, {updates} updates of {sizes.fed_batch} x 3, from the command to its end"
    if time.perf_counter() + _USUAL_RUN > ends:
        return skipped("run", what, "the time in all would not do")
    data = open_dataset(pictures.demo_root())
    with tempfile.TemporaryDirectory() as out:
        command = [
            sys.executable,
            "-m",
            "cutswap",
            "finetune",
            "--data",
            str(data.root),
            "--category",
            data.categories[0],
            "--out",
            f"{out}/run",
            "--device",
            str(device),
            "--epochs",
            "1",
            "--steps-per-epoch",
            str(updates),
            "--batch-size",
            str(sizes.fed_batch),
            "--image-size",
            str(sizes.side),
            "--quiet",
        ]
        started = time.perf_counter()
        left = ends - started
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter
                command, capture_output=True, text=True, timeout=left, check=False
            )
        except subprocess.TimeoutExpired:
            return skipped("run", what, f"it had not ended after {left:.0f} s")
        took = time.perf_counter() - started
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return skipped("run", what, f"it ended with {done.returncode}: {last}")
    return within("run", what, [took], 20.0)
