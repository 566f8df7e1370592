"""Keeps memory flat, and the collection of garbage cheap.

Streamlit runs every rerun in a thread of its own, and glibc gives threads heaps of their own, up
to eight a core; pictures that come and go leave holes in all of them. So there are two heaps, whose
free pages go back to the system every ten seconds. Between these, arrays of up to 2 MB are made
from pages that are there already: mapped anew each time, as glibc does it from 128 kB on, they
made array work three times slower (rendering the demo: 31 s, now 8 s, on two cores).

Streamlit collects garbage after every rerun, in which all other threads wait (`postScriptGC`): it
goes through every object there is, with torch and plotly loaded most of what the app computes while
a run is watched, 16% of a core, and 5% once what modules have created is set apart (`gc.freeze`; it
lives as long as the process). Here it is done every ten seconds, for all sessions together.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
import time

_ENOUGH = 50  # modules loaded since the last time: a large library has come
_known = 0
# Names of mallopt(3), and what they are set to.
_LIMITS = {-8: 2, -3: 2 << 20, -1: 32 << 20}  # M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
_TRIM_EVERY = 10.0  # seconds
_libc: ctypes.CDLL | None = None
_trimmed = 0.0


def freeze_modules() -> None:
    """Set apart what newly loaded libraries have created; nothing to do most of the time."""
    global _known  # noqa: PLW0603 - one process, one heap
    if len(sys.modules) - _known >= _ENOUGH:
        _known = len(sys.modules)
        gc.collect()  # or garbage of the moment would be kept for ever
        gc.freeze()


def steady_allocator() -> bool:
    """Collect garbage; on Linux also set glibc's limits for this process and return free pages.

    To be called in every rerun: the limits are set once; garbage is collected and free pages are
    given back when that was not done for ten seconds.

    Returns:
        Whether the limits are set.
    """
    global _libc, _trimmed  # noqa: PLW0603 - one process, one heap
    if _libc is None and sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):  # another C library
            libc = ctypes.CDLL("libc.so.6")
            # Named, thresholds stay; by themselves they would rise with the first large picture.
            if all([libc.mallopt(name, value) for name, value in _LIMITS.items()]):
                _libc = libc
    if time.monotonic() - _trimmed > _TRIM_EVERY:
        _trimmed = time.monotonic()
        gc.collect()
        if _libc is not None:
            _libc.malloc_trim(0)
    return _libc is not None
