"""The rest of a study in the queue: put in, watched, stopped."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app.shared import jobs, workspace
from app.shared.page_parts import plain_text
from cutswap.errors import CutSwapError
from cutswap.runs import heartbeat
from cutswap.runs.heartbeat import read_beat
from cutswap.runs.queue import QUEUED, Job
from cutswap.runs.states import log_tail
from cutswap.runs.status import jobs_ahead
from cutswap.runs.worker import wake
from cutswap.studies.flags import repeat_study
from cutswap.studies.folder import FINISHED, Study

_EVERY = 2.0  # seconds between looks at a study at work
_LAST = 8  # lines of its log


def controls(study: Study, refresh: Callable[[], object]) -> None:
    """The study's button, compute or stop, and the progress of a running one.

    Args:
        study: a sound one.
        refresh: forgets what was read of the folder.
    """
    is_active = _is_active(study)
    if not is_active and study.state != FINISHED:
        if not study.path.is_relative_to(workspace.runs_folder()) or study.name == ".":
            st.caption(
                "This study lies in the runs folder itself: continue it with the command below."
            )
            return
        st.button(
            "Continue the study",
            type="primary",
            icon=":material/play_arrow:",
            on_click=_start,
            args=(study,),
            key=f"study.start.{study.name}",
            help="In a process of its own that outlives this page; finished cells are kept.",
        )
        _last_words(study)
    st.fragment(_watch, run_every=_EVERY if is_active else None)(study, refresh, is_active)


def _start(study: Study) -> None:
    try:
        device = str((study.settings.get("training") or {}).get("device", "auto"))
        jobs.enqueue(study.path, repeat_study(study), device)
    except CutSwapError as error:
        st.toast(
            plain_text(f"{error.subject}: {error.found}; {error.fix}."), icon=":material/block:"
        )


def _stop(study: Study) -> None:
    try:
        jobs.queue().stop(study.path)
    except CutSwapError as error:
        st.toast(
            plain_text(f"{error.subject}: {error.found}; {error.fix}."), icon=":material/block:"
        )


def _job(study: Study) -> Job | None:
    return jobs.queue().of(study.path)


def _is_active(study: Study) -> bool:
    """Whether it is waiting or running, here or in a terminal."""
    job, beat = _job(study), read_beat(study.path)
    at_work = (heartbeat.AT_WORK, heartbeat.QUIET, heartbeat.ELSEWHERE)
    return (job is not None and job.is_active) or (beat is not None and beat.state() in at_work)


def _watch(study: Study, refresh: Callable[[], object], was_active: bool) -> None:
    """Progress of the study; after each cell and at its end the whole page is drawn again.

    Args:
        study: the one that is shown.
        refresh: forgets what was read of the folder.
        was_active: what the page as it stands was drawn for.
    """
    key = f"study.seen.{study.name}"
    if not _is_active(study):
        st.session_state.pop(key, None)
        if was_active:
            refresh()
            st.rerun()
        return
    queue = jobs.queue()
    wake(queue)  # a job whose worker was killed must not wait for ever
    job, beat = _job(study), read_beat(study.path)
    if job is not None and job.state == QUEUED:
        ahead = jobs_ahead(job, queue.active())
        text = f"Waits for {job.device}" + (f", {ahead} before it." if ahead else ".")
    else:
        text = beat.doing if beat is not None else "starting"
        if beat is not None and beat.total:
            text += f" {beat.done} of {beat.total}"
    said, button = st.columns([5, 1], vertical_alignment="center")
    said.info(text, icon=":material/hourglass_top:")
    if job is not None and job.is_active:
        button.button(
            "Stop",
            on_click=_stop,
            args=(study,),
            icon=":material/stop:",
            width="stretch",
            key=f"study.stop.{study.name}",
            help="Finished cells and updates are kept.",
        )
    else:
        button.caption("Started in a terminal: stop it there.")
    cell = text.partition(";")[0]
    before = st.session_state.get(key)
    st.session_state[key] = cell
    if before is not None and before != cell:
        refresh()
        st.rerun()


def _last_words(study: Study) -> None:
    """How the last process ended, where that was not as it should be."""
    beat = read_beat(study.path)
    if beat is None:
        return
    state = beat.state()
    if state == heartbeat.INTERRUPTED:
        st.caption(":material/warning: Its last process was killed, or the machine restarted.")
    elif state == heartbeat.FAILED:
        st.error(f"It failed: {plain_text(beat.doing)}")
        tail = log_tail(study.path, _LAST)
        if tail:
            st.code("\n".join(tail), language=None, wrap_lines=True)
    elif state == heartbeat.STOPPED:
        st.caption(f"Stopped {plain_text(beat.doing)}.")
