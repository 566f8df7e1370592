"""All runs and how they stand, the queue first, and the one that is chosen.

Everything is read from the run folders and the queue, so another tab, a reload or a restarted app
shows the same. While something is at work only fragments are drawn again; the whole page follows
once a run's state has changed.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.memory import freeze_modules
from app.shared import jobs, workspace
from app.shared.page_parts import command_line, plain_errors, plain_text
from app.shared.selection import found_runs
from app.train import edits as run_edits_view
from app.train.actions import command_of
from app.train.form import RUNS, SHOWN
from app.train.panel import DRAWN_FOR, ago, panel, words
from cutswap.runs.find import mark_of, network_remark
from cutswap.runs.states import FoundRun
from cutswap.runs.status import RunStatus
from cutswap.training.flags import is_spd_in, trained_in

EVERY = 4.0  # seconds between looks at the list; the chosen run is looked at more often
Listed = list[tuple[FoundRun, RunStatus]]


def runs(every: Listed | Exception) -> None:
    """The list and the chosen run.

    Args:
        every: all runs as they stood when the page began, or why they cannot be read.

    Raises:
        Exception: this very one, mostly a CutSwapError.
    """
    st.subheader("Runs", anchor=RUNS)
    if remark := network_remark(workspace.runs_folder()):
        st.caption(f":material/lan: {plain_text(remark)}")
    if isinstance(every, Exception):
        raise every
    if not every:
        st.info(
            f"No run yet in {workspace.runs_folder()}. Start one above: the 1-minute demo shows"
            " everything that a long one would.",
            icon=":material/model_training:",
        )
        return
    st.session_state[DRAWN_FOR] = _words(every)
    is_busy = any(stands.is_active for _, stands in every)
    st.fragment(_overview, run_every=EVERY if is_busy else None)()
    # Names alone: a label that changes under a chosen option would stay as it was.
    by_name = {run.name: (run, stands) for run, stands in every}
    if st.session_state.get(SHOWN) not in by_name:
        st.session_state[SHOWN] = every[0][0].name
    chosen = st.selectbox(
        "Run",
        list(by_name),
        key=SHOWN,
        persist_state="session",
        help="Running first, then waiting, then the last changed. Broken ones say why.",
    )
    run, stands = by_name[chosen]
    panel(run, stands)
    run_edits_view.actions(run, jobs.is_busy)
    command = command_of(run, stands)
    if command is not None:
        command_line(
            command,
            ["jobs", "follow", run.name],
            note=f"The first repeats or resumes {plain_text(run.name)}; the second follows it in a"
            " terminal, where CUTSWAP_RUNS names this runs folder.",
        )


def _overview() -> None:
    freeze_modules()  # while only fragments are drawn, nobody else does
    with plain_errors("the list"):
        every = jobs.everything()
        # Something ended, or its turn has come.
        if _words(every) != st.session_state.get(DRAWN_FOR):
            found_runs.clear()
            st.rerun()
        busy = [(run, stands) for run, stands in every if stands.is_active]
        if busy:
            _table(busy, f"{len(busy)} at work or waiting")
        if len(every) > max(1, len(busy)):
            with st.expander(f"All {len(every)} runs", icon=":material/list:"):
                _table(every, f"{len(every)} runs with state, updates and accuracy")


def _table(every: Listed, alt: str) -> None:
    st.dataframe([_line(*one) for one in every], hide_index=True, width="stretch", alt=alt)


def _line(run: FoundRun, stands: RunStatus) -> dict[str, str]:
    accuracy = run.result.get("accuracy")
    return {
        "run": run.name,
        "of": mark_of(run.path),
        "category": run.category,
        "trains": _trains(run.settings) if run.settings else "",
        "state": words(stands),
        "device": stands.job.device if stands.job else "",
        "updates": f"{run.step} of {run.steps}" if run.steps else "",
        "accuracy": f"{accuracy:.3f}" if isinstance(accuracy, float) else "",
        "last change": ago(run.changed) if run.changed else "",
    }


def _words(every: Listed) -> dict[str, str]:
    return {run.name: stands.word for run, stands in every}


def _trains(record: dict[str, Any]) -> str:
    return "backbone, SPD" if is_spd_in(record) else trained_in(record)
