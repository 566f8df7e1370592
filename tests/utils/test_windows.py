"""What Windows lacks is guarded: its answers faked where that means something, names looked up."""

from __future__ import annotations

import ast
import ctypes
import json
import os
import runpy
import subprocess
import sys
from ctypes import wintypes
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cutswap.patchcore.index import MappedIndex, write_index
from cutswap.runs import worker
from cutswap.runs.edits import NAME
from cutswap.utils import devices, files, processes
from cutswap.utils.files import write_json

ROOT = Path(__file__).resolve().parents[2]


class Kernel:
    """kernel32 as far as it is asked: one process, created at a moment, with some memory."""

    def __init__(self, pid: int, moment: int, status: int = 259, peak: int = 0) -> None:
        self.pid, self.moment, self.status, self.peak = pid, moment, status, peak
        self.open = 0
        self.OpenProcess = self._open_process  # a function object, as ctypes gives: has `restype`

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    @property
    def _open_process(self) -> Any:
        def open_process(_access: Any, _inherit: bool, pid: wintypes.DWORD) -> int | None:
            self.open += pid.value == self.pid
            return 77 if pid.value == self.pid else None

        return open_process

    def GetExitCodeProcess(self, handle: wintypes.HANDLE, status: Any) -> int:  # noqa: N802
        assert handle.value == 77
        status._obj.value = self.status
        return 1

    def GetProcessTimes(self, _handle: Any, created: Any, *_others: Any) -> int:  # noqa: N802
        created._obj.dwHighDateTime = self.moment >> 32
        created._obj.dwLowDateTime = self.moment & 0xFFFFFFFF
        return 1

    def K32GetProcessMemoryInfo(self, handle: Any, found: Any, size: int) -> int:  # noqa: N802
        assert size == ctypes.sizeof(found._obj)
        assert handle.value == ctypes.c_void_p(-1).value
        found._obj.peak = self.peak
        return 1

    def CloseHandle(self, _handle: Any) -> int:  # noqa: N802
        self.open -= 1
        return 1


@pytest.fixture
def on_windows(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """As on Windows: no /proc, and a kernel32 that knows process 4321."""
    kernel = Kernel(4321, (30_000_000 << 32) + 5, peak=123_456_789)
    monkeypatch.setattr(ctypes, "WinDLL", lambda _name: kernel, raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(processes, "_STAT", "/no/such/{}")
    return kernel


def test_a_process_is_known_by_its_creation(on_windows: Kernel):
    assert processes.mark(4321) == str((30_000_000 << 32) + 5)
    assert processes.mark(4322) is None
    found = processes.process(4321)
    assert found.is_alive()
    on_windows.moment += 1  # the number was given out again
    assert not found.is_alive()
    assert on_windows.open == 0  # every handle was closed


@pytest.mark.parametrize("status", [0, 1, 3221225786])
def test_one_that_has_ended_is_not_alive(status: int, on_windows: Kernel):
    on_windows.status = status
    assert processes.mark(4321) is None
    assert on_windows.open == 0


@pytest.mark.parametrize("by_force", [True, False])
@pytest.mark.usefixtures("on_windows")
def test_it_is_ended_with_its_children(by_force: bool, monkeypatch: pytest.MonkeyPatch):
    ran: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda line, **_: ran.append(line))
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("no signals there"))
    processes.end(4321, by_force=by_force)
    assert ran[0][0].endswith("taskkill.exe")
    assert ran[0][1:] == ["/PID", "4321", "/T", "/F"]


@pytest.mark.usefixtures("on_windows")
def test_workers_outlive_the_terminal():
    assert set(processes.detached()) == {"creationflags"}


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(("by_force", "number"), [(False, 15), (True, 9)])
def test_elsewhere_signals_end_it(by_force: bool, number: int):
    assert processes.detached() == {"start_new_session": True}
    line = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]
    child = subprocess.Popen(line, stdout=subprocess.PIPE, **processes.detached())
    with child:
        child.stdout.readline()
        processes.end(child.pid, by_force=by_force)
        assert child.wait(30) == -number
    processes.end(child.pid, by_force=by_force)  # gone: no error


@pytest.mark.usefixtures("on_windows")
def test_memory_is_told():
    assert devices.memory_in_use(torch.device("cpu")) == 123_456_789


@pytest.mark.usefixtures("on_windows")
def test_a_job_becomes_its_command_without_another_process(monkeypatch: pytest.MonkeyPatch):
    ran: list[tuple[str, list[str]]] = []

    def run_module(name: str, run_name: str, alter_sys: bool) -> None:
        assert (run_name, alter_sys) == ("__main__", True)
        ran.append((name, sys.argv))
        raise SystemExit(3)

    monkeypatch.setattr(runpy, "run_module", run_module)
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("it would change its number"))
    monkeypatch.setattr(sys, "argv", sys.argv)
    job = SimpleNamespace(command=("finetune", "--epochs", "1"))
    with pytest.raises(SystemExit) as end:
        worker.become(SimpleNamespace(register=lambda _number: job), 1)  # type: ignore[arg-type]
    assert end.value.code == 3
    assert ran == [("cutswap", ["cutswap", "finetune", "--epochs", "1"])]


