"""Keeps memory flat, and the collection of garbage that Streamlit forces after every rerun cheap.

Streamlit runs every rerun in a thread of its own, and glibc gives threads heaps of their own, up
to eight a core; pictures that come and go leave holes in all of them. So there are two heaps, and
what is larger than a map of 180 pixels goes back to the system as soon as it is freed.

It goes through every object there is; with torch and plotly loaded that is most of what the app
computes while a run is watched: 16% of a core, 5% once what modules have created is set apart
(`gc.freeze`). That lives as long as the process; the objects of reruns are collected as before.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys

_ENOUGH = 50  # modules loaded since the last time: a large library has come
_known = 0
_ARENA_MAX, _MMAP_THRESHOLD = -8, -3  # of mallopt(3)


def freeze_modules() -> None:
    """Set apart what newly loaded libraries have created; nothing to do most of the time."""
    global _known  # noqa: PLW0603 - one process, one heap
    if len(sys.modules) - _known >= _ENOUGH:
        _known = len(sys.modules)
        gc.collect()  # or garbage of the moment would be kept for ever
        gc.freeze()


def steady_allocator() -> bool:
    """Set glibc's limits for this process; elsewhere nothing happens.

    Returns:
        Whether they are set.
    """
    if not sys.platform.startswith("linux"):
        return False
    with contextlib.suppress(OSError, AttributeError):  # another C library
        libc = ctypes.CDLL("libc.so.6")
        # Named, the threshold stays; by itself it would rise with the first large picture.
        return bool(libc.mallopt(_ARENA_MAX, 2) and libc.mallopt(_MMAP_THRESHOLD, 128 * 1024))
    return False
