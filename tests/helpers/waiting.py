"""Waiting for another process in a test, without guessing how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    """Return once it is true; a busy machine may take its time, a broken one fails."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise AssertionError("it never came true")
        time.sleep(0.02)
