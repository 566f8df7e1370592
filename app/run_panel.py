"""One fine-tuning run on the screen: state, figures, curve, log, and what can be done with it.

Everything but "is a process at work on it" is read from the run folder, so another tab, a reload
or a restarted app shows the same. While a process is at work the panel alone is drawn again.
"""

from __future__ import annotations

import datetime
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from app import jobs, run_chart, run_edits_view, run_metrics, workspace
from app.guards import plain_errors
from app.howto import command_line
from app.jobs import Job
from app.page_links import go_to
from app.run_estimate import duration
from app.run_form import SHOWN
from app.selection import found_runs, select
from cutswap.errors import CutSwapError
from cutswap.finetune_command import repeat_arguments
from cutswap.runs import BROKEN, DONE, UNFINISHED, FoundRun, read_run

EVERY = 2.0  # seconds between looks at a run at work; an update takes about as long on a CPU
PATIENCE = 15.0  # seconds a process gets to end by itself before force is offered
AT_WORK, STARTING, FAILED = "at work", "starting", "did not start"
ICONS = {
    AT_WORK: ":material/play_circle:",
    STARTING: ":material/hourglass_top:",
    FAILED: ":material/error:",
    DONE: ":material/check_circle:",
    UNFINISHED: ":material/pause_circle:",
    BROKEN: ":material/warning:",
}
WORDS = {UNFINISHED: "stopped, can be resumed"}
_STOPPING = "train.stopping"  # session: run name -> when it was asked to stop
_ALIVE = "train.alive"  # session: whether the last look found a process at work


@dataclass(frozen=True)
class Listed:
    """A run, or a job that has not made its folder.

    Attributes:
        path: the run folder.
        name: from the runs folder on.
        state: of `ICONS`.
        run: what its files say.
        job: the last process on it, if this app or an earlier one started it.
    """

    path: Path
    name: str
    state: str
    run: FoundRun
    job: Job | None

    def line(self) -> dict[str, str]:
        """One line of the overview."""
        run = self.run
        accuracy = run.result.get("accuracy")
        return {
            "run": self.name,
            "category": run.category,
            "state": WORDS.get(self.state, self.state),
            "updates": f"{run.step} of {run.steps}" if run.steps else "",
            "accuracy": f"{accuracy:.3f}" if isinstance(accuracy, float) else "",
            "last change": _ago(run.changed) if run.changed else "",
        }


def listed() -> list[Listed]:
    """All runs, the one at work first, then the last changed.

    Raises:
        CutSwapError: the runs folder cannot be listed.
    """
    folder = workspace.runs_folder()
    registry = jobs.jobs_of(folder)
    found = {r.path: r for r in found_runs(folder).runs}
    for job in registry.all():  # also those that stopped before their first word
        if "finetune" in job.command:
            found.setdefault(job.run, read_run(job.run))
    every = [look(path, name=run.name) for path, run in found.items()]
    return sorted(every, key=lambda one: (one.state not in (AT_WORK, STARTING), -_changed(one)))


def look(path: Path, name: str | None = None) -> Listed:
    """One run as it is now."""
    registry = jobs.jobs_of(workspace.runs_folder())
    job = registry.of(path)
    run = read_run(path, name)
    if job is not None and registry.is_alive(job):
        state = AT_WORK if run.step or run.state != BROKEN else STARTING
    elif not path.is_dir():
        state = FAILED
    else:
        state = run.state
    return Listed(path, run.name, state, run, job)


def runs() -> None:
    """The list and the chosen run.

    Raises:
        CutSwapError: the runs folder cannot be listed.
    """
    st.subheader("Runs", anchor=False)
    every = listed()
    if not every:
        st.info(
            f"No run yet in {workspace.runs_folder()}. Start one above: the 1-minute demo shows"
            " everything that a long one would.",
            icon=":material/model_training:",
        )
        return
    # Names alone: a label that changes under a chosen option would stay as it was.
    by_name = {one.name: one for one in every}
    if st.session_state.get(SHOWN) not in by_name:
        st.session_state[SHOWN] = every[0].name
    chosen = st.selectbox(
        "Run", list(by_name), key=SHOWN, persist_state="session",
        help="At work first, then the last changed. Broken ones say why and hide no other.",
    )  # fmt: skip
    one = by_name[chosen]
    alive = one.state in (AT_WORK, STARTING)
    st.session_state[_ALIVE] = alive
    st.fragment(_panel, run_every=EVERY if alive else None)(one.path, one.name)
    run_edits_view.actions(one.run, lambda path: look(path).state in (AT_WORK, STARTING))
    _repeat(one)
    if len(every) > 1:
        with st.expander(f"All {len(every)} runs", icon=":material/list:"):
            st.dataframe(
                [e.line() for e in every], hide_index=True, width="stretch",
                alt=f"{len(every)} runs with state, updates and accuracy",
            )  # fmt: skip


def _panel(path: Path, name: str) -> None:
    with plain_errors(f"the run {name}"):
        one = look(path, name)
        alive = one.state in (AT_WORK, STARTING)
        if st.session_state.get(_ALIVE) and not alive:  # it has just ended: no more looking
            st.session_state[_ALIVE] = False
            st.session_state.get(_STOPPING, {}).pop(name, None)
            found_runs.clear()
            st.rerun()
        _head(one)
        if one.run.steps:
            st.progress(min(1.0, one.run.step / one.run.steps))
        lines = _lines(one)
        if lines:
            _figures(one, lines)
            with plain_errors("the curve"):
                st.plotly_chart(
                    run_chart.curves(lines), width="stretch", key=f"curve.{name}",
                    config={"displayModeBar": False},
                    alt=f"Loss from {lines[0]['loss']:.2f} to {lines[-1]['loss']:.2f} and accuracy"
                    f" from {lines[0]['accuracy']:.2f} to {lines[-1]['accuracy']:.2f}",
                )  # fmt: skip
        _log(one)


