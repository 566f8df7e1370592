"""Options and pictures as Streamlit has them, without threads that wait for each other's locks."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from streamlit import config
from streamlit.runtime import memory_media_file_storage as storage
from streamlit.runtime.media_file_manager import MediaFileManager

from app import waiting


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for owner, name in ((config, "get_option"), (MediaFileManager, "add"), (storage, ID)):
        monkeypatch.setattr(owner, name, getattr(owner, name))  # put back afterwards
    waiting.shorten_locks()
    return


ID = "_calculate_file_id"


@pytest.mark.usefixtures("short")
def test_options_are_read_while_another_thread_has_their_lock(monkeypatch):
    for key in list(config.get_config_options()):
        assert config.get_option(key) == waiting._get_option(key), key
    with pytest.raises(RuntimeError, match="not defined"):
        config.get_option("server.nothing")
    read: list[object] = []
    with config._config_lock:
        asks = threading.Thread(target=lambda: read.append(config.get_option("server.port")))
        asks.start()
        asks.join(10)
        assert read == [config.get_option("server.port")]
    port = config.get_config_options()["server.port"]
    monkeypatch.setattr(port, "_get_val_func", lambda: 12345)
    assert config.get_option("server.port") == 12345  # no copy of the moment


@pytest.mark.usefixtures("short")
def test_a_picture_is_hashed_before_the_lock_and_has_the_same_address(monkeypatch):
    files = MediaFileManager(storage.MemoryMediaFileStorage("/media"))
    locked: list[bool] = []
    made = waiting._file_id
    monkeypatch.setattr(
        waiting, "_file_id", lambda *args: (locked.append(files._lock.locked()), made(*args))[1]
    )
    picture = bytes(range(256)) * 20
    for data, mimetype, name in (
        (picture, "image/jpeg", None),
        (picture, "image/png", None),
        (picture, "image/png", "hex nut.png"),
        (picture[:-1], "image/png", None),
        (b"", "image/png", None),
    ):
        kept = files.add(data, mimetype, "0.1", name)
        assert kept.startswith(f"/media/{made(data, mimetype, name)}.")
        assert files._storage.get_file(kept.rpartition("/")[2]).content == data
    assert locked == [False] * 5
    assert waiting._hashed.file is None  # holds no picture longer than that
