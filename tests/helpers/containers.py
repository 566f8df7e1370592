"""Processes in a PID namespace of their own, as a container gives them, and locks of dead ones."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cutswap.utils.processes import Process, life_file

_UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
_ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def container(code: str, *arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run Python code as process 1 of a new PID namespace; `kill -9` ends it with the block.

    Yields:
        The process, and the first line that it said; the test is skipped where the system allows
        no namespaces.
    """
    command = [*_allowed(), sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        try:
            assert child.stdout is not None
            yield child, child.stdout.readline().strip()
        finally:
            child.kill()  # and with it, by --kill-child, the one inside
            child.stdout.read()  # until the one inside has let go


def free_lock(folder: Path, of: Process) -> Path:
    """The lock file that a process left behind when it ended."""
    path = life_file(folder, of)
    path.parent.mkdir(exist_ok=True)
    path.touch()
    return path


def _allowed() -> list[str]:
    if shutil.which("unshare") is None:
        pytest.skip("no `unshare` here: containers cannot be imitated")
    for command in (_UNSHARE, [*_UNSHARE, "--user", "--map-root-user"]):
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    pytest.skip("this system allows no new PID namespaces")
