"""A worker that kills itself the first times; imports little, so that it is there at once."""

from __future__ import annotations

import json
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path


def dying_work(pipe: Connection) -> None:
    """In place of `local_engine._work`: a task's store is how often its process dies.

    Its folder of runs keeps count, as the process itself forgets.
    """
    while True:
        try:
            task = json.loads(pipe.recv_bytes())
        except (EOFError, OSError):
            return
        tally = Path(task["runs"]) / task["cells"][0]
        deaths = len(tally.read_text()) if tally.exists() else 0
        if deaths < int(task["store"]):
            tally.write_text("x" * (deaths + 1))
            os.kill(os.getpid(), signal.SIGKILL)
        pipe.send_bytes(b"")
