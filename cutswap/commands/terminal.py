"""Any terminal, and any reader: what it cannot show is escaped, and it may leave before the end."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

# C0 and C1 but tab, line feed and carriage return; and what turns the reading direction around.
_CONTROL = re.compile(
    r"\x1b(?!\[[AK])|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)
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
        """Write text, what would move the cursor or speak to the terminal escaped.

        Raises:
            SystemExit: the reader has left, and printing was all there is to do.
        """
        try:
            return int(self._stream.write(harmless(text)))
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


def harmless(text: str) -> str:
    """The same with control characters as backslashes: names of files may hold any.

    A terminal takes them for orders: another title or colour, text over text that was there, in
    some a key press. Tabs, line breaks and the carriage returns of progress bars stay; so does the
    order to clear a line or go up one, which is theirs.
    """
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


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
