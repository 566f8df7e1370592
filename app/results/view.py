"""What the Results page shows: the table, one cell in full, a chart, the paper, exports."""

from __future__ import annotations

import streamlit as st

from app.figures.chart_files import chart_config
from app.figures.take_home import of_chart, take_home
from app.results import chart as results_chart
from app.results import evaluate as results_evaluate
from app.results import grid as results_grid
from app.results import paper as results_paper
from app.shared import knobs, public, workspace
from app.shared import open_in_inspect as results_open
from app.shared.page_parts import (
    command_line,
    data_flags,
    go_to,
    how_it_works,
    plain_errors,
    plain_text,
)
from app.shared.selection import current, found_runs
from cutswap.figures.figure_files import Origin
from cutswap.reports.repeat import evaluate_again
from cutswap.results.export import protocol_differences, to_csv, to_markdown
from cutswap.results.setups import each_score, setup_of
from cutswap.results.table import (
    METRIC_HELP,
    METRICS,
    Column,
    PaperColumn,
    ResultsTable,
    Row,
    build_table,
)
from cutswap.runs.find import FoundRuns
from cutswap.runs.states import BROKEN, FoundEvaluation

NOTHING = "nothing"
SHOWN = 5  # commands listed


def show() -> None:
    """The page below its title.

    Raises:
        CutSwapError: the runs folder cannot be listed.
    """
    runs = found_runs(workspace.runs_folder())
    metric, with_cached = _controls()
    evaluations = runs.evaluations
    if with_cached:
        evaluations += results_open.cached_evaluations()
    table = build_table(evaluations, runs.runs, metric)
    if table.rows:
        _table(table, evaluations, runs)
    else:
        st.info(
            "No evaluations here. The paper's own numbers can be read below."
            if public.is_public()
            else f"No evaluation yet: none under {workspace.runs_folder()}, none kept by Inspect."
            " The button below makes the first one. The paper's own numbers can be read meanwhile.",
            icon=":material/table_chart:",
        )
    with plain_errors("the evaluation"):
        _new()
    _left_out(evaluations, runs)
    st.subheader("What the paper prints", anchor=False)
    with plain_errors("the paper's tables"):
        results_paper.tables()
    _explanation()
    _commands(evaluations)


def _controls() -> tuple[str, bool]:
    first, second = st.columns([3, 2], vertical_alignment="bottom")
    with first:
        metric = knobs.choice(
            "metric",
            "Figure",
            tuple(METRICS),
            "image_auroc",
            segmented=True,
            show=lambda m: METRICS[m],
            help=". ".join(f"{METRICS[m]}: {text}" for m, text in METRIC_HELP.items()) + ".",
        )
    with second:
        cached = knobs.toggle(
            "cached",
            "Include evaluations made on Inspect",
            True,
            help="Inspect keeps its last evaluations in the cache, where they may be cleared; those"
            " in the runs folder stay.",
        )
    return metric, cached


def _table(table: ResultsTable, evaluations: tuple[FoundEvaluation, ...], runs: FoundRuns) -> None:
    names = results_grid.headings(table)
    baseline = _baseline(names)
    cell = results_grid.grid(table, names, baseline)
    shared = ", ".join(results_grid.shared_parts(table.setups).values())
    notes = [f"The same in all measured columns: {shared}."] if shared else []
    if table.paper:
        notes.append("Columns that begin with **paper** are printed numbers, not measured here.")
    if all(f.std is None for f in table.figures.values()):
        notes.append("One seed per cell: small differences may be chance; add more seeds.")
    st.caption(" ".join(notes))
    _cell(cell, table, evaluations, runs)
    with plain_errors("the chart"):
        chart = results_chart.dots(table, names)
        st.plotly_chart(
            chart,
            width="stretch",
            key="results.dots",
            config=chart_config(f"results-{table.metric}"),
            alt=f"{METRICS[table.metric]} of {len(table.rows)} categories, as in the table above",
        )
        commands = [evaluate_again(e.summary) for e in evaluations if e.summary]
        origin = Origin(
            METRICS[table.metric],
            {"figure": table.metric, "columns": [names[setup] for setup in table.setups]},
            [words for words in commands if words],
        )
        figure = of_chart(f"results-{table.metric}", METRICS[table.metric], chart)
        take_home([figure], origin, key="results")
    if table.paper:
        with st.expander(
            "Why these numbers cannot be compared with the paper's directly", icon=":material/rule:"
        ):
            st.markdown("\n".join(f"- {plain_text(text)}" for text in protocol_differences(table)))
    _exports(table, baseline, evaluations, runs)


def _baseline(names: dict[Column, str]) -> Column | None:
    by_name = {name: column for column, name in names.items()}
    chosen = knobs.choice(
        "against",
        "Show differences to",
        (NOTHING, *by_name),
        NOTHING,
        help="Every cell then shows, signed and shaded, how far it lies above or below this"
        " column; the mean row compares only categories that both columns have.",
    )
    return by_name.get(chosen)