# Files


def test_only_what_may_be_written_is_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Windows answers EBADF otherwise, and then no file could be written at all."""
    fcntl = pytest.importorskip("fcntl")
    modes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda f: modes.append(fcntl.fcntl(f, fcntl.F_GETFL)))
    write_json(tmp_path / "a.json", {})
    files.append_json_line(tmp_path / "b.jsonl", {})
    assert len(modes) == 2
    assert all(mode & (os.O_RDWR | os.O_WRONLY) for mode in modes)


@pytest.mark.parametrize("times", [1, 3, 5])
def test_a_file_that_is_being_read_is_replaced_a_moment_later(
    times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    left = [times]
    replace = Path.replace

    def held(self: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] >= 0:
            raise PermissionError(13, "in use")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", held)
    monkeypatch.setattr(files, "_PAUSES", (0.0,) * 5)
    monkeypatch.setattr(sys, "platform", "win32")
    write_json(tmp_path / "a.json", {"a": 1})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}
    left[0] = 99
    with pytest.raises(Exception, match=r"a\.json"):
        write_json(tmp_path / "a.json", {"a": 2})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}


@pytest.mark.parametrize("folder", ["Jürgen", "山田", "plain"])
def test_an_index_lies_below_any_user_name(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """faiss opens files by C's names; on Windows those would be of the old encoding."""
    import faiss

    rng = np.random.default_rng(0)
    items = rng.normal(size=(600, 4)).astype(np.float32)
    path = tmp_path / folder / "bank.index"
    monkeypatch.setattr(sys, "platform", "win32")

    def by_ascii_names(call: Any) -> Any:
        def checked(*given: Any) -> Any:
            assert all(g.isascii() for g in given if isinstance(g, str))
            return call(*given)

        return checked

    for name in ("write_index", "read_index"):
        monkeypatch.setattr(faiss, name, by_ascii_names(getattr(faiss, name)))
    write_index(path, items)
    index = MappedIndex(path)
    assert index.size == 600
    assert index.search(items[:5], 1)[:, 0].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "name", ["con", "CON", "nul.txt", "Com1", "lpt9.a", "prn", "aux", "bolt.", "a b", "a:b", ".a"]
)
def test_a_run_has_no_name_that_windows_refuses(name: str):
    assert not NAME.fullmatch(name)


@pytest.mark.parametrize(
    "name", ["console", "com10", "nullable", "bolt.2", "a-b_c", "COM", "x.con"]
)
def test_names_that_only_look_like_it_are_fine(name: str):
    assert NAME.fullmatch(name)


# What is printed


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "cp932", "utf-8"])
def test_help_and_errors_print_in_any_encoding(encoding: str, tmp_path: Path):
    """A pipe on Windows has the system's old encoding."""
    (tmp_path / "photo ☃ é.png").write_bytes(b"no photo")
    env = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)}
    for words, status in (
        (["--help"], 0),
        (["evaluate", "--help"], 0),
        (["check-data", "--data", str(tmp_path / "山 ☃")], 2),
        (["check-data", "--data", str(tmp_path)], None),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "cutswap", *words], env=env, cwd=tmp_path, capture_output=True
        )
        assert b"UnicodeEncodeError" not in done.stderr
        assert b"Traceback" not in done.stderr
        assert status is None or done.returncode == status, done.stderr


# What POSIX alone has

MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
NAMES = {
    *("chown", "execv", "fork", "getloadavg", "getpgid", "getuid", "kill", "killpg", "mkfifo"),
    *("nice", "sched_getaffinity", "setsid", "statvfs", "sysconf", "SIGHUP", "SIGKILL", "SIGUSR1"),
}
GUARDS = ("sys.platform", "os.name", "hasattr(", "AttributeError")


def unguarded(source: str) -> list[str]:
    """POSIX modules imported, and names used, in functions that do not ask where they are."""
    tree, found = ast.parse(source), []
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names} & MODULES
        elif isinstance(node, ast.ImportFrom):
            names = {node.module} & MODULES
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("os", "signal"):
            names = {node.attr} & NAMES
        else:
            continue
        around = [f for f in functions if node in ast.walk(f)]
        if names and not any(g in ast.unparse(f) for f in around for g in GUARDS):
            found.append(f"{node.lineno}: {', '.join(map(str, names))}")
    return found


@pytest.mark.parametrize("folder", ["cutswap", "app", "pages"])
def test_what_posix_alone_has_is_guarded(folder: str):
    found = {
        f"{path.relative_to(ROOT)}:{what}"
        for path in (ROOT / folder).rglob("*.py")
        for what in unguarded(path.read_text(encoding="utf-8"))
    }
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "import resource",
        "from fcntl import flock",
        "def f():\n    import pwd",
        "def f():\n    os.killpg(1, signal.SIGKILL)",
        "os.nice(3)",
    ],
)
def test_the_finder_of_posix_names_finds(source: str):
    assert unguarded(source)
    assert not unguarded("def f():\n    if sys.platform != 'win32':\n        os.killpg(1, 9)")
