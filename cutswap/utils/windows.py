"""What Windows is asked where other systems have /proc, `ps` and `resource`."""

from __future__ import annotations

import ctypes
import os
import subprocess
from ctypes import wintypes
from pathlib import Path
from typing import Any

_MAY_ASK = 0x1000  # PROCESS_QUERY_LIMITED_INFORMATION
_AT_WORK = 259  # STILL_ACTIVE
# A console of its own that nobody sees: closing the terminal does not end the process.
_DETACHED = 0x08000000 | 0x00000200  # CREATE_NO_WINDOW, CREATE_NEW_PROCESS_GROUP


class _Memory(ctypes.Structure):
    """PROCESS_MEMORY_COUNTERS."""

    _fields_ = (
        ("size", wintypes.DWORD),
        ("faults", wintypes.DWORD),
        ("peak", ctypes.c_size_t),
        *((name, ctypes.c_size_t) for name in ("set", "a", "b", "c", "d", "pages", "peak_pages")),
    )


def created(pid: int) -> int | None:
    """When a living process was created, in 100 ns since 1601; None for one that has ended."""
    kernel = _kernel()
    handle = kernel.OpenProcess(wintypes.DWORD(_MAY_ASK), False, wintypes.DWORD(pid))
    if not handle:
        return None
    handle = wintypes.HANDLE(handle)
    try:
        status, times = wintypes.DWORD(), [wintypes.FILETIME() for _ in range(4)]
        is_known = kernel.GetExitCodeProcess(handle, ctypes.byref(status))
        if not is_known or status.value != _AT_WORK:
            return None
        if not kernel.GetProcessTimes(handle, *(ctypes.byref(time) for time in times)):
            return None
        return int(times[0].dwHighDateTime) << 32 | int(times[0].dwLowDateTime)
    finally:
        kernel.CloseHandle(handle)


def peak_memory() -> int:
    """Most bytes this process ever had in memory; 0 where it is not told."""
    kernel, found = _kernel(), _Memory()
    found.size = ctypes.sizeof(found)
    # The pseudo handle -1 is this process.
    kernel.K32GetProcessMemoryInfo(wintypes.HANDLE(-1), ctypes.byref(found), found.size)
    return int(found.peak)


def end_tree(pid: int) -> None:
    """End a process and those it has started, at once."""
    program = Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "taskkill.exe"
    subprocess.run(  # noqa: S603 - the system's own, a list
        [str(program), "/PID", str(pid), "/T", "/F"], capture_output=True, check=False
    )


def detached() -> dict[str, Any]:
    """Arguments of `Popen` for a process that outlives the terminal."""
    return {"creationflags": _DETACHED}


def _kernel() -> Any:
    loader: Any = ctypes  # WinDLL is only there on Windows
    kernel = loader.WinDLL("kernel32")
    kernel.OpenProcess.restype = wintypes.HANDLE  # as wide as a pointer
    return kernel
