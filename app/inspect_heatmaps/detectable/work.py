"""Painted defects measured in a thread, one evaluation at a time; it can be stopped."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import streamlit as st

from app.shared import public
from app.shared.background import ONE_AT_A_TIME, Work
from cutswap.config import DetectableSettings
from cutswap.decision.detectable.measured import write_measured
from cutswap.decision.detectable.measuring import measure
from cutswap.errors import CutSwapError

_log = logging.getLogger(__name__)


class _Stopped(CutSwapError):
    """Somebody pressed Stop."""

    def __init__(self) -> None:
        super().__init__("it", expected="to go on", found="a stop", fix="measure again")


class Measuring:
    """All measurements of this process by evaluation folder; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._works: dict[Path, Work] = {}
        self._stopped: set[int] = set()

    def of(self, folder: Path) -> Work | None:
        """The work on an evaluation, running, done or failed."""
        return self._works.get(folder)

    def start(
        self, folder: Path, settings: DetectableSettings, score: str | None, seed: int = 0
    ) -> None:
        """Start, unless a thread is at it.

        Args:
            folder: the evaluation's, which gets the file.
            settings: which defects.
            score: whose scores.
            seed: of every draw.

        Raises:
            CutSwapError: the mode is public.
        """
        public.need_private("measuring how small a defect is found")
        with self._lock:
            work = self._works.get(folder)
            if work is not None and work.is_running:
                return
            work = Work(stage="waiting for another measurement to finish")
            work.thread = threading.Thread(
                target=self._run,
                args=(work, folder, settings, score, seed),
                daemon=True,
                name=f"detectable {folder.name[:8]}",
            )
            self._works[folder] = work
            work.thread.start()

    def stop(self, folder: Path) -> None:
        """Ask the thread to end; nothing of it is kept."""
        with self._lock:
            work = self._works.pop(folder, None)
            if work is not None and work.is_running:
                self._stopped.add(id(work))

    def _run(
        self, work: Work, folder: Path, settings: DetectableSettings, score: str | None, seed: int
    ) -> None:
        def notify(stage: str, done: int, total: int) -> None:
            if id(work) in self._stopped:
                raise _Stopped
            work.notify(stage, done, total)

        try:
            with ONE_AT_A_TIME:
                notify("loading the detector", 0, 0)
                measured = measure(folder, settings, score=score, seed=seed, notify=notify)
                notify("writing", 0, 0)  # asked to stop meanwhile, it keeps nothing
                write_measured(measured, folder)
        except _Stopped:
            pass
        except CutSwapError as error:
            work.error = error
        except Exception as error:  # the thread's own last words; the page shows the sentence
            _log.exception("measuring failed")
            work.error = CutSwapError(
                "the measurement",
                expected="to finish",
                found=type(error).__name__,
                fix="see the app's log, then try again",
            )
        finally:
            self._stopped.discard(id(work))


@st.cache_resource(show_spinner=False)
def measuring() -> Measuring:
    """The process's one."""
    return Measuring()
