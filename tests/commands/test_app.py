"""`cutswap app`: which port, what the explorer is told, and that it ends when it is asked to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

import pytest

from cutswap.commands import app as command
from cutswap.commands.parser import main, parse
from cutswap.errors import CutSwapError
from cutswap.lessons.lesson_file import shipped_lesson
from tests.helpers.datasets import build_category
from tests.helpers.waiting import until

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a-token-of-the-tests"  # noqa: S105


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answer(port: int, path: str) -> str:
    try:
        jar = urllib.request.HTTPCookieProcessor()  # the link's token becomes a cookie
        browser = urllib.request.build_opener(jar)
        with browser.open(f"http://127.0.0.1:{port}{path}", timeout=5) as page:
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
    env[command.TOKEN] = TOKEN
    with subprocess.Popen(line, cwd=tmp_path, env=env) as started:
        try:
            until(lambda: answer(port, "/_stcore/health") == "ok", seconds=60)
            assert answer(port, "/") == ""  # another account of this machine
            assert "<title>Streamlit</title>" in answer(port, f"/?token={TOKEN}")
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


def test_a_lesson_is_read_before_the_explorer_starts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = shipped_lesson().read_text(encoding="utf-8")
    (tmp_path / "mine.md").write_text(text, encoding="utf-8")
    found = command._variables(parse(["app", "--lesson", "mine.md"]))
    assert found == {"CUTSWAP_LESSON": str(tmp_path / "mine.md")}
    (tmp_path / "mine.md").write_text(text.replace("k: 4", "k: 40"), encoding="utf-8")
    with pytest.raises(CutSwapError, match=r"^mine\.md, line \d+: expected a whole number"):
        command._variables(parse(["app", "--lesson", "mine.md"]))
    with pytest.raises(CutSwapError, match="No such file"):
        command._variables(parse(["app", "--lesson", "gone.md"]))


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


class Started:
    """What `app` gave its child, which answers at once and ends well, and what it opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.line: list[str] = []
        self.env: dict[str, str] = {}
        self.opened: list[str] = []
        self.pages: list[str] = []
        popen = subprocess.Popen

        def begin(line: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
            self.line, self.env = line, env
            return popen([sys.executable, "-c", ""], env=env)

        def show(address: str) -> None:
            self.opened.append(address)
            if address.startswith("file://"):
                page = Path(address.removeprefix("file://"))
                self.pages.append(page.read_text())
                assert page.stat().st_mode & 0o077 == 0  # nobody else reads it

        for name in (command.TOKEN, command.PUBLIC, "CUTSWAP_HOSTS"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(command.subprocess, "Popen", begin)
        monkeypatch.setattr(command, "_answers", lambda _child, port: port == 8777)
        monkeypatch.setattr(command, "_free_port", lambda port: port)
        monkeypatch.setattr(command, "show_in_browser", show)

    def options(self, name: str) -> list[str]:
        return [v for k, v in zip(self.line, self.line[1:], strict=False) if k == name]


def test_the_link_has_a_new_token_each_time_that_no_command_line_shows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Any account of the machine reads other accounts' command lines with `ps`."""
    seen = Started(monkeypatch)
    tokens = set()
    for _ in range(2):
        assert main(["app", "--port", "8777"]) == 0
        token = seen.env[command.TOKEN]
        tokens.add(token)
        assert len(token) >= 32
        assert f"http://127.0.0.1:8777/?token={token}\n" in capsys.readouterr().out
        assert token not in " ".join(seen.line)
        assert token not in seen.opened[-1]
        assert f"http://127.0.0.1:8777/?token={token}" in seen.pages[-1]
        assert not Path(seen.opened[-1].removeprefix("file://")).exists()
    assert len(tokens) == 2


@pytest.mark.parametrize("flags", [["--no-token"], ["--public"], ["PUBLIC"]])
def test_without_a_token_the_plain_address_is_printed_and_opened(
    flags: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    seen = Started(monkeypatch)
    monkeypatch.setenv(command.TOKEN, TOKEN)  # the flag is the nearer one
    if flags == ["PUBLIC"]:
        monkeypatch.setenv(command.PUBLIC, "1")
        flags = []
    assert main(["app", "--port", "8777", *flags]) == 0
    assert seen.env[command.TOKEN] == ""
    assert seen.opened == ["http://127.0.0.1:8777"]
    assert "http://127.0.0.1:8777\n" in capsys.readouterr().out


def test_no_browser_opens_none(monkeypatch: pytest.MonkeyPatch):
    seen = Started(monkeypatch)
    assert main(["app", "--port", "8777", "--no-browser"]) == 0
    assert seen.opened == []


@pytest.mark.parametrize("token", ["short", "x" * 15, "spaces in it are not good", "x" * 201])
def test_a_token_that_can_be_tried_out_or_needs_quoting_is_refused(
    token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    Started(monkeypatch)
    monkeypatch.setenv(command.TOKEN, token)
    assert main(["app", "--port", "8777"]) == 2
    assert "16 to 200 letters" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "variable", "more"),
    [
        ([], "", []),
        (["--hosts", "a.example", "*.b.example"], "", ["a.example", "*.b.example"]),
        ([], "a.example, 10.0.0.7", ["a.example", "10.0.0.7"]),
        (["--hosts", "a.example"], "b.example", ["a.example"]),
    ],
)
def test_it_answers_to_this_machines_names_and_those_that_are_given(
    flags: list[str], variable: str, more: list[str], monkeypatch: pytest.MonkeyPatch
):
    seen = Started(monkeypatch)
    monkeypatch.setenv("CUTSWAP_HOSTS", variable)
    assert main(["app", "--port", "8777", *flags]) == 0
    assert seen.options("--server.allowedHosts") == ["localhost", "127.0.0.1", "::1", *more]


@pytest.mark.parametrize("name", ["http://a.example", "a.example/x", "a b", "a,b", ""])
def test_a_host_that_is_no_name_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    Started(monkeypatch)
    assert main(["app", "--port", "8777", "--hosts", name]) == 2
    assert "a host name without http://" in capsys.readouterr().err


def test_the_config_beside_the_script_names_the_same_hosts():
    """Who starts it by Streamlit itself is guarded against rebinding too."""
    config = tomllib.loads((ROOT / "app/.streamlit/config.toml").read_text())
    assert config["server"]["allowedHosts"] == list(command.HOSTS)


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
