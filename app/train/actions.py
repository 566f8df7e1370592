"""The one thing that makes sense now for a run: stop it, resume it, open it."""

from __future__ import annotations

import time
from pathlib import Path

import streamlit as st

from app.shared import jobs, knobs, workspace
from app.shared.page_parts import go_to, plain_text
from app.shared.selection import found_runs, select
from app.train.form import SHOWN
from cutswap.errors import CutSwapError
from cutswap.runs import status as js
from cutswap.runs.find import study_of
from cutswap.runs.provenance import free_beside
from cutswap.runs.states import DONE, FoundRun
from cutswap.runs.status import RunStatus
from cutswap.studies.flags import resume_command
from cutswap.training.flags import repeat_arguments

PATIENCE = 15.0  # seconds a process gets to end after its update before force is offered
_STOPPING = "train.stopping"  # session: run name -> when it was asked to stop


def action(run: FoundRun, stands: RunStatus) -> None:
    """Draw its button."""
    if stands.word == js.WAITING:
        st.button(
            "Remove from the queue",
            on_click=_stop,
            args=(run, False),
            key=f"stop.{run.name}",
            icon=":material/playlist_remove:",
            width="stretch",
        )
    elif stands.word in (js.STARTING, js.AT_WORK, js.SILENT) and stands.job is not None:
        _stop_button(run, stands)
    elif stands.word in js.RESUMABLE and study_of(run.path) is not None:
        study = st.session_state["pages"].get("study")
        st.caption("It belongs to a study, which is continued as a whole on the Study page.")
        if study is not None:
            st.page_link(study, label="Open Study", icon=":material/science:")
    elif stands.word in js.RESUMABLE and command_of(run, stands) is not None:
        if st.button(
            "Try again" if stands.word == js.FAILED else "Resume",
            key=f"resume.{run.name}",
            icon=":material/resume:",
            width="stretch",
            help="The same command again; from the last checkpoint to the same result.",
        ) and _resume(run, stands):
            st.rerun()  # all of it: the part around the button does not look again by itself
        if (
            stands.word == js.FAILED
            and run.settings
            and st.button(
                "Start again as a new run",
                key=f"beside.{run.name}",
                icon=":material/add:",
                width="stretch",
                help="A new run of the same settings, from the photos and weights as they are now."
                " This one stays.",
                on_click=_begin_beside,
                args=(run,),
            )
        ):
            st.rerun()
    elif stands.word == DONE:
        inspect = st.session_state["pages"].get("inspect_heatmaps")
        if inspect is not None and st.button(
            "Open in Inspect",
            on_click=select,
            kwargs={"run": run.name},
            key=f"open.{run.name}",
            icon=":material/frame_inspect:",
            width="stretch",
            help="Scores the selected category with the tuned network.",
        ):
            go_to("inspect_heatmaps")


def command_of(run: FoundRun, stands: RunStatus) -> list[str] | None:
    """What resumes or repeats a run, after `python -m cutswap`; None where nothing tells it."""
    owner = study_of(run.path)
    if owner is not None:
        try:
            return resume_command(owner)[0]
        except CutSwapError:  # its study.json is broken; the Study page says how
            return None
    if run.settings:
        return None if settings_error(run) else repeat_arguments(run.settings, run.path)
    return list(stands.job.command) if stands.job is not None else None


def settings_error(run: FoundRun) -> CutSwapError | None:
    """Why a run's settings, perhaps edited by hand, would be refused; None where they are not."""
    try:
        if run.settings:
            repeat_arguments(run.settings, run.path)
    except CutSwapError as error:
        return error
    return None


def _stop_button(run: FoundRun, stands: RunStatus) -> None:
    asked = st.session_state.get(_STOPPING, {}).get(run.name)
    if asked is not None and stands.job is not None and asked < (stands.job.began or asked):
        asked = None  # that was another life of this run
    late = stands.word == js.SILENT or (asked is not None and time.time() - asked > PATIENCE)
    st.button(
        "Force stop" if late else "Stopping" if asked else "Stop",
        on_click=_stop,
        args=(run, late),
        key=f"stop.{run.name}",
        icon=":material/stop:",
        width="stretch",
        disabled=asked is not None and not late,
        help="By force: what was learnt since the last checkpoint is lost."
        if late
        else "Ends after the update it is at; Resume goes on from there.",
    )


def _stop(run: FoundRun, by_force: bool) -> None:
    try:
        jobs.queue().stop(run.path, by_force=by_force)
    except CutSwapError as error:
        _refuse(error)
        return
    st.session_state.setdefault(_STOPPING, {})[run.name] = time.time()


def _resume(run: FoundRun, stands: RunStatus) -> bool:
    """Whether it waits for its turn now."""
    command = command_of(run, stands)
    return command is not None and _queued(run, run.path, command)


def _begin_beside(run: FoundRun) -> None:
    """Queue its successor, which is then shown."""
    new = free_beside(run.path, {job.run for job in jobs.queue().last_of_all()})
    if _queued(run, new, repeat_arguments(run.settings, new)):
        found_runs.clear()
        st.session_state[SHOWN] = new.relative_to(workspace.runs_folder()).as_posix()


def _queued(run: FoundRun, folder: Path, command: list[str]) -> bool:
    device = str((run.settings.get("training") or {}).get("device", "auto"))
    try:
        jobs.enqueue(folder, command, device)
    except CutSwapError as error:
        _refuse(error)
        return False
    return True


def _refuse(error: CutSwapError) -> None:
    st.toast(plain_text(f"{error.subject}: {error.found}; {error.fix}."), icon=":material/block:")


def watch(run: FoundRun) -> None:
    """A button to the states that a run has kept, on Features."""
    if st.button(
        "Watch it learn",
        on_click=_select_over_time,
        args=(run,),
        key=f"watch.{run.name}",
        icon=":material/timelapse:",
        help="Its states one after another: heatmap, features, accuracy and AUROC move together.",
    ):
        go_to("features")


def _select_over_time(run: FoundRun) -> None:
    select(run=run.name)
    knobs.set_knob("look", "time")
