"""`python -m cutswap jobs`: the queue from a terminal."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from cutswap.commands.common import say
from cutswap.commands.parser import parse
from cutswap.errors import CutSwapError
from cutswap.runs.devices import device_for
from cutswap.runs.find import is_study, mark_of, network_remark, runs_folder, study_of
from cutswap.runs.provenance import free_beside
from cutswap.runs.queue import Job, JobQueue
from cutswap.runs.states import BROKEN, DONE, FoundRun, log_tail, read_run
from cutswap.runs.status import FAILED, RESUMABLE, jobs_ahead, status_of, statuses
from cutswap.runs.worker import wake
from cutswap.studies.flags import resume_command, study_as_run
from cutswap.studies.folder import find_studies
from cutswap.training.flags import repeat_arguments
from cutswap.utils.files import user_path

QUEUEABLE = ("finetune", "evaluate", "reproduce")  # commands with an --out
_EVERY = 1.0  # seconds between looks while following


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`list`, `add`, `follow`, `stop` and `resume`, each with its own."""
    # A command to queue brings flags of its own, which only REMAINDER leaves alone.
    actions = parser.add_subparsers(metavar="ACTION", dest="action")
    _runs(parser)
    parser.set_defaults(action="list", runs=None)
    listed = actions.add_parser("list", help="all runs and how they stand (the default)")
    add = actions.add_parser("add", help="queue a finetune, evaluate or reproduce command")
    add.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND ...")
    _runs(listed)
    for name, about in (
        ("follow", "say how a run goes until it is at rest"),
        ("stop", "take a run out of the queue, or end it after its update"),
        ("resume", "queue a stopped or interrupted run again"),
    ):
        action = actions.add_parser(name, help=about)
        action.add_argument("name", metavar="RUN", help="its name in the runs folder")
        _runs(action)
        if name == "stop":
            action.add_argument("--force", action="store_true", help="kill it at once")
        if name == "resume":
            action.add_argument(
                "--beside",
                action="store_true",
                help="begin it anew as RUN-2, RUN-3, ...: its photos or weights are others now",
            )


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run the action on the queue."""
    folder = runs_folder(options.runs)
    queue = JobQueue(folder)
    if remark := network_remark(folder):
        say(remark)
    result: dict[str, Any]
    if options.action == "add":
        result = _add(queue, options.words)
    elif options.action == "resume":
        result = resume(queue, _run(folder, options.name), beside=options.beside)
    elif options.action == "stop":
        run = _run(folder, options.name)
        if not queue.stop(run, by_force=options.force):
            owner = study_of(run)
            raise CutSwapError(
                options.name,
                expected="a job that waits or is at work",
                found="none" if owner is None else f"a network of {mark_of(run)}, no job itself",
                fix="see the list: python -m cutswap jobs"
                if owner is None
                else f"stop the study: python -m cutswap jobs stop {_name(folder, owner)}",
            )
        print(f"{options.name}: asked to stop; its checkpoint stays")
        result = {"run": options.name}
    elif options.action == "follow":
        return _follow(queue, _run(folder, options.name), options.name)
    else:
        result = _list(folder)
    wake(queue)
    return result


def resume(queue: JobQueue, run: Path, *, beside: bool = False) -> dict[str, Any]:
    """Put an unfinished run into the queue again, with the command that began it.

    A study goes on by its reproduce command, and so does a network of one.

    Args:
        queue: of the runs folder.
        run: the run folder.
        beside: begin anew in a new folder beside it.

    Raises:
        CutSwapError: it is done, active or broken, neither folder nor queue knows its command, or
            a study shall begin beside.
    """
    owner = study_of(run)
    if owner is not None:
        print(f"{run.name} is of {mark_of(run)}, which goes on as a whole")
        run = owner
    job = queue.of(run)
    known = _read(run, run.name, job)
    stands = status_of(known, job)
    if stands.word not in RESUMABLE:
        raise CutSwapError(
            run.name,
            expected="a run that was stopped, interrupted or failed",
            found=f"{stands.word} {stands.why}".strip(),
            fix="start a new run" if stands.word == DONE else "see the list",
        )
    if beside:
        return _begin_beside(queue, run, known)
    if is_study(run) and known.state != BROKEN:
        command, device = resume_command(run)
    elif known.settings:
        command = repeat_arguments(known.settings, run)
        device = str((known.settings.get("training") or {}).get("device", "auto"))
    elif job is not None:
        command, device = list(job.command), job.device
    else:
        raise CutSwapError(
            run,
            expected="settings.json or an entry in the queue",
            found="neither",
            fix="start a new run",
        )
    return _queued(queue, run, command, device)


def _begin_beside(queue: JobQueue, run: Path, known: FoundRun) -> dict[str, Any]:
    if is_study(run) or not known.settings:
        raise CutSwapError(
            run.name,
            expected="a fine-tuning run that has noted its settings",
            found="a study" if is_study(run) else "none",
            fix="resume it without --beside",
        )
    new = free_beside(run, {job.run for job in queue.last_of_all()})
    device = str((known.settings.get("training") or {}).get("device", "auto"))
    return _queued(queue, new, repeat_arguments(known.settings, new), device)


def _add(queue: JobQueue, words: list[str]) -> dict[str, Any]:
    words = words[1:] if words[:1] == ["--"] else words
    if not words or words[0] not in QUEUEABLE:
        raise CutSwapError(
            "jobs add",
            expected=f"a command to queue: {', '.join(QUEUEABLE)}, with its flags",
            found=" ".join(words[:2]) or "nothing",
            fix="for example: jobs add finetune --data ROOT --out runs/first",
        )
    options = parse(words)  # refuses unknown flags now, not at night
    if words[0] == "finetune":
        from cutswap.training.flags import finetuning_settings

        if options.beside:  # the queue knows a job by its folder
            raise CutSwapError(
                "jobs add finetune",
                expected="a run folder that is known beforehand",
                found="--beside",
                fix="leave it out: pass a new --out, or see jobs resume RUN --beside",
            )
        device = finetuning_settings(options).training.device
    elif words[0] == "reproduce":
        from cutswap.studies.flags import study_settings

        device = study_settings(options).training.device
    else:
        device = options.device
    # The worker runs elsewhere: paths must not depend on this folder.
    absolute = [_absolute(word, before) for word, before in zip(words, ["", *words], strict=False)]
    return _queued(queue, options.out.absolute(), absolute, device)


def _absolute(word: str, before: str) -> str:
    """A word of a command, made absolute where it is a path."""
    flag, equals, value = word.partition("=")
    if not equals:
        flag, value = before, word
    path = user_path(value)
    is_path = flag in _PATHS or (flag in _NAMES_OR_PATHS and path.exists())
    if not is_path:
        return word
    return f"{flag}={path.absolute()}" if equals else str(path.absolute())


_PATHS = ("--data", "--out", "--run", "--json")
# imagenet, or a file; none, or a folder
_NAMES_OR_PATHS = ("--weights", "--saliency-weights", "--detector-textures")


def _queued(queue: JobQueue, run: Path, command: list[str], asked: str) -> dict[str, Any]:
    job = queue.add(run, command, device_for(asked, queue))
    ahead = jobs_ahead(job, queue.active())
    name = _name(queue.folder, run)
    print(f"{name}: queued for {job.device}" + (f", {ahead} before it" if ahead else ""))
    return {"run": name, "device": job.device, "ahead": ahead}


def _list(folder: Path) -> dict[str, Any]:
    queue, rows = JobQueue(folder), []
    studies = {study.path: study.name for study in find_studies(folder)}
    for job in queue.last_of_all():  # also those that have not begun
        if job.command and job.command[0] == "reproduce":
            studies.setdefault(job.run, _name(folder, job.run))
    listed = [(study_as_run(path, name), "a study") for path, name in studies.items()]
    pairs = [(run, status_of(run, queue.of(run.path)), mark) for run, mark in listed]
    pairs += [(run, stands, mark_of(run.path)) for run, stands in statuses(folder)]
    for run, stands, mark in pairs:
        steps = f"{run.step}/{run.steps}" if run.steps else "-"
        why = "; ".join(filter(None, (mark, stands.why)))
        print(f"{run.name:<32} {stands.word:<18} {steps:>12}  {why}".rstrip())
        rows.append(
            {
                "run": run.name,
                "state": stands.word,
                "why": stands.why,
                "mark": mark,
                "step": run.step,
                "steps": run.steps,
            }
        )
    if not rows:
        print(f"no runs in {folder}")
    return {"folder": str(folder), "runs": rows}


def _follow(queue: JobQueue, path: Path, name: str) -> dict[str, Any]:
    """Say each change until the job is at rest; exit status 1 if it is not done then."""
    said = ""
    while True:
        wake(queue)  # a job whose worker was killed must not wait for ever
        job = queue.of(path)
        run, owner = _read(path, name, job), study_of(path)
        stands = status_of(run, job, jobs_ahead(job, queue.active()) if job else 0)
        updates = f" {run.step}/{run.steps}" if run.steps else ""
        mark = f" ({mark_of(path)})" if owner else " (a study)" if is_study(path) else ""
        line = f"{name}{mark}: {stands.word}{updates} {stands.why}".rstrip()
        if line != said:
            print(line, flush=True)
            said = line
        if not stands.is_active:
            if stands.word == FAILED:
                print("\n".join(log_tail(path, 5)), file=sys.stderr)
            return {"run": name, "state": stands.word, "exit_status": int(stands.word != DONE)}
        time.sleep(_EVERY)


def _read(path: Path, name: str, job: Job | None) -> FoundRun:
    """A run, or a study in a run's words."""
    asked = job is not None and job.command[:1] == ("reproduce",)
    return study_as_run(path, name) if is_study(path) or asked else read_run(path, name)


def _name(folder: Path, run: Path) -> str:
    return run.relative_to(folder).as_posix()


def _run(folder: Path, name: str) -> Path:
    path = folder / name
    if path.is_dir() or JobQueue(folder).of(path) is not None:
        return path
    raise CutSwapError(
        name,
        expected=f"a run in {folder}",
        found="none of that name",
        fix="see the list: python -m cutswap jobs",
    )


def _runs(parser: argparse.ArgumentParser) -> None:
    # Suppressed: an action's default must not undo what stands before it.
    parser.add_argument(
        "--runs",
        type=Path,
        metavar="DIR",
        default=argparse.SUPPRESS,
        help="runs folder [$CUTSWAP_RUNS, or runs]",
    )
