"""Outputs replace nothing but what the same command wrote before; that is known before the work.

A folder that a command wrote into lists its files in `.cutswap.json`, with size and time of change.
The next such command there replaces or deletes them, so that nothing old stays among the new;
another command, or a file of the list that was changed since, is refused. A result of `--json`
begins with the name of what wrote it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutswap.errors import CutSwapError
from cutswap.utils.files import (
    is_stream,
    need_out,
    need_short_names,
    read_json,
    write_json,
)
from cutswap.utils.folder_names import WRITTEN

WRITTEN_BY = "written_by"
_OURS = b'{\n  "written_by": "cutswap '
_SLACK = 2 * 10**9  # nanoseconds: what a FAT or network drive rounds times of change to

Stamp = list[int]  # size in bytes, time of change in nanoseconds


@dataclass(frozen=True)
class Claim:
    """A folder whose contents one command may write; see `claim`.

    Attributes:
        folder: the output folder; need not be there.
        command: who writes.
        names: of all files it will write, below the folder, with forward slashes.
    """

    folder: Path
    command: str
    names: tuple[str, ...]

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Around the writing; at its end what the command wrote before and now did not is deleted.

        Raises:
            CutSwapError: see `claim`.
        """
        old = {name: stamp for name, stamp in self.check().items() if name not in self.names}
        # Without a stamp until it is whole: what a killed command leaves must not bar the next one.
        self._list(old | dict.fromkeys(self.names))
        try:
            yield
            for name in old:
                self._delete(name)
        finally:
            stamps = {name: _stamp(self.folder / name) for name in (*old, *self.names)}
            self._list({name: stamp for name, stamp in stamps.items() if stamp})

    def check(self) -> dict[str, Stamp | None]:
        """The files of ours that are there from before.

        Raises:
            CutSwapError: see `claim`.
        """
        need_out(self.folder)
        need_short_names(self.folder, self.names)
        ours = self._listed()
        for name, stamp in ours.items():
            now = _stamp(self.folder / name)
            if stamp and now and not _is_same(stamp, now):
                raise self._refusal(name, f"a file that was changed since {self.command} wrote it")
        for name in self.names:
            if name not in ours and os.path.lexists(self.folder / name):
                raise self._refusal(name, f"a file that {self.command} did not write")
        return ours

    def _listed(self) -> dict[str, Stamp | None]:
        path = self.folder / WRITTEN
        if not os.path.lexists(path):
            return {}
        try:
            values = read_json(path)
            who, files = values[WRITTEN_BY], dict(values["files"])
            if not all(_is_listed(name, stamp, self.folder) for name, stamp in files.items()):
                raise ValueError("a file outside the folder")
        except (CutSwapError, LookupError, TypeError, ValueError) as error:
            found = error.found if isinstance(error, CutSwapError) else "something else"
            raise CutSwapError(
                path,
                expected="the list of what was written into the folder",
                found=found,
                fix="choose another --out; or delete the folder, if nothing in it is needed",
            ) from error
        if who != f"cutswap {self.command}":
            raise CutSwapError(
                self.folder,
                expected=f"a new folder, or one that {self.command} wrote",
                found=f"one that {str(who)[:80]} wrote",
                fix="choose another --out",
            )
        return files

    def _list(self, files: dict[str, Stamp | None]) -> None:
        about = {WRITTEN_BY: f"cutswap {self.command}", "files": files}
        write_json(self.folder / WRITTEN, about)

    def _delete(self, name: str) -> None:
        path = self.folder / name
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty, or gone with the file before
            for above in [*path.relative_to(self.folder).parents][:-1]:
                (self.folder / above).rmdir()

    def _refusal(self, name: str, found: str) -> CutSwapError:
        return CutSwapError(
            self.folder / name,
            expected=f"no file of this name, or the one that {self.command} wrote",
            found=found,
            fix="choose another --out, or move the file away; nothing was changed",
        )


