"""In the sidebar of every page: which jobs run or wait, how far they are, a notice at the end."""

from __future__ import annotations

import streamlit as st

from app.shared import jobs, public, workspace
from app.shared.page_parts import plain_text
from app.shared.selection import found_runs
from cutswap.errors import CutSwapError
from cutswap.runs.queue import Job
from cutswap.runs.status import AT_WORK, WAITING

EVERY = 4.0  # seconds between looks while a job runs
SHOWN = 3  # jobs listed; of more the number is told
_SEEN = "job_badge.seen"  # session: names of the jobs shown last


def job_badge() -> None:
    """Draw it, and again by itself while a job runs; nothing where there is none."""
    if public.is_public():
        return
    is_active = bool(_active())
    # An empty fragment is a container all the same, which would keep a sidebar open for nothing.
    if is_active or st.session_state.get(_SEEN):
        with st.sidebar:
            st.fragment(_badge, run_every=EVERY if is_active else None)()


def _badge() -> None:
    active = {job.run.relative_to(workspace.runs_folder()).as_posix(): job for job in _active()}
    for name in st.session_state.get(_SEEN, ()):
        if name not in active:
            _say_end(name)
    st.session_state[_SEEN] = tuple(active)
    if not active:
        return
    with st.container(border=True):
        for name, job in list(active.items())[:SHOWN]:
            _line(name, job)
        if len(active) > SHOWN:
            st.caption(f"And {len(active) - SHOWN} more.")
        train = st.session_state["pages"].get("train")
        if train is not None:
            st.page_link(train, label="Show on Train", icon=":material/monitoring:")


def _line(name: str, job: Job) -> None:
    run, stands = jobs.look(job.run, name)
    is_waiting = stands.word == WAITING
    icon = ":material/hourglass_empty:" if is_waiting else ":material/play_circle:"
    st.markdown(f"{icon} **{plain_text(name)}**: {plain_text(stands.word)}")
    if run.steps and not is_waiting:
        st.progress(min(1.0, run.step / run.steps), f"{run.step} of {run.steps} updates")
    elif stands.word == AT_WORK and stands.beat and stands.beat.total:
        st.progress(min(1.0, stands.beat.done / stands.beat.total), plain_text(stands.beat.doing))


def _say_end(name: str) -> None:
    found_runs.clear()  # what has ended can be chosen, and compared
    try:
        stands = jobs.look(workspace.runs_folder() / name, name)[1]
    except CutSwapError:  # the Train page says what is wrong
        return
    why = f": {plain_text(stands.why)}" if stands.why else ""
    st.toast(
        f"**{plain_text(name)}** {plain_text(stands.word)}{why}.",
        icon=":material/notifications:",
        duration="long",
    )


def _active() -> list[Job]:
    try:
        return [job for job in jobs.queue().active() if not jobs.is_leaving(job)]
    except CutSwapError:  # the runs folder cannot be read: the Train page says so
        return []
