"""Files are whole or absent, whatever goes wrong while they are written."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError

from cutswap.errors import CutSwapError
from cutswap.utils import files
from cutswap.utils.files import (
    append_json_line,
    cache_folder,
    need_out,
    need_short_names,
    read_json,
    read_json_lines,
    replacing,
    sha256_of,
    user_path,
    write_bytes,
    write_json,
    write_text,
    write_with,
)


def names_in(folder: Path) -> list[str]:
    """Every name in the folder, hidden and temporary ones too."""
    return sorted(p.name for p in folder.iterdir())


def full_disk(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class FullFile:
    """An open file that takes a few bytes and then no more."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def write(self, data: bytes) -> None:
        self.file.write(data[:3])
        full_disk()


def test_a_new_file_appears_whole_in_a_new_folder(tmp_path: Path):
    path = tmp_path / "a" / "b" / "c.txt"
    write_text(path, "ä\n")
    assert path.read_bytes() == "ä\n".encode()
    assert names_in(path.parent) == ["c.txt"]


def test_until_the_end_the_old_file_stays(tmp_path: Path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent  # a rename across disks would not be atomic
    assert path.read_text() == "new"
    assert names_in(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), KeyboardInterrupt(), SystemExit(1), GeneratorExit(), MemoryError()],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.parametrize("old", ["old", None], ids=["replacing", "new"])
def test_a_writer_that_fails_changes_nothing(tmp_path: Path, error: BaseException, old: str | None):
    path = tmp_path / "a.txt"
    if old:
        path.write_text(old)

    def write(file: Any) -> None:
        file.write(b"half")
        raise error

    with pytest.raises(type(error)):
        write_with(path, write)
    assert names_in(tmp_path) == (["a.txt"] if old else [])
    assert not old or path.read_text() == old


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError("without a number"),
        # what safetensors makes of a full disk
        SafetensorError("I/O error: No space left on device (os error 28)"),
    ],
    ids=["full disk", "no errno", "safetensors"],
)
def test_a_disk_that_fails_is_refused_by_name_and_the_old_file_stays(tmp_path: Path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write(file: Any) -> None:
        file.write(b"half")
        raise error

    with pytest.raises(CutSwapError, match="a.txt") as caught:
        write_with(path, write)
    assert caught.value.found in str(error)
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("step", ["fsync", "write", "mkstemp"])
def test_a_full_disk_at_any_step(tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    if step == "fsync":
        monkeypatch.setattr(os, "fsync", full_disk)
    if step == "mkstemp":
        monkeypatch.setattr(files.tempfile, "mkstemp", full_disk)
    writer = FullFile if step == "write" else lambda file: file
    with pytest.raises(CutSwapError, match="No space left") as caught:
        write_with(path, lambda file: writer(file).write(b'{"new": 1}'))
    assert caught.value.subject == str(path)
    assert read_json(path) == {"old": 1}
    assert names_in(tmp_path) == ["a.json"]


@pytest.mark.parametrize(
    "place",
    [
        # as root every folder can be written, so the parent is made a file
        "file/a.txt",
        "file/b/a.txt",
        # a name longer than the file system takes
        "x" * 300,
    ],
)
def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, place: str):
    (tmp_path / "file").write_text("old")
    with pytest.raises(CutSwapError, match="to be able to write this file"):
        write_text(tmp_path / place, "new")
    assert (tmp_path / "file").read_text() == "old"
    assert names_in(tmp_path) == ["file"]


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path):
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(CutSwapError, match="a.txt"):
        write_text(tmp_path / "a.txt", "new")
    assert names_in(tmp_path) == ["a.txt"]


# What is no file: written to, never replaced