def _cell(
    cell: tuple[Row, Column] | None,
    table: ResultsTable,
    evaluations: tuple[FoundEvaluation, ...],
    runs: FoundRuns,
) -> None:
    """One cell in full, and the way to its pictures."""
    if cell is None:
        st.caption(":material/ads_click: Click a cell for its seeds and its pictures in Inspect.")
        return
    row, column = cell
    with st.container(border=True):
        st.markdown(f"**{plain_text(row.label)}**, {plain_text(column.label)}")
        if isinstance(column, PaperColumn):
            printed = table.printed(row, column)
            text = f"{printed.label} prints {printed.value:.3f}." if printed else "Not printed."
            st.caption(text + " There are no pictures behind it here.")
            return
        figure = table.figures.get((row, column))
        if figure is None:
            st.caption(f"{table.text(row, column)}: nothing to open.")
            return
        seeds = zip(figure.seeds, figure.values, strict=True)
        st.caption(
            f"{METRICS[table.metric]} {figure.text()}; "
            + "; ".join(f"seed {seed}: {value:.3f}" for seed, value in seeds)
        )
        named = (e for e in evaluations if e.name == figure.names[-1] and e.state != BROKEN)
        alike = (e for e in each_score(named) if setup_of(e, runs.runs).key == column.key)
        newest = next(alike, None)
        key = results_open.category_key(row.root)
        page = st.session_state["pages"].get("inspect_heatmaps")
        if newest is None or page is None:
            return
        if key is None:
            st.caption(
                f"Its data are not known to the app: add {plain_text(str(row.root))}"
                " on the Data page."
            )
            return
        if st.button(
            "Open in Inspect",
            type="primary",
            icon=":material/frame_inspect:",
            on_click=results_open.inspect,
            args=(newest, key, runs.runs),
            help=f"Shows {plain_text(newest.name)}.",
        ):
            go_to("inspect_heatmaps")


def _exports(
    table: ResultsTable,
    baseline: Column | None,
    evaluations: tuple[FoundEvaluation, ...],
    runs: FoundRuns,
) -> None:
    first, second = st.columns(2)
    first.download_button(
        "All figures as CSV",
        lambda: to_csv([build_table(evaluations, runs.runs, m) for m in METRICS]),
        "cutswap-results.csv",
        "text/csv",
        icon=":material/download:",
        width="stretch",
        help="One line per cell with mean, spread and seeds; the paper's numbers are marked.",
    )
    second.download_button(
        "This table as Markdown",
        lambda: to_markdown(table, baseline),
        "cutswap-results.md",
        "text/markdown",
        icon=":material/download:",
        width="stretch",
        help="With the differences chosen above, and why the paper's numbers are not comparable.",
    )


def _new() -> None:
    selected = current()
    if selected is None or public.is_public():
        return
    st.subheader("Add an evaluation", anchor=False)
    results_evaluate.add_evaluation(selected)


def _left_out(evaluations: tuple[FoundEvaluation, ...], runs: FoundRuns) -> None:
    broken = [e for e in evaluations if e.state == BROKEN]
    if broken:
        with st.expander(
            f"Not shown: {len(broken)} evaluations that cannot be read", icon=":material/warning:"
        ):
            for evaluation in broken:
                st.text(f"{evaluation.name}: {evaluation.reason}")
    if runs.not_followed:
        st.caption(
            "Links in the runs folder are not followed:"
            f" {plain_text(', '.join(runs.not_followed))}."
        )
    if not runs.is_complete:
        st.caption("The runs folder is very large: not all of it was looked at.")


def _explanation() -> None:
    how_it_works(
        "- **Rows** are categories, **columns** are networks with PatchCore's settings. Two"
        " evaluations share a cell when they differ in their seed alone; runs with the same"
        " settings share a column, whichever category they learnt.\n"
        "- A cell is the **mean over seeds ± the sample standard deviation**. A difference smaller"
        " than that spread is not a finding; one seed knows no spread.\n"
        "- The **mean row** is the unweighted mean over the categories that were run, and says how"
        " many; two columns are compared only on categories that both have.\n"
        "- **Image AUROC** asks $P(s_\\text{defective} > s_\\text{good})$ of image scores $s$,"
        " **pixel AUROC** the same of pixels, **AUPRO** how well each defect, large or small, is"
        " covered up to 30% false positive pixels.\n"
        "- Compare with the **paper** only where data, image size, layers and weights are the same;"
        " the list above the exports says what was not. *not run* is no zero: it was not measured."
    )


def _commands(evaluations: tuple[FoundEvaluation, ...]) -> None:
    """What writes the newest evaluations, or the first."""
    sound = sorted((e for e in evaluations if e.summary), key=lambda e: -e.changed)
    folder = workspace.runs_folder()
    lines: list[list[object]] = []
    for evaluation in sound[:SHOWN]:
        line = evaluate_again(evaluation.summary)
        if line is not None:
            is_cached = evaluation.name.startswith(results_open.CACHED)
            name = f"again-{len(lines) + 1}" if is_cached else evaluation.name
            lines.append([*line[:-1], folder / name])
    if not lines:
        selected = current()
        data = (
            [*data_flags(selected.dataset.root, selected.category.name), *selected.squares]
            if selected
            else ["--data", "FOLDER", "--category", "NAME"]
        )
        lines.append(["evaluate", *data, "--out", folder / "first"])
    command_line(
        *lines,
        note=f"The newest {SHOWN} at most, as they were made. All below"
        f" {plain_text(str(folder))} are in the table.",
    )
