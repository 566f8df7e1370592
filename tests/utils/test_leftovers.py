"""What a killed writing left goes with the next one; nothing else does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cutswap.utils import files as leftovers
from cutswap.utils.files import MAX_AGE, sweep_leftovers, write_text

KILLED = """
import os, signal, sys
from pathlib import Path
from cutswap.utils.files import replacing
with replacing(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def aged(path: Path, hours: float) -> Path:
    about = path.lstat().st_mtime - hours * 3600
    os.utime(path, (about, about), follow_symlinks=False)
    return path


def left_by_a_kill(path: Path) -> Path:
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    (left,) = (p for p in path.parent.iterdir() if p.name.endswith(".tmp"))
    return left


def test_the_next_writing_removes_what_a_kill_left_hours_ago(tmp_path: Path):
    left = left_by_a_kill(tmp_path / "result.json")
    assert left.read_text() == "half"
    leftovers._swept.discard(tmp_path)
    write_text(tmp_path / "other.txt", "new")
    assert left.exists()  # a minute old: somebody may be writing it
    aged(left, 7)
    write_text(tmp_path / "other.txt", "newer")
    assert left.exists()  # a folder is looked through once a process
    leftovers._swept.discard(tmp_path)
    write_text(tmp_path / "other.txt", "newest")
    assert [p.name for p in tmp_path.iterdir()] == ["other.txt"]


def test_only_our_own_old_files_go(tmp_path: Path):
    inside = tmp_path / "folder"
    inside.mkdir()
    kept = [
        tmp_path / ".bank.abcdefgh.tmp",  # another program's
        tmp_path / "bank.cutswap_abcdefgh.tmp",
        tmp_path / ".bank.cutswap_abcdefgh.txt",
        tmp_path / ".bank.cutswap_abc.tmp",
        inside / ".deep.cutswap_abcdefgh.tmp",
    ]
    for path in kept:
        aged_file(path)
    folder = tmp_path / ".a.cutswap_folder00.tmp"
    folder.mkdir()
    aged(folder, 99)
    target = aged_file(tmp_path / "target")
    link = tmp_path / ".b.cutswap_link0000.tmp"
    link.symlink_to(target)
    aged(link, 99)
    young = tmp_path / ".c.cutswap_young000.tmp"
    young.write_text("")
    gone = [
        aged_file(tmp_path / name)
        for name in (
            ".bank.cutswap_abcdefgh.tmp",
            ".a\nb.cutswap_abcd_123.tmp",
        )
    ]
    assert sweep_leftovers(tmp_path, again=True) == 2
    assert not any(p.exists() for p in gone)
    assert all(p.exists() for p in [*kept, folder, target, young])
    assert link.is_symlink()
    assert sweep_leftovers(tmp_path, again=True, now=young.stat().st_mtime + MAX_AGE + 1) == 1


def aged_file(path: Path) -> Path:
    path.write_text("")
    return aged(path, 99)


def test_a_folder_that_is_not_there_is_no_error(tmp_path: Path):
    assert sweep_leftovers(tmp_path / "none") == 0
