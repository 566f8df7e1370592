"""Freed memory kept for the next update instead of given back to the system after each.

glibc maps every block above 32 MB afresh and unmaps it when it is freed, so each update of a batch
of 48 images pays some 100,000 page faults, a sixth to a third of its time on two cores. Here blocks
of the heap are used again instead. The process keeps its peak until the end.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # M_... of malloc.h
_KEEP_ALL = 2**31 - 1  # bytes at the heap's end before any is given back, the most mallopt takes
# mallopt(3). glibc moves its thresholds by itself until one is set, and then no more: afterwards
# they stay where a process that has freed large blocks has them.
_DEFAULT_MAPS, _LARGE = 65_536, 32 * 2**20


@contextlib.contextmanager
def kept_memory() -> Iterator[None]:
    """In the whole process, for as long as the block lasts; without glibc nothing happens.

    Where blocks are nested the first to end gives memory back, which costs time alone.
    """
    libc = keep_memory()
    if libc is None:
        yield
        return
    try:
        yield
    finally:
        libc.mallopt(_MMAP_MAX, _DEFAULT_MAPS)
        libc.mallopt(_MMAP_THRESHOLD, _LARGE)
        libc.mallopt(_TRIM_THRESHOLD, 2 * _LARGE)
        libc.malloc_trim(0)


def keep_memory() -> ctypes.CDLL | None:
    """In the whole process from now on; the library asked to, None without glibc."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is None or not hasattr(libc, "gnu_get_libc_version"):
        return None
    libc.mallopt(_MMAP_MAX, 0)
    libc.mallopt(_TRIM_THRESHOLD, _KEEP_ALL)
    return libc
