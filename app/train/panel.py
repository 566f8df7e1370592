"""One fine-tuning run on the screen: status, metrics, curve, sample sheet, log."""

from __future__ import annotations

import datetime
import time
from pathlib import Path
from typing import Any

import streamlit as st

from app.figures.chart_files import chart_config
from app.figures.take_home import of_chart, take_home
from app.shared import jobs
from app.shared.page_parts import plain_errors, plain_text, show_error
from app.shared.selection import found_runs
from app.train import curves as run_chart
from app.train import metrics as run_metrics
from app.train.actions import action, command_of, settings_error, watch
from app.train.compare_chart import WIDTHS, over
from app.train.estimate import duration
from app.train.head_form import BACKBONE
from app.train.seen import seen
from cutswap.config import LEARNT_HEADS
from cutswap.errors import CutSwapError
from cutswap.figures.figure_files import Origin
from cutswap.runs import status as js
from cutswap.runs.find import mark_of
from cutswap.runs.states import BROKEN, DONE, FoundRun, log_tail, read_validation
from cutswap.runs.status import RunStatus
from cutswap.training.flags import is_spd_in, trained_in

DRAWN_FOR = "train.words"  # session: run -> its state, for which the page as it stands was drawn
EVERY = 2.0  # seconds between looks at a run at work; an update takes about as long on a CPU
ICONS = {
    js.WAITING: ":material/hourglass_empty:",
    js.STARTING: ":material/hourglass_top:",
    js.AT_WORK: ":material/play_circle:",
    js.ELSEWHERE: ":material/play_circle:",
    js.SILENT: ":material/help:",
    js.STOPPED: ":material/pause_circle:",
    js.INTERRUPTED: ":material/power_off:",
    js.FAILED: ":material/error:",
    DONE: ":material/check_circle:",
    BROKEN: ":material/warning:",
}
SMOOTHING = "train.smoothing"  # session: updates averaged
LOADING = "Loading weights, checking photos, computing saliency: the first update follows."


def words(stands: RunStatus) -> str:
    """A state as people say it."""
    resumable = ", can be resumed" if stands.word in (js.STOPPED, js.INTERRUPTED) else ""
    more = f" {stands.why}" if stands.word == js.WAITING else ""
    return f"{stands.word}{more}{resumable}"


def panel(run: FoundRun, stands: RunStatus) -> None:
    """Draw it, and again every other second while it is active."""
    every = EVERY if stands.is_active else None
    st.fragment(_panel, run_every=every)(run.path, run.name)


def _panel(path: Path, name: str) -> None:
    with plain_errors(f"the run {name}"):
        run, stands = jobs.look(path, name)
        if st.session_state.get(DRAWN_FOR, {}).get(name, stands.word) != stands.word:
            # The list, its buttons and the form still say what was: all of it anew, in one go.
            found_runs.clear()
            st.rerun()
        _head(run, stands)
        lines = _lines(run)
        is_head = trained_in(run.settings) != "backbone"
        if run.steps:
            st.progress(min(1.0, run.step / run.steps))
        elif stands.beat and stands.word == js.AT_WORK and stands.beat.total:
            share = min(1.0, stands.beat.done / stands.beat.total)
            st.progress(
                share, f"{plain_text(stands.beat.doing)}: {stands.beat.done} of {stands.beat.total}"
            )
        if lines:
            _figures(run, stands, lines)
            with plain_errors("the curve"):
                width = _smoothing(len(lines))
                chart = run_chart.curves(
                    lines,
                    is_head=is_head,
                    is_spd=is_spd_in(run.settings),
                    width=width,
                    validation=_validation(path),
                )
                st.plotly_chart(
                    chart,
                    width="stretch",
                    key=f"curve.{name}",
                    config=chart_config(f"training-{name}"),
                    alt=f"Loss from {lines[0]['loss']:.2f} to {lines[-1]['loss']:.2f} and accuracy"
                    f" from {lines[0]['accuracy']:.2f} to {lines[-1]['accuracy']:.2f}",
                )
                if not stands.is_active:  # of a run at work the chart is drawn every two seconds
                    command = command_of(run, stands)
                    take_home(
                        [of_chart(f"training-{run.path.name}", "Training", chart)],
                        Origin(name, run.settings, [command] if command else []),
                        key=f"train.{name}",
                    )
            if run.state == DONE and run.settings.get("training", {}).get("snapshots"):
                watch(run)
            if run.settings.get("training", {}).get("validate"):
                st.caption(
                    "Detector: image AUROC of PatchCore between good photos held out from training"
                    " and negatives of them, at each checkpoint. If it falls, train shorter."
                )
            if is_head:
                st.caption(
                    "The first half is a trial without every fifth good photo, which then judge how"
                    " much the head counts beside the bank; the second half begins anew, with all."
                )
            with plain_errors("what it saw"):
                seen(path)
        elif trained_in(run.settings) not in (BACKBONE, *LEARNT_HEADS) and run.state == DONE:
            st.caption(
                "Nothing was learnt: this head measures what good photos have at each place, so"
                " there is no curve."
            )
        _log(run, stands)


def _validation(path: Path) -> list[dict[str, Any]]:
    """The detector's AUROC at checkpoints, where it was asked for and can be read."""
    try:
        return read_validation(path)
    except CutSwapError as error:
        show_error(error)
        return []


