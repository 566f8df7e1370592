"""Progress: what long work calls, and bars with time left on standard error, one a stage."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

from tqdm import tqdm

Notify = Callable[[str, int, int], None]  # called with (stage, done, total)


def tick(notify: Notify | None, stage: str) -> Callable[[int, int], None]:
    """Progress callback of a stage, called with (done, total); a no-op without a listener."""
    return lambda done, total: notify(stage, done, total) if notify else None


class Bars:
    """Called with (stage, done, total); a new stage closes the bar of the last.

    Args:
        quiet: show nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._stage = ""
        self._bar: Any = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Move the bar of this stage to done of total."""
        if self._quiet:
            return
        if stage != self._stage:
            self.close()
            self._stage = stage
            self._bar = tqdm(total=total, desc=stage, file=sys.stderr, dynamic_ncols=True)
        self._bar.update(done - self._bar.n)

    def note(self, **values: Any) -> None:
        """Show figures beside the current bar."""
        if self._bar is not None:
            self._bar.set_postfix(values, refresh=False)

    def close(self) -> None:
        """End the current bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
            self._stage = ""

    def __enter__(self) -> Bars:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()
