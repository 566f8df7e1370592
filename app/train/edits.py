"""What can be done with a run as a thing on disk: rename it, delete it, open what scored it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.shared import jobs, public, workspace
from app.shared import open_in_inspect as results_open
from app.shared.page_parts import go_to, plain_text, show_error
from app.shared.selection import found_runs
from app.train.compare import CHOSEN, kept_by_inspect
from app.train.form import SHOWN
from cutswap.errors import CutSwapError
from cutswap.runs.edits import IsBusy, contents, delete_run, rename_run
from cutswap.runs.references import evaluations_of
from cutswap.runs.states import DONE, FoundEvaluation, FoundRun

_REFUSED = "train.edit.refused"  # session: why the last edit was refused
_DONE = "train.edit.done"  # session: what the last edit did; a dialog's callback may draw nothing
_NEW = "train.edit.name"  # session, before the run's name: the field


def actions(run: FoundRun, is_busy: IsBusy) -> None:
    """The row of buttons below a run.

    Args:
        run: as it is on disk; its folder may be missing where a job never made it.
        is_busy: whether a run waits, or somebody is at work on it.
    """
    is_there = run.path.is_dir()
    is_free = not is_busy(run.path)
    reason = "" if is_free else " Not while it waits or is at work."
    first, second, third = st.columns([1, 1, 2])
    with (
        first,
        st.popover(
            "Rename",
            icon=":material/edit:",
            width="stretch",
            disabled=not (is_there and is_free),
            help=f"The folder, its log, and evaluations that name it.{reason}",
        ),
        st.form(f"rename.{run.name}", border=False),
    ):
        key = f"{_NEW}.{run.name}"
        st.text_input("New name", run.path.name, key=key, max_chars=80)
        st.form_submit_button("Rename it", on_click=_rename, args=(run, key, is_busy))
    if second.button(
        "Delete",
        icon=":material/delete:",
        width="stretch",
        key=f"delete.{run.name}",
        disabled=not is_free,
        help=f"Asks first, and says what is lost.{reason}",
    ):
        _confirm(run, is_busy)
    with third:
        _open(run)
    done = st.session_state.pop(_DONE, None)
    if done is not None:
        st.toast(done, icon=":material/check_circle:")
    refused: CutSwapError | None = st.session_state.pop(_REFUSED, None)
    if refused is not None:
        show_error(refused)


def _open(run: FoundRun) -> None:
    """The way to the newest numbers that this run's network has, where the data are known."""
    scored = [e for e in _evaluations(run) if e.state == DONE] if run.state == DONE else []
    if not scored:
        return
    newest = max(scored, key=lambda e: e.changed)
    key = results_open.category_key(newest.root)
    if key is None or "inspect_heatmaps" not in st.session_state["pages"]:
        return
    figure = newest.summary.get("image_auroc")
    text = f", image AUROC {figure:.3f}" if isinstance(figure, (int, float)) else ""
    if st.button(
        f"Its evaluation{text}",
        icon=":material/table_chart:",
        width="stretch",
        key=f"scored.{run.name}",
        on_click=results_open.inspect,
        args=(newest, key, found_runs(workspace.runs_folder()).runs),
        help=f"Shows {plain_text(newest.name)} in Inspect. {len(scored)} evaluations used this run;"
        " Results has them all.",
    ):
        go_to("inspect_heatmaps")


@st.dialog("Delete this run?", icon=":material/delete:")
def _confirm(run: FoundRun, is_busy: IsBusy) -> None:
    for line in _losses(run):
        st.markdown(line)
    keep, delete = st.columns(2)
    if keep.button("Keep it", width="stretch", key="delete.keep"):
        st.rerun()
    if delete.button(
        "Delete for good",
        type="primary",
        icon=":material/delete_forever:",
        width="stretch",
        key="delete.confirmed",
        on_click=_delete,
        args=(run, is_busy),
    ):
        st.rerun()  # the list without it, or the reason why it is still there


def _losses(run: FoundRun) -> list[str]:
    """What goes with it, a sentence each."""
    size, foreign = contents(run.path)
    lines = [f"**{plain_text(run.name)}** will be gone for good, with its log."]
    if run.path.is_dir():
        what = "settings, curve, checkpoint" + (", tuned weights" if run.state == DONE else "")
        lines.append(f"- {size / 1e6:,.1f} MB on disk: {what}")
    if run.step:
        lines.append(f"- {run.step} updates of {run.steps or '?'}")
    if foreign:
        names = ", ".join(map(plain_text, foreign[:5])) + (" and more" if len(foreign) > 5 else "")
        lines.append(f"- what else lies in its folder: **{names}**")
    others = [e for e in _evaluations(run) if not e.path.is_relative_to(run.path)]
    if others:
        noun = (
            "1 evaluation that used it keeps its"
            if len(others) == 1
            else (f"{len(others)} evaluations that used it keep their")
        )
        lines.append(f"{noun} numbers; Results will say that the run was deleted.")
    return lines


def _evaluations(run: FoundRun) -> Sequence[FoundEvaluation]:
    runs = found_runs(workspace.runs_folder())
    return evaluations_of(run, (*runs.evaluations, *kept_by_inspect()), runs.runs)


def _rename(run: FoundRun, key: str, is_busy: IsBusy) -> None:
    folder = workspace.runs_folder()
    try:
        public.need_private("runs")
        new = rename_run(folder, run.path, st.session_state[key], is_busy, kept_by_inspect())
        jobs.queue().rename(run.path, new)
    except CutSwapError as error:
        st.session_state[_REFUSED] = error
        return
    name = new.relative_to(folder).as_posix()
    st.session_state[SHOWN] = name
    if st.session_state.get("run") == run.name:  # the sidebar's selection follows
        st.session_state["run"] = name
    if CHOSEN in st.session_state:
        chosen = st.session_state[CHOSEN]
        st.session_state[CHOSEN] = [name if one == run.name else one for one in chosen]
    found_runs.clear()
    st.session_state[_DONE] = f"{plain_text(run.name)} is now {plain_text(name)}."


def _delete(run: FoundRun, is_busy: IsBusy) -> None:
    try:
        public.need_private("runs")
        delete_run(workspace.runs_folder(), run.path, is_busy, kept_by_inspect())
        jobs.queue().forget(run.path)
    except CutSwapError as error:
        st.session_state[_REFUSED] = error
        return
    finally:
        found_runs.clear()
    st.session_state[_DONE] = f"{plain_text(run.name)} is deleted."
