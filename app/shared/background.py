"""Work that goes on in a thread while the page is drawn again and again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from cutswap.errors import CutSwapError
from cutswap.utils.progress import Notify

ONE_AT_A_TIME = threading.Lock()  # two at once would only share the cores
_KEPT = 8  # works whose end is remembered
_WAITS = "background.waits"  # session: what is waited for here, by key
_log = logging.getLogger(__name__)


@dataclass
class Work:
    """What a thread is at.

    Attributes:
        stage: what it is doing.
        done: of `total` steps of the stage.
        total: 0 where unknown.
        error: why it failed.
        result: what came of it.
        asked: when a page last looked, by `time.monotonic`.
    """

    stage: str = "waiting for other work to finish"
    done: int = 0
    total: int = 0
    error: CutSwapError | None = None
    result: Any = None
    thread: threading.Thread | None = None
    asked: float = field(default_factory=time.monotonic)

    @property
    def is_running(self) -> bool:
        """Whether its thread is running."""
        return self.thread is not None and self.thread.is_alive()

    @property
    def share(self) -> float:
        """Of its stage that is done, in [0, 1]."""
        return min(self.done / self.total, 1.0) if self.total else 0.0

    def notify(self, stage: str, done: int, total: int) -> None:
        """Keep what the library reports."""
        self.stage, self.done, self.total = stage, done, total


class Tasks:
    """Works of this process by key; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._works: dict[str, Work] = {}

    def of(self, key: str) -> Work | None:
        """The work on a key, running, done or failed."""
        return self._works.get(key)

    def start(self, key: str, what: str, run: Callable[[Notify], Any]) -> None:
        """Start it unless a thread is at it.

        Args:
            key: changes with whatever its result depends on.
            what: it is, for the message if it fails.
            run: called with what takes (stage, done, total); its result is kept.
        """
        with self._lock:
            work = self._works.get(key)
            if work is not None and work.is_running:
                return
            work = Work()
            work.thread = threading.Thread(
                target=self._run, args=(work, what, run), daemon=True, name=f"{what} {key[:8]}"
            )
            self._works.pop(key, None)
            self._works[key] = work
            ended = [other for other, one in self._works.items() if not one.is_running]
            for other in [one for one in ended if one != key][:-_KEPT]:
                del self._works[other]
            work.thread.start()

    def forget(self, key: str) -> None:
        """Drop an ended work and its result."""
        with self._lock:
            work = self._works.get(key)
            if work is not None and not work.is_running:
                del self._works[key]

    @staticmethod
    def _run(work: Work, what: str, run: Callable[[Notify], Any]) -> None:
        with ONE_AT_A_TIME:
            try:
                work.result = run(work.notify)
            except CutSwapError as error:
                work.error = error
            except Exception as error:  # the thread's own last words; the page shows the sentence
                _log.exception("%s failed", what)
                work.error = CutSwapError(
                    what,
                    expected="to finish",
                    found=type(error).__name__,
                    fix="see the app's log, then try again",
                )


@st.cache_resource(show_spinner=False)
def tasks() -> Tasks:
    """The process's one."""
    return Tasks()


def follow(work: Work, slot: Any, words: Callable[[], str]) -> None:
    """Show how far a work is until it ends, then run the page again; called last.

    Args:
        work: that is running.
        slot: place of the bar.
        words: what it says.
    """
    bar = slot.progress(0.0, words())
    while work.is_running:
        bar.progress(work.share, words())
        work.thread.join(0.3)  # type: ignore[union-attr] # it is running, so there is one
    bar.empty()
    st.rerun()


def begin(key: str, what: str, run: Callable[[Notify], Any]) -> None:
    """`Tasks.start`, for a callback; the page of this session waits for it.

    Args:
        key: see there.
        what: see there.
        run: see there.
    """
    tasks().start(key, what, run)
    st.session_state.setdefault(_WAITS, {})[key] = what


def wait(slot: Any) -> None:
    """Show the progress of what this session began, then run the page again; called last."""
    waits: dict[str, str] = st.session_state.get(_WAITS, {})
    for key, what in list(waits.items()):
        work = tasks().of(key)
        if work is not None and work.is_running:
            said = f"{what[:1].upper()}{what[1:]}"
            follow(work, slot, lambda: f"{said}: {work.stage}")  # noqa: B023 - it ends the run
        del waits[key]
