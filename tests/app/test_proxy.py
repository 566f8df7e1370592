"""The app behind nginx, with the very lines of docs/reliability.md; skipped where there is none."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from websockets.exceptions import InvalidStatus

from tests.helpers.streamlit_socket import Visitor
from tests.helpers.waiting import until
from tests.robustness.soak import free_port, running_app
from tests.robustness.soak_answers import build_photos

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
DOCS = Path(__file__).resolve().parents[2] / "docs/reliability.md"
pytestmark = pytest.mark.skipif(not Path(NGINX).exists(), reason="needs nginx")
AROUND = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
{user}
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port};
    {snippet}
  }}
}}
"""


def snippet(app_port: int) -> str:
    """The location block as it is printed, the app's port put in."""
    (found,) = re.findall(r"```nginx\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert "http://127.0.0.1:8501" in found
    return found.replace(":8501", f":{app_port}")


@contextlib.contextmanager
def proxy(folder: Path, app_port: int) -> Iterator[str]:
    """nginx in front of the app: its address."""
    folder.mkdir()
    port = free_port()
    file = folder / "nginx.conf"
    user = "user root;" if os.getuid() == 0 else ""
    file.write_text(AROUND.format(folder=folder, port=port, snippet=snippet(app_port), user=user))
    server = subprocess.Popen([NGINX, "-c", str(file), "-p", str(folder)])
    address = f"http://127.0.0.1:{port}/"

    def answers() -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(address + "_stcore/health", timeout=2).status_code == 200
        return False

    try:
        until(answers)
        yield address
    finally:
        server.terminate()
        server.wait()


async def visit(address: str, origin: str) -> None:
    query = {"cat": "part · mine"}
    async with Visitor(address, "saliency", query, origin=origin, via="127.0.0.1") as visitor:
        answer = await visitor.rerun()
        assert not answer.errors
        assert len(answer.viewers) == 2
        before = answer.viewers[1]["heat"]
        answer = await visitor.move(answer, "Clusters K", 7)
        assert answer.viewers[1]["heat"] != before
    async with Visitor(address, "data", {}, origin=origin, via="127.0.0.1") as visitor:
        answer = await visitor.rerun()
        visitor.address = address.replace("demo.example", "127.0.0.1")
        await visitor.upload(answer.uploaders[0], "large.png", bytes(15_000_000))
        with pytest.raises(requests.HTTPError, match="413"):
            await visitor.upload(answer.uploaders[0], "larger.png", bytes(21_000_000))


def test_pages_sliders_and_uploads_go_through_nginx_and_strangers_do_not(tmp_path: Path):
    build_photos(tmp_path / "mine", 2)
    port = free_port()
    with (
        running_app(
            tmp_path,
            tmp_path / "mine",
            port=port,
            CUTSWAP_SOAK_DEMO="0",
            STREAMLIT_SERVER_ALLOWED_HOSTS="demo.example 127.0.0.1",
        ),
        proxy(tmp_path / "nginx", port) as address,
    ):
        assert "<title>" in requests.get(address, timeout=10).text
        # By a name, as from outside: Streamlit would let 127.0.0.1 in anyway.
        named = address.replace("127.0.0.1", "demo.example")
        asyncio.run(visit(named, named.rstrip("/")))
        with pytest.raises(
            InvalidStatus, match="403"
        ):  # another site's page in a visitor's browser
            asyncio.run(visit(named, "http://evil.example"))
