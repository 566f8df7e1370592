"""Streamlit's own login in front of the app, against a provider on this machine.

Needs Authlib (`streamlit[auth]`), as the login does and the app does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlparse

import pytest
from authlib.jose import JsonWebKey, jwt

from tests.helpers.streamlit_socket import Visitor
from tests.robustness.soak import free_port, running_app
from tests.robustness.soak_answers import build_photos

ROOT = Path(__file__).resolve().parents[2]
CLIENT = "cutswap"


class Provider(BaseHTTPRequestHandler):
    """The smallest OpenID Connect provider: everybody is ada@example.org."""

    key = JsonWebKey.generate_key("RSA", 2048, {"kid": "one"}, is_private=True)
    nonces: dict[str, str] = {}  # noqa: RUF012

    def log_message(self, *_: object) -> None:
        """Nothing."""

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def do_GET(self) -> None:  # noqa: N802
        url = urlparse(self.path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/.well-known/openid-configuration":
            self.answer(
                {
                    "issuer": self.issuer,
                    "authorization_endpoint": f"{self.issuer}/authorize",
                    "token_endpoint": f"{self.issuer}/token",
                    "jwks_uri": f"{self.issuer}/keys",
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["RS256"],
                }
            )
        elif url.path == "/keys":
            self.answer({"keys": [self.key.as_dict(is_private=False)]})
        else:
            self.nonces["code-1"] = asked.get("nonce", "")
            back = urlencode({"code": "code-1", "state": asked["state"]})
            self.send_response(302)
            self.send_header("Location", f"{asked['redirect_uri']}?{back}")
            self.end_headers()

    def do_POST(self) -> None:  # noqa: N802
        self.rfile.read(int(self.headers["Content-Length"]))
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": "1",
            "aud": CLIENT,
            "exp": now + 600,
            "iat": now,
            "nonce": self.nonces["code-1"],
            "email": "ada@example.org",
        }
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key).decode()
        self.answer({"access_token": "a", "token_type": "Bearer", "id_token": token})

    def answer(self, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextlib.contextmanager
def provider() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()


def guarded_app(folder: Path) -> Path:
    """main.py with the documented lines, as its reader would put them there, and its server."""
    docs = (ROOT / "docs/reliability.md").read_text()
    (lines,) = re.findall(r"```python\n(    if not st\.user.*?)```", docs, re.DOTALL)
    code = (ROOT / "app/main.py").read_text()
    code = code.replace('    """One rerun."""\n', f'    """One rerun."""\n{lines}')
    assert "st.login()" in code
    home = "Path(__file__).resolve().parent"
    assert home in code
    code = code.replace(home, f"Path({str(ROOT / 'app')!r})")
    (folder / "main.py").write_text(code)
    server = (ROOT / "app/server.py").read_text()
    assert home in server
    assert 'HOME / "main.py"' in server
    server = server.replace('HOME / "main.py"', repr(str(folder / "main.py")))
    (folder / "server.py").write_text(server.replace(home, f"Path({str(ROOT / 'app')!r})"))
    return folder / "server.py"


async def visit(address: str, provider_at: str) -> None:
    origin = address.rstrip("/")
    visitor = Visitor(address, "saliency", {"cat": "part · mine"}, origin=origin)
    await visitor.open()
    stranger = await visitor.rerun()
    assert stranger.viewers == []  # nothing is shown
    assert stranger.sliders == {}
    assert "/auth/login" in stranger.redirect
    await visitor.close()
    visitor.http.get(address + "_stcore/health", timeout=10)
    where = address + stranger.redirect.lstrip("/")
    if stranger.redirect.startswith("http"):
        where = stranger.redirect
    done = visitor.http.get(where, timeout=20)
    assert any(r.headers.get("Location", "").startswith(provider_at) for r in done.history)
    assert done.status_code == 200
    visitor.session = ""
    await visitor.open()
    known = await visitor.rerun()
    assert known.redirect == ""
    assert len(known.viewers) == 2
    await visitor.close()
    forger = Visitor(address, "saliency", {"cat": "part · mine"}, origin=origin)
    forger.http.get(address + "_stcore/health", timeout=10)
    forger.http.cookies.set("_streamlit_user", "forged")
    await forger.open()
    assert (await forger.rerun()).viewers == []
    await forger.close()


@pytest.mark.journey
def test_nobody_sees_a_picture_before_the_login(tmp_path: Path):
    build_photos(tmp_path / "mine", 2)
    port = free_port()
    script = guarded_app(tmp_path)
    with provider() as provider_at:
        (tmp_path / ".streamlit").mkdir()
        (tmp_path / ".streamlit/secrets.toml").write_text(
            "[auth]\n"
            f'redirect_uri = "http://127.0.0.1:{port}/oauth2callback"\n'
            'cookie_secret = "only for this test, 0123456789"\n'
            f'client_id = "{CLIENT}"\nclient_secret = "secret"\n'
            f'server_metadata_url = "{provider_at}/.well-known/openid-configuration"\n'
        )
        with running_app(
            tmp_path,
            tmp_path / "mine",
            port=port,
            CUTSWAP_SOAK_SCRIPT=str(script),
            CUTSWAP_SOAK_DEMO="0",
            STREAMLIT_SERVER_HEADLESS="true",
            STREAMLIT_SERVER_ADDRESS="127.0.0.1",
        ) as app:
            asyncio.run(visit(app.address, provider_at))
