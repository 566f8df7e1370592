"""Keep the run's name in its evaluations true when the run is renamed or deleted.

When a run is renamed they say its new name, and when it is deleted that it is: otherwise the next
run of the old name would be credited with their numbers, which stay as they are.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cutswap.errors import CutSwapError
from cutswap.runs.states import FoundEvaluation, FoundRun
from cutswap.utils.files import read_json, write_json
from cutswap.utils.folder_names import RESULT, WEIGHTS

TUNED = "fine-tuned run "  # how `tuned_backbone` begins the source of its weights


def evaluations_of(
    run: FoundRun, evaluations: Iterable[FoundEvaluation], runs: Sequence[FoundRun]
) -> tuple[FoundEvaluation, ...]:
    """Those that scored this run's network.

    One that is older than the run's last file scored another run that had the name before.

    Args:
        run: the run in question.
        evaluations: of `find_runs`, and others; broken ones say too whom they are about.
        runs: all of the runs folder, to tell which is meant.
    """

    def is_of(evaluation: FoundEvaluation) -> bool:
        meant = run_of(evaluation, runs)
        return meant is not None and meant.path == run.path and evaluation.changed >= run.changed

    return tuple(e for e in evaluations if is_of(e))


def rename_in(evaluations: Iterable[Path], name: str) -> int:
    """Let evaluations name their run's folder otherwise.

    Args:
        evaluations: folders, all about one run.
        name: of the run's folder, its last part.

    Returns:
        How many say it now; one that cannot be written keeps the old name.
    """
    count = 0
    for path in evaluations:
        file = path / RESULT
        with contextlib.suppress(CutSwapError, LookupError, TypeError, AttributeError, ValueError):
            before = file.stat()
            summary = read_json(file)
            summary["weights"]["source"] = _renamed(summary["weights"]["source"], name)
            write_json(file, summary)
            # It was not made now: tables take the newest of several.
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
            count += 1
    return count


def _renamed(source: str, name: str) -> str:
    if source.startswith(TUNED):
        return TUNED + str(Path(source.removeprefix(TUNED)).with_name(name))
    path = Path(source)
    if path.name != WEIGHTS:
        raise ValueError(source)
    return str(path.parent.with_name(name) / WEIGHTS)


def run_of(evaluation: FoundEvaluation, runs: Sequence[FoundRun]) -> FoundRun | None:
    """The run that was evaluated; None where it is not in this runs folder.

    The path was recorded as it was typed, perhaps relative to another folder: if it is not the
    very folder, its last parts must be one run's name.
    """
    return _run_named(_source(evaluation.summary), runs)


def _run_named(source: str, runs: Sequence[FoundRun]) -> FoundRun | None:
    path = _run_path(source)
    if path is None:
        return None
    for run in runs:
        if path.is_absolute() and path == run.path.absolute():
            return run
    alike = [r for r in runs if path.parts[-len(Path(r.name).parts) :] == Path(r.name).parts]
    # runs/bolt and runs/demo/bolt both end in bolt: the longest name is meant.
    return max(alike, key=lambda r: len(Path(r.name).parts), default=None)


def _run_path(source: str) -> Path | None:
    """The run folder a source speaks of, in either of two ways; None for other weights.

    `evaluate --run` records the run, a page that loads the run as weights its file.
    """
    if source.startswith(TUNED):
        return Path(source.removeprefix(TUNED))
    path = Path(source)
    return path.parent if path.name == WEIGHTS else None


def _source(summary: dict[str, Any]) -> str:
    return str(_part(summary, "weights").get("source", "weights of unknown source"))


def _part(values: dict[str, Any], name: str) -> dict[str, Any]:
    part = values.get(name)
    return part if isinstance(part, dict) else {}