def read_pipe(path: Path, into: list[bytes]) -> threading.Thread:
    """A reader of a pipe, which must be there before the writer."""
    thread = threading.Thread(target=lambda: into.append(path.read_bytes()), daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("way", ["itself", "link", "link to a link"])
@pytest.mark.parametrize("write", [write_text, write_json])
def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path, way: str, write: Any):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "link to a link").symlink_to("link")
    path = tmp_path / {"itself": "pipe"}.get(way, way)
    read: list[bytes] = []
    reader = read_pipe(tmp_path / "pipe", read)
    write(path, "ä")
    reader.join(20)
    assert [r.decode() for r in read] == ["ä" if write is write_text else '"\\u00e4"\n']
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert names_in(tmp_path) == ["link", "link to a link", "pipe"]
    assert path.is_symlink() == (way != "itself")


def test_a_device_is_written_to_and_stays_a_device(tmp_path: Path):
    """As root, `--json /dev/null` would have broken the machine; here it is a link to it."""
    device = tmp_path / "null"
    device.symlink_to("/dev/null")
    write_json(device, [1])
    assert stat.S_ISCHR(device.stat().st_mode)
    assert names_in(tmp_path) == ["null"]
    own, terminal = os.openpty()
    write_text(Path(os.ttyname(terminal)), "seen")
    assert os.read(own, 9) == b"seen"
    os.close(own)
    os.close(terminal)


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/stderr"])
@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_standard_output_is_written_to_after_what_was_printed(tmp_path: Path, name: str, kind: str):
    before = os.lstat("/dev/stdout")
    code = (
        "import sys; from pathlib import Path; from cutswap.utils.files import write_text;"
        "print('first'); sys.stderr.write('first\\n');"
        f"write_text(Path('{name}'), 'whole\\n'); print('last'); sys.stderr.write('last\\n')"
    )
    line = [sys.executable, "-c", code]
    with (tmp_path / "out").open("w+b") as out, (tmp_path / "err").open("w+b") as err:
        pipes = {"stdout": out, "stderr": err} if kind == "file" else {"capture_output": True}
        done = subprocess.run(line, check=True, **pipes)
        said = [(tmp_path / n).read_bytes() for n in ("out", "err")]
    if kind == "pipe":
        said = [done.stdout, done.stderr]
    assert said[name == "/dev/stderr"] == b"first\nwhole\nlast\n"
    assert said[name != "/dev/stderr"] == b"first\nlast\n"
    assert os.path.samestat(before, os.lstat("/dev/stdout"))


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)  # its name must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        with pytest.raises(CutSwapError, match="a socket"):
            write_text(Path("s"), "new")
        assert stat.S_ISSOCK(Path("s").stat().st_mode)


def test_a_reader_that_goes_away_is_said(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    reader = threading.Thread(
        target=lambda: os.close(os.open(tmp_path / "pipe", os.O_RDONLY)), daemon=True
    )
    reader.start()
    with pytest.raises(CutSwapError, match="read to its end"):
        write_bytes(tmp_path / "pipe", b"x" * 10_000_000)
    reader.join(20)


# Names


@pytest.mark.parametrize("name", ["x" * 255, "x" * 240 + ".json", "ä" * 127, "日" * 85])
def test_the_longest_names_are_written(tmp_path: Path, name: str):
    """The temporary name is longer than the file's, but never too long."""
    write_text(tmp_path / name, "new")
    assert names_in(tmp_path) == [name]


@pytest.mark.parametrize("name", ["x" * 256, "a/" + "x" * 300, "ä" * 128 + "/b", "日" * 86])
def test_names_too_long_are_refused_with_what_helps(tmp_path: Path, name: str):
    with pytest.raises(CutSwapError, match="shorter name") as caught:
        write_text(tmp_path / name, "new")
    assert "disk space" not in caught.value.fix
    with pytest.raises(CutSwapError, match="at most 255 bytes"):
        need_short_names(tmp_path, ["fine", name])
    with pytest.raises(CutSwapError, match="at most 255 bytes"):
        need_out(tmp_path / name)
    need_short_names(tmp_path, ["fine", "x" * 255, "a/" + "ä" * 127])


def test_a_refusal_of_the_writer_itself_passes_through(tmp_path: Path):
    error = CutSwapError("bank", expected="a", found="b", fix="c")
    with pytest.raises(CutSwapError) as caught, replacing(tmp_path / "a.txt"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1, {"a": float("nan")}]])
