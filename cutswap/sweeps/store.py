"""Where cells' results lie: a folder, or any fsspec URL (s3://, gs://, memory://).

cells/<id>.json is one result, written whole under a name that is a hash of what decides it: who
writes it a second time writes the same, so nothing needs a lock, and a killed writer leaves the old
file or none. Other names (`sweep.json`, `trials/0001.json`) go the same way.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from cutswap.errors import CutSwapError
from cutswap.utils.files import MAX_JSON, read_json, user_path, write_json

REACHED_WITHIN = 9.0  # seconds; a person is told within ten
CELLS = "cells"
_IDENTITY = re.compile("[0-9a-f]{16}")  # names of cells, see `identity`
T = TypeVar("T")


class ResultStore(Protocol):
    """JSON values by name."""

    url: str

    def read(self, name: str) -> Any:
        """The value; None where there is none, or a damaged one."""

    def write(self, name: str, value: Any) -> None:
        """Replace the value whole, or leave the old one.

        Raises:
            CutSwapError: it cannot be written.
        """

    def names(self, folder: str) -> list[str]:
        """Names without `.json` in a folder, sorted; none where there is no folder."""


class FolderStore:
    """Files below a folder.

    Args:
        folder: made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = user_path(folder).absolute()
        self.url = str(self.folder)

    def read(self, name: str) -> Any:
        """See `ResultStore`."""
        try:
            return read_json(self.folder / f"{name}.json")
        except CutSwapError:
            return None

    def write(self, name: str, value: Any) -> None:
        """See `ResultStore`."""
        write_json(self.folder / f"{name}.json", value)

    def names(self, folder: str) -> list[str]:
        """See `ResultStore`."""
        place = self.folder / folder
        paths = place.glob("*.json") if place.is_dir() else ()
        return sorted(p.stem for p in paths if not p.name.startswith("."))


class RemoteStore:
    """Objects below a URL, through fsspec.

    Args:
        url: with its protocol.

    Raises:
        CutSwapError: an unknown protocol, or one whose package is not installed.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url.rstrip("/")
        # A dead server must be told soon: botocore's own patience is five tries of 60 seconds.
        patience = {
            "config_kwargs": {
                "connect_timeout": 3,
                "read_timeout": 30,
                "retries": {"max_attempts": 2},
            }
        }
        options: dict[str, Any] = patience if url.startswith(("s3://", "s3a://")) else {}
        try:
            self._files, self._root = fsspec.core.url_to_fs(self.url, **options)
        except (ImportError, ValueError) as error:
            raise CutSwapError(
                url,
                expected="a URL that fsspec can open",
                found=str(error).splitlines()[0],
                fix="install the package it names (s3fs for s3://), or pass a folder",
            ) from error

    def read(self, name: str) -> Any:
        """See `ResultStore`."""
        try:
            # A listing from before another machine wrote would say that there is no such file.
            self._files.invalidate_cache()
            data = self._files.cat_file(f"{self._root}/{name}.json")
        except FileNotFoundError:
            return None
        except Exception as error:  # each protocol has errors of its own
            raise self._lost(name, error) from error
        try:
            return json.loads(data) if len(data) <= MAX_JSON else None
        except (ValueError, RecursionError):
            return None

    def write(self, name: str, value: Any) -> None:
        """See `ResultStore`."""
        data = (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()
        try:
            path = f"{self._root}/{name}.json"
            if not self.url.startswith(("s3://", "s3a://")):  # S3 has no folders but buckets
                self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(path, data)
        except Exception as error:
            raise self._lost(name, error) from error

    def names(self, folder: str) -> list[str]:
        """See `ResultStore`."""
        try:
            self._files.invalidate_cache()  # another machine may have written since
            paths = self._files.ls(f"{self._root}/{folder}", detail=False)
        except FileNotFoundError:
            return []
        except Exception as error:
            raise self._lost(folder, error) from error
        stems = (str(path).rpartition("/")[2] for path in paths)
        return sorted(n.removesuffix(".json") for n in stems if n.endswith(".json"))

    def _lost(self, name: str, error: Exception) -> CutSwapError:
        said = (str(error) or type(error).__name__).splitlines()[0][:300]
        return CutSwapError(
            f"{self.url}/{name}",
            expected="a store that answers",
            found=said,
            fix="check its address and keys, or pass a folder of this machine as --out",
        )


def is_begun(store: ResultStore, kind: str) -> bool:
    """Whether a store holds what a sweep or a search wrote.

    Args:
        store: asked.
        kind: `sweep` or `tune`, the name of its first file and what that says of itself.
    """
    about = store.read(kind)
    is_told = isinstance(about, dict) and about.get("kind") == kind
    return is_told or any(_IDENTITY.fullmatch(name) for name in store.names(CELLS))


def open_store(url: str) -> ResultStore:
    """A folder's or a URL's store; nothing is asked of it yet.

    Raises:
        CutSwapError: see `RemoteStore`.
    """
    is_remote = "://" in url and not url.startswith("file://")
    return RemoteStore(url) if is_remote else FolderStore(Path(url.removeprefix("file://")))


def need_store(store: ResultStore, seconds: float = REACHED_WITHIN) -> None:
    """Write and read one small value, so that an hour's work is not lost to a wrong key.

    Args:
        store: to be tried.
        seconds: patience.

    Raises:
        CutSwapError: it cannot be reached, written or read within that time.
    """

    def ask() -> bool:
        store.write("reachable", {"reachable": True})
        return store.read("reachable") == {"reachable": True}

    if not within(seconds, ask, store.url):
        raise CutSwapError(
            store.url,
            expected="to read what was written",
            found="something else",
            fix="check whether somebody else writes there, or pass a folder as --out",
        )


def within(seconds: float, ask: Callable[[], T], subject: str) -> T:
    """Return a call's result, or raise after a time limit; the call then goes on unobserved.

    Args:
        seconds: patience.
        ask: the call.
        subject: what is asked, for the message.

    Raises:
        CutSwapError: it took longer, or what it raised.
    """
    results: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            results.append(ask())
        except BaseException as error:  # handed on to the caller's thread
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if raised:
        raise raised[0]
    if not results:
        raise CutSwapError(
            subject,
            expected=f"an answer within {seconds:g} s",
            found="none",
            fix="check its address and whether it runs, or work on this machine: a folder as --out"
            " and --engine local",
        )
    return results[0]
