"""Any terminal and any reader: nothing that is printed or not printed ends the work."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cutswap.commands.parser import main
from cutswap.commands.terminal import READER_LEFT, any_terminal, harmless
from tests.helpers.datasets import build_category, noise_photo, write_image

LINE = [sys.executable, "-m", "cutswap"]
ENV = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Categories and defects with names of several scripts, and more problems than a pipe holds."""
    root = tmp_path_factory.mktemp("data") / "Prüfung"
    for name in ("部品", "née", "🔩 a"):
        folder = build_category(root / name, train=2)
        write_image(folder / "test/Größe/日本.png", noise_photo(1))
    for index in range(300):
        path = root / "née/train/good" / f"{'long' * 40}{index:04d}.png"
        path.write_bytes(b"no picture")
    return root


def words(data: Path) -> list[str]:
    return [*LINE, "check-data", "--data", str(data), "--quiet"]


# Any terminal


@pytest.mark.parametrize("encoding", ["ascii", "ascii:strict", "latin-1", "cp437", "utf-8"])
def test_names_are_shown_on_any_terminal(data: Path, encoding: str):
    env = {**ENV, "PYTHONIOENCODING": encoding}
    done = subprocess.run(words(data), env=env, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (1, b"")
    said = done.stdout.decode(encoding.split(":")[0])
    assert "\\u90e8\\u54c1: 2 good" in said or "部品: 2 good" in said
    assert "Größe" in said or "Gr\\xf6\\xdfe" in said


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_errors_and_help_are_shown_on_any_terminal(tmp_path: Path, encoding: str):
    env = {**ENV, "PYTHONIOENCODING": encoding}
    for more in (["check-data", "--data", str(tmp_path / "無")], ["check-data", "--help"]):
        done = subprocess.run([*LINE, *more], env=env, capture_output=True, check=False)
        assert done.returncode == (0 if "--help" in more else 2)
        assert b"Traceback" not in done.stderr


def test_the_streams_are_left_as_they_were_found(capsys: pytest.CaptureFixture[str]):
    out, err = sys.stdout, sys.stderr
    strict = io.TextIOWrapper(io.BytesIO(), "ascii")
    sys.stdout = strict
    try:
        with any_terminal():
            print("ä")
        assert sys.stdout is strict
    finally:
        sys.stdout = out
    assert strict.errors == "strict"
    assert strict.buffer.getvalue() == b"\\xe4\n"
    assert main(["check-data", "--data", "/nowhere"]) == 2
    assert (sys.stdout, sys.stderr) == (out, err)
    assert "/nowhere" in capsys.readouterr().err


def test_there_may_be_no_terminal_at_all(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with any_terminal():
        print("nobody reads it")


# A reader that leaves


def leave_early(line: list[str], lines: int, **more: Any) -> tuple[int, bytes, bytes]:
    """Exit status, what was read and what came on standard error, as `| head -LINES` sees it."""
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": ENV, **more}
    with subprocess.Popen(line, **given) as process:
        assert process.stdout is not None
        read = b"".join(process.stdout.readline() for _ in range(lines))
        process.stdout.close()
        err = process.stderr.read() if process.stderr else b""
        return process.wait(60), read, err


@pytest.mark.parametrize("lines", [0, 1, 5])
def test_a_reader_that_leaves_ends_the_listing_quietly(data: Path, lines: int):
    status, read, err = leave_early(words(data), lines)
    assert (status, err) == (READER_LEFT, b"")
    assert read.count(b"\n") == lines


def test_a_reader_of_both_streams_may_leave(data: Path):
    line = [word for word in words(data) if word != "--quiet"]  # with bars
    status, _, _ = leave_early(line, 1, stderr=subprocess.STDOUT)
    assert status == READER_LEFT


@pytest.mark.parametrize("more", [["--help"], ["check-data", "--help"], ["jobs", "--help"]])
def test_help_may_be_read_by_nobody(more: list[str]):
    status, _, err = leave_early([*LINE, *more], 0)
    assert (status, err) == (READER_LEFT, b"")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_short_listing_that_nobody_reads_ends_as_a_long_one(tmp_path: Path, unbuffered: str):
    """It fits into the buffer: that nobody reads it shows when all is done."""
    build_category(tmp_path / "part")
    env = {**ENV, "PYTHONUNBUFFERED": unbuffered}
    status, _, err = leave_early(words(tmp_path / "part"), 0, env=env)
    assert (status, err) == (READER_LEFT, b"")


@pytest.mark.journey
@pytest.mark.parametrize("where", ["json", "out", "both"])
def test_work_beside_the_printing_goes_on_without_a_reader(data: Path, tmp_path: Path, where: str):
    """What `| head -1` is for is the screen; the result is still wanted."""
    result = tmp_path / "r.json"
    line = words(data)
    if where != "json":
        photo = write_image(tmp_path / "p.png", noise_photo(0, (64, 64)))
        line = [*LINE, "augment", str(photo), "--method", "cutpaste", "--image-size", "64"]
        line += ["--count", "2", "--out", str(tmp_path / "out")]
    if where != "out":
        line += ["--json", str(result)]
    status, _, err = leave_early(line, 0)
    assert status == (1 if where == "json" else 0)
    assert b"roken pipe" not in err
    if where != "out":
        assert json.loads(result.read_text())["written_by"].startswith("cutswap ")
    if where != "json":
        assert (tmp_path / "out" / "record.json").exists()


def test_a_result_on_standard_output_may_be_read_in_part(data: Path):
    status, read, err = leave_early([*words(data), "--json", "/dev/stdout"], 1)
    assert (status, err) == (1, b"")
    assert read.count(b"\n") == 1


ESCAPES = {
    "a title": "\x1b]0;owned\x07",
    "a colour": "\x1b[31mred",
    "the screen cleared": "\x1b[2J",
    "an 8-bit order": "\x9b31m",
    "a backspace": "good\x08\x08\x08\x08evil",
    "a bell": "\x07",
    "a NUL": "a\0b",
    "a direction": "a\u202egnp.exe",
    "an isolate": "\u2066x\u2069",
    "a delete": "\x7f",
}


@pytest.mark.parametrize("name", ESCAPES)
def test_a_name_gives_the_terminal_no_orders(name: str, tmp_path: Path):
    """`check-data` prints names of files, errors print subjects."""
    text = ESCAPES[name]
    shown = harmless(f"a {text} b")
    assert all(c.isprintable() for c in shown)
    assert shown.encode("ascii")
    said = subprocess.run(  # noqa: S603 - our own interpreter
        [
            sys.executable,
            "-m",
            "cutswap",
            "check-data",
            "--data",
            tmp_path / text.replace("\0", ""),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 2
    assert all(c.isprintable() or c == "\n" for c in said.stdout + said.stderr)


@pytest.mark.parametrize("text", ["tab\there\n", "\r 50%", "Maße über 日本\n", "\x1b[A", "\x1b[K"])
def test_what_is_no_order_to_be_afraid_of_stays(text: str):
    assert harmless(text) == text