def _smoothing(updates: int) -> int:
    """The slider above the curves: how many updates are averaged; 1 of a curve that is short."""
    widths = [w for w in WIDTHS if w <= max(1, updates // 2)]
    if len(widths) < 2:
        return 1
    if st.session_state.get(SMOOTHING, 1) not in widths:  # set on a longer run
        st.session_state[SMOOTHING] = widths[-1]
    place, _ = st.columns([2, 3])
    return int(
        place.select_slider(
            "Smoothing",
            widths,
            key=SMOOTHING,
            persist_state="session",
            format_func=over,
            help="A moving average, centred; the raw lines stay faint behind it.",
        )
    )


def _head(run: FoundRun, stands: RunStatus) -> None:
    said, button = st.columns([5, 2], vertical_alignment="center")
    when = f" · {ago(run.changed)}" if run.changed else ""
    of = f" on {plain_text(run.category)}" if run.category else ""
    mark = mark_of(run.path)
    of += f" · **{plain_text(mark)}**" if mark else ""
    trained = trained_in(run.settings)
    of += "" if trained == "backbone" else f" · {plain_text(trained)}"
    of += " · SPD" if is_spd_in(run.settings) else ""
    with said:
        st.markdown(f"{ICONS[stands.word]} **{plain_text(run.name)}**{of} · {words(stands)}{when}")
    with button:
        action(run, stands)
    if stands.word in (BROKEN, js.SILENT, js.INTERRUPTED):
        ways_out = {
            BROKEN: "",
            js.SILENT: " Wait if the machine is busy; else press Force stop.",
            js.INTERRUPTED: " What it learnt up to its last checkpoint is there.",
        }
        st.warning(f"{plain_text(stands.why)}.{ways_out[stands.word]}", icon=":material/warning:")
    error = settings_error(run)
    if error is not None:
        st.warning(
            f"settings.json, {plain_text(error.subject)}: expected {plain_text(error.expected)},"
            f" found {plain_text(error.found)}. {plain_text(error.fix)}; until then it cannot be"
            " resumed.",
            icon=":material/rule:",
        )
    if stands.word == js.FAILED:
        st.error(f"{plain_text(stands.why)}. Its last words are below.")
    elif stands.word == js.WAITING:
        st.caption("It starts by itself when the jobs before it are done, also with no page open.")
    elif stands.word == js.STARTING:
        st.caption(LOADING)


def _figures(run: FoundRun, stands: RunStatus, lines: list[dict[str, Any]]) -> None:
    last, window = lines[-1], lines[-20:]
    mean = sum(line["accuracy"] for line in window) / len(window)
    trained = trained_in(run.settings)
    is_head, is_spd = trained != "backbone", is_spd_in(run.settings)
    chance = 0.5 if is_head or is_spd else 1 / (len(last.get("class_accuracy", [])) or 3)
    with st.container(horizontal=True, gap="medium"):
        st.metric("Update", f"{last['step']} of {run.steps or '?'}", width="content")
        st.metric(
            "Loss",
            f"{last['loss']:.3f}",
            width="content",
            help="Of the last update: squared distance to the clean photo's normalised features."
            if trained == "projector"
            else "Of the last update: the base loss on two strong views, and SPD's term."
            if is_spd
            else "Mean cross entropy of the last update.",
        )
        st.metric(
            "Patch separation" if is_head else "Weak nearer" if is_spd else "Accuracy",
            f"{mean:.2f}",
            delta=f"{mean - chance:+.2f} to chance",
            delta_color="off",
            delta_arrow="off",
            width="content",
            help=(
                "Chance that a changed patch scores above an unchanged one; guessing is 0.5. "
                if is_head
                else "Share of photos that lie nearer their weak view than their SmoothBlend;"
                " guessing is 0.5. "
                if is_spd
                else ""
            )
            + f"Mean of the last {len(window)} updates on their own fakes, not on real defects.",
        )
        if _is_number(last.get("images_per_second")):
            st.metric(
                "Samples",
                f"{last['images_per_second']:.1f} / s",
                width="content",
                help="Speed of the last update, all classes counted.",
            )
        if _is_number(last.get("memory")):
            st.metric(
                "Memory",
                f"{last['memory'] / 1e9:.1f} GB",
                width="content",
                help="The most that was ever in use: of the GPU, or of the process on a CPU.",
            )
        if stands.word == js.AT_WORK and _is_number(last.get("seconds_left")):
            left = duration(last["seconds_left"]).removeprefix("about ")
            st.metric("Left", left, width="content", help="By the median update so far.")
    batch = (run.settings.get("training") or {}).get("batch_size")
    at_once, first = last.get("micro_batch"), lines[0].get("micro_batch")
    if isinstance(at_once, int) and isinstance(first, int) and at_once < first:
        st.info(
            f"Memory was short: the batch of {batch} is computed {at_once} photos at a time. It is"
            " still one batch; only batch norm sees less at once.",
            icon=":material/memory:",
        )


def _log(run: FoundRun, stands: RunStatus) -> None:
    tail = log_tail(run.path, 20)
    if not tail:
        return
    if stands.word == js.STARTING:
        st.caption(plain_text(tail[-1]))
    is_open = stands.word in (js.FAILED, BROKEN)
    with st.expander("Log, the last 20 lines", icon=":material/article:", expanded=is_open):
        st.code("\n".join(tail), language=None, wrap_lines=True)


def _lines(run: FoundRun) -> list[dict[str, Any]]:
    """The curve; of a broken one nothing, for its reason is on the screen already."""
    try:
        return run_metrics.updates(run.path)
    except CutSwapError:
        return []


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float))


def ago(moment: float) -> str:
    """`just now`, `7 min ago`, `3 h ago`, or the day."""
    seconds = time.time() - moment
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min ago"
    if seconds < 24 * 3600:
        return f"{seconds // 3600:.0f} h ago"
    return datetime.date.fromtimestamp(moment).isoformat()
