"""A benchmark loop in its own process, run a few steps at a time.

In one process the sides of a comparison would share an allocator: what one keeps or gives back
changes the page faults of the other. People run them in processes of their own too.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

import torch

from cutswap.benchmark.measurement import CLOCKS
from cutswap.errors import CutSwapError


class OwnProcess:
    """Started at once, waits for `run`; ends with the block.

    Args:
        begin: a top-level function that gives an iterator; a step is one `next`.
        given: its arguments, all of them picklable.
        clock: one of `CLOCKS`, read in the process.
    """

    def __init__(self, begin: Callable[..., Iterator[Any]], *given: Any, clock: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, begin, given, clock, torch.get_num_threads())
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def run(self, steps: int) -> tuple[float, list[Any]]:
        """Seconds that `steps` steps took, and what each gave.

        Raises:
            CutSwapError: the process ended.
        """
        try:
            self._pipe.send(steps)
            return self._pipe.recv()
        except (EOFError, OSError) as error:
            self._process.join(10)
            raise CutSwapError(
                "benchmark",
                expected=f"{steps} more steps",
                found=f"their process ended with {self._process.exitcode}",
                fix="see its words above; it may have had too little memory",
            ) from error

    def __enter__(self) -> OwnProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pipe.close()
        self._process.join(60)
        if self._process.is_alive():
            self._process.kill()


def _serve(
    pipe: Connection,
    begin: Callable[..., Iterator[Any]],
    given: tuple[Any, ...],
    clock: str,
    threads: int,
) -> None:
    torch.set_num_threads(threads)
    read, side = CLOCKS[clock], begin(*given)
    while True:
        try:
            steps = pipe.recv()
        except (EOFError, OSError):
            return
        began = read()
        replies = [next(side) for _ in range(steps)]
        took = read() - began
        pipe.send((took, replies))
