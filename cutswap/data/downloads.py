"""A large file over HTTP: resumed where it broke off, never taken for whole before it is checked.

What has come lies in `NAME.part`, and what it is a part of (address, ETag, size) in
`NAME.part.json`. A resumed request asks for the rest with `If-Range`, so a file that has changed in
the meantime begins anew; so does it at a server that does not know ranges.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from cutswap.errors import CutSwapError
from cutswap.utils.files import read_json, write_json

PIECE = 1 << 20  # bytes read at once
TRIES = 6  # in a row without a new byte
FIRST_TRIES = 3  # before the first byte: no network, most likely
WAIT = 2.0  # seconds before the second try, doubled each time
TIMEOUT = 60.0  # seconds of silence
_LOCAL = ("127.0.0.1", "localhost", "::1")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Part:
    """The remote file that a partial download belongs to."""

    url: str
    etag: str
    size: int


@dataclass(frozen=True)
class Fetched:
    """A whole file.

    Attributes:
        path: where it lies.
        sha256: of its content.
        is_pinned: whether that is what was expected; False where nothing was.
        etag: the server's name of this version, perhaps empty.
        was_there: whether somebody had put it there before.
    """

    path: Path
    sha256: str
    is_pinned: bool
    etag: str
    was_there: bool = False


class _Broken(Exception):  # noqa: N818 - an event: the connection ended before the file
    pass


def fetch(
    url: str,
    target: Path,
    sha256: str | None,
    *,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _text: None,
    wait: float = WAIT,
) -> Fetched:
    """Download a file, or the rest of it.

    Args:
        url: https; plain http only of this machine.
        target: where it is to lie; a whole one there is checked and kept.
        sha256: 64 hex digits expected; None where nobody knows them.
        progress: called with (bytes, bytes in all).
        say: called with a line when something went wrong and goes on.
        wait: seconds before the second try.

    Raises:
        CutSwapError: no connection after several tries, a refusal of the server, no room on the
            disk, another download of it at work, a file of another origin in the way, or content
            that is not what was expected.
    """
    _need_address(url)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    try:
        with FileLock(f"{part}.lock", timeout=0):
            _need_own(part)
            etag = "" if target.exists() else _bring(url, part, progress, say, wait)
            return _checked(url, target, part, sha256, etag)
    except Timeout:
        raise CutSwapError(
            target,
            expected="to be alone",
            found="another download of it at work",
            fix="wait for it",
        ) from None


def _bring(
    url: str, part: Path, progress: Progress | None, say: Callable[[str], None], wait: float
) -> str:
    """Fill the part; returns the ETag."""
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            return _ask(url, part, progress)
        except (_Broken, urllib.error.URLError, OSError, http.client.HTTPException) as error:
            _need_hope(url, part, error)
            now = part.stat().st_size if part.exists() else 0
            # A connection that broke but brought something is no reason to give up.
            failures = 0 if now > before else failures + 1
            if failures >= (TRIES if now else min(TRIES, FIRST_TRIES)):
                raise CutSwapError(
                    url,
                    expected="a connection that lasts",
                    found=_why(error),
                    fix=f"run the same command again later; {now:,} bytes are kept",
                ) from error
            pause = wait * 2 ** max(0, failures - 1)
            say(f"{_why(error)}; going on from {now:,} bytes in {pause:g} s")
            time.sleep(pause)


def _ask(url: str, part: Path, progress: Progress | None) -> str:
    """One request; returns once the part is whole."""
    known = _known(url, part)
    have = part.stat().st_size if known else 0
    if known and have == known.size:
        return known.etag
    headers = {"User-Agent": "cutswap", "Accept-Encoding": "identity"}
    if known and known.etag and have:
        headers |= {"Range": f"bytes={have}-", "If-Range": known.etag}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - see _need_address
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310
        _need_address(response.geturl())  # it may have been sent elsewhere
        start, size = _place(response, have)
        if known and start and size != known.size:
            part.unlink(missing_ok=True)  # another file by now
            raise _Broken("the file has changed at the server")
        remote = _Part(url, response.headers.get("ETag", ""), size)
        _need_room(part, size - start)
        # A weak ETag promises a like file, not the same bytes: no range may be asked by it.
        kept = asdict(remote) | {"etag": "" if remote.etag.startswith("W/") else remote.etag}
        write_json(_about(part), kept)
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            done = start
            while piece := response.read(PIECE):
                file.write(piece)
                done += len(piece)
                if progress:
                    progress(done, size)
            file.truncate()
    if done != size:
        raise _Broken(f"the connection ended after {done:,} of {size:,} bytes")
    return remote.etag


def _place(response: Any, have: int) -> tuple[int, int]:
    """Where the answer begins, and the size of the whole file."""
    length = response.headers.get("Content-Length", "")
    if response.status == 206:
        match = re.fullmatch(
            r"bytes (\d+)-(\d+)/(\d+)", response.headers.get("Content-Range", "").strip()
        )
        if match is None or int(match[1]) != have:
            raise _Broken("the server sent another part than the one asked for")
        return have, int(match[3])
    if not length.isdigit() or int(length) == 0:
        raise CutSwapError(
            response.geturl(),
            expected="a server that says how large its file is",
            found=repr(length),
            fix="download it by hand and pass it as --archive",
        )
    return 0, int(length)


def _known(url: str, part: Path) -> _Part | None:
    """What the part is of, if it can be gone on with."""
    try:
        about = _Part(**read_json(_about(part)))
        is_sound = about.url == url and isinstance(about.size, int) and isinstance(about.etag, str)
        return about if is_sound and part.stat().st_size <= about.size else None
    except (CutSwapError, OSError, TypeError):
        return None


def _checked(url: str, target: Path, part: Path, sha256: str | None, etag: str) -> Fetched:
    """Hash the whole file and give it its name."""
    was_there = target.exists()
    path = target if was_there else part
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    checksum = digest.hexdigest()
    if sha256 is not None and checksum != sha256.lower():
        if was_there:
            raise CutSwapError(
                target,
                expected=f"SHA-256 {sha256.lower()}, or no such file yet",
                found=checksum,
                fix="move it away, and the same command downloads the right one; nothing was"
                " changed",
            )
        wrong = target.with_name(f"{target.name}.wrong")
        path.replace(wrong)  # never gone on with, never taken for the archive
        _about(part).unlink(missing_ok=True)
        raise CutSwapError(
            url,
            expected=f"SHA-256 {sha256.lower()}",
            found=f"{checksum} (kept as {wrong})",
            fix="run the command again; if it stays so, the publisher has replaced the file:"
            " pass --sha256 only if you trust the new one",
        )
    if not was_there:
        path.replace(target)
    _about(part).unlink(missing_ok=True)
    return Fetched(target, checksum, sha256 is not None, etag, was_there)


def _about(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _need_own(part: Path) -> None:
    """Refuse a part that another program began: ours has its description before it has a byte."""
    if part.exists() and not _about(part).exists():
        raise CutSwapError(
            part,
            expected="no file of this name, or one that download wrote",
            found="a file of another origin",
            fix="move it away; nothing was changed",
        )


def _need_address(url: str) -> None:
    place = urlsplit(url)
    if place.scheme == "https" or (place.scheme == "http" and place.hostname in _LOCAL):
        return
    raise CutSwapError(
        url, expected="an https address", found=place.scheme or "none", fix="pass https://..."
    )


def _need_room(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < needed:
        raise CutSwapError(
            part.parent,
            expected=f"{needed / 1e9:.1f} GB free",
            found=f"{free / 1e9:.1f} GB",
            fix="make room or choose another --out; what has come is kept",
        )


def _need_hope(url: str, part: Path, error: Exception) -> None:
    """Refuse what another try cannot mend."""
    if isinstance(error, urllib.error.HTTPError) and error.code == 416:
        part.unlink(missing_ok=True)  # longer than the file at the server: begin anew
        return
    if isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code != 429:
        raise CutSwapError(
            url,
            expected="the archive",
            found=f"HTTP {error.code} {error.reason}",
            fix="check the address, or download it by hand and pass it as --archive",
        ) from error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES):
        raise CutSwapError(
            part,
            expected="a disk that takes the file",
            found=error.strerror,
            fix="make room, then run the same command again; what has come is kept",
        ) from error


def _why(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return str(reason).splitlines()[0] if str(reason) else type(error).__name__
