"""How much may lie uploaded in memory, before any button is pressed: by session and in all.

Streamlit takes every file into memory as it comes and keeps it until two minutes after the tab has
gone; the pages look at it when "Use these pictures" is pressed. 60 uploads of 20 MB took 1.7 GB.
"""

from __future__ import annotations

import http
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from app.access.gate import Application, Receive, Scope, Send, answer

_UPLOAD = re.compile(r"/_stcore/upload_file/([^/]+)/([^/]+)/?$")
_AROUND = 10_000  # bytes of a form around its file
Held = Callable[[], Mapping[str, Iterable[int]]]


@dataclass(frozen=True)
class Room:
    """What may lie in memory.

    Attributes:
        files: of one session.
        session_bytes: of one session.
        all_bytes: of all sessions together.
        file_bytes: of one file.
    """

    files: int
    session_bytes: int
    all_bytes: int
    file_bytes: int


class UploadLimits:
    """Refuses an upload that has no room, by its announced length, before its body is read.

    Args:
        app: what takes the others.
        room: the limits.
        held: bytes of every file that lies in memory now, by session.
    """

    def __init__(self, app: Application, *, room: Room, held: Held) -> None:
        self._app, self._room, self._held = app, room, held
        self._coming: dict[tuple[str, str], int] = {}  # announced and not yet in memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, by the ASGI protocol."""
        found = _UPLOAD.search(scope["path"]) if scope["type"] == "http" else None
        if found is None or scope["method"] not in ("PUT", "POST"):
            await self._app(scope, receive, send)
            return
        key = found[1], found[2]
        length = dict(scope["headers"]).get(b"content-length", b"")
        if not length.isdigit():
            await _refuse(send, http.HTTPStatus.LENGTH_REQUIRED, "an upload without its length")
            return
        size = int(length)
        if wrong := self._wrong(key, size):
            await _refuse(send, http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE, wrong)
            return
        self._coming[key] = size  # no other request runs between the question and this line
        try:
            await self._app(scope, receive, send)
        finally:
            self._coming.pop(key, None)

    def _wrong(self, key: tuple[str, str], size: int) -> str:
        """Why there is no room, or nothing."""
        sizes = {session: list(files) for session, files in self._held().items()}
        for (session, _), announced in self._coming.items():
            sizes.setdefault(session, []).append(announced)
        own, room = sizes.get(key[0], []), self._room
        if key in self._coming:
            return "the same file twice at once"
        if size > room.file_bytes + _AROUND:
            return f"more than {room.file_bytes:,} bytes"
        if len(own) >= room.files:
            return f"more than {room.files} files"
        if sum(own) + size > room.session_bytes + _AROUND * room.files:
            return f"more than {room.session_bytes:,} bytes in one session"
        if sum(map(sum, sizes.values())) + size > room.all_bytes:
            return "too much from all visitors at this moment; try again in some minutes"
        return ""


async def _refuse(send: Send, status: int, why: str) -> None:
    await answer(send, status, [(b"content-type", b"text/plain")], f"Refused: {why}.\n".encode())
