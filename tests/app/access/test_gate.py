"""Who gets through the gate, request by request; `test_served` asks the real app."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.access import gate
from app.access.gate import HEADERS, Gate, Message, Receive, Scope, Send, allowed_host

TOKEN = "a-token-of-the-tests"  # noqa: S105
HERE = "127.0.0.1:8501"
OURS = ("localhost", "127.0.0.1", "::1")


async def inside(scope: Scope, _receive: Receive, send: Send) -> None:
    """Stands for Streamlit."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"inside"})


def ask(
    path: str = "/train",
    kind: str = "http",
    method: str = "GET",
    token: str = "",
    origins: tuple[str, ...] = (),
    **headers: str,
) -> list[Message]:
    """What the gate answers."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("the gate reads no body")

    path, _, query = path.partition("?")
    given = {"host": HERE, **headers}
    scope: dict[str, Any] = {
        "type": kind,
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(k.encode(), v.encode()) for k, v in given.items()],
        "server": ("127.0.0.1", 8501),
        "scheme": "http",
    }
    asyncio.run(Gate(inside, hosts=OURS, origins=origins, token=token)(scope, receive, send))
    return sent


def is_in(sent: list[Message]) -> bool:
    if sent[0]["type"].startswith("websocket"):
        return bool(sent[0]["type"] == "websocket.accept")
    return bool(sent[0]["status"] == 200)


WAYS = (("http", "GET"), ("http", "PUT"), ("websocket", "GET"))


@pytest.mark.parametrize(("kind", "method"), WAYS)
@pytest.mark.parametrize(
    "host", ["127.0.0.1:8501", "localhost:9000", "LOCALHOST", "[::1]:8501", "localhost."]
)
def test_names_of_this_machine_get_in(kind: str, method: str, host: str):
    assert is_in(ask(kind=kind, method=method, host=host))


@pytest.mark.parametrize(("kind", "method"), WAYS)
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8501",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil-localhost",
        "localhost@evil.example",
        "evil.example@localhost",
        "localhost/evil.example",
        "localhost:8501:evil.example",
        "localhost:port",
        "[::1",
        "0.0.0.0:8501",
        "",
    ],
)
def test_other_names_do_not(kind: str, method: str, host: str):
    """A name that its owner points at 127.0.0.1, with an Origin that agrees with it."""
    sent = ask(kind=kind, method=method, host=host, origin=f"http://{host}")
    assert not is_in(sent)


@pytest.mark.parametrize(
    ("host", "patterns", "allowed"),
    [
        ("a.demo.example", ("*.demo.example",), True),
        ("demo.example", ("*.demo.example",), False),
        ("xdemo.example", ("*.demo.example",), False),
        ("anything", ("*",), True),
        ("anything", (), True),
        ("demo.example:443", ("demo.example",), True),
    ],
)
def test_patterns_of_hosts(host: str, patterns: tuple[str, ...], allowed: bool):
    assert allowed_host(host, patterns) == allowed


@pytest.mark.parametrize(
    ("kind", "method"), [("http", "PUT"), ("http", "POST"), ("http", "DELETE"), ("websocket", "")]
)
@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://127.0.0.1:9000",  # another program of this machine
        "http://localhost:8501",
        "null",
        "",
        "file://",
    ],
)
def test_pages_of_other_origins_open_no_socket_and_write_nothing(
    kind: str, method: str, origin: str
):
    assert not is_in(ask(kind=kind, method=method, origin=origin))
    assert is_in(ask(kind=kind, method=method, origin=f"http://{HERE}"))
    assert is_in(ask(kind=kind, method=method))  # a program, not a browser
    wanted = "https://portal.example"
    assert is_in(ask(kind=kind, method=method, origin=wanted, origins=(wanted,)))


@pytest.mark.parametrize("path", ["/", "/train", "/media/x.png", "/_stcore/health"])
def test_every_answer_forbids_framing_by_others(path: str):
    for sent in (ask(path), ask(path, token=TOKEN), ask(path, host="evil.example")):
        got = dict(sent[0]["headers"])
        assert got[b"content-security-policy"] == b"frame-ancestors 'self'"
        assert got[b"x-frame-options"] == b"SAMEORIGIN"
        assert {name for name, _ in HEADERS} <= set(got)


@pytest.mark.parametrize(("kind", "method"), WAYS)
@pytest.mark.parametrize(
    ("path", "cookie"),
    [
        ("/train", ""),
        ("/train?token=", ""),
        ("/train?token=another-token-of-the-tests", ""),
        ("/train", f"cutswap_8501={TOKEN}"),  # the token is not what the cookie holds
        ("/train", "cutswap_8501="),
        ("/train", f"cutswap_9000={gate._proof(TOKEN)}"),
        ("/media/x.png", ""),
    ],
)
def test_without_the_token_nothing_is_shown(kind: str, method: str, path: str, cookie: str):
    sent = ask(path, kind=kind, method=method, token=TOKEN, cookie=cookie)
    assert not is_in(sent)
    if method == "GET" and kind == "http":
        assert sent[0]["status"] == 403
        assert b"cutswap app" in sent[1]["body"]


def test_the_link_gives_a_cookie_that_opens_everything_and_leaves_the_address():
    sent = ask(f"/train?cat=part&token={TOKEN}&run=a+b", token=TOKEN)
    assert sent[0]["status"] == 303
    answer = dict(sent[0]["headers"])
    assert answer[b"location"] == b"/train?cat=part&run=a+b"
    cookie = answer[b"set-cookie"].decode()
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert TOKEN not in cookie
    for kind, method in WAYS:
        given = "other=1; " + cookie.partition(";")[0]
        assert is_in(ask(kind=kind, method=method, token=TOKEN, cookie=given))


@pytest.mark.parametrize("path", ["//evil.example", "/\\evil.example", "///evil.example/x"])
def test_the_link_leads_to_no_other_host(path: str):
    answer = dict(ask(f"{path}?token={TOKEN}", token=TOKEN)[0]["headers"])
    where = answer[b"location"].decode()
    assert where.startswith("/")
    assert not where.startswith(("//", "/\\"))


def test_health_is_asked_without_a_token():
    assert is_in(ask("/_stcore/health", token=TOKEN))
    assert not is_in(ask("/_stcore/health", token=TOKEN, kind="websocket"))
