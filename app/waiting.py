"""What the threads of all sessions would wait for one after the other, out of their way.

A thread that waits for a lock gives the interpreter away, and has to wait for that too when it gets
the lock: two short locks of Streamlit that every element and every picture take cost twenty
sessions half of their reruns' time (samples of all threads while `make soak-attacked` ran: 32% in
`get_option`; without that 28% in `MediaFileManager.add`).
"""

from __future__ import annotations

import threading
from typing import Any

from streamlit import config
from streamlit.runtime import memory_media_file_storage as storage
from streamlit.runtime.media_file_manager import MediaFileManager

_get_option = config.get_option
_add = MediaFileManager.add
_file_id = storage._calculate_file_id
_hashed = threading.local()  # of this thread's next file: its bytes, mimetype, name and id


def shorten_locks() -> None:
    """Read options without their lock, and take the pictures' lock with their hashes at hand."""
    config.get_option = _unlocked_option
    MediaFileManager.add = _add_hashed  # type: ignore[method-assign]
    storage._calculate_file_id = _hashed_before


def _unlocked_option(key: str) -> Any:
    """An option; they are set before the first session and then stay."""
    options = config._config_options
    option = options.get(key) if options else None
    return _get_option(key) if option is None else option.value


def _add_hashed(
    self: MediaFileManager,
    path_or_data: bytes | str,
    mimetype: str,
    coordinates: str,
    file_name: str | None = None,
    is_for_static_download: bool = False,
) -> str:
    """`MediaFileManager.add`; the hash of a picture's bytes is made before its lock is taken."""
    if isinstance(path_or_data, bytes):
        made = _file_id(path_or_data, mimetype, file_name)
        _hashed.file = (path_or_data, mimetype, file_name, made)
    try:
        return _add(self, path_or_data, mimetype, coordinates, file_name, is_for_static_download)
    finally:
        _hashed.file = None


def _hashed_before(data: bytes, mimetype: str, filename: str | None = None) -> str:
    file = getattr(_hashed, "file", None)
    if file is not None and file[0] is data and file[1:3] == (mimetype, filename):
        return str(file[3])
    return _file_id(data, mimetype, filename)
