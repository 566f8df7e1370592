"""Files written beside a training, in the order they were asked for.

Encoding a sheet or storing a checkpoint takes tens to hundreds of milliseconds in which a card
would have nothing to do. What is written is handed over as it is at that moment; each file still
appears whole or not at all, so a run killed in between resumes from the one before.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any


class Beside:
    """Ends with the block, once everything is written.

    Args:
        in_thread: false writes at once, where nothing else computes meanwhile.
    """

    def __init__(self, *, in_thread: bool) -> None:
        self._thread = ThreadPoolExecutor(1, "writes") if in_thread else None
        self._last: Future[None] | None = None

    def write(self, step: Callable[..., None], *given: Any) -> None:
        """Call `step(*given)` once the one before has ended, which is waited for.

        Raises:
            CutSwapError: an earlier one failed.
        """
        if self._thread is None:
            step(*given)
            return
        self.wait()
        self._last = self._thread.submit(step, *given)

    def wait(self) -> None:
        """Until all is written.

        Raises:
            CutSwapError: it could not be.
        """
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def __enter__(self) -> Beside:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        try:
            if kind is None:
                self.wait()
        finally:
            if self._thread is not None:
                self._thread.shutdown()
