"""Stopping gently: the first SIGTERM or Ctrl-C asks, the second insists."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType


class Stopped(Exception):  # noqa: N818 - somebody asked for it
    """Work was asked to end; what it had not finished is not kept."""


@dataclass
class Stop:
    """Whether a stop was requested.

    Attributes:
        asked: yes.
        gently: while true the first signal only sets `asked`, for whoever looks at it between two
            updates; while false it raises KeyboardInterrupt at once.
    """

    asked: bool = False
    gently: bool = False


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Turn SIGTERM and SIGINT into a `Stop`; outside the main thread nothing is changed."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(_number: int, _frame: FrameType | None) -> None:
        again, stop.asked = stop.asked, True
        if again or not stop.gently:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
