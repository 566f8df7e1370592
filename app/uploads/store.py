"""Uploaded pictures as a data set of one session, gone minutes after its tab, at most a day.

    <cache>/uploads/<session>/my_images/001-bolt.png ...                  photos only
    <cache>/uploads/<session>/my_parts/train/good/001-bolt.png ...        own normals
    <cache>/uploads/<session>/my_parts/test/unlabelled/001-nut.png ...    what is to be looked at
    <cache>/uploads/<session>/my_*/index.json                             original names, the app
    <cache>/.alive/                                                       locks of living apps

Names given by a browser are never used as paths: files are numbered, with the letters and digits
of the name behind, so that they are recognised; the whole names are kept in the index. Every
picture is decoded under our own limits, turned upright and saved anew, so that nothing but pixels
survives.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.uploads import photos as upload_photos
from app.uploads.photos import UnusableError, Upload, decoded, png_of, printable, safe_stem, shrunk
from cutswap.errors import CutSwapError
from cutswap.utils.files import read_json, write_json, write_with
from cutswap.utils.processes import Process, hold_life, sweep_lives, this_process

MAX_FILES = 200  # more than any category of MVTec AD needs to work; for all, point at a folder
MAX_TOTAL_BYTES = 500_000_000  # as uploaded, of one batch: the browser's upload lies in memory
MAX_AGE = 24 * 3600.0  # seconds; a forgotten tab's pictures do not stay for ever


@dataclass(frozen=True)
class Limits:
    """What one session may upload.

    Attributes:
        files: pictures of one batch; a new batch replaces the last.
        total_bytes: of one batch, as uploaded.
        file_bytes: of one file.
        pixels: of one file.
        total_pixels: of one batch; None: no limit, as for the others below.
        kept_bytes: on the disk, of one session.
        all_kept_bytes: on the disk, of all sessions.
    """

    files: int
    total_bytes: int
    file_bytes: int
    pixels: int = upload_photos.MAX_PIXELS
    total_pixels: int | None = None
    kept_bytes: int | None = None
    all_kept_bytes: int | None = None


IMAGES, PARTS = "my_images", "my_parts"
UNLABELLED = "unlabelled"  # test photos of which nobody said whether they are good
# Of all sessions one picture is decoded at a time: of six at once, with 49 million pixels in 143 kB
# each, the app took 2.65 GB.
_decoding = threading.Lock()
_SESSION = re.compile(r"[A-Za-z0-9_-]{8,64}")

Ticker = Callable[[int, int], None]


@dataclass(frozen=True)
class StoredUpload:
    """A picture that is in the data set now.

    Attributes:
        name: as uploaded, made printable.
        file: inside the data set, with forward slashes.
        size: (height, width) of the upright original.
        kept_size: (height, width) that was saved.
    """

    name: str
    file: str
    size: tuple[int, int]
    kept_size: tuple[int, int]


@dataclass(frozen=True)
class Refused:
    """A file that is not, and why, in one plain sentence."""

    name: str
    reason: str


@dataclass(frozen=True)
class Uploaded:
    """What became of an upload.

    Attributes:
        root: the data set's folder, for `open_dataset`; None where nothing could be kept, and
            whatever was there before is still there then.
        kept: pictures in it.
        refused: the others.
        top: largest number of the grey photos of 16 bits, see `unused_bits`; 0 where there is none.
    """

    root: Path | None
    kept: tuple[StoredUpload, ...]
    refused: tuple[Refused, ...]
    top: int = 0


def uploads_folder(cache: Path | None = None) -> Path:
    """Where all sessions' uploads lie.

    Args:
        cache: default: the user's cache folder, `saliency_cache.cache_folder()`.
    """
    if cache is None:
        from cutswap.utils.files import cache_folder

        cache = cache_folder()
    return cache / "uploads"


def store_images(
    session: str,
    files: Sequence[Upload],
    *,
    cache: Path | None = None,
    progress: Ticker | None = None,
    limits: Limits | None = None,
    bits: int | None = None,
) -> Uploaded:
    """Make a plain folder of photos of one or several uploads; it replaces the last one.

    Args:
        session: 8 to 64 letters, digits, - and _.
        files: in the order they will be numbered.
        cache: as for `uploads_folder`.
        progress: called with (files done, files in all).
        limits: default: this module's.
        bits: that the camera fills of grey photos of more than 8; None: all of the file.

    Raises:
        CutSwapError: a session id that is none, or the disk cannot be written.
    """
    placed = [(file, ".") for file in files]
    return _store(session, IMAGES, placed, cache, progress, limits, bits)


def store_parts(
    session: str,
    normals: Sequence[Upload],
    tests: Sequence[Upload] = (),
    *,
    cache: Path | None = None,
    progress: Ticker | None = None,
    limits: Limits | None = None,
    bits: int | None = None,
) -> Uploaded:
    """Make a category of good photos to learn from and, perhaps, photos to be looked at.

    Args:
        session: 8 to 64 letters, digits, - and _.
        normals: photos of good parts, train/good.
        tests: photos of which nothing is known, test/unlabelled.
        cache: as for `uploads_folder`.
        progress: called with (files done, files in all).
        limits: default: this module's.
        bits: as for `store_images`.

    Returns:
        With `root` None unless at least one normal was kept.

    Raises:
        CutSwapError: as `store_images`.
    """
    files = [(file, "train/good") for file in normals]
    files += [(file, f"test/{UNLABELLED}") for file in tests]
    return _store(session, PARTS, files, cache, progress, limits, bits)


def remove_uploads(session: str, *, cache: Path | None = None) -> None:
    """Delete everything a session uploaded; nothing happens where there is nothing.

    Args:
        session: its id.
        cache: as for `uploads_folder`.

    Raises:
        CutSwapError: a session id that is none.
    """
    shutil.rmtree(_session_folder(session, cache), ignore_errors=True)


def stored_uploads(session: str, *, cache: Path | None = None) -> Uploaded | None:
    """What a session has uploaded last, as far as it is still there; None where nothing is.

    Args:
        session: its id.
        cache: as for `uploads_folder`.

    Raises:
        CutSwapError: a session id that is none.
    """
    home = _session_folder(session, cache)
    found = sorted(home.glob("*/index.json"), key=lambda path: path.stat().st_mtime)
    if not found or home.is_symlink():
        return None
    try:
        kept = tuple(
            StoredUpload(str(f["name"]), str(f["file"]), _pair(f["size"]), _pair(f["kept_size"]))
            for f in read_json(found[-1])["files"]
        )
    except (CutSwapError, LookupError, TypeError, ValueError):  # being replaced, or damaged
        return None
    return Uploaded(found[-1].parent, kept, ())


def sweep_uploads(
    *, cache: Path | None = None, now: float | None = None, max_age: float = MAX_AGE
) -> int:
    """Delete the folders of sessions without an upload for a day, or whose app has ended.

    A restarted app knows no session of the one before, so nobody could reach them any more. An app
    is asked for by the lock that it holds, so that several containers can share a cache.

    Args:
        cache: as for `uploads_folder`.
        now: seconds since 1970; default: the clock.
        max_age: seconds a folder may be old.

    Returns:
        Number of folders deleted.
    """
    limit = (time.time() if now is None else now) - max_age
    home = uploads_folder(cache)
    swept = 0
    try:
        folders = [Path(e.path) for e in os.scandir(home) if not e.is_symlink()]
    except OSError:
        return 0
    for folder in folders:
        try:
            is_old = folder.is_dir() and folder.stat().st_mtime < limit
            if is_old or (folder.is_dir() and _is_orphan(folder, home.parent)):
                shutil.rmtree(folder)
                swept += 1
        except OSError:  # another process was first, or it is not ours to delete
            continue
    sweep_lives(home.parent)
    return swept


def _is_orphan(folder: Path, cache: Path) -> bool:
    """Whether the app that stored it has ended; another machine's may not be asked."""
    makers = []
    for index in folder.glob("*/index.json"):
        try:
            by = read_json(index)["by"]
            makers.append(Process(int(by["pid"]), str(by["marker"]), str(by["host"])))
        except (CutSwapError, LookupError, TypeError, ValueError):
            continue
    return bool(makers) and all(maker.lives(cache) is False for maker in makers)


