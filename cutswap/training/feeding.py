"""How batches reach the device: how many processes draw, how far ahead, and in what form they go.

Photos travel as they are drawn, in whole numbers, a quarter of what the network computes with. To
an accelerator they go from pinned memory while it still works on the batch before, and are
normalised there: on the processor that took longer than the update itself.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import shutil
import signal
import traceback
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset, default_collate

from cutswap.data.images import MEAN, STD
from cutswap.errors import CutSwapError
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
) -> Generator[Tensor]:
    """(B, ways, H, W, 3) uint8, in order; in pinned memory where the feeding says so.

    Raises:
        CutSwapError: a process that draws cannot be started, or died, or met an error; one of ours
            arrives as it was raised.
    """
    helped = feeding.workers > 0
    loader: Any = DataLoader(
        Subset(_Telling(samples) if helped else samples, numbers),
        batch_size=batch_size,
        num_workers=feeding.workers,
        collate_fn=_collate if helped else None,
        prefetch_factor=feeding.prefetch if helped else None,
        pin_memory=feeding.pinned,
        persistent_workers=False,
        multiprocessing_context="spawn" if helped else None,
        worker_init_fn=_prepare_worker if helped else None,
    )
    with telling_lost_workers():
        try:
            if helped:
                _need_locks(feeding.workers)
            drawn = iter(loader)
        except OSError as error:  # no more processes, or no room for what they share
            raise _trouble(f"none could be started: {error.strerror or error}") from error
    return _arrived(drawn)


def _need_locks(workers: int) -> None:
    """Make all that PyTorch's iterator makes, and drop it.

    Where the iterator itself finds no room it dies half made, and prints a traceback of its own.
    """
    context = multiprocessing.get_context("spawn")
    _ = [context.Event(), *(context.Queue() for _ in range(workers + 1))]


def _arrived(drawn: Any) -> Generator[Tensor]:
    """What PyTorch's iterator gives; close it to end the processes that draw."""
    try:
        with telling_lost_workers():
            for batch in drawn:
                if isinstance(batch, _Failure):
                    raise batch.refusal from RuntimeError(batch.trace)
                yield batch
    finally:
        # An error keeps the iterator alive until the interpreter's end, which would end these
        # processes by a signal, and PyTorch would print a traceback for each.
        end = getattr(drawn, "_shutdown_workers", None)
        if end is not None:
            end()


@contextlib.contextmanager
def telling_lost_workers() -> Iterator[None]:
    """Say of processes that draw and have died what to do; other errors pass.

    Raises:
        CutSwapError: one died, or cannot be read from.
    """
    try:
        yield
    except RuntimeError as error:
        trouble = worker_trouble(error)
        if trouble is None:
            raise
        raise trouble from error


def worker_trouble(error: RuntimeError) -> CutSwapError | None:
    """What to do about a process that draws and has died; None for any other error.

    PyTorch raises it in whatever the main thread is doing at that moment.
    """
    said = _DIED.search(str(error))
    return _trouble(said[0].strip().rstrip(".")) if said else None


_DIED = re.compile(
    r"DataLoader worker \(pid(?:\(s\))?[^)]*\)[^.\n]*"
    r"|Pin memory thread exited unexpectedly"
    r"|Too many open files. Communication with the workers is no longer possible"
)


def _trouble(found: str) -> CutSwapError:
    cure = "pass --workers 0, with which the trainer draws itself"
    if any(word in found.lower() for word in ("shared memory", "space left", "bus error")):
        cure += ", or give the machine more shared memory (of a container: --shm-size 2g)"
    elif "signal: Killed" in found or "exited" in found:
        cure += " (systems short of memory end processes; this way one less needs some)"
    return CutSwapError(
        "processes that draw (--workers)",
        expected="that all work until the end",
        found=found,
        fix=f"{cure}; the same --out goes on from its last checkpoint",
    )


@dataclass(frozen=True)
class _Failure:
    """What a process that draws hands over in place of a batch.

    Attributes:
        refusal: for the person.
        trace: where it happened, for --debug.
    """

    refusal: CutSwapError
    trace: str

    @classmethod
    def of(cls, error: Exception) -> _Failure:
        if isinstance(error, CutSwapError):
            refusal = error
        else:
            said = " ".join(str(error).split())[:200].rstrip(".")
            refusal = _trouble(f"{type(error).__name__} in one of them: {said or 'no message'}")
        return cls(refusal, "".join(traceback.format_exception(error)))


class _Telling(Dataset[Any]):
    """Samples whose errors travel as values.

    PyTorch makes an error anew from a text, which ours, with their four parts, do not survive.
    """

    def __init__(self, samples: Dataset[Any]) -> None:
        self._samples = samples

    def __getitem__(self, number: int) -> Any:
        try:
            return self._samples[number]
        except Exception as error:  # whatever it is, the trainer tells it
            return _Failure.of(error)


def _collate(samples: list[Any]) -> Any:
    """A batch in shared memory, or the failure that prevented it."""
    for sample in samples:
        if isinstance(sample, _Failure):
            return sample
    try:
        return default_collate(samples)
    except Exception as error:  # no room in shared memory, for example
        return _Failure.of(error)


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
