"""Pictures and maps that pages share, bounded in bytes: one memory for all sessions of a process.

Streamlit's own caches count entries, and an entry may be 50 KB or 5 MB: 400 sets of maps are 0.5 GB
at 256 pixels and 2.1 GB at 512. Here the least recently used goes once the sum is too large. What
two sessions want at once is computed once; the other waits. Values must not be written to.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import nullcontext
from typing import Any, TypeVar

import numpy as np
import streamlit as st

BYTES = 400_000_000  # of the process's 1 GB with torch and two networks; 20 sessions need 150 MB
_SMALL = 200  # bytes of a key and its links

T = TypeVar("T")


def size_of(value: Any) -> int:
    """Bytes a value holds: arrays exactly, in dataclasses and tuples too; a chart about."""
    if isinstance(value, np.ndarray):
        whole = value if value.base is None else value.base  # a view keeps all of it alive
        return int(getattr(whole, "nbytes", value.nbytes))
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return _SMALL + sum(size_of(getattr(value, f.name)) for f in fields)
    if isinstance(value, (tuple, list)):
        return _SMALL + sum(size_of(one) for one in value)
    if hasattr(value, "to_json"):  # a chart: thousands of small objects, about as its text
        return _SMALL + len(value.to_json())
    return sys.getsizeof(value)


class PictureMemory:
    """Values by key, least recently used first to go; safe for threads.

    Args:
        limit: bytes of all values together; a larger single value is given but not kept.
    """

    def __init__(self, limit: int = BYTES) -> None:
        self.limit = limit
        self.bytes = 0
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of a key, made where it is not there; what `make` raises is raised.

        Args:
            key: equal for equal values only.
            make: called by one thread at a time for one key.
        """
        is_kept, value = self._find(key)
        if is_kept:
            return value
        with self._lock:
            own = self._making.setdefault(key, threading.Lock())
        with own:
            is_kept, value = self._find(key)  # by whoever was first
            try:
                if not is_kept:
                    value = make()
                    self._keep(key, value)
            finally:
                with self._lock:
                    self._making.pop(key, None)
        return value

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()
            self.bytes = 0

    def _find(self, key: Hashable) -> tuple[bool, Any]:
        with self._lock:
            if key not in self._values:
                return False, None
            self._values.move_to_end(key)
            return True, self._values[key][0]

    def _keep(self, key: Hashable, value: Any) -> None:
        size = size_of(value) + _SMALL
        with self._lock:
            if size > self.limit or key in self._values:
                return
            self._values[key] = (value, size)
            self.bytes += size
            while self.bytes > self.limit:
                _, (_, gone) = self._values.popitem(last=False)
                self.bytes -= gone


MEMORY = PictureMemory()


def kept(spinner: str = "") -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Decorate a function of hashable arguments: its values live in the process's memory.

    Args:
        spinner: shown while a value is made; empty: nothing.
    """

    def decorate(make: Callable[..., T]) -> Callable[..., T]:
        name = f"{make.__module__}.{make.__qualname__}"

        @functools.wraps(make)
        def call(*args: Hashable) -> T:
            def made() -> T:
                with st.spinner(spinner) if spinner else nullcontext():
                    return make(*args)

            return MEMORY.get((name, *args), made)

        return call

    return decorate