def _store(
    session: str,
    name: str,
    files: Sequence[tuple[Upload, str]],
    cache: Path | None,
    progress: Ticker | None,
    limits: Limits | None,
    bits: int | None,
) -> Uploaded:
    """Fill a new folder and put it in the place of the old one, whole or not at all."""
    home = _session_folder(session, cache)
    try:
        home.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{name}.", suffix=".tmp", dir=home))
    except OSError as error:
        raise _unwritable(home, error) from error
    try:
        disk = _Disk(home, home / name, limits or _default_limits())
        kept, refused, top = _fill(made, files, progress, disk, bits)
        needed = "train/good" if name == PARTS else "."
        if not any((Path(k.file).parent.as_posix()) == needed for k in kept):
            return Uploaded(None, kept, refused, top)
        index = [
            {"file": k.file, "name": k.name, "size": k.size, "kept_size": k.kept_size} for k in kept
        ]
        hold_life(home.parent.parent)  # before anybody can ask who stored it
        write_json(made / "index.json", {"files": index, "by": this_process().to_dict()})
        made.chmod(0o755)  # mkdtemp's is for its owner only
        root = home / name
        shutil.rmtree(root, ignore_errors=True)
        made.rename(root)
        return Uploaded(root, kept, refused, top)
    except OSError as error:
        raise _unwritable(home, error) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _fill(
    folder: Path,
    files: Sequence[tuple[Upload, str]],
    progress: Ticker | None,
    disk: _Disk,
    bits: int | None,
) -> tuple[tuple[StoredUpload, ...], tuple[Refused, ...], int]:
    kept: list[StoredUpload] = []
    refused: list[Refused] = []
    seen: dict[tuple[str, bytes], str] = {}
    limits = disk.limits
    total = top = pixels = 0
    for done, (file, place) in enumerate(files, start=1):
        name = printable(file.name)
        total += len(file.data)
        # A test photo may be a training photo too; within one folder a twin has no use.
        digest = (place, hashlib.sha256(file.data).digest())
        try:
            if len(kept) >= limits.files:
                refused.append(Refused(name, f"more than {limits.files} pictures in one upload"))
            elif total > limits.total_bytes:
                limit = f"{limits.total_bytes // 10**6} MB"
                refused.append(Refused(name, f"the upload as a whole is larger than {limit}"))
            elif digest in seen:
                refused.append(Refused(name, f"the same file as {seen[digest]}"))
            else:
                disk.need_room()
                room = limits.pixels
                if limits.total_pixels is not None:
                    room = min(room, limits.total_pixels - pixels)
                with _decoding:
                    photo, largest = decoded(file, name, limits.file_bytes, bits, room)
                    size, small = _size(photo), shrunk(photo)
                    del photo  # before the next one's turn
                pixels += size[0] * size[1]
                top = max(top, largest)
                number = sum(k.file.startswith(f"{place}/") or place == "." for k in kept) + 1
                path = Path(place) / f"{number:03d}{safe_stem(name)}.png"
                write_with(folder / path, png_of(small))
                seen[digest] = name
                kept.append(StoredUpload(name, path.as_posix(), size, _size(small)))
        except UnusableError as error:
            refused.append(Refused(name, str(error)))
        if progress:
            progress(done, len(files))
    return tuple(kept), tuple(refused), top


