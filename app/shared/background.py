"""Work that goes on in a thread while the page is drawn again and again."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from cutswap.errors import CutSwapError


@dataclass
class Work:
    """A running evaluation.

    Attributes:
        stage: what it is doing.
        done: of `total` steps of the stage.
        total: 0 where unknown.
        error: why it failed.
        asked: when a page last looked, by `time.monotonic`.
    """

    stage: str = "waiting for another evaluation to finish"
    done: int = 0
    total: int = 0
    error: CutSwapError | None = None
    thread: threading.Thread | None = None
    asked: float = field(default_factory=time.monotonic)

    @property
    def is_running(self) -> bool:
        """Whether its thread is running."""
        return self.thread is not None and self.thread.is_alive()

    def notify(self, stage: str, done: int, total: int) -> None:
        """Keep what the library reports."""
        self.stage, self.done, self.total = stage, done, total
