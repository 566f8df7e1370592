"""Arrays in memory shared with spawned processes, where pickling would copy them.

The memory is an anonymous file (Linux's `memfd_create`): it is not bound to the size of /dev/shm,
which containers keep at 64 MB, and it vanishes with the last process that has it open, however that
ends. Elsewhere each process gets a copy, as NumPy's arrays do.
"""

from __future__ import annotations

import mmap
import os
from multiprocessing import context, reduction
from typing import Any

import numpy as np


class SharedArray:
    """Made in one process, handed to others as they are started.

    Args:
        values: any array of plain numbers; copied.

    Attributes:
        values: the same numbers in the shared memory, read only.
    """

    def __init__(self, values: np.ndarray) -> None:
        self._shape, self._kind, self._file = values.shape, values.dtype.str, None
        if not hasattr(os, "memfd_create") or values.nbytes == 0:
            self.values = values.copy()
        else:
            self._file = os.memfd_create("cutswap", os.MFD_CLOEXEC)
            os.ftruncate(self._file, values.nbytes)
            mapped = np.frombuffer(mmap.mmap(self._file, values.nbytes), values.dtype)
            mapped[:] = values.reshape(-1)
            self.values = mapped.reshape(values.shape)
        self.values.setflags(write=False)

    def __reduce__(self) -> tuple[Any, ...]:
        if self._file is None or context.get_spawning_popen() is None:
            return SharedArray, (self.values,)
        return _attached, (reduction.DupFd(self._file), self._shape, self._kind)

    def __del__(self) -> None:
        file: int | None = getattr(self, "_file", None)  # none where making it failed
        if file is not None:
            os.close(file)  # the mapping stays as long as an array looks at it


def _attached(handle: Any, shape: tuple[int, ...], kind: str) -> SharedArray:
    """The array of another process, in the process that was handed it."""
    array = SharedArray.__new__(SharedArray)
    array._shape, array._kind, array._file = shape, kind, handle.detach()
    dtype = np.dtype(kind)
    size = int(np.prod(shape)) * dtype.itemsize
    mapped = np.frombuffer(mmap.mmap(array._file, size, prot=mmap.PROT_READ), dtype)
    array.values = mapped.reshape(shape)
    return array
