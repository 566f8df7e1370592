"""What queue and lists of runs must know of studies: whose a run is, how a study stands.

A study's networks lie in `<study>/runs/`, as ordinary run folders. They are the study's to finish:
its reproduce command computes whatever is missing, them included.
"""

from __future__ import annotations

from pathlib import Path

from cutswap.runs.states import BROKEN, DONE, UNFINISHED, FoundRun, is_own_file
from cutswap.studies.flags import repeat_study
from cutswap.studies.folder import DONE as CELL_DONE
from cutswap.studies.folder import FINISHED, RUNS, STUDY, read_study

RESUME = "the same reproduce command goes on with it"


def is_study(path: Path) -> bool:
    """Whether a folder is a study's."""
    return is_own_file(path / STUDY)


def study_of(run: Path) -> Path | None:
    """The study that a run folder belongs to; None for a run of its own."""
    owner = run.parent.parent
    return owner if run.parent.name == RUNS and is_study(owner) else None


def mark_of(run: Path) -> str:
    """`study NAME` for a study's run; empty for a run of its own."""
    owner = study_of(run)
    return f"study {owner.name}" if owner is not None else ""


def study_as_run(path: Path, name: str) -> FoundRun:
    """A study in the words of a run, its cells for updates; nothing is raised.

    Args:
        path: its folder, perhaps not there yet.
        name: what to call it.
    """
    study = read_study(path, name)
    if study.reason:
        return FoundRun(path, name, BROKEN, study.reason)
    state = DONE if study.state == FINISHED else UNFINISHED
    why = "" if state == DONE else RESUME
    return FoundRun(path, name, state, why, step=study.count(CELL_DONE), steps=len(study.distinct))


def resume_command(path: Path) -> tuple[list[str], str]:
    """What goes on with a study, after `python -m cutswap`, and its device.

    Raises:
        CutSwapError: its settings, perhaps edited by hand, would be refused.
    """
    study = read_study(path)
    training = study.settings.get("training")
    device = training.get("device", "auto") if isinstance(training, dict) else "auto"
    return repeat_study(study), str(device)
