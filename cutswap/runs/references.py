"""Evaluations name the run whose network they scored by its folder; here that name follows it.

When a run is renamed they say its new name, and when it is deleted that it is: otherwise the next
run of the old name would be credited with their numbers, which stay as they are.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from cutswap.errors import CutSwapError
from cutswap.results.setups import TUNED, run_of
from cutswap.runs.states import RESULT, WEIGHTS, FoundEvaluation, FoundRun
from cutswap.utils.files import read_json, write_json


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
