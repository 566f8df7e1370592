"""What the Study page shows: one study in full, its state, its files, and the way to a new one."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.figures.chart_files import chart_config
from app.figures.take_home import of_chart, take_home
from app.shared import knobs, public, workspace
from app.shared.page_parts import command_line, how_it_works, plain_errors, plain_text
from app.shared.selection import current
from app.study import guidance as study_guidance
from app.study import missed as study_missed_view
from app.study import new_study as study_new
from app.study import queue as study_queue
from app.study import table as study_table
from app.study import tuning as study_tuning
from app.study.chart import ablation
from app.study.origin import study_origin
from cutswap.results.paper_tables import METRICS, PAPER_TABLES, average_mismatches
from cutswap.results.table import METRIC_HELP
from cutswap.results.table import METRICS as NAMES
from cutswap.studies.estimate import time_left
from cutswap.studies.export import reservations_of, to_csv, to_latex
from cutswap.studies.findings import statements
from cutswap.studies.flags import repeat_study
from cutswap.studies.folder import BROKEN, DONE, FAILED, FINISHED, MISSING, Study, find_studies
from cutswap.studies.report import to_html
from cutswap.studies.tables import Entry, entries


@st.cache_resource(ttl=5, max_entries=4, show_spinner=False)
def studies(folder: Path) -> tuple[Study, ...]:
    """The studies of a runs folder, looked at again after five seconds."""
    return find_studies(folder)


def show() -> None:
    """The page below its title; of a public app the explanation alone."""
    if public.is_public():
        _explanation()
        return
    known = studies(workspace.runs_folder())
    with plain_errors("the study that was started"):
        study_new.begun({study.name for study in known}, studies.clear)
    by_name = {study.name: study for study in known}
    chosen: Study | None = None
    if known:
        name = knobs.choice(
            "study",
            "Study",
            tuple(by_name),
            known[0].name,
            show=lambda n: _label(by_name[n]),
            help="Every folder with a study.json below the runs folder.",
        )
        chosen = by_name[name]
        with plain_errors("the study"):
            _study(chosen)
    else:
        st.info(
            f"No study yet: no study.json lies under {plain_text(str(workspace.runs_folder()))}."
            " Begin one below, or with the command at the end of this page. The paper's own tables"
            " can be read on the Results page.",
            icon=":material/science:",
        )
    with plain_errors("the searches"):
        study_tuning.show()
    with plain_errors("the form"):
        study_new.form(by_name)
    _explanation()
    _command(chosen)


def _label(study: Study) -> str:
    if study.state == BROKEN:
        return f"{study.name} (broken)"
    return f"{study.name} ({study.count(DONE)} of {len(study.distinct)} cells)"


def _study(study: Study) -> None:
    if study.state == BROKEN:
        st.error(
            f"**{plain_text(study.name)}** cannot be read: {plain_text(study.reason)}.\n\nTo fix"
            " it: delete its study.json and run its reproduce command again; finished cells are"
            " found again."
        )
        return
    with plain_errors("how it stands"):
        _standing(study)
    with plain_errors("what it says"), st.container(border=True):
        st.markdown("**Findings**")
        st.markdown("\n".join(f"- {plain_text(text)}" for text in statements(study)))
    with plain_errors("the tables"):
        _tables(study)
    with plain_errors("what is missing"):
        _missing(study)
    with plain_errors("the files"):
        _downloads(study)


def _standing(study: Study) -> None:
    done, total = study.count(DONE), len(study.distinct)
    st.progress(done / total, f"{done} of {total} cells done, {study.count(FAILED)} failed")
    if study.state != FINISHED:
        left = time_left(study)
        st.caption(
            f"Remaining: {left.cells} cells, {left.networks} networks to fine-tune,"
            f" {left.text()} on the machine that computed the others."
        )
    study_queue.controls(study, studies.clear)


def _tables(study: Study) -> None:
    first, second = st.columns([3, 2], vertical_alignment="bottom")
    with first:
        number = knobs.choice(
            "studytable",
            "Table",
            study.tables,
            study.tables[0],
            segmented=True,
            show=lambda n: f"Table {n}",
            help="The paper's tables that this study repeats.",
        )
    with second:
        metric = knobs.choice(
            "studymetric",
            "Figure",
            METRICS,
            METRICS[0],
            segmented=True,
            show=lambda m: NAMES[m],
            help=". ".join(f"{NAMES[m]}: {METRIC_HELP[m]}" for m in METRICS) + ".",
        )
    rows = entries(study, number, metric)
    st.markdown(f"**Table {number}**: {PAPER_TABLES[number].about}")
    notes = reservations_of(rows)
    if notes:
        st.warning(
            "The paper measured on other data than this study: "
            + plain_text("; ".join(notes))
            + ".",
            icon=":material/rule:",
        )
    if not PAPER_TABLES[number].has_categories:
        _charts(study, number, metric, rows)
    study_table.table(number, metric, rows)
    for mismatch in average_mismatches():
        if (mismatch.printed.table, mismatch.printed.metric) == (number, metric):
            st.caption(f":material/report: {mismatch.sentence()}.")
    with plain_errors("what guidance does"):
        study_guidance.section(study, metric)
    with plain_errors("the missed defects"):
        study_missed_view.section(study, number)


def _charts(study: Study, number: str, metric: str, rows: tuple[Entry, ...]) -> None:
    places = tuple(dict.fromkeys(e.category for e in rows))
    place = knobs.choice(
        "studyplace",
        "Chart of",
        places[::-1],
        places[-1],
        help="The average over the categories, or one category; the paper prints averages only.",
    )
    shown = [e for e in rows if e.category == place]
    if all(e.ours is None for e in shown):
        st.caption("Nothing is measured here yet: the chart shows the paper's numbers only.")
    chart = ablation(shown, NAMES[metric])
    st.plotly_chart(
        chart,
        width="stretch",
        key=f"study.chart.{number}.{metric}",
        config=chart_config(f"study-table-{number}-{metric}"),
        alt=f"Table {number}, {NAMES[metric]}, {place}: the figures of the table below",
    )
    title = f"Table {number}, {NAMES[metric]}, {place}"
    figure = of_chart(f"study-table-{number}-{metric}", title, chart)
    origin = study_origin(study, title, table=number, figure=metric, of=place)
    take_home([figure], origin, key="study")


def _missing(study: Study) -> None:
    failed = [c for c in study.distinct if study.result(c).state == FAILED]
    missing = [c for c in study.distinct if study.result(c).state == MISSING]
    if failed:
        with st.expander(f"Failed: {len(failed)} cells", icon=":material/error:", expanded=True):
            st.caption("The next start tries them again.")
            for cell in failed:
                st.text(f"{cell.label}: {study.result(cell).error}")
    if missing:
        with st.expander(f"Not computed yet: {len(missing)} cells", icon=":material/pending:"):
            st.text("\n".join(cell.label for cell in missing))


def _downloads(study: Study) -> None:
    first, second, third = st.columns(3)
    stem = study.path.name
    first.download_button(
        "All figures as CSV",
        lambda: to_csv(study),
        f"{stem}.csv",
        "text/csv",
        icon=":material/download:",
        width="stretch",
        help="One line a figure: ours, spread, seeds, the paper's, the difference.",
    )
    second.download_button(
        "Tables as LaTeX",
        lambda: to_latex(study),
        f"{stem}.tex",
        "application/x-tex",
        icon=":material/download:",
        width="stretch",
        help="One tabular a table, no packages.",
    )
    third.download_button(
        "Report as HTML",
        lambda: to_html(study),
        f"{stem}.html",
        "text/html",
        icon=":material/download:",
        width="stretch",
        help="One file with its charts inside; it opens without a network.",
    )


def _explanation() -> None:
    how_it_works(
        "- A **cell** is one category scored once: a table's row or method, a coreset ratio and a"
        " **seed**, which decides training, projection and coreset. Its name is a hash of all"
        " settings, the photos, the weights and the seed: what is finished is never computed"
        " again, and changed settings make new cells.\n"
        "- Rows that ask for the same network share it: $K = 4$ of Table V, the max cluster of VI,"
        " all layers of VII, K-means of VIII and CutSwap of I and II are one.\n"
        "- **Ours** is the mean over seeds ± the sample standard deviation $s$; an average is taken"
        " over the categories seed by seed. The paper prints one number, without a spread.\n"
        "- **Does not reproduce** is said where $|\\text{ours} - \\text{paper}| > 2s$ on the"
        " paper's own data. On other photos the difference is shown, and nothing is concluded.\n"
        "- The **laptop** preset is far shorter than the paper's 256 epochs; a finding that it"
        " lacks may be for want of training."
    )


def _command(study: Study | None) -> None:
    if study is not None and study.state != BROKEN:
        note = "Goes on with what is missing; with --plan it only says what that is."
        command_line(repeat_study(study), note=note)
        return
    selected = current()
    root = str(selected.dataset.root) if selected else "FOLDER"
    command_line(
        [
            "reproduce",
            "--table",
            "5,6",
            "--data",
            root,
            "--seeds",
            "3",
            "--preset",
            "laptop",
            "--out",
            workspace.runs_folder() / "study",
        ],
        note="Prints its plan and the time it will take first; --plan ends there.",
    )
