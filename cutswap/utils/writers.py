"""Files written beside other work: each still appears whole or not at all.

Encoding a sheet or storing a checkpoint takes tens to hundreds of milliseconds in which a card
would have nothing to do. What is written is handed over as it is at that moment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any


class Writers:
    """End with the block, once everything is written.

    Args:
        threads: 0 writes at once, where nothing else computes meanwhile; 1 keeps the order.
    """

    def __init__(self, threads: int) -> None:
        self._most = 2 * threads
        self._pool = ThreadPoolExecutor(threads, "writer") if threads else None
        self._under_way: deque[Future[None]] = deque()

    def write(self, step: Callable[..., None], *given: Any) -> None:
        """Call `step(*given)`; waits while two a thread are still to be written.

        Raises:
            CutSwapError: an earlier one failed.
        """
        if self._pool is None:
            step(*given)
            return
        while self._under_way and (len(self._under_way) >= self._most or self._under_way[0].done()):
            self._under_way.popleft().result()
        self._under_way.append(self._pool.submit(step, *given))

    def wait(self) -> None:
        """Until all is written.

        Raises:
            CutSwapError: something could not be.
        """
        while self._under_way:
            self._under_way.popleft().result()

    def __enter__(self) -> Writers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.wait()
        finally:
            if self._pool is not None:
                self._pool.shutdown()
