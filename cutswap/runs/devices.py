"""The device a job waits for, without importing torch where there is only the processor."""

from __future__ import annotations

import functools
import shutil
import sys
from collections import Counter
from dataclasses import dataclass

from cutswap.errors import CutSwapError
from cutswap.runs.queue import JobQueue


@dataclass(frozen=True)
class DeviceChoice:
    """One device to choose.

    Attributes:
        name: cpu, mps or cuda:N.
        label: the same with what it is and, of a CUDA device, its free memory now.
    """

    name: str
    label: str


def device_choices() -> tuple[DeviceChoice, ...]:
    """Every device there is, the fastest kind first."""
    if shutil.which("nvidia-smi") is None and sys.platform != "darwin":
        return (DeviceChoice("cpu", "cpu"),)
    import torch

    from cutswap.utils.devices import describe_device

    names = sorted(_names(), key=lambda name: name == "cpu")
    return tuple(DeviceChoice(name, describe_device(torch.device(name))) for name in names)


@functools.cache
def _names() -> tuple[str, ...]:
    if shutil.which("nvidia-smi") is None and sys.platform != "darwin":
        return ("cpu",)
    from cutswap.utils.devices import device_names

    return device_names()


def device_for(asked: str, queue: JobQueue) -> str:
    """The device whose queue a job joins.

    Args:
        asked: a device, `cuda`, or `auto`: of the fastest kind the one with the shortest line.
        queue: where jobs wait.

    Raises:
        CutSwapError: there is no such device here.
    """
    names = _names()
    kinds = {name.partition(":")[0] for name in names}
    fastest = next(kind for kind in ("cuda", "mps", "cpu") if kind in kinds)
    wanted = fastest if asked == "auto" else asked
    fitting = [name for name in names if wanted in (name, name.partition(":")[0])]
    if not fitting:
        raise CutSwapError(
            "device",
            expected=f"auto or one of {', '.join(names)}",
            found=asked,
            fix="choose one that is there",
        )
    line = Counter(job.device for job in queue.active())
    return min(fitting, key=lambda name: (line[name], names.index(name)))
