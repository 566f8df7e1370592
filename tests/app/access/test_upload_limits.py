"""Uploads that have no room are refused before their bodies are read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.access.gate import Message, Receive, Scope, Send
from app.access.upload_limits import Room, UploadLimits

ROOM = Room(files=3, session_bytes=100_000, all_bytes=200_000, file_bytes=50_000)


class Server:
    """Stands for Streamlit: takes what it is given, and holds it."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, int]] = {}
        self.gate = UploadLimits(self.take, room=ROOM, held=self.sizes)
        self.waiting: asyncio.Event | None = None

    def sizes(self) -> dict[str, list[int]]:
        return {session: list(files.values()) for session, files in self.held.items()}

    async def take(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.waiting:
            await self.waiting.wait()
        *_, session, file = scope["path"].split("/")
        body = await receive()
        self.held.setdefault(session, {})[file] = body["size"]
        await send({"type": "http.response.start", "status": 204, "headers": []})

    async def put(
        self, file: str, size: int | None, session: str = "one", method: str = "PUT"
    ) -> int:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"size": size or 0}

        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": f"/_stcore/upload_file/{session}/{file}",
            "headers": [] if size is None else [(b"content-length", str(size).encode())],
        }
        await self.gate(scope, receive, send)
        return int(sent[0]["status"])


def put(server: Server, *files: tuple[str, int | None], session: str = "one") -> list[int]:
    async def all_of_them() -> list[int]:
        return [await server.put(file, size, session) for file, size in files]

    return asyncio.run(all_of_them())


@pytest.mark.parametrize(
    ("files", "statuses"),
    [
        ([("a", 50_000), ("b", 50_000)], [204, 204]),
        ([("a", 70_000)], [413]),  # one file
        ([("a", 1), ("b", 1), ("c", 1), ("d", 1)], [204, 204, 204, 413]),  # their number
        ([("a", 60_000), ("b", 60_000), ("c", 60_000)], [204, 204, 413]),  # one session
        ([("a", None)], [411]),
    ],
)
def test_one_sessions_room(files: list[tuple[str, int | None]], statuses: list[int]):
    assert put(Server(), *files) == statuses


def test_all_sessions_together_have_room_for_so_much():
    server = Server()
    for session in ("one", "two"):
        assert put(server, ("a", 45_000), ("b", 45_000), session=session) == [204, 204]
    assert put(server, ("a", 45_000), session="three") == [413]
    del server.held["one"]  # its tab was closed
    assert put(server, ("a", 45_000), session="three") == [204]


def test_uploads_at_the_same_moment_count_before_they_have_come():
    """Sixty at once would all find the memory empty."""

    async def at_once() -> list[int]:
        server = Server()
        server.waiting = asyncio.Event()
        tasks = [asyncio.create_task(server.put(f"{i}", 50_000)) for i in range(6)]
        await asyncio.sleep(0)
        server.waiting.set()
        return sorted(await asyncio.gather(*tasks))

    assert asyncio.run(at_once()) == [204, 204, 413, 413, 413, 413]


def test_what_is_no_upload_is_not_weighed():
    server = Server()
    assert asyncio.run(server.put("a", None, method="DELETE")) == 204