class _Disk:
    """Room that a session's pictures have on the disk.

    Args:
        home: the session's folder.
        replaced: what goes when the batch is whole; it takes no room of it.
        limits: of one session and of all.
    """

    def __init__(self, home: Path, replaced: Path, limits: Limits) -> None:
        self._home, self._replaced, self.limits = home, replaced, limits

    def need_room(self) -> None:
        """Ask before each picture, which may take 12 MB: `KEPT_SIDE` squared, three bytes each.

        Raises:
            UnusableError: this session's or all sessions' pictures take too much already.
        """
        own, all_of_them = self.limits.kept_bytes, self.limits.all_kept_bytes
        if own is not None and self._taken(self._home) >= own:
            raise UnusableError(
                f"your pictures take {own // 10**6} MB already; delete them, or upload fewer"
            )
        if all_of_them is not None and self._taken(self._home.parent) >= all_of_them:
            raise UnusableError("all visitors' pictures fill the disk; try again in some minutes")

    def _taken(self, folder: Path) -> int:
        taken = 0
        for place, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if Path(place, name) != self._replaced]
            for name in names:
                with contextlib.suppress(OSError):  # another session's has just gone
                    taken += os.lstat(Path(place, name)).st_size
        return taken


def _default_limits() -> Limits:
    return Limits(
        MAX_FILES, MAX_TOTAL_BYTES, upload_photos.MAX_FILE_BYTES, upload_photos.MAX_PIXELS
    )


def _size(photo: np.ndarray) -> tuple[int, int]:
    return int(photo.shape[0]), int(photo.shape[1])


def _pair(size: Sequence[int]) -> tuple[int, int]:
    height, width = size
    return int(height), int(width)


def _session_folder(session: str, cache: Path | None) -> Path:
    if not _SESSION.fullmatch(session):
        raise CutSwapError(
            "session id",
            expected="8 to 64 letters, digits, - and _",
            found=repr(session[:70]),
            fix="make one with uuid4().hex",
        )
    return uploads_folder(cache) / session


def _unwritable(folder: Path, error: OSError) -> CutSwapError:
    return CutSwapError(
        folder,
        expected="to be able to keep uploads there",
        found=error.strerror or error,
        fix="free disk space, or set CUTSWAP_CACHE to a folder that you can write",
    )
