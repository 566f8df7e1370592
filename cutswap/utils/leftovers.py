"""Temporary files that a killed process left: swept by the next process that writes beside them.

`files.replacing` calls them `.NAME.cutswap_XXXXXXXX.tmp`. A writing takes seconds, so one that
nobody has touched for hours belongs to nobody; no process is asked, since the folder may be shared
with other machines.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import threading
import time
from pathlib import Path

MARK = "cutswap_"  # in the name: a folder may hold temporary files of other programs
MAX_AGE = 6 * 3600.0  # seconds

_OURS = re.compile(rf"\..+\.{MARK}\w{{8}}\.tmp", re.DOTALL)
_swept: set[Path] = set()
_sweeping = threading.Lock()


def sweep_leftovers(
    folder: Path, *, now: float | None = None, max_age: float = MAX_AGE, again: bool = False
) -> int:
    """Delete what killed writings left in one folder, not below it; once a process.

    Args:
        folder: about to be written into.
        now: seconds since 1970; default: the clock.
        max_age: seconds since the last change, beyond which it is left over.
        again: also where this process has already swept.

    Returns:
        Number of files deleted; folders that cannot be read have none.
    """
    with _sweeping:
        if folder in _swept and not again:
            return 0
        _swept.add(folder)
    limit = (time.time() if now is None else now) - max_age
    swept = 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _OURS.fullmatch(entry.name) and _is_left(entry, limit):
                with contextlib.suppress(OSError):  # another process was first
                    os.unlink(entry.path)  # noqa: PTH108 - the entry's own path, links not followed
                    swept += 1
    return swept


def _is_left(entry: os.DirEntry[str], limit: float) -> bool:
    """Whether it is a plain file of this user that has long not changed."""
    try:
        about = entry.stat(follow_symlinks=False)
    except OSError:
        return False
    own = not hasattr(os, "getuid") or about.st_uid == os.getuid()
    return stat.S_ISREG(about.st_mode) and own and about.st_mtime < limit
