"""Renaming and deleting run folders, so that whatever interrupts it, each name is whole or gone.

Both work inside one runs folder, refuse links, and never touch a run that a process is at work on.
A deleted run is first moved to a hidden name, in one step, and then removed; what a kill leaves of
it is removed by the next deletion. The log beside a run goes along. Evaluations say which run they
are of, so they are told; the queue's entries are the caller's to change (`queue`).
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cutswap.errors import CutSwapError
from cutswap.runs.find import find_runs, mark_of, study_of
from cutswap.runs.heartbeat import exclusive_lock
from cutswap.runs.references import evaluations_of, rename_in
from cutswap.runs.states import FoundEvaluation, log_file
from cutswap.utils.files import is_own_file, read_json
from cutswap.utils.folder_names import (
    ENVIRONMENT,
    HEARTBEAT,
    LOCK,
    LOG,
    OVER_TIME,
    PHOTOS,
    RESULT,
    RUN_FILES,
    SEEN,
    SETTINGS,
)

# Not what Windows keeps for devices (`con`, `nul.txt`), nor what it strips (a last dot): a runs
# folder may be copied there.
NAME = re.compile(
    r"(?!(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$))[a-z0-9][\w.-]{0,79}(?<!\.)",
    re.ASCII | re.IGNORECASE,
)
NAME_RULE = (
    "letters, digits, dots, - and _, beginning with a letter or digit, no dot at the end, and no"
    " name that Windows keeps for devices"
)
# `.Trash-1000` is a desktop's own bin: ours must not be taken for it on a disk without case.
_TRASH = re.compile(r"\.trash-run-[0-9a-f]{16}")
_WRITTEN = (*RUN_FILES, RESULT, ENVIRONMENT, HEARTBEAT, LOCK, PHOTOS, *SEEN, *OVER_TIME)
_SNAPSHOT = re.compile(r"snapshot_\d{6,}\.safetensors")  # `folder_names.SNAPSHOT`
_HALF = re.compile(r"\.(.+)\.\w+\.tmp")  # how `files.replacing` names what is not finished

IsBusy = Callable[[Path], bool]


def rename_run(
    folder: Path,
    run: Path,
    name: str,
    is_busy: IsBusy,
    elsewhere: Sequence[FoundEvaluation] = (),
) -> Path:
    """Give a run folder another name where it lies.

    Args:
        folder: the runs folder.
        run: a run folder in it, perhaps nested: `demo/run` becomes `demo/<name>`.
        name: letters, digits, dots, - and _, beginning with a letter or digit.
        is_busy: whether a process is at work on a folder.
        elsewhere: evaluations outside the runs folder that may be of this run.

    Returns:
        The new folder.

    Raises:
        CutSwapError: no such name, a taken one, no run that may be touched, or the system says no;
            nothing has changed then.
    """
    _need_run(folder, run, is_busy)
    if study_of(run) is not None:  # its cells find it by name, and would train it anew
        raise CutSwapError(
            run.name,
            expected="a run of its own",
            found=f"a network of {mark_of(run)}",
            fix="copy it elsewhere under another name",
        )
    if not NAME.fullmatch(name) or name.endswith(LOG):
        raise CutSwapError(
            "Name",
            expected=f"{NAME_RULE}, and not ending as the log beside a run does ({LOG})",
            found=repr(name),
            fix="choose another",
        )
    new = run.with_name(name)
    taken = [path for path in (new, log_file(new)) if os.path.lexists(path)]
    if taken or is_busy(new):  # a job that is just starting has a log before it has a folder
        raise CutSwapError(
            name,
            expected="a name that is free",
            found=f"{taken[0].name} there already" if taken else "a process at work under it",
            fix="choose another",
        )
    about = _evaluations(folder, run, elsewhere)
    try:
        with _kept_out(run):
            run.rename(new)
    except OSError as error:
        raise _refused(run, "rename", error) from error
    if is_own_file(log_file(run)):
        with contextlib.suppress(OSError):  # the run has its name; a log is no reason to stop
            log_file(run).rename(log_file(new))
    rename_in((new / e.relative_to(run) if e.is_relative_to(run) else e for e in about), name)
    return new


def delete_run(
    folder: Path, run: Path, is_busy: IsBusy, elsewhere: Sequence[FoundEvaluation] = ()
) -> None:
    """Remove a run folder and its log, and the rest of an interrupted deletion.

    Args:
        folder: the runs folder.
        run: a run folder in it, or one that a job was to make and never did.
        is_busy: whether a process is at work on a folder.
        elsewhere: evaluations outside the runs folder that may be of this run.

    Raises:
        CutSwapError: no run that may be touched, or the system says no.
    """
    _need_inside(folder, run)
    log = log_file(run)
    is_there = os.path.lexists(run)
    if is_there or not is_own_file(log):
        _need_run(folder, run, is_busy)
    _need_idle(run, is_busy)
    about = _evaluations(folder, run, elsewhere)
    trash = folder / f".trash-run-{secrets.token_hex(8)}"
    try:
        if is_there:
            with _kept_out(run):
                run.rename(trash)
        if is_own_file(log):
            log.unlink()
    except OSError as error:
        raise _refused(run, "delete", error) from error
    deleted = time.strftime("%Y-%m-%d %H:%M:%S")  # to the second: names are given out again
    rename_in((e for e in about if not e.is_relative_to(run)), f"{run.name} (deleted {deleted})")
    for left in _leftovers(folder):
        if left != trash:
            shutil.rmtree(left, ignore_errors=True)  # a link it leaves alone
    if is_there:
        _remove(trash)


def contents(run: Path) -> tuple[int, tuple[str, ...]]:
    """(bytes on disk, what in the folder no run writes: files and subfolders, by name)."""
    size, foreign = 0, []
    for path, _, files in os.walk(run):
        for name in files:
            with contextlib.suppress(OSError):
                size += (Path(path) / name).lstat().st_size
    with contextlib.suppress(OSError):
        foreign = [entry.name for entry in os.scandir(run) if not _is_written(entry)]
    return size, tuple(sorted(foreign))


def _need_run(folder: Path, run: Path, is_busy: IsBusy) -> None:
    """Refuse what must not be touched."""
    _need_inside(folder, run)
    if not run.is_dir():
        raise CutSwapError(run, expected="a run folder", found="none", fix="reload the page")
    foreign = _foreign(run)
    if foreign:
        raise CutSwapError(
            run,
            expected="a run: settings.json of a fine-tuning, or else only files a run writes",
            found=foreign,
            fix="look at it, and move or delete it by hand",
        )
    inner = [r.name for r in find_runs(run).runs if r.path != run]
    if inner:
        raise CutSwapError(
            run,
            expected="a folder with one run",
            found=f"another run in it, {inner[0]}",
            fix="move or delete that one first",
        )
    _need_idle(run, is_busy)


def _foreign(run: Path) -> str:
    """What shows that a folder is no run, or nothing; a torn settings.json shows nothing."""
    settings: Any = None
    if is_own_file(run / SETTINGS):
        with contextlib.suppress(CutSwapError):
            settings = read_json(run / SETTINGS)
    if settings is not None:
        is_run = isinstance(settings, dict) and settings.get("kind") == "finetune"
        return "" if is_run else f"{SETTINGS} of another kind"
    names = contents(run)[1]
    if names:
        return names[0]
    return "" if any(run.iterdir()) else "an empty folder"


def _need_inside(folder: Path, run: Path) -> None:
    inside = run.relative_to(folder).parts if run.is_relative_to(folder) else ()
    if not inside or any(part.startswith(".") for part in inside):  # `..` too
        raise CutSwapError(
            run,
            expected=f"a run folder inside {folder}",
            found="another place",
            fix="choose a run of the list",
        )
    for depth in range(1, len(inside) + 1):
        step = folder.joinpath(*inside[:depth])
        if step.is_symlink():
            raise CutSwapError(
                step,
                expected="a folder of its own",
                found="a link, which may lead anywhere",
                fix="remove the link by hand",
            )


def _need_idle(run: Path, is_busy: IsBusy) -> None:
    if is_busy(run):
        raise CutSwapError(
            run.name,
            expected="a run that nobody is at work on",
            found="a process at work",
            fix="stop it, or wait until it has ended",
        )


@contextlib.contextmanager
def _kept_out(run: Path) -> Iterator[None]:
    """Nobody writes into the run folder meanwhile.

    Whether somebody is at work was asked before; another machine may not have been heard, and one
    may have begun since. Windows renames no folder in which a file is open.
    """
    if sys.platform == "win32" or not (run / LOCK).is_file():  # never written by a run of ours
        yield
        return
    with exclusive_lock(run):
        yield


def _is_written(entry: os.DirEntry[str]) -> bool:
    """Whether a run writes such a file."""
    half = _HALF.fullmatch(entry.name)
    name = half[1] if half else entry.name
    is_ours = name in _WRITTEN or _SNAPSHOT.fullmatch(name) is not None
    return is_ours and entry.is_file(follow_symlinks=False)


def _evaluations(folder: Path, run: Path, elsewhere: Iterable[FoundEvaluation]) -> list[Path]:
    """Folders of the evaluations that are of this run."""
    runs = find_runs(folder)
    this = next((r for r in runs.runs if r.path == run), None)
    if this is None:  # broken beyond being found
        return []
    every = (*runs.evaluations, *elsewhere)
    return [e.path for e in evaluations_of(this, every, runs.runs)]


def _remove(trash: Path) -> None:
    try:
        shutil.rmtree(trash)
    except FileNotFoundError:  # another deletion was tidying up
        return
    except OSError as error:
        raise CutSwapError(
            trash,
            expected="to be able to remove what was moved there",
            found=error.strerror or error,
            fix="the run is off the list; remove that hidden folder by hand",
        ) from error


def _leftovers(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return [Path(entry.path) for entry in os.scandir(folder) if _TRASH.fullmatch(entry.name)]
    return []


def _refused(run: Path, verb: str, error: OSError) -> CutSwapError:
    return CutSwapError(
        run,
        expected=f"to be able to {verb} it",
        found=error.strerror or error,
        fix="check the permissions of the runs folder, then reload the page",
    )
