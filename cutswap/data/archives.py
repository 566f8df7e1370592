"""Untrusted tar archives: list members, and unpack only below the target folder."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Self

from cutswap.errors import CutSwapError

_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)

MAX_MEMBERS = 200_000  # VisA has 22,000, MVTec AD 7,000
MAX_HEADER = 1_000_000  # bytes of what describes one member; tarfile reads it whole
MAX_DEPTH = 64  # folders in a path; Python makes and removes them one inside the other
MAX_RATIO = 30  # unpacked to packed: photos hardly shrink; a bomb of zeros shrinks a thousandfold


class _Header(tarfile.TarInfo):
    """A member's header that is small: an extended one of 3 GB would be read into memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """As of `TarInfo`.

        Raises:
            tarfile.ReadError: it describes more than `MAX_HEADER` bytes of headers to come.
        """
        found = super().frombuf(buf, encoding, errors)
        if found.type in _EXTENDED and found.size > MAX_HEADER:
            raise tarfile.ReadError(f"a member's header of {found.size:,} bytes")
        return found


def member_names(archive: Path) -> list[PurePosixPath]:
    """Paths of its files, unpacked nowhere.

    Raises:
        CutSwapError: not a readable tar archive, or members no data set has.
    """
    with _opened(archive) as tar:
        return [PurePosixPath(m.name) for m in _members(archive, tar) if m.isfile()]


def unpack(archive: Path, out: Path, progress: Callable[[int, int], None] | None = None) -> None:
    """Unpack into a folder that is whole or absent.

    Args:
        archive: tar, perhaps compressed.
        out: not there yet.
        progress: called with (bytes, bytes in all), unpacked ones.

    Raises:
        CutSwapError: a damaged archive, a member that leads out of the folder, a link or device, a
            full disk, or a folder that is there.
    """
    if out.exists():
        raise CutSwapError(
            out,
            expected="a folder that is not there yet",
            found="one",
            fix="pass another --out, or delete it",
        )
    if not hasattr(tarfile, "data_filter"):  # Python 3.11.0 to 3.11.3
        raise CutSwapError(
            "Python",
            expected="3.11.4 or later, whose tarfile refuses hostile members",
            found="an earlier one",
            fix="update Python",
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    temporary.chmod(0o755)
    try:
        with _opened(archive) as tar:
            members = list(_members(archive, tar))
            total, done = sum(m.size for m in members), 0
            _need_room(out.parent, total)
            for member in members:
                tar.extract(member, temporary, filter="data")
                done += member.size
                if progress:
                    progress(done, total)
        temporary.replace(out)
    except OSError as error:
        raise CutSwapError(
            out,
            expected="a disk that takes the archive's content",
            found=error.strerror or error,
            fix="make room and run the same command again",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(archive, "r:*", tarinfo=_Header) as tar:
            yield tar
    except (tarfile.TarError, EOFError) as error:
        raise _bad(archive, str(error) or "it ends early") from error
    except OSError as error:
        # lzma and gzip raise OSError without a number for damaged data
        if error.errno is None:
            raise _bad(archive, str(error)) from error
        raise
    except RecursionError as error:  # headers that describe headers that describe headers
        raise _bad(archive, "headers nested too deeply") from error
    except Exception as error:
        if type(error).__name__ not in ("LZMAError", "error"):  # of lzma, of zlib
            raise
        raise _bad(archive, str(error)) from error


def _members(archive: Path, tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """All members, refused where no photo archive has such."""
    seen: set[str] = set()
    packed, total = archive.stat().st_size, 0
    for number, member in enumerate(tar):
        path = PurePosixPath(member.name)
        kind = "" if member.isfile() or member.isdir() else "a link or device"
        if path.is_absolute() or ".." in path.parts or "\\" in member.name or "\0" in member.name:
            kind = "a path that leads out"
        if len(path.parts) > MAX_DEPTH:
            kind = f"a path of {len(path.parts):,} folders"
        if member.isfile() and member.name in seen:
            kind = "a file twice"
        seen.add(member.name)
        if kind or number >= MAX_MEMBERS:
            raise _bad(archive, f"{kind or 'too many members'}: {member.name[:200]!r}")
        total += member.size  # told before it is unpacked to get to the next one
        if total > MAX_RATIO * max(packed, 1_000_000):
            raise _bad(archive, f"{packed:,} bytes that claim to become {total:,}")
        yield member


def _need_room(folder: Path, total: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < total:
        raise CutSwapError(
            folder,
            expected=f"{total / 1e9:.1f} GB free",
            found=f"{free / 1e9:.1f} GB",
            fix="make room or choose another --out",
        )


def _bad(archive: Path, found: str) -> CutSwapError:
    return CutSwapError(
        archive,
        expected="a sound tar archive of photos",
        found=found,
        fix="download it again from its publisher",
    )
