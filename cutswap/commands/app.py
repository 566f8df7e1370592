"""`python -m cutswap app`: the explorer, in a browser.

Streamlit runs in a process of its own; this one opens the browser once it answers, and waits.
"""

from __future__ import annotations

import argparse
import contextlib
import http
import http.client
import importlib.util
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from cutswap.commands.common import show_in_browser
from cutswap.errors import CutSwapError
from cutswap.installation.shipped import explorer_server
from cutswap.utils.files import user_path
from cutswap.utils.signals import Stop

HOST = "127.0.0.1"  # as app/.streamlit/config.toml has it
PORT = 8501
PUBLIC, TOKEN = "CUTSWAP_PUBLIC", "CUTSWAP_TOKEN"  # noqa: S105 - names of variables
_TRIED = 20  # ports from the first on, where none was asked for
_PAUSE = 0.1  # seconds between looks whether the app answers
_GRACE = 5.0  # seconds for pages at work, once the app is to stop
HOSTS = ("localhost", HOST, "::1")  # what a browser on this machine asks for
# 16: too many to try; these characters need no quoting in a link.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,200}")
_OPENER = """<!doctype html><html><head><meta charset="utf-8"><title>CutSwap Explorer</title>
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={link}"></head>
<body><a href="{link}">Open the CutSwap Explorer</a></body></html>
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `app`."""
    parser.add_argument(
        "--port",
        type=_port,
        metavar="N",
        help=f"port of {HOST}; left out: {PORT}, or the next that is free",
    )
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        metavar="ROOT",
        help="data folders to offer beside the demo [$CUTSWAP_DATA]",
    )
    parser.add_argument(
        "--runs", type=Path, metavar="DIR", help="runs folder [$CUTSWAP_RUNS, or runs]"
    )
    parser.add_argument(
        "--public",
        action="store_true",
        help="a demo for strangers: no folders, no training, nothing that is kept",
    )
    parser.add_argument(
        "--lesson",
        type=Path,
        metavar="FILE",
        help="a lesson of your own on the Lesson page, see docs/lesson.md [$CUTSWAP_LESSON]",
    )
    parser.add_argument("--no-browser", action="store_true", help="open no browser")
    parser.add_argument(
        "--hosts",
        nargs="+",
        metavar="NAME",
        help="host names it answers to beside this machine's own, as behind a proxy; *.example.com"
        " stands for all below [$CUTSWAP_HOSTS]",
    )
    parser.add_argument(
        "--no-token",
        action="store_true",
        help="open without the token of the printed link: any account on this machine gets in;"
        " --public asks for none",
    )


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The explorer until it is stopped, by Ctrl-C or SIGTERM.

    Raises:
        CutSwapError: a data folder is not there, a lesson file has a mistake, or the port is taken.
    """
    if importlib.util.find_spec("streamlit") is None:
        raise ModuleNotFoundError("No module named 'streamlit'", name="streamlit")
    variables = {**_variables(options), TOKEN: _token(options)}
    port = _free_port(options.port)
    address = f"http://{HOST}:{port}"
    link = f"{address}/?token={variables[TOKEN]}" if variables[TOKEN] else address
    # -P: a file in the current folder that is called as a package of ours is not to be run.
    command = [sys.executable, "-P", "-m", "streamlit", "run", str(explorer_server())]
    # Streamlit would print the address without the token.
    command += ["--server.port", str(port), "--logger.hideWelcomeMessage", "true"]
    for name in _hosts(options):
        command += ["--server.allowedHosts", name]
    child = subprocess.Popen(  # noqa: S603 - our own interpreter, a list
        command, env={**os.environ, **variables}
    )
    with _passing_on(child) as stop, contextlib.ExitStack() as opened:
        if _answers(child, port):
            print(f"CutSwap Explorer: {link}", flush=True)
            if not options.no_browser:
                show_in_browser(opened.enter_context(_unseen(link)) if link != address else link)
        status = child.wait()
    if status < 0:  # by a signal
        status = 0 if stop.asked else 128 - status
    return {"address": address, "exit_status": status}


def _token(options: argparse.Namespace) -> str:
    """What the link holds; empty where anybody who reaches the port may use the app.

    Not a flag: `ps` shows those to every account of the machine.
    """
    if options.no_token or options.public or os.environ.get(PUBLIC, "") not in ("", "0"):
        return ""
    chosen = os.environ.get(TOKEN, "")
    if chosen and not _TOKEN.fullmatch(chosen):
        raise CutSwapError(
            TOKEN,
            expected="16 to 200 letters, digits, - and _",
            found=f"{len(chosen)} characters" if len(chosen) < 16 else "other characters",
            fix="choose a longer one, leave it out for a new one at each start, or pass --no-token",
        )
    return chosen or secrets.token_urlsafe(24)


def _hosts(options: argparse.Namespace) -> list[str]:
    """Names the app answers to; this machine's own are always among them."""
    named = options.hosts or os.environ.get("CUTSWAP_HOSTS", "").replace(",", " ").split()
    for name in named:
        if not re.fullmatch(r"(\*\.)?[A-Za-z0-9._:-]+|\*", name) or "://" in name:
            raise CutSwapError(
                name,
                expected="a host name without http:// and port, as demo.example.com",
                found="another text",
                fix="pass the name in the browser's address to --hosts",
            )
    return [*HOSTS, *named]


