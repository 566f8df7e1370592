"""Files that are whole or absent: written to a temporary name, flushed, then renamed.

A process that was killed between the two leaves its temporary file; the next writing into that
folder deletes those that are older than six hours. Pipes and devices are written to as they are.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import logging
import os
import re
import shutil
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, cast

import platformdirs

from cutswap.errors import CutSwapError

# Of any of our JSON files the largest has 1.5 MB (features.json of 1,200 points). What parses
# takes up to 25 times its bytes: a list of empty objects of this size 250 MB.
MAX_JSON = 10_000_000
MAX_LINE = 1_000_000  # bytes of a line of metrics.jsonl; a real one has 300

# What a killed writing leaves behind.
MARK = "cutswap_"  # in the name: a folder may hold temporary files of other programs
MAX_AGE = 6 * 3600.0  # seconds
MAX_NAME = 255  # bytes of a file's name, where the system does not say
_OURS = re.compile(rf"\..+\.{MARK}\w{{8}}\.tmp", re.DOTALL)
_PAUSES = (0.01, 0.03, 0.1, 0.3, 1.0)  # seconds; a reader of ours holds a file for milliseconds
# Windows has neither links nor pipes among its files, in this sense, but text and binary ones.
_NO_LINK, _NO_WAIT = getattr(os, "O_NOFOLLOW", 0), getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_swept: set[Path] = set()
_sweeping = threading.Lock()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder; on success it takes the place of `path`.

    Either the old file or the complete new one is ever seen under `path`, also after a crash. A
    pipe or a device, `/dev/stdout` too, stays what it is and is written to once all is there.

    Raises:
        CutSwapError: the folder cannot be written, or the disk is full; the old file is intact.
    """
    temporary: Path | None = None
    try:
        to_stream = is_stream(path)
        folder = Path(tempfile.gettempdir()) if to_stream else path.parent
        folder.mkdir(parents=True, exist_ok=True)
        sweep_leftovers(folder)
        # The mark and the random letters take 22 bytes more than the name itself.
        prefix = os.fsencode(path.name)[:200].decode("utf-8", "ignore")
        handle, name = tempfile.mkstemp(prefix=f".{prefix}.{MARK}", suffix=".tmp", dir=folder)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        if to_stream:
            _pour(temporary, path)
        else:
            with temporary.open("r+b") as written:  # Windows flushes only what may be written
                os.fsync(written.fileno())
            temporary.chmod(0o644)
            _take_place(temporary, path)
    except _of_disk() as error:
        raise _unwritable(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _of_disk() -> tuple[type[Exception], ...]:
    """What a disk raises; `save_file` wraps that in its own. Commands start without the package."""
    try:
        from safetensors import SafetensorError
    except ImportError:
        return (OSError,)
    return (OSError, SafetensorError)


def _take_place(temporary: Path, path: Path) -> None:
    """Rename onto a file that may be there; Windows refuses while somebody reads that."""
    for pause in _PAUSES if sys.platform == "win32" else ():
        try:
            temporary.replace(path)
        except PermissionError:
            time.sleep(pause)
        else:
            return
    temporary.replace(path)


def is_stream(path: Path) -> bool:
    """Whether a file is not replaced, but written to: a pipe, a terminal, `/dev/null`.

    Args:
        path: need not be there.

    Raises:
        CutSwapError: a disk or a socket, to which nobody wants to write.
    """
    try:
        mode = path.stat().st_mode
    except OSError:  # none yet; what is wrong with it is said by the writing
        return False
    if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        raise CutSwapError(
            path,
            expected="a file, a pipe or a terminal to write to",
            found="a disk" if stat.S_ISBLK(mode) else "a socket",
            fix="choose another file",
        )
    if stat.S_ISREG(mode) and path.is_symlink():
        # /dev/stdout and /dev/fd/3 are links of the system, also where a plain file is behind.
        place = Path(os.path.realpath(path.parent))
        return place == Path("/dev") or place.is_relative_to("/proc")
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _pour(source: Path, stream: Path) -> None:
    """Write a whole file into a pipe or a device."""
    handle = None
    for standard in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # none, or without a file
            standard.flush()
            if os.path.samestat(stream.stat(), os.fstat(standard.fileno())):
                # Opened anew, a plain file behind it would be written from its beginning.
                handle = os.dup(standard.fileno())
                break
    try:
        with (
            source.open("rb") as read,
            stream.open("wb") if handle is None else os.fdopen(handle, "wb") as write,
        ):
            shutil.copyfileobj(read, write)
    except BrokenPipeError:
        if handle is None:  # a reader of standard output may leave, as `head` does
            raise


def need_out(out: Path) -> None:
    """Refuse an output folder that is a file or cannot be made, before hours of work.

    Raises:
        CutSwapError: it is one, its name is too long, or the folder above may not be written.
    """
    need_short_names(out, ())
    above = _first_that_is_there(out)
    if above.is_dir() and not os.access(above, os.W_OK | os.X_OK):
        raise CutSwapError(
            out,
            expected="a folder to write into",
            found=f"no permission to write into {above}",
            fix="choose another folder, or change the permissions",
        )
    if not above.is_dir():
        raise CutSwapError(
            out,
            expected="a folder to write into",
            found="a file" if above == out.absolute() else f"a file above it, {above}",
            fix="choose another folder",
        )


def need_short_names(folder: Path, names: Iterable[str]) -> None:
    """Refuse what the file system cannot name, before hours of work.

    Args:
        folder: to write into; need not be there.
        names: of files in it, with forward slashes.

    Raises:
        CutSwapError: the first that is too long.
    """
    most = _longest_name(folder)
    for name in ("", *names):
        path = folder / name
        long = [part for part in path.parts if len(os.fsencode(part)) > most]
        if long:
            raise CutSwapError(
                path,
                expected=f"names of at most {most} bytes",
                found=f"{len(os.fsencode(long[0]))} bytes, {long[0][:40]}...",
                fix="choose shorter names for the folder, or for the photo it comes from",
            )


def _longest_name(folder: Path) -> int:
    try:
        return os.pathconf(_first_that_is_there(folder), "PC_NAME_MAX")
    except (OSError, ValueError, AttributeError):  # not every system tells
        return MAX_NAME


def _first_that_is_there(folder: Path) -> Path:
    """The folder itself, or the nearest above it that is there."""
    return next(p for p in (folder.absolute(), *folder.absolute().parents) if _exists(p))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long, a folder that may not be entered
        return False


def write_with(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a file whole through a callback that receives the open binary file."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        write(file)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a binary file whole."""
    write_with(path, lambda file: file.write(data))


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file whole."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole, indented, keys in the given order; NaN and infinities are refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file of at most `MAX_JSON` bytes.

    Raises:
        CutSwapError: it is missing, unreadable, too large or not JSON; the message names the file.
    """
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):  # a pipe would be waited for, a device never ends
            raise ValueError("a folder" if stat.S_ISDIR(about.st_mode) else "a device or a pipe")
        if about.st_size > MAX_JSON:
            raise ValueError(f"{about.st_size:,} bytes, at most {MAX_JSON:,}")
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CutSwapError(
            path, expected="a JSON file", found="no file", fix="check the path"
        ) from None
    except (OSError, ValueError) as error:
        raise CutSwapError(
            path, expected="a readable JSON file", found=error, fix="restore or delete the file"
        ) from error
    except RecursionError:
        raise CutSwapError(
            path,
            expected="a readable JSON file",
            found="too deep a nesting",
            fix="restore or delete the file",
        ) from None


def append_json_line(path: Path, value: dict[str, Any]) -> None:
    """Append one JSON object as one line, in one write, flushed to disk.

    A half-written last line is cut off first, so that nothing is glued to it.

    Raises:
        CutSwapError: the file cannot be written; the lines before are intact.
    """
    line = json.dumps(value, allow_nan=False) + "\n"
    try:
        if _is_cut_short(path):
            kept = read_json_lines(path)
            write_text(path, "".join(json.dumps(v) + "\n" for v in kept))
        with path.open("ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _unwritable(path, error) from error


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """All complete lines of a JSON-lines file; a half-written last line is left out.

    Raises:
        CutSwapError: a line that is no JSON or longer than `MAX_LINE`, or an unreadable file.
    """
    values: list[dict[str, Any]] = []
    bad: tuple[int, str] | None = None
    try:
        if not path.exists():
            return []
        if not path.is_file():
            raise OSError("not a file, but a folder, a device or a pipe")
        with path.open("rb") as file:  # bytes end lines at \n alone; JSON text may hold U+2028
            for number in itertools.count(1):
                raw = file.readline(MAX_LINE + 1)
                if not raw:
                    break
                line = raw.decode("utf-8", errors="replace").rstrip("\n")
                if bad is not None and not line:
                    continue
                if bad is not None:
                    raise _bad_line(path, *bad)
                if len(raw) > MAX_LINE:
                    raise _bad_line(path, number, line)
                try:
                    values.append(json.loads(line))
                except (ValueError, RecursionError):
                    bad = number, line  # forgiven where it is the last one: cut short
    except OSError as error:
        raise CutSwapError(
            path,
            expected="a readable file",
            found=error.strerror or error,
            fix="check its permissions, restore or delete it",
        ) from error
    return values


def _bad_line(path: Path, number: int, line: str) -> CutSwapError:
    return CutSwapError(
        f"{path}, line {number}",
        expected="one JSON object a line",
        found=line[:80],
        fix="remove that line or restore the file",
    )


def _is_cut_short(path: Path) -> bool:
    if not path.exists() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


_CURES = {
    errno.ENAMETOOLONG: "choose a shorter name or folder",
    errno.EPIPE: "let the reader of the pipe read to its end",
}


def _unwritable(path: Path, error: Exception) -> CutSwapError:
    cure = _CURES.get(
        getattr(error, "errno", None) or 0, "free disk space or choose another folder"
    )
    return CutSwapError(
        path,
        expected="to be able to write this file",
        found=getattr(error, "strerror", None) or str(error),
        fix=f"{cure}; nothing that was there was changed",
    )


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sweep_leftovers(
    folder: Path, *, now: float | None = None, max_age: float = MAX_AGE, again: bool = False
) -> int:
    """Delete what killed writings left in one folder, not below it; once a process.

    Args:
        folder: about to be written into.
        now: seconds since 1970; default: the clock.
        max_age: seconds since the last change, beyond which it is left over.
        again: also where this process has already swept.

    Returns:
        Number of files deleted; folders that cannot be read have none.
    """
    with _sweeping:
        if folder in _swept and not again:
            return 0
        _swept.add(folder)
    limit = (time.time() if now is None else now) - max_age
    swept = 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _OURS.fullmatch(entry.name) and _is_left(entry, limit):
                with contextlib.suppress(OSError):  # another process was first
                    os.unlink(entry.path)  # noqa: PTH108 - the entry's own path, links not followed
                    swept += 1
    return swept


def _is_left(entry: os.DirEntry[str], limit: float) -> bool:
    """Whether it is a plain file of this user that has long not changed."""
    try:
        about = entry.stat(follow_symlinks=False)
    except OSError:
        return False
    own = not hasattr(os, "getuid") or about.st_uid == os.getuid()
    return stat.S_ISREG(about.st_mode) and own and about.st_mtime < limit


def user_path(path: str | Path) -> Path:
    """A path as a user types it: `~` and `~name` stand for home folders.

    Raises:
        CutSwapError: there is no such home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise CutSwapError(
            path,
            expected="a folder that can be found",
            found="no home folder for its ~",
            fix="write the whole path, beginning with /",
        ) from error


def cache_folder() -> Path:
    """The user's cache folder for this project; the variable CUTSWAP_CACHE overrides it.

    Where it cannot be written, or there is no home for it, it is a temporary folder of this user,
    which is said once a process.

    Raises:
        CutSwapError: there is no temporary folder either.
    """
    named = os.environ.get("CUTSWAP_CACHE")
    try:
        wanted = user_path(named) if named else Path(platformdirs.user_cache_dir("cutswap"))
        need_out(wanted)
    except RuntimeError:  # no HOME, and a user whom the system does not know
        why = "no home folder"
    except CutSwapError as refused:
        why = f"{refused.subject}: {refused.found}"
    else:
        return wanted
    folder = _temporary_cache(why)
    if folder not in _said:
        _said.add(folder)
        logging.getLogger("cutswap").warning(
            "no lasting cache folder (%s): %s is used; set CUTSWAP_CACHE to name another",
            why,
            folder,
        )
    return folder


_said: set[Path] = set()  # temporary caches that the user has been told of


def _temporary_cache(why: str) -> Path:
    """One folder a user, the same for all processes; nobody else may write into it."""
    user = os.getuid() if hasattr(os, "getuid") else None
    try:
        folder = Path(tempfile.gettempdir()) / f"cutswap-{'cache' if user is None else user}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        about = folder.lstat()
    except OSError as error:
        raise CutSwapError(
            "cache folder",
            expected="a folder to write into",
            found=f"none ({why}), and no temporary one: {error.strerror or error}",
            fix="set CUTSWAP_CACHE to a folder that you can write",
        ) from error
    is_open = user is not None and (about.st_uid != user or about.st_mode & 0o022)
    if is_open or not stat.S_ISDIR(about.st_mode):  # the name was taken, by whomever
        raise CutSwapError(
            folder,
            expected="a temporary cache folder that you alone can write",
            found="somebody else's, or a file",
            fix="set CUTSWAP_CACHE to a folder that you can write",
        )
    return folder


def is_own_file(path: Path) -> bool:
    """Whether it is a file of this folder; a link may lead anywhere and does not count."""
    try:
        return path.is_file() and not path.is_symlink()
    except OSError:
        return False


def open_own(path: Path) -> IO[bytes]:
    """Open a file of this folder to be read; not a link, a pipe or a device, which has no end.

    Raises:
        OSError: it cannot be opened, or is none.
    """
    return _opened_own(path, os.O_RDONLY, "rb")


def append_own(path: Path) -> IO[bytes]:
    """Open a file of this folder to be written on at its end, made where there is none.

    Raises:
        OSError: it cannot be opened, or is a link, a pipe or a device.
    """
    return _opened_own(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, "ab")


def _opened_own(path: Path, flags: int, mode: str) -> IO[bytes]:
    # A pipe would be waited for; only its opener can tell what it has opened.
    handle = os.open(path, flags | _NO_LINK | _NO_WAIT | _BINARY, 0o644)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a file, but a folder, a device or a pipe")
        return cast("IO[bytes]", os.fdopen(handle, mode))
    except BaseException:
        os.close(handle)
        raise


def unreadable(path: Path, error: OSError) -> CutSwapError:
    """What to raise for a file that the system refuses to give out."""
    return CutSwapError(
        path,
        expected="a readable file",
        found=error.strerror or error,
        fix="check its permissions, or delete the folder",
    )
