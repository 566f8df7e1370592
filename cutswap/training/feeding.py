"""How batches reach the device: how many processes draw, how far ahead, and in what form they go.

Photos travel as they are drawn, in whole numbers, a quarter of what the network computes with. To
an accelerator they go from pinned memory while it still works on the batch before, and are
normalised there: on the processor that took longer than the update itself.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from cutswap.data.images import MEAN, STD
from cutswap.utils.devices import is_accelerator

MOST = 16  # processes: 6,000 samples a second at 400 each, what the fastest card takes of ResNet18
BATCHES_AHEAD = 8  # at least, so that a slow sample holds nobody up
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - not ours: where worker processes put their batches


@dataclass(frozen=True)
class Feeding:
    """The choice of a run.

    Attributes:
        workers: processes that draw; 0 draws in the trainer.
        prefetch: batches each draws ahead.
        pinned: whether batches go through pinned memory.
        why: in words, where the number was not asked for.
    """

    workers: int
    prefetch: int
    pinned: bool
    why: str

    def sentence(self) -> str:
        """For the screen and the record."""
        who = f"{self.workers} processes draw" if self.workers else "the trainer draws"
        ahead = f", each {self.prefetch} batches ahead" if self.workers else ""
        return f"{who}{ahead}: {self.why}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


def choose_feeding(
    asked: int | None,
    device: torch.device,
    *,
    batch_bytes: int,
    updates: int,
    processes: int = 1,
    cores: int | None = None,
    room: int | None = None,
) -> Feeding:
    """How many processes draw for one trainer.

    On the processor none: an update of 48 images takes seconds of all cores and drawing them a
    tenth of that, so others would only take cores away. Beside an accelerator every core draws but
    two, which feed it and serve the system.

    Args:
        asked: a number that was asked for; None chooses.
        device: where the network computes.
        batch_bytes: size of a batch as drawn.
        updates: left to do; more processes than that would draw nothing.
        processes: trainers that share this machine.
        cores: of this machine; default: those this process may use.
        room: bytes of shared memory for batches on their way; default: what is free.
    """
    pinned = device.type == "cuda"
    cores = cores or _usable_cores()
    if asked is not None:
        workers, why = asked, "as asked"
    elif not is_accelerator(device):
        workers, why = 0, "the network needs every core itself"
    else:
        workers = max(0, min(cores // processes - 2, MOST))
        why = f"{cores} cores" + (f" for {processes} trainers" if processes > 1 else "")
    if asked is None:
        workers = min(workers, updates)
    prefetch = max(2, -(-BATCHES_AHEAD // workers)) if workers else 2
    room = _free_shared_memory() if room is None else room
    if asked is None and workers and workers * prefetch * batch_bytes > room // 2:
        prefetch = 2
        fitting = int(room // 2 // (prefetch * batch_bytes))
        if fitting < workers:
            workers, why = fitting, f"{room / 2**20:.0f} MB of shared memory are free for batches"
    return Feeding(workers, prefetch, pinned, why)


def batches(
    samples: Dataset[Any], numbers: list[int], batch_size: int, feeding: Feeding
) -> Iterator[Tensor]:
    """(B, ways, H, W, 3) uint8, in order; in pinned memory where the feeding says so."""
    helped = feeding.workers > 0
    loader: Any = DataLoader(
        Subset(samples, numbers),
        batch_size=batch_size,
        num_workers=feeding.workers,
        prefetch_factor=feeding.prefetch if helped else None,
        pin_memory=feeding.pinned,
        persistent_workers=False,
        multiprocessing_context="spawn" if helped else None,
        worker_init_fn=_prepare_worker if helped else None,
    )
    return iter(loader)


class DeviceImages:
    """`data.images.to_image` on the device, from a batch that is there or being copied.

    Args:
        device: of the images.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._mean, self._std = (
            torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (MEAN, STD)
        )

    def __call__(self, photos: Tensor) -> Tensor:
        """(N, H, W, 3) uint8 anywhere to (N, 3, H, W) float32, ImageNet-normalised.

        In memory the channels stay last.
        """
        there = photos.to(self._device, non_blocking=True).permute(0, 3, 1, 2)
        image = there.to(torch.float32, memory_format=torch.channels_last)
        return image.div_(255).sub_(self._mean).div_(self._std)


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _free_shared_memory() -> int:
    return shutil.disk_usage(_SHARED_MEMORY).free if _SHARED_MEMORY.is_dir() else 2**40


def _prepare_worker(_worker: int) -> None:
    """Ctrl-C reaches the whole group; the trainer alone decides, and asks for no more batches."""
    import cv2

    from cutswap.training.kept_memory import keep_memory

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)  # there is a process a core already
    keep_memory()
