"""What `cutswap app` starts: Streamlit serves main.py, behind the gate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

HOME = Path(__file__).resolve().parent
if str(HOME.parent) not in sys.path:  # `streamlit run` puts only app/ itself there
    sys.path.insert(0, str(HOME.parent))

import streamlit as st  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from streamlit import runtime  # noqa: E402
from streamlit.starlette import App  # noqa: E402

from app.access import gate, upload_limits  # noqa: E402
from app.shared import public  # noqa: E402
from app.uploads.store import MAX_FILES, MAX_TOTAL_BYTES  # noqa: E402
from app.waiting import shorten_locks  # noqa: E402

if TYPE_CHECKING:
    from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager


def room() -> upload_limits.Room:
    """For strangers what the Data page takes; else what fits the memory of a small machine."""
    if public.is_public():
        limits = public.LIMITS
        return upload_limits.Room(
            files=limits.files,
            session_bytes=limits.total_bytes,
            all_bytes=public.ALL_UPLOADS,
            file_bytes=limits.file_bytes,
        )
    return upload_limits.Room(
        files=MAX_FILES,
        session_bytes=MAX_TOTAL_BYTES,
        all_bytes=3 * MAX_TOTAL_BYTES,
        file_bytes=st.get_option("server.maxUploadSize") * 2**20,
    )


def held() -> dict[str, list[int]]:
    """Bytes of every upload in Streamlit's memory, by session."""
    if not runtime.exists():
        return {}
    memory = cast("MemoryUploadedFileManager", runtime.get_instance().uploaded_file_mgr)
    storage = memory.file_storage
    return {s: [len(f.data) for f in list(files.values())] for s, files in list(storage.items())}


shorten_locks()
app = App(
    HOME / "main.py",
    middleware=[
        Middleware(
            gate.Gate,
            hosts=st.get_option("server.allowedHosts"),
            origins=st.get_option("server.corsAllowedOrigins"),
            token=gate.token(),
        ),
        Middleware(upload_limits.UploadLimits, room=room(), held=held),
    ],
)
