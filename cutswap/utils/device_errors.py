"""Recognise a device's errors: out of memory, or lost."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from cutswap.errors import CutSwapError, DeviceLostError

T = TypeVar("T")

# Errors after which no call to the device succeeds in this process any more, as CUDA words them.
_LOST = (
    "device-side assert",
    "uncorrectable ecc error",
    "unspecified launch failure",
    "illegal memory access",
    "gpu is lost",
    "device is lost",
    "device not ready",
    "no cuda-capable device",
    "cuda-capable device(s) is/are busy or unavailable",
    "unknown error",
    "hardware stack error",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device, or the CPU's allocator, had no room."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def is_device_lost(error: BaseException) -> bool:
    """Whether a device stopped answering: it fell off the bus, or its driver gave up on it."""
    text = str(error).lower()
    about_device = "cuda" in text or "nccl" in text
    return isinstance(error, RuntimeError) and about_device and any(w in text for w in _LOST)


@contextlib.contextmanager
def telling_lost_device(device: torch.device) -> Iterator[None]:
    """Say of a device that went away what to do; other errors pass.

    Raises:
        DeviceLostError: it stopped answering.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_device_lost(error):
            raise
        raise _lost(str(device), error) from error


def device_trouble(error: RuntimeError) -> CutSwapError | None:
    """What to do about a device that is full or gone; None for any other error."""
    if is_device_lost(error):
        return _lost("device", error)
    if not is_out_of_memory(error):
        return None
    return CutSwapError(
        "memory",
        expected="room on the device",
        found=str(error).splitlines()[0][:200].rstrip("."),
        fix="lower --batch-size or --image-size, end what else uses the device (nvidia-smi lists"
        " it), or pass --device cpu",
    )


def _lost(device: str, error: RuntimeError) -> DeviceLostError:
    return DeviceLostError(
        device,
        expected="a device that answers until the end",
        found=str(error).splitlines()[0][:200].rstrip("."),
        fix="see nvidia-smi, then give the same command again: it goes on from the checkpoint",
    )


class FittingBatches:
    """Work on rows in batches that fit into the device's memory, halved whenever one does not.

    Args:
        what: the stage, for the one message when memory is short.

    Attributes:
        size: rows at once that fitted; None: any number so far.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.size: int | None = None

    def run(self, rows: Tensor, work: Callable[[Tensor], T]) -> list[T]:
        """`work` of all rows, batch by batch in order.

        Raises:
            CutSwapError: not even one row fits.
        """
        results: list[T] = [] if len(rows) else [work(rows)]
        done = 0
        while done < len(rows):
            size = min(self.size or len(rows), len(rows) - done)
            shortage = ""
            try:
                results.append(work(rows[done : done + size]))
                done += size
                continue
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                shortage = str(error).splitlines()[0][:200]
            # Out of the except block, whose traceback would keep the failed batch alive.
            self._halve(size, shortage)
        return results

    def _halve(self, size: int, shortage: str) -> None:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if size == 1:
            raise CutSwapError(
                "memory",
                expected=f"room for one at a time in {self.what}",
                found=shortage,
                fix="free memory on the device, lower --image-size, or pass --device cpu",
            )
        if self.size is None:
            say = logging.getLogger("cutswap").warning
            say("%s: memory is short, so batches are halved until they fit", self.what)
        self.size = math.ceil(size / 2)
