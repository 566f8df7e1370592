"""Photos in a folder and its sub-folders, as they lie there now."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cutswap.data.images import is_image_name
from cutswap.data.records import natural_key
from cutswap.errors import CutSwapError


@dataclass(frozen=True)
class IncomingPhoto:
    """A photo's file as it lies there.

    Attributes:
        path: of the file.
        name: its place below the folder, with forward slashes; what is no UTF-8 is escaped.
        size: bytes.
        modified: time of its last change, UTC, to the nanosecond: `2026-11-28T16:05:01.000000000Z`.
    """

    path: Path
    name: str
    size: int
    modified: str


@dataclass(frozen=True)
class Listing:
    """What lies in a folder.

    Attributes:
        photos: in natural order of their names.
        left_out: names of visible files that are no photos by their suffix, of links to folders,
            which are not followed, and of folders that cannot be listed.
    """

    photos: tuple[IncomingPhoto, ...]
    left_out: tuple[str, ...]


def need_folder(folder: Path, out: Path) -> None:
    """Refuse a folder of photos that is none, or that would be written into.

    Raises:
        CutSwapError: no folder, or the same as `out`.
    """
    if not folder.is_dir():
        raise CutSwapError(
            folder,
            expected="a folder of photos",
            found="a file" if folder.exists() else "no such folder",
            fix="pass the folder that the photos lie in",
        )
    if os.path.realpath(folder) == os.path.realpath(out):
        raise CutSwapError(
            "--out",
            expected="another folder than the photos'",
            found=out,
            fix="choose another --out; one inside the photos' folder will do",
        )


def list_photos(folder: Path, out: Path) -> Listing:
    """Photos by suffix in a folder and all below; hidden ones and what lies in `out` are no photos.

    Args:
        folder: looked through; links to folders are not followed, links to files are.
        out: where results go, which may be inside.
    """
    photos: list[IncomingPhoto] = []
    left_out: list[str] = []
    ours = os.path.realpath(out)

    def unlisted(error: OSError) -> None:
        left_out.append(_name(folder, Path(error.filename)) or str(folder))

    for above, folders, files in os.walk(folder, onerror=unlisted):
        here = Path(above)
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(here / name) != ours
        ]
        left_out += [_name(folder, here / name) for name in folders if (here / name).is_symlink()]
        for name in files:
            path = here / name
            if name.startswith("."):
                continue
            if is_image_name(path):
                photos += _looked_at(path, _name(folder, path))
            else:
                left_out.append(_name(folder, path))
    return Listing(
        tuple(sorted(photos, key=lambda photo: natural_key(photo.name))),
        tuple(sorted(left_out, key=natural_key)),
    )


def _looked_at(path: Path, name: str) -> Iterator[IncomingPhoto]:
    """The photo; a link to nothing is one of no size, and what has just gone is none."""
    try:
        about = path.stat()
    except OSError:
        if not path.is_symlink():
            return
        about = path.lstat()
    seconds, rest = divmod(about.st_mtime_ns, 10**9)
    time = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    yield IncomingPhoto(path, name, about.st_size, f"{time}.{rest:09d}Z")


def _name(folder: Path, path: Path) -> str:
    name = path.relative_to(folder).as_posix()
    return name.encode("utf-8", "backslashreplace").decode() if name != "." else ""