def claim(folder: Path, command: str, names: Iterable[str], result: Path | None = None) -> Claim:
    """Ask, before the work, whether a command may write its files into a folder.

    Args:
        folder: the output folder; need not be there.
        command: who writes, for example `evaluate`.
        names: of all files it will write, below the folder, with forward slashes.
        result: where `--json` goes, which must be none of them.

    Raises:
        CutSwapError: a file of one of these names that the command did not write, a file of its
            own that was changed since, a folder that belongs to another command or cannot be
            written, or names too long.
    """
    own = Claim(folder, command, tuple(names))
    own.check()
    if result and os.path.realpath(result) in {os.path.realpath(folder / n) for n in own.names}:
        raise CutSwapError(
            "--json",
            expected=f"another file than those that {command} writes into {folder}",
            found=result,
            fix="choose another name; the folder holds the same figures",
        )
    return own


def need_free(folder: Path, names: Iterable[str], *, is_ours: bool) -> None:
    """Refuse files in the way of a sweep or a study, which know what they wrote by themselves.

    Args:
        folder: the output folder; need not be there.
        names: of files it will write.
        is_ours: whether the folder holds what only such a command writes.

    Raises:
        CutSwapError: one of the files is there, and the folder is not ours.
    """
    taken = [name for name in names if os.path.lexists(folder / name)]
    if taken and not is_ours:
        raise CutSwapError(
            folder / taken[0],
            expected="no file of this name, or a folder that the same command wrote",
            found="a file of another origin",
            fix="choose another --out, or move the file away; nothing was changed",
        )


def need_no_input(out: Path, inputs: Iterable[Path | None]) -> None:
    """Refuse an output file that is one of the command's inputs.

    Args:
        out: the file to write.
        inputs: what is read; those that are not there are nothing's concern here.

    Raises:
        CutSwapError: it is one of them.
    """
    for one in filter(None, inputs):
        with contextlib.suppress(OSError):
            if out.samefile(one):
                raise CutSwapError(
                    "--out", expected="a new file", found=f"{one}, which is read", fix="rename it"
                )


def need_result_file(path: Path) -> None:
    """Refuse, before the work, to write a command's result over what is no such result.

    Args:
        path: of `--json`; a pipe or a device is written to.

    Raises:
        CutSwapError: a folder, a file of another origin, or a place that cannot be written.
    """
    need_short_names(path, ())
    if is_stream(path):
        return
    if path.is_dir():
        raise CutSwapError(path, expected="a file to write", found="a folder", fix="name a file")
    if not path.exists():
        need_out(path.absolute().parent)
    elif path.stat().st_size and not _begins_as_result(path):
        raise CutSwapError(
            path,
            expected="a new file for the result, or one that an earlier --json wrote",
            found="a file of another origin",
            fix="choose another name, or move the file away; nothing was changed",
        )


def write_result(path: Path, command: str, result: dict[str, Any]) -> None:
    """Write a command's result, which begins with who wrote it.

    Args:
        path: of `--json`.
        command: for example `check-data`.
        result: JSON values.

    Raises:
        CutSwapError: it cannot be written.
    """
    write_json(path, {WRITTEN_BY: f"cutswap {command}", **result})


def _begins_as_result(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_OURS)) == _OURS


def _stamp(path: Path) -> Stamp | None:
    try:
        about = path.lstat()
    except OSError:
        return None
    return [about.st_size, about.st_mtime_ns]


def _is_same(one: Stamp, other: Stamp) -> bool:
    return one[0] == other[0] and abs(one[1] - other[1]) <= _SLACK


def _is_listed(name: Any, stamp: Any, folder: Path) -> bool:
    """Whether an entry of the list can be meant: what it names is deleted."""
    is_stamp = stamp is None or (
        isinstance(stamp, list) and [type(part) for part in stamp] == [int, int]
    )
    if not (is_stamp and isinstance(name, str) and Path(name).name) or ".." in Path(name).parts:
        return False
    return Path(os.path.realpath((folder / name).parent)).is_relative_to(os.path.realpath(folder))
