"""How much memory a step needs beyond what is there before it, as the kernel counts it."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/status")
_EVERY = 0.002  # seconds between two looks


def extra_memory(step: Callable[[], Any]) -> float | None:
    """Largest resident memory during a call above that before it, bytes; None outside Linux.

    Freed memory is given back to the system first: otherwise the allocator would serve the step
    from what earlier steps left behind, and nothing would show.
    """
    if not _STATUS.exists():
        return None
    gc.collect()
    _trim()
    before, highest = _resident(), 0
    done = threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.is_set():
            highest = max(highest, _resident())
            time.sleep(_EVERY)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        step()
    finally:
        done.set()
        watcher.join()
    return float(max(0, highest - before))


def _resident() -> int:
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def _trim() -> None:
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl has not
        if trim:
            trim(0)
