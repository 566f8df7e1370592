"""Find fine-tuning runs and evaluations in a runs folder, at any depth.

One broken folder never hides the others: each is judged for itself by `states`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cutswap.data.records import natural_key
from cutswap.errors import CutSwapError
from cutswap.runs.states import FoundEvaluation, FoundRun, read_evaluation, read_run
from cutswap.utils.files import is_own_file
from cutswap.utils.folder_names import (
    BY_SCORE,
    EVALUATION_FILES,
    METRICS,
    PICTURES,
    RUNS,
    SETTINGS,
    STUDY,
)

MAX_DEPTH = 4  # runs/demo/run is 2; people sort by project and date above that
MAX_FOLDERS = 5000  # a home folder given by mistake must not hang a page
MOUNTS = Path("/proc/self/mounts")  # Linux's; elsewhere nothing is told
_NETWORK = re.compile(
    r"nfs4?|cifs|smb[23]?|smbfs|ncpfs|afs|ceph|lustre|gpfs|beegfs|glusterfs|davfs"
    r"|fuse\.(sshfs|glusterfs|ceph|davfs2?|rclone|s3fs|gcsfuse|goofys|mount-s3|juicefs|smbnetfs)"
)
_NOT_ENTERED = (PICTURES, BY_SCORE)  # hundreds of pictures, no runs


@dataclass(frozen=True)
class FoundRuns:
    """Everything in one runs folder, by name.

    Attributes:
        runs: fine-tuning runs.
        evaluations: evaluations.
        not_followed: links; a linked run would be counted twice or lie elsewhere.
        is_complete: False where the folder is too large and the search gave up.
    """

    runs: tuple[FoundRun, ...] = ()
    evaluations: tuple[FoundEvaluation, ...] = ()
    not_followed: tuple[str, ...] = ()
    is_complete: bool = True

    def run(self, name: str) -> FoundRun | None:
        """The run of that name."""
        return next((r for r in self.runs if r.name == name), None)

    def evaluation(self, name: str) -> FoundEvaluation | None:
        """The evaluation of that name."""
        return next((e for e in self.evaluations if e.name == name), None)


def runs_folder(given: Path | None = None) -> Path:
    """The folder given, the variable CUTSWAP_RUNS, or `runs` in the current folder."""
    return Path(given or os.environ.get("CUTSWAP_RUNS") or "runs").absolute()


def network_disk(folder: Path) -> str:
    """`nfs4 at /home` where a folder is on a network file system; empty where not, or not told.

    Args:
        folder: need not exist.
    """
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
        where = folder.resolve()
    except (OSError, RuntimeError):  # a loop of links
        return ""
    found = Path(), ""
    for line in lines:
        words = line.split()
        if len(words) < 3:
            continue
        place = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), words[1]))
        # Of mounts at one place the last one counts.
        if where.is_relative_to(place) and len(place.parts) >= len(found[0].parts):
            found = place, words[2]
    return f"{found[1]} at {found[0]}" if _NETWORK.fullmatch(found[1]) else ""


def network_remark(folder: Path) -> str:
    """What to know of a runs folder on a network file system, in a sentence; empty elsewhere."""
    disk = network_disk(folder)
    if not disk:
        return ""
    return (
        f"The runs folder is on a network file system ({disk}): begin and resume a run on one"
        " machine only, for not every such disk keeps a lock between machines."
    )


def find_runs(folder: Path) -> FoundRuns:
    """Look through a runs folder, at most `MAX_DEPTH` deep.

    Runs and evaluations are known by their files, so nested ones (as `demo` writes before, run
    and after) and those inside another run's folder are found too. Links are not followed.

    Args:
        folder: need not exist.

    Raises:
        CutSwapError: the folder itself cannot be listed, or is a file.
    """
    if not folder.exists():
        return FoundRuns()
    _need_listing(folder)
    runs: list[FoundRun] = []
    evaluations: list[FoundEvaluation] = []
    links: list[str] = []
    is_complete = True
    for seen, place in enumerate(_folders(folder, 0, links)):
        if seen == MAX_FOLDERS:
            is_complete = False
            break
        name = "." if place == folder else place.relative_to(folder).as_posix()
        if _is_run(place):
            runs.append(read_run(place, name))
        elif _is_evaluation(place):
            evaluations.append(read_evaluation(place, name))
    return FoundRuns(
        tuple(sorted(runs, key=lambda r: natural_key(r.name))),
        tuple(sorted(evaluations, key=lambda e: natural_key(e.name))),
        tuple(links),
        is_complete,
    )


def _folders(folder: Path, depth: int, links: list[str]) -> Iterator[Path]:
    """A folder and those below, links left out; one that cannot be listed has nothing below."""
    yield folder
    if depth == MAX_DEPTH:
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda e: natural_key(e.name))
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in _NOT_ENTERED:
            continue
        if entry.is_symlink():
            links.append(entry.name)
        elif entry.is_dir(follow_symlinks=False):
            yield from _folders(Path(entry.path), depth + 1, links)


def _is_run(folder: Path) -> bool:
    # metrics.jsonl without settings.json: a run that was half deleted.
    return is_own_file(folder / SETTINGS) or is_own_file(folder / METRICS)


def _is_evaluation(folder: Path) -> bool:
    return any(is_own_file(folder / name) for name in EVALUATION_FILES)


def _need_listing(folder: Path) -> None:
    try:
        next(iter(os.scandir(folder)), None)
    except OSError as error:
        raise CutSwapError(
            folder,
            expected="a folder of runs",
            found="a file" if folder.is_file() else error.strerror or error,
            fix="choose another runs folder, or check its permissions",
        ) from error


def is_study(path: Path) -> bool:
    """Whether a folder is a study's."""
    return is_own_file(path / STUDY)


def study_of(run: Path) -> Path | None:
    """The study that a run folder belongs to; None for an independent run."""
    owner = run.parent.parent
    return owner if run.parent.name == RUNS and is_study(owner) else None


def mark_of(run: Path) -> str:
    """`study NAME` for a study's run; empty for an independent run."""
    owner = study_of(run)
    return f"study {owner.name}" if owner is not None else ""
