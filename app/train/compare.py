"""Compare runs: curves, differing settings, results.

Nothing here is about a process: runs are read from their folders, finished or not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-untyped] # Streamlit's own: shading needs its Styler
import streamlit as st

from app.figures.chart_files import chart_config
from app.figures.take_home import of_chart, take_home
from app.shared import open_in_inspect as results_open
from app.shared import workspace
from app.shared.page_parts import plain_errors, plain_text
from app.shared.selection import found_runs
from app.train import compare_chart as run_compare_chart
from app.train import metrics as run_metrics
from cutswap.config import SPD_VIEWS
from cutswap.errors import CutSwapError
from cutswap.figures.figure_files import Origin
from cutswap.results.scores import ScoreRow, scores_of_runs
from cutswap.results.table import METRICS
from cutswap.runs.differences import flat_settings, settings_differences
from cutswap.runs.find import FoundRuns
from cutswap.runs.metrics_log import RunSeries
from cutswap.runs.states import BROKEN, DONE, FoundEvaluation, FoundRun
from cutswap.training.flags import is_spd_in, trained_in

WINDOW = 20  # updates averaged for accuracy and loss, as in a run's result
SHADE = "background-color: rgba(230, 159, 0, 0.25)"
_WHAT = " "  # heading of the first column


CHOSEN = "compare.runs"  # session: names of the runs compared
MOST = len(run_compare_chart.COLOURS)
EVERY = 10.0  # seconds between looks while a run of the comparison still grows
UPDATES, SECONDS = "Updates", "Seconds"
AUTOMATIC = 0


def section() -> None:
    """Choose runs, see them together.

    Raises:
        CutSwapError: the runs folder cannot be listed.
    """
    st.subheader("Compare runs", anchor=False)
    runs = found_runs(workspace.runs_folder())
    offered, left_out = _offered(runs)
    if len(offered) < 2:
        first = "There is one run to compare" if offered else "There is no run to compare yet"
        st.info(
            f"{first}; it takes two. Start {'another' if offered else 'two'} above with one setting"
            " changed, for example the recipe, the negatives, or the seed.",
            icon=":material/compare_arrows:",
        )
        _say_left_out(left_out)
        return
    st.fragment(_comparison, run_every=EVERY if _grows(offered) else None)()


def _offered(runs: FoundRuns) -> tuple[dict[str, FoundRun], dict[str, str]]:
    """(runs with a curve, the last changed first; why others are left out)."""
    offered, left_out = {}, {}
    for run in sorted(runs.runs, key=lambda r: -r.changed):
        if run.state == BROKEN:
            left_out[run.name] = run.reason
        elif not run.step:
            left_out[run.name] = "no update yet"
        else:
            offered[run.name] = run
    return offered, left_out


def _grows(offered: Mapping[str, FoundRun]) -> bool:
    """Whether one of the runs shown was written to a moment ago and is not finished."""
    shown = st.session_state.get(CHOSEN, list(offered)[:2])
    runs = [offered[name] for name in shown if name in offered]
    return any(run.state != DONE and time.time() - run.changed < 6 * EVERY for run in runs)


def _comparison() -> None:
    with plain_errors("the comparison"):
        runs = found_runs(workspace.runs_folder())
        offered, left_out = _offered(runs)
        chosen = [offered[name] for name in _choose(list(offered))]
        curves, records = _read(chosen, left_out)
        if len(curves) < 2:
            st.info("Choose two runs or more.", icon=":material/compare_arrows:")
        else:
            _draw([run for run in chosen if run.name in curves], curves, records, runs)
        _say_left_out(left_out)


def _choose(names: list[str]) -> list[str]:
    """Up to eight of the runs; those that are gone or renamed elsewhere fall out."""
    kept = st.session_state.get(CHOSEN, names[:2])
    st.session_state[CHOSEN] = [name for name in kept if name in names]
    return st.multiselect(
        "Runs",
        names,
        key=CHOSEN,
        max_selections=MOST,
        persist_state="session",
        placeholder="Choose two runs or more",
        help="Finished or not, the last changed first. The others are compared with the first one.",
    )


def _read(
    chosen: Sequence[FoundRun], left_out: dict[str, str]
) -> tuple[dict[str, RunSeries], dict[str, dict[str, Any]]]:
    """Curves and settings by name; what cannot be read joins those left out."""
    curves, records = {}, {}
    for run in chosen:
        try:
            flat = flat_settings(run.settings)
            pictures = len(SPD_VIEWS) if is_spd_in(run.settings) else _whole(flat["training.ways"])
            samples = _whole(flat["training.batch_size"]) * pictures
            if trained_in(run.settings) != "backbone":  # an update of a head sees photos
                samples = _whole(flat["head.photos"])
            curve = run_metrics.series(run.path, samples)
        except CutSwapError as error:
            subject = Path(error.subject).name
            left_out[run.name] = f"{subject}: expected {error.expected}, found {error.found}"
            continue
        if len(curve.steps):
            curves[run.name], records[run.name] = curve, run.settings
        else:  # gone since the list was made
            left_out[run.name] = "no update yet"
    return curves, records


def _draw(
    runs: Sequence[FoundRun],
    curves: dict[str, RunSeries],
    records: dict[str, dict[str, Any]],
    known_runs: FoundRuns,
) -> None:
    width, by_seconds = _controls(curves)
    every = {name: _ways(record) for name, record in records.items()}
    ways = {name: count for name, count in every.items() if count}
    with plain_errors("the chart"):
        timed = {n: c for n, c in curves.items() if not by_seconds or c.seconds is not None}
        chart = run_compare_chart.compared(timed, width, ways, by_seconds=by_seconds)
        st.plotly_chart(
            chart,
            width="stretch",
            key="compare.chart",
            config=chart_config("runs-compared"),
            alt=f"Loss and accuracy of {', '.join(timed)}; the last values are in the table below",
        )
        origin = Origin("Runs compared", {name: records[name] for name in timed}, [])
        take_home([of_chart("runs-compared", "Runs compared", chart)], origin, key="runs")
    _say(width, ways, by_seconds, [name for name in curves if name not in timed])
    with plain_errors("the table"):
        table(runs, curves, records, known_runs)


def _controls(curves: Mapping[str, RunSeries]) -> tuple[int, bool]:
    first, second = st.columns([2, 3], vertical_alignment="bottom")
    has_seconds = any(curve.seconds is not None for curve in curves.values())
    with first:
        axis = st.segmented_control(
            "Along",
            (UPDATES, SECONDS),
            key="compare.axis",
            default=UPDATES,
            required=True,
            persist_state="session",
            disabled=not has_seconds,
            help="Seconds: what the updates took by their recorded speed. Loading, checkpoints"
            " and pauses are not in it.",
        )
    automatic = run_compare_chart.default_width(list(curves.values()))
    with second:
        width = st.select_slider(
            "Smoothing",
            (AUTOMATIC, *run_compare_chart.WIDTHS),
            key="compare.width",
            persist_state="session",
            format_func=lambda w: (
                f"automatic: {run_compare_chart.over(automatic)}"
                if w == AUTOMATIC
                else run_compare_chart.over(w)
            ),
            help="A moving average, centred; the raw line stays faint behind it. Near both ends"
            " it averages over fewer updates.",
        )
    return width or automatic, axis == SECONDS and has_seconds


def _say(width: int, ways: Mapping[str, int], by_seconds: bool, untimed: list[str]) -> None:
    notes = []
    if width > 1:
        notes.append(f"Thick: the mean of {width} updates around each. Faint: every update.")
    counts = sorted(set(ways.values()))
    if len(counts) > 1:
        sorts = (f"{c}: {_names(n for n, count in ways.items() if count == c)}" for c in counts)
        notes.append(
            f"Numbers of classes differ ({'; '.join(sorts)}), and with them chance: neither loss"
            " nor accuracy can be compared between these."
        )
    if by_seconds and untimed:
        notes.append(f"Without a recorded speed, and not drawn: {_names(untimed)}.")
    if notes:
        st.caption(" ".join(notes))


def _names(names: Iterable[str]) -> str:
    return plain_text(", ".join(names))


def _say_left_out(left_out: Mapping[str, str]) -> None:
    if left_out:
        with st.expander(
            f"Not shown: {len(left_out)}, with the reasons", icon=":material/warning:"
        ):
            for name, reason in left_out.items():
                st.text(f"{name}: {reason}")


def _ways(record: Mapping[str, Any]) -> int:
    if trained_in(record) != "backbone" or is_spd_in(record):
        return 2  # two patches, or two views, of which one is right: guessing is, half of the time
    return _whole(flat_settings(record)["training.ways"])


def _whole(value: object) -> int:
    """A count from a file that may have been edited; 0 where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def table(
    runs: Sequence[FoundRun],
    curves: Mapping[str, RunSeries],
    records: Mapping[str, dict[str, Any]],
    known_runs: FoundRuns,
) -> None:
    """Runs as columns: differing settings above, results below.

    Args:
        runs: at least one; the first is what the others are held against.
        curves: by the run's name, at least one update each.
        records: their settings.json.
        known_runs: everything in the runs folder, for the evaluations.
    """
    names = [run.name for run in runs]
    differences = settings_differences([records[name] for name in names])
    texts = [[d.label, *d.texts] for d in differences]
    shades = [["", *(SHADE if t != d.texts[0] else "" for t in d.texts)] for d in differences]
    scores = scores_of_runs(runs, (*known_runs.evaluations, *kept_by_inspect()), known_runs.runs)
    results = _results(runs, curves, scores)
    texts += results
    shades += [[""] * (len(names) + 1) for _ in results]
    columns = [_WHAT, *names]
    frame = pd.DataFrame(texts, columns=columns)
    shading = pd.DataFrame(shades, columns=columns)
    if differences:
        st.caption(
            f"{_counted(len(differences))}; shaded is what is not as in {plain_text(names[0])}."
            " Below, what came out."
        )
    else:
        st.caption("The runs have the very same settings. What came out:")
    st.dataframe(
        frame.style.apply(lambda _: shading, axis=None),
        hide_index=True,
        width="stretch",
        height="content",
        column_config={
            _WHAT: st.column_config.TextColumn(_WHAT, pinned=True, width=140),
            **{name: st.column_config.TextColumn(name, width=115) for name in names},
        },
        alt=f"{len(differences)} settings that differ and {len(results)} results of"
        f" {len(names)} runs",
    )
    _say_scores(scores)


