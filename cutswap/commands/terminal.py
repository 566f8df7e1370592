"""Any terminal, and any reader: what it cannot show is escaped, and it may leave before the end."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any

READER_LEFT = 141  # exit status of work that nobody reads any more, as shells count a closed pipe


class Output:
    """A standard stream whose reader may leave, as `head` does: what comes after is dropped.

    Args:
        stream: text stream of a file descriptor.

    Attributes:
        goes_on: whether there is work beside the printing, which goes on without a reader.
    """

    def __init__(self, stream: Any) -> None:
        self.goes_on = False
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text.

        Raises:
            SystemExit: the reader has left, and printing was all there is to do.
        """
        try:
            return int(self._stream.write(text))
        except BrokenPipeError:
            self._left()
            return len(text)

    def flush(self) -> None:
        """Hand over what was written.

        Raises:
            SystemExit: see `write`.
        """
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._left()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _left(self) -> None:
        # What is still in the buffer would be tried again, and by Python itself at the very end.
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, self._stream.fileno())
        os.close(nothing)
        if not self.goes_on:
            raise SystemExit(READER_LEFT)


@contextlib.contextmanager
def any_terminal() -> Iterator[tuple[Output, ...]]:
    """Standard output and error for the time of a command; both are left as they were found."""
    streams = {"stdout": sys.stdout, "stderr": sys.stderr}
    outputs = {name: Output(stream) for name, stream in streams.items() if stream is not None}
    with contextlib.ExitStack() as undo:
        for name, output in outputs.items():
            undo.enter_context(_escaping(streams[name]))
            setattr(sys, name, output)
            undo.callback(setattr, sys, name, streams[name])
            undo.callback(_finish, output)
        yield tuple(outputs.values())


def _finish(output: Output) -> None:
    with contextlib.suppress(ValueError):  # somebody has closed it
        output.flush()


@contextlib.contextmanager
def _escaping(stream: Any) -> Iterator[None]:
    """Characters that the stream's encoding lacks, and names that are no text, as backslashes."""
    if not isinstance(stream, io.TextIOWrapper):  # a notebook's, for example, shows everything
        yield
        return
    before = stream.errors
    stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # somebody has closed it
            stream.reconfigure(errors=before)
