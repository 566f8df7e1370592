"""`cutswap app`: which port, what the explorer is told, and that it ends when it is asked to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from cutswap.commands import app as command
from cutswap.commands.parser import main, parse
from cutswap.errors import CutSwapError
from tests.helpers.datasets import build_category
from tests.helpers.waiting import until

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answer(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as page:  # noqa: S310
            return str(page.read().decode())
    except OSError:
        return ""


def test_it_serves_the_explorer_until_it_is_stopped(tmp_path: Path):
    build_category(tmp_path / "parts" / "bolt")
    port = free_port()
    # Names as those of our packages, and of one we import, in the current folder: not to be run.
    for name in ("app", "cutswap", "numpy", "streamlit"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong file')")
    program = "import sys; from cutswap.commands.parser import main; sys.exit(main(sys.argv[1:]))"
    line = [sys.executable, "-P", "-c", program, "app", "--no-browser", "--port", str(port)]
    line += ["--data", "parts", "--runs", "my-runs", "--json", "said.json"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "CUTSWAP_CACHE": str(tmp_path / "cache")}
    with subprocess.Popen(line, cwd=tmp_path, env=env) as started:
        try:
            until(lambda: answer(port, "/_stcore/health") == "ok", seconds=60)
            assert "<title>Streamlit</title>" in answer(port, "/")
        finally:
            started.send_signal(signal.SIGTERM)
        assert started.wait(30) == 0
    said = json.loads((tmp_path / "said.json").read_text())
    assert said["address"] == f"http://127.0.0.1:{port}"
    assert said["exit_status"] == 0
    assert answer(port, "/_stcore/health") == ""


@pytest.mark.parametrize("wrong", ["0", "-1", "65536", "eighty", "8501.5"])
def test_a_port_that_cannot_be_is_refused(wrong: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        parse(["app", "--port", wrong])
    assert "--port" in capsys.readouterr().err


def test_a_taken_port_is_refused_when_asked_for_and_passed_over_otherwise():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CutSwapError, match=f"port {port}: expected a free port"):
            command._free_port(port)
    assert command._free_port(port) == port


def test_without_a_port_the_next_free_one_is_taken(monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        first = taken.getsockname()[1]
        monkeypatch.setattr(command, "PORT", first)
        assert first < command._free_port(None) < first + command._TRIED
        monkeypatch.setattr(command, "_TRIED", 1)
        with pytest.raises(CutSwapError, match=f"ports {first} to {first}"):
            command._free_port(None)


def test_flags_become_what_the_explorer_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "Gerät 2"):
        (tmp_path / name).mkdir()
    options = parse(["app", "--data", "a", "Gerät 2", "--runs", "r", "--public"])
    assert command._variables(options) == {
        "CUTSWAP_DATA": os.pathsep.join([str(tmp_path / "a"), str(tmp_path / "Gerät 2")]),
        "CUTSWAP_RUNS": str(tmp_path / "r"),
        "CUTSWAP_PUBLIC": "1",
    }
    assert command._variables(parse(["app"])) == {}


@pytest.mark.parametrize(
    ("name", "said"), [("gone", "no such folder"), ("file", "a file"), ("two:parts", "with it")]
)
def test_a_data_folder_that_cannot_be_is_refused(name: str, said: str, tmp_path: Path, capsys):
    (tmp_path / "file").touch()
    (tmp_path / f"two{os.pathsep}parts").mkdir()
    path = tmp_path / name.replace(":", os.pathsep)
    assert main(["app", "--no-browser", "--data", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert "To fix it" in line


@pytest.mark.parametrize(
    ("flags", "opened"), [([], ["http://127.0.0.1:8777"]), (["--no-browser"], [])]
)
def test_the_browser_opens_once_the_app_answers(
    flags: list[str], opened: list[str], monkeypatch: pytest.MonkeyPatch
):
    """A stand-in for the child, which answers at once and ends well."""
    seen: list[str] = []
    line = [sys.executable, "-c", ""]
    popen = subprocess.Popen
    monkeypatch.setattr(command.subprocess, "Popen", lambda _line, env: popen(line, env=env))
    monkeypatch.setattr(command, "_answers", lambda _child, port: port == 8777)
    monkeypatch.setattr(command, "_free_port", lambda port: port)
    monkeypatch.setattr(command, "show_in_browser", seen.append)
    assert main(["app", "--port", "8777", *flags]) == 0
    assert seen == opened


def test_an_app_that_ends_early_is_not_waited_for(tmp_path: Path):
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"], cwd=tmp_path) as child:
        assert not command._answers(child, free_port())
        assert child.returncode == 3


def test_an_app_that_does_not_stop_is_killed(monkeypatch: pytest.MonkeyPatch):
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True)"
    monkeypatch.setattr(command, "_GRACE", 0.2)
    line = [sys.executable, "-c", deaf + "; time.sleep(60)"]
    with subprocess.Popen(line, stdout=subprocess.PIPE) as child:
        with command._passing_on(child) as stop:
            child.stdout.readline()
            os.kill(os.getpid(), signal.SIGTERM)
            assert child.wait(30) == -signal.SIGKILL
        assert stop.asked


@pytest.mark.parametrize("variable", ["DISPLAY", "WAYLAND_DISPLAY", None])
def test_no_browser_without_a_screen(variable: str | None, monkeypatch: pytest.MonkeyPatch):
    from cutswap.commands import common

    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, ":0")
    monkeypatch.setattr(common.sys, "platform", "linux")
    monkeypatch.setattr(common.webbrowser, "open", lambda _address: True)
    assert common.show_in_browser("http://127.0.0.1:8501") == bool(variable)


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_a_desktop_system_has_a_screen(system: str, monkeypatch: pytest.MonkeyPatch):
    from cutswap.commands import common

    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setattr(common.sys, "platform", system)
    monkeypatch.setattr(common.webbrowser, "open", lambda _address: True)
    assert common.show_in_browser("http://127.0.0.1:8501")
