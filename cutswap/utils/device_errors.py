"""What a device says when it cannot go on: too little memory, or it is gone."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from cutswap.errors import CutSwapError

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


class DeviceLostError(CutSwapError):
    """The device went away in the middle of the work; what was saved can be gone on with."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device, or the CPU's allocator, had no room."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def is_device_lost(error: BaseException) -> bool:
    """Whether a device stopped answering: it fell off the bus, or its driver gave up on it."""
    text = str(error).lower()
    about_device = "cuda" in text or "nccl" in text
    return isinstance(error, RuntimeError) and about_device and any(w in text for w in _LOST)


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
        found: list[T] = []
        done = 0
        while done < len(rows):
            size = min(self.size or len(rows), len(rows) - done)
            shortage = ""
            try:
                found.append(work(rows[done : done + size]))
                done += size
                continue
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                shortage = str(error).splitlines()[0][:200]
            # Out of the except block, whose traceback would keep the failed batch alive.
            self._halve(size, shortage)
        return found

    def _halve(self, size: int, shortage: str) -> None:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if size == 1:
            raise CutSwapError(
                "memory", expected=f"room for one at a time in {self.what}", found=shortage,
                fix="free memory on the device, lower --image-size, or pass --device cpu",
            )  # fmt: skip
        if self.size is None:
            say = logging.getLogger("cutswap").warning
            say("%s: memory is short, so batches are halved until they fit", self.what)
        self.size = math.ceil(size / 2)
