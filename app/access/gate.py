"""Every request passes here first, before Streamlit sees it.

Four attacks end here. A website whose name an attacker points at 127.0.0.1 (DNS rebinding) asks by
its own name: its Host is none of ours. A page of another site that opens our socket says so in
Origin. A page that frames ours is kept from it by headers. And another account on the same
machine, which reaches 127.0.0.1 as well as its user, lacks the token that `cutswap app` prints.

Streamlit itself compares the host of its socket only, and lets any program on this machine in that
serves pages from another port of 127.0.0.1.
"""

from __future__ import annotations

import hashlib
import hmac
import http
import os
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN = "CUTSWAP_TOKEN"  # noqa: S105 - the variable's name; not a flag, which `ps` shows to all
HEALTH = "/_stcore/health"  # asked by containers and by `cutswap app`; it says "ok" and no more
HEADERS = (
    (b"content-security-policy", b"frame-ancestors 'self'"),
    (b"x-frame-options", b"SAMEORIGIN"),  # for browsers before frame-ancestors
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"same-origin"),
)
_READING = ("GET", "HEAD")
_REFUSED = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<title>CutSwap Explorer</title><meta name="viewport" content="width=device-width">
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem;
color:#1b1f24;background:#fff}input,button{font:inherit;padding:.4rem .6rem}
input{width:100%;box-sizing:border-box;margin:.3rem 0 .8rem}
@media(prefers-color-scheme:dark){body{color:#e8eaed;background:#14171b}}</style></head><body>
<h1>CutSwap Explorer</h1><p>This app opens with the link that <code>cutswap app</code> has printed
in its terminal. After a restart it prints a new one.</p><form method="get"><label>Or paste the
link's token<input name="token" type="password" autocomplete="off" autofocus required></label>
<button>Open</button></form></body></html>"""


class Gate:
    """Refuses requests that are not from a page of this app.

    Args:
        app: what the others go to.
        hosts: host names the app answers to, without ports; `*.example.com` stands for all below,
            `*` and an empty list for every name.
        origins: other origins (`https://host:port`) whose pages may talk to it.
        token: what the link must hold; empty: none is asked for.
    """

    def __init__(
        self,
        app: Application,
        *,
        hosts: Iterable[str] = (),
        origins: Iterable[str] = (),
        token: str = "",
    ) -> None:
        self._app = app
        self._hosts = tuple(name.strip().lower().rstrip(".") for name in hosts)
        self._origins = frozenset(origin.strip().lower().rstrip("/") for origin in origins)
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, by the ASGI protocol."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        reading = scope["type"] == "http" and scope["method"] in _READING
        if reading and scope["path"].endswith(HEALTH):
            await self._app(scope, receive, _with_headers(send))
        elif not allowed_host(headers.get(b"host", ""), self._hosts):
            await _refuse(
                scope,
                send,
                "This app does not answer to the name in the address. To allow it: "
                "cutswap app --hosts NAME\n",
            )
        elif not reading and not self._own_origin(headers):
            await _refuse(scope, send, "Pages of another site may not talk to this app.\n")
        elif self._token and not self._known(scope, headers):
            if reading and (query := self._offered(scope)) is not None:
                await self._welcome(scope, send, query)
            else:
                await _refuse(scope, send, _REFUSED if reading else "The token is missing.\n")
        else:
            await self._app(scope, receive, _with_headers(send))

    def _own_origin(self, headers: dict[bytes, str]) -> bool:
        """Browsers always say the origin of a socket and of a request that writes."""
        origin = headers.get(b"origin")
        if origin is None:
            return True
        if origin.lower() in self._origins:
            return True
        return urlsplit(origin).netloc.lower() == headers.get(b"host", "").lower()

    def _known(self, scope: Scope, headers: dict[bytes, str]) -> bool:
        wanted = _cookie(scope)
        given = (part.strip().partition("=") for part in headers.get(b"cookie", "").split(";"))
        value = next((value for name, _, value in given if name == wanted), "")
        return hmac.compare_digest(value.encode(), _proof(self._token).encode())

    def _offered(self, scope: Scope) -> list[tuple[str, str]] | None:
        """The rest of the query where it holds the right token, else None."""
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = next((value for name, value in pairs if name == "token"), "")
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            return None
        return [(name, value) for name, value in pairs if name != "token"]

    async def _welcome(self, scope: Scope, send: Send, query: list[tuple[str, str]]) -> None:
        """The token becomes a cookie and leaves the address, so that copied links hold none."""
        # One slash in front: "//evil.example" would be another host.
        where = "/" + scope.get("raw_path", b"/").decode("latin-1").partition("?")[0].lstrip("/\\")
        where += f"?{urlencode(query)}" if query else ""
        # Lax: a socket or frame of another site comes without it, a followed link with it.
        cookie = f"{_cookie(scope)}={_proof(self._token)}; Path=/; HttpOnly; SameSite=Lax"
        cookie += "; Secure" if scope.get("scheme") == "https" else ""
        headers = [
            (b"location", where.encode("latin-1")),
            (b"set-cookie", cookie.encode("latin-1")),
            (b"cache-control", b"no-store"),
        ]
        await answer(send, http.HTTPStatus.SEE_OTHER, headers, b"")


def allowed_host(host: str, allowed: Iterable[str]) -> bool:
    """Whether a Host header names one of the allowed hosts.

    Args:
        host: as sent, `name`, `name:port` or `[::1]:port`.
        allowed: as `hosts` of `Gate`, in lower case.
    """
    patterns = tuple(allowed)
    if not patterns or "*" in patterns:
        return True
    try:
        parts = urlsplit(f"//{host}")
        name, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not name or parts.netloc != host or "@" in host:
        return False
    name = name.rstrip(".")
    return any(
        name.endswith(pattern[1:]) if pattern.startswith("*.") else name == pattern
        for pattern in patterns
    )


def token() -> str:
    """The token that `cutswap app` has given this process; empty where none is asked for."""
    return os.environ.get(TOKEN, "")


def _proof(text: str) -> str:
    """What the cookie holds: of the token, but not the token."""
    return hashlib.sha256(f"cutswap cookie {text}".encode()).hexdigest()


def _cookie(scope: Scope) -> str:
    """The cookie's name; browsers send a host's cookies to all its ports."""
    port = (scope.get("server") or ("", 0))[1]
    return f"cutswap_{port}"


def _with_headers(send: Send) -> Send:
    async def passed_on(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message.get("headers", ())}
            message["headers"] = [
                *message.get("headers", ()),
                *(pair for pair in HEADERS if pair[0] not in there),
            ]
        await send(message)

    return passed_on


async def _refuse(scope: Scope, send: Send, text: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": ""})  # 403 before it opens
        return
    kind = b"text/html; charset=utf-8" if text is _REFUSED else b"text/plain; charset=utf-8"
    body = b"" if scope["method"] == "HEAD" else text.encode()
    await answer(
        send,
        http.HTTPStatus.FORBIDDEN,
        [(b"content-type", kind), (b"cache-control", b"no-store")],
        body,
    )


async def answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Send a whole answer with the headers of all of ours.

    Args:
        send: of the ASGI protocol.
        status: HTTP's.
        headers: more of them, names in lower case.
        body: all of it.
    """
    # Pages with the token in their address tell nobody where they were.
    given = [*headers, *(h for h in HEADERS if h[0] != b"referrer-policy")]
    given += [(b"referrer-policy", b"no-referrer"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": int(status), "headers": given})
    await send({"type": "http.response.body", "body": body})