def _results(
    runs: Sequence[FoundRun], curves: Mapping[str, RunSeries], scores: Sequence[ScoreRow]
) -> list[list[str]]:
    def row(label: str, cell: Callable[[FoundRun, RunSeries], str]) -> list[str]:
        return [label, *(cell(run, curves[run.name]) for run in runs)]

    rows = [
        row("updates", lambda run, c: f"{c.steps[-1]} of {run.steps or '?'}"),
        row(f"accuracy, last {WINDOW}", lambda _, c: f"{c.accuracy[-WINDOW:].mean():.3f}"),
        row(f"loss, last {WINDOW}", lambda _, c: f"{c.loss[-WINDOW:].mean():.3f}"),
        row("samples a second", lambda _, c: "–" if c.seconds is None else f"{c.speed.mean():.1f}"),
    ]
    for score in scores:
        figures = score.figures
        mark = f" ({score.number})" if _are_several(scores) else ""
        cells = [figures[run.name].text() if run.name in figures else "–" for run in runs]
        rows.append([METRICS[score.metric] + mark, *cells])
    return rows


def _are_several(scores: Sequence[ScoreRow]) -> bool:
    return len({score.number for score in scores}) > 1


def _say_scores(scores: Sequence[ScoreRow]) -> None:
    """How the figures of the table were measured: too long for its first column."""
    if not scores:
        return
    said = scores[0].about
    if _are_several(scores):
        every = {s.number: f"({s.number}) {s.about}, {s.root}" for s in scores}
        said = "; ".join(every.values())
    spread = any(f.std is not None for score in scores for f in score.figures.values())
    st.caption(
        f"AUROC on real defects, {plain_text(said)}."
        + (" Several seeds: mean ± sample standard deviation." if spread else "")
    )


def _counted(count: int) -> str:
    return "1 setting differs" if count == 1 else f"{count} settings differ"


def kept_by_inspect() -> tuple[FoundEvaluation, ...]:
    """Evaluations in the cache; none where that cannot be listed, which other pages say."""
    try:
        return results_open.cached_evaluations()
    except CutSwapError:
        return ()
