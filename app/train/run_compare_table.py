"""The table below compared curves: what runs were asked to do differently, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd  # type: ignore[import-untyped] # Streamlit's own: shading needs its Styler
import streamlit as st

from app.results import open_in_inspect as results_open
from app.shared.page_parts import plain_text
from cutswap.errors import CutSwapError
from cutswap.results.scores import ScoreRow, scores_of_runs
from cutswap.results.table import METRICS
from cutswap.runs.differences import settings_differences
from cutswap.runs.find import FoundEvaluation, FoundRun, FoundRuns
from cutswap.runs.run_series import RunSeries

WINDOW = 20  # updates averaged for accuracy and loss, as in a run's result
SHADE = "background-color: rgba(230, 159, 0, 0.25)"
_WHAT = " "  # heading of the first column


def table(
    runs: Sequence[FoundRun],
    curves: Mapping[str, RunSeries],
    records: Mapping[str, dict[str, Any]],
    found: FoundRuns,
) -> None:
    """Runs as columns; above what differs, below what came out.

    Args:
        runs: at least one; the first is what the others are held against.
        curves: by the run's name, at least one update each.
        records: their settings.json.
        found: everything in the runs folder, for the evaluations.
    """
    names = [run.name for run in runs]
    differences = settings_differences([records[name] for name in names])
    texts = [[d.label, *d.texts] for d in differences]
    shades = [["", *(SHADE if t != d.texts[0] else "" for t in d.texts)] for d in differences]
    scores = scores_of_runs(runs, (*found.evaluations, *kept_by_inspect()), found.runs)
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
        frame.style.apply(lambda _: shading, axis=None), hide_index=True, width="stretch",
        height="content",
        column_config={
            _WHAT: st.column_config.TextColumn(_WHAT, pinned=True, width=140),
            **{name: st.column_config.TextColumn(name, width=115) for name in names},
        },
        alt=f"{len(differences)} settings that differ and {len(results)} results of"
        f" {len(names)} runs",
    )  # fmt: skip
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
