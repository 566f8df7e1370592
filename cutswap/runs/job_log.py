"""What a job's process says, in a file beside the run folder: `runs/bolt.log` of `runs/bolt`."""

from __future__ import annotations

import os
from pathlib import Path

LOG = ".log"
_BYTES = 40_000  # of the log's end that are read: progress bars fill it


def log_file(run: Path) -> Path:
    """Where a run's process writes what it has to say."""
    return run.with_name(run.name + LOG)


def log_tail(run: Path, lines: int = 20) -> list[str]:
    """The log's last lines; of a progress bar, drawn over itself, its last state. None: none."""
    try:
        with log_file(run).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    kept = []
    for line in text.split("\n"):
        pieces = [piece for piece in line.split("\r") if piece.strip()]
        if pieces:
            kept.append("".join(c for c in pieces[-1] if c.isprintable()).rstrip())
    return kept[-lines:]
