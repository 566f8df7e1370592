"""Files that are whole or absent: written to a temporary name, flushed, then renamed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from safetensors import SafetensorError

from cutswap.errors import CutSwapError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder; on success it takes the place of `path`.

    Either the old file or the complete new one is ever seen under `path`, also after a crash.

    Raises:
        CutSwapError: the folder cannot be written, or the disk is full; the old file is intact.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except (OSError, SafetensorError) as error:  # save_file wraps a full disk in its own
        raise _unwritable(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def need_out(out: Path) -> None:
    """Refuse an output folder that is a file, before hours of work.

    Raises:
        CutSwapError: it is one.
    """
    if out.exists() and not out.is_dir():
        raise CutSwapError(
            out, expected="a folder to write into", found="a file", fix="choose another --out"
        )


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
    """Read a JSON file.

    Raises:
        CutSwapError: it is missing, unreadable or not JSON; the message names the file.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CutSwapError(
            path, expected="a JSON file", found="no file", fix="check the path"
        ) from None
    except (OSError, ValueError) as error:
        raise CutSwapError(
            path, expected="a readable JSON file", found=error, fix="restore or delete the file"
        ) from error


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
    """All complete lines of a JSON-lines file; a half-written last line is left out."""
    if not path.exists():
        return []
    # Not splitlines: JSON text may hold U+2028 and its like inside a line.
    lines = path.read_text(encoding="utf-8", errors="replace").rstrip("\n").split("\n")
    values = []
    for number, line in enumerate(lines):
        try:
            values.append(json.loads(line))
        except ValueError:
            if number < len(lines) - 1:
                raise CutSwapError(
                    f"{path}, line {number + 1}",
                    expected="one JSON object a line",
                    found=line[:80],
                    fix="remove that line or restore the file",
                ) from None
    return values


def _is_cut_short(path: Path) -> bool:
    if not path.exists() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def _unwritable(path: Path, error: Exception) -> CutSwapError:
    return CutSwapError(
        path,
        expected="to be able to write this file",
        found=getattr(error, "strerror", None) or str(error),
        fix="free disk space or choose another folder; nothing that was there was changed",
    )


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
