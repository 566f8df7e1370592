"""What the real app, as it is started, lets in and tells: asked over its own sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from websockets.exceptions import InvalidStatus

from tests.helpers.streamlit_socket import XSRF, Visitor
from tests.robustness.soak import App, running_app
from tests.robustness.soak_answers import build_photos

TOKEN = "a-token-of-the-tests"  # noqa: S105


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    folder = tmp_path_factory.mktemp("served")
    build_photos(folder / "mine", 2)
    with running_app(folder, folder / "mine", CUTSWAP_SOAK_DEMO="0", CUTSWAP_TOKEN=TOKEN) as app:
        yield app


def visitor(app: App, **how: Any) -> Visitor:
    """One who is on the Saliency page."""
    return Visitor(how.pop("at", app.address), "saliency", {"cat": "part · mine"}, **how)


def known(app: App) -> Visitor:
    """One who has opened the link."""
    someone = visitor(app, origin=app.address.rstrip("/"))
    page = someone.http.get(app.address, params={"token": TOKEN}, timeout=20)
    assert page.status_code == 200
    assert "token" not in page.url
    return someone


def test_without_the_token_there_is_no_page_and_no_socket(app: App):
    page = requests.get(app.address + "train", timeout=20)
    assert page.status_code == 403
    assert page.headers["X-Frame-Options"] == "SAMEORIGIN"
    stranger = visitor(app, origin=app.address.rstrip("/"))
    stranger.http.get(app.address, params={"token": "wrong"}, timeout=20)
    with pytest.raises(InvalidStatus, match="403"):
        asyncio.run(stranger.open())


def test_with_the_link_the_page_is_there_and_may_not_be_framed(app: App):
    someone = known(app)

    async def look() -> None:
        await someone.open()
        answer = await someone.rerun()
        assert not answer.errors
        assert len(answer.viewers) == 2
        await someone.close()

    asyncio.run(look())
    page = someone.http.get(app.address + "train", timeout=20)
    assert page.headers["Content-Security-Policy"] == "frame-ancestors 'self'"


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("evil.example", "same"),  # DNS rebinding: the name agrees, the address is ours
        ("127.0.0.1", "http://evil.example"),
        ("127.0.0.1", "http://127.0.0.1:1"),  # another program of this machine
        ("127.0.0.1", "null"),
    ],
)
def test_other_sites_get_no_socket_even_in_a_browser_that_has_the_cookie(
    app: App, host: str, origin: str
):
    at = app.address.replace("127.0.0.1", host)
    wrong = visitor(app, at=at, via="127.0.0.1", origin=at.rstrip("/"))
    wrong.origin = wrong.origin if origin == "same" else origin
    wrong.http.cookies = known(app).http.cookies
    with pytest.raises(InvalidStatus, match="403"):
        asyncio.run(wrong.open())


def test_uploads_need_the_cross_site_token(app: App):
    someone = known(app)
    someone.http.get(app.address + "_stcore/health", timeout=20)
    assert XSRF in someone.http.cookies
    where = f"{app.address}_stcore/upload_file/session/file"
    sent = someone.http.put(where, files={"file": ("a.png", b"x")}, timeout=20)
    assert sent.status_code == 403
    assert "XSRF" in sent.text


def test_it_listens_on_this_machine_alone(app: App):
    port = int(app.address.rstrip("/").rpartition(":")[2])
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    lines += Path("/proc/net/tcp6").read_text().splitlines()[1:]
    listening = "0A"  # TCP_LISTEN
    found = {
        words[1].partition(":")[0]
        for words in map(str.split, lines)
        if words[3] == listening and int(words[1].rpartition(":")[2], 16) == port
    }
    assert found == {socket.inet_aton("127.0.0.1")[::-1].hex().upper()}


def test_browsers_are_not_told_to_send_statistics(app: App):
    """The page's own script does it, to another host, where the server says so."""
    someone = known(app)

    async def look() -> None:
        await someone.open()
        await someone.rerun()
        await someone.close()

    asyncio.run(look())
    assert someone.gathers_statistics is False