def _head(one: Listed) -> None:
    said, button = st.columns([5, 2], vertical_alignment="center")
    when = f" · {_ago(one.run.changed)}" if one.run.changed else ""
    of = f" on {one.run.category}" if one.run.category else ""
    with said:
        st.markdown(
            f"{ICONS[one.state]} **{one.name}**{of} · {WORDS.get(one.state, one.state)}{when}"
        )
    with button:
        _action(one)
    if one.state == BROKEN:
        st.warning(f"{one.run.reason}.", icon=":material/warning:")
    elif one.state == FAILED:
        st.error("The process ended before the run began; its last words are below.")
    elif one.state == STARTING:
        st.caption(
            "Loading weights, checking photos, computing saliency: the first update follows."
        )


def _action(one: Listed) -> None:
    """The one thing that makes sense now."""
    if one.state in (AT_WORK, STARTING):
        asked = st.session_state.get(_STOPPING, {}).get(one.name)
        late = asked is not None and time.time() - asked > PATIENCE
        st.button(
            "Stop by force" if late else "Stopping" if asked else "Stop",
            on_click=_stop, args=(one, late), key=f"stop.{one.name}", icon=":material/stop:",
            disabled=asked is not None and not late, width="stretch",
            help="What was learnt up to the last checkpoint stays; Resume goes on from there.",
        )  # fmt: skip
    elif one.state in (UNFINISHED, FAILED):
        busy = jobs.jobs_of(workspace.runs_folder()).working() is not None
        if _command(one) is not None:
            st.button(
                "Resume" if one.state == UNFINISHED else "Try again", on_click=_resume, args=(one,),
                key=f"resume.{one.name}", icon=":material/resume:", disabled=busy, width="stretch",
                help="The same command again; from the last checkpoint to the same result.",
            )  # fmt: skip
    elif one.state == DONE:
        inspect = st.session_state["pages"].get("inspect_heatmaps")
        if inspect is not None and st.button(
            "Open in Inspect", on_click=select, kwargs={"run": one.name}, key=f"open.{one.name}",
            icon=":material/frame_inspect:", width="stretch",
            help="Scores the selected category with the tuned network.",
        ):  # fmt: skip
            go_to("inspect_heatmaps")


def _figures(one: Listed, lines: list[dict[str, Any]]) -> None:
    last, window = lines[-1], lines[-20:]
    mean = sum(line["accuracy"] for line in window) / len(window)
    ways = len(last.get("class_accuracy", [])) or 3
    first, second, third, fourth = st.columns(4)
    first.metric("Update", f"{last['step']} of {one.run.steps or '?'}")
    second.metric("Loss", f"{last['loss']:.3f}", help="Mean cross entropy of the last update.")
    third.metric(
        "Accuracy", f"{mean:.2f}", delta=f"{mean - 1 / ways:+.2f} to chance", delta_color="off",
        help=f"Mean of the last {len(window)} updates on their own fakes, not on real defects.",
    )  # fmt: skip
    if one.state == AT_WORK and isinstance(last.get("seconds_left"), (int, float)):
        fourth.metric("Left", duration(last["seconds_left"]), help="By the median update so far.")
    elif isinstance(last.get("images_per_second"), (int, float)):
        speed = f"{last['images_per_second']:.1f} / s"
        fourth.metric("Samples", speed, help="Speed of the last update, all classes counted.")


def _log(one: Listed) -> None:
    tail = jobs.log_tail(one.path, 20)
    if not tail:
        return
    if one.state == STARTING:
        st.caption(tail[-1])
    is_open = one.state in (FAILED, BROKEN)
    with st.expander("Log, the last 20 lines", icon=":material/article:", expanded=is_open):
        st.code("\n".join(tail), language=None, wrap_lines=True)


def _repeat(one: Listed) -> None:
    command = _command(one)
    if command is not None:
        command_line(command[3:], note=f"This repeats or resumes {one.name}.")


def _command(one: Listed) -> list[str] | None:
    """The argument list that resumes a run; None where neither the job nor the settings tell."""
    if one.run.settings:
        try:
            return [sys.executable, "-m", "cutswap", *repeat_arguments(one.run.settings, one.path)]
        except CutSwapError:
            return None
    return list(one.job.command) if one.job is not None else None


def _resume(one: Listed) -> None:
    command = _command(one)
    if command is None:
        return
    try:
        jobs.jobs_of(workspace.runs_folder()).start(one.path, command)
        st.session_state.get(_STOPPING, {}).pop(one.name, None)
    except CutSwapError as error:
        st.toast(f"{error.subject}: {error.found}; {error.fix}.", icon=":material/block:")


def _stop(one: Listed, by_force: bool) -> None:
    if one.job is not None:
        jobs.jobs_of(workspace.runs_folder()).stop(one.job, by_force=by_force)
        st.session_state.setdefault(_STOPPING, {})[one.name] = time.time()


def _lines(one: Listed) -> list[dict[str, Any]]:
    """The curve; of a broken one nothing, for its reason is on the screen already."""
    try:
        return run_metrics.updates(one.path)
    except CutSwapError:
        return []


def _changed(one: Listed) -> float:
    return max(one.run.changed, one.job.began if one.job else 0.0)


def _ago(moment: float) -> str:
    """`just now`, `7 min ago`, `3 h ago`, or the day."""
    seconds = time.time() - moment
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min ago"
    if seconds < 24 * 3600:
        return f"{seconds // 3600:.0f} h ago"
    return datetime.date.fromtimestamp(moment).isoformat()