def test_json_has_no_nan(tmp_path: Path, value: Any):
    path = tmp_path / "a.json"
    write_json(path, 1)
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, value)
    with pytest.raises(ValueError, match="JSON"):
        append_json_line(path, {"a": value})
    assert path.read_text() == "1\n"
    assert names_in(tmp_path) == ["a.json"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "no file"),
        (b"", "Expecting value"),
        (b'{"a": 1', "Expecting"),
        (b"\xff\xfe", "decode"),
        (b"NOT JSON", "Expecting value"),
    ],
    ids=["missing", "empty", "cut short", "not text", "not json"],
)
def test_reading_what_is_no_json(tmp_path: Path, content: bytes | None, found: str):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CutSwapError, match=found) as caught:
        read_json(path)
    assert caught.value.subject == str(path)


def test_reading_a_folder_as_json_is_refused(tmp_path: Path):
    with pytest.raises(CutSwapError, match="readable JSON"):
        read_json(tmp_path)


LINES = [{"step": 1, "loss": 0.5}, {"step": 2, "text": "a\u2028b\x0b\x85"}, {"step": 3}]


def test_lines_come_back_as_appended(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    assert read_json_lines(path) == []
    for line in LINES:
        append_json_line(path, line)
    assert read_json_lines(path) == LINES
    assert path.read_bytes().count(b"\n") == len(LINES)


def test_lines_of_other_writers_may_hold_odd_separators(tmp_path: Path):
    # json.dumps(ensure_ascii=False) writes U+2028 as it is; str.splitlines would cut there
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(v, ensure_ascii=False) + "\n" for v in LINES), "utf-8")
    assert read_json_lines(path) == LINES