@contextlib.contextmanager
def _unseen(link: str) -> Iterator[str]:
    """A page of one's own that leads to the link: a browser's command line is seen by everybody."""
    handle, name = tempfile.mkstemp(prefix="cutswap-", suffix=".html")  # read by nobody else
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(_OPENER.format(link=link))
        yield Path(name).as_uri()
    finally:
        Path(name).unlink(missing_ok=True)


def _port(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, found {text}")
    return value


def _variables(options: argparse.Namespace) -> dict[str, str]:
    """What the app reads from its environment, from the flags that were given."""
    found: dict[str, str] = {}
    if options.data:
        folders = [user_path(path).absolute() for path in options.data]
        for folder in folders:
            if not folder.is_dir():
                raise CutSwapError(
                    folder,
                    expected="the folder of a data set",
                    found="a file" if folder.exists() else "no such folder",
                    fix="check the path of --data",
                )
            if os.pathsep in str(folder):
                raise CutSwapError(
                    folder,
                    expected=f"a path without {os.pathsep!r}, which separates folders",
                    found="one with it",
                    fix="rename the folder, or add it on the Data page",
                )
        found["CUTSWAP_DATA"] = os.pathsep.join(map(str, folders))
    if options.runs:
        found["CUTSWAP_RUNS"] = str(user_path(options.runs).absolute())
    if options.lesson:
        from cutswap.lessons.lesson_file import VARIABLE, read_lesson

        lesson = user_path(options.lesson).absolute()
        read_lesson(lesson, str(options.lesson))  # a mistake is told here, and not to a class
        found[VARIABLE] = str(lesson)
    if options.public:
        found[PUBLIC] = "1"
    return found


def _free_port(asked: int | None) -> int:
    for port in [asked] if asked else range(PORT, PORT + _TRIED):
        with socket.socket() as probe:
            # What has just ended leaves its port waiting; who listens still refuses. (On Windows
            # the option would let two listen at once.)
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((HOST, port))
                return port
    wanted = f"port {asked}" if asked else f"ports {PORT} to {PORT + _TRIED - 1}"
    raise CutSwapError(
        wanted,
        expected="a free port",
        found="another program that listens there, or one that needs more rights",
        fix="stop that program, or pass another --port",
    )


def _answers(child: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the app serves pages; False where it ends before it does."""
    while child.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection(HOST, port, timeout=5)
            connection.request("GET", "/_stcore/health")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return True
        time.sleep(_PAUSE)
    return False


@contextlib.contextmanager
def _passing_on(child: subprocess.Popen[bytes]) -> Iterator[Stop]:
    """Let signals end the app and not this process, which ends when the app has.

    Ctrl-C reaches both, `kill` only one; Streamlit takes being told twice. A page at work would
    hold it up, so that after a while it is killed: every file is written whole or not at all. On
    Windows terminating would cut it off at once, and there is no other signal than Ctrl-C.
    """
    stop = Stop()

    def pass_on(_number: int, _frame: FrameType | None) -> None:
        if not stop.asked:
            timer = threading.Timer(_GRACE, child.kill)
            timer.daemon = True
            timer.start()
        stop.asked = True
        if os.name == "posix":
            child.terminate()

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if child.poll() is None:
            child.kill()
            child.wait()