@given(cut=st.integers(0, 60))
def test_a_half_written_last_line_is_left_out_and_later_lines_are_safe(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    text = "".join(json.dumps(line) + "\n" for line in LINES)
    cut = min(cut, len(text))
    path.write_text(text[: len(text) - cut])
    before = read_json_lines(path)
    assert before == LINES[: len(before)]
    assert len(before) >= text[: len(text) - cut].count("\n")
    append_json_line(path, {"step": 9})
    append_json_line(path, {"step": 10})
    assert read_json_lines(path) == [*before, {"step": 9}, {"step": 10}]


def test_a_damaged_line_in_the_middle_is_refused_with_its_number(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"step": 1}\n{"step": \n{"step": 3}\n')
    with pytest.raises(CutSwapError, match="line 2"):
        read_json_lines(path)


def test_a_full_disk_while_appending_keeps_the_lines_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "a.jsonl"
    append_json_line(path, {"step": 1})
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(CutSwapError, match="No space left"):
        append_json_line(path, {"step": 2})
    monkeypatch.undo()
    assert read_json_lines(path)[0] == {"step": 1}
    with pytest.raises(CutSwapError, match="b.jsonl"):
        append_json_line(tmp_path / "a.jsonl" / "b.jsonl", {"step": 1})


def test_need_out_refuses_what_may_not_be_written(tmp_path: Path, monkeypatch):
    (tmp_path / "closed").mkdir()
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda p, m: "closed" not in str(p) and allowed(p, m))
    for name in ("closed", "closed/a", "closed/a/b"):
        with pytest.raises(CutSwapError, match="no permission"):
            need_out(tmp_path / name)
    need_out(tmp_path / "open")


def test_need_out_refuses_only_files(tmp_path: Path):
    (tmp_path / "file").write_text("")
    need_out(tmp_path)
    need_out(tmp_path / "new")
    for name in ("file", "file/below", "file/below/it"):
        with pytest.raises(CutSwapError, match=r"a folder to write into, found a file"):
            need_out(tmp_path / name)


def test_sha256_is_of_the_bytes(tmp_path: Path):
    content = bytes(range(256)) * 1000
    (tmp_path / "a").write_bytes(content)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_json_is_read_from_plain_files_alone(tmp_path: Path):
    """A pipe would be waited for, and a device never ends."""
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.json")
    for name in ("zero.json", "pipe.json"):
        with pytest.raises(CutSwapError, match="a device or a pipe"):
            read_json(tmp_path / name)


# The cache.


def no_home(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container started with --user 54321."""

    def unknown(_: int) -> None:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", unknown)


def closed_root(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/")
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda p, m: str(p) != "/" and allowed(p, m))


def closed_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda p, m: Path(p) != folder and allowed(p, m))


def file_for_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "home").write_text("")
    monkeypatch.setenv("HOME", str(folder / "home"))


def file_for_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "home").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "home"))


def endless_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / ("x" * 300)))


HOMELESS = {
    "no home": (no_home, "no home folder"),
    "HOME=/": (closed_root, "/.cache/cutswap: no permission to write into /"),
    "closed home": (closed_home, "no permission"),
    "a file for home": (file_for_home, "a file above it"),
    "a file for cache": (file_for_cache, "a file above it"),
    "endless name": (endless_name, "300 bytes"),
}


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, of this test alone; nothing of a cache is set."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(files, "_said", set())
    for name in ("CUTSWAP_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "tmp"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems name other folders")
@pytest.mark.parametrize("case", HOMELESS)
def test_without_a_home_the_cache_is_temporary_and_said_once(
    case: str, temporary: Path, tmp_path: Path, monkeypatch, caplog
):
    make, why = HOMELESS[case]
    make(tmp_path, monkeypatch)
    folder = cache_folder()
    assert folder == temporary / f"cutswap-{os.getuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert cache_folder() == folder
    (told,) = caplog.messages
    assert why in told
    assert f"{folder} is used; set CUTSWAP_CACHE" in told
    assert "\n" not in told
    monkeypatch.setenv("CUTSWAP_CACHE", str(temporary / "mine"))
    assert cache_folder() == temporary / "mine"
    assert len(caplog.messages) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems name other folders")
@pytest.mark.parametrize("odd", ["", "relative", None])
def test_a_home_that_is_there_is_used(odd: str | None, temporary, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("HOME", str(tmp_path))
    if odd is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", odd)
    assert cache_folder() == tmp_path / ".cache/cutswap"
    assert caplog.messages == []
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / ".cache").exists()  # asking makes nothing


def taken_by_a_file(folder: Path) -> None:
    folder.write_text("")


def taken_by_a_link(folder: Path) -> None:
    folder.symlink_to(folder.parent)


def open_to_all(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no users")
@pytest.mark.parametrize("taken", [taken_by_a_file, taken_by_a_link, open_to_all])
def test_a_temporary_cache_of_somebody_else_is_not_used(taken, temporary, tmp_path, monkeypatch):
    no_home(tmp_path, monkeypatch)
    taken(temporary / f"cutswap-{os.getuid()}")
    with pytest.raises(CutSwapError, match="set CUTSWAP_CACHE"):
        cache_folder()


def test_no_place_for_temporary_files_is_said(temporary, tmp_path, monkeypatch):
    no_home(tmp_path, monkeypatch)
    temporary.rmdir()
    with pytest.raises(CutSwapError, match="set CUTSWAP_CACHE"):
        cache_folder()


@pytest.mark.parametrize("path", ["~/data", "~", "~nobody-of-this-name/data"])
def test_a_home_that_is_not_there_is_said(path, monkeypatch):
    def none(_self: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", none)
    with pytest.raises(CutSwapError, match="no home folder.*whole path"):
        user_path(path)


def test_a_home_is_filled_in(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    assert user_path("~/data") == Path("/home/ann/data")
    assert user_path(Path("data")) == Path("data")
