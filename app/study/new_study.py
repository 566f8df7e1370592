"""A new study of the selected data set, put into the queue."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Collection, Sequence

import streamlit as st

from app.shared import jobs, knobs, workspace
from app.shared.page_parts import plain_text
from app.shared.selection import current
from cutswap.config import SaliencySettings
from cutswap.errors import CutSwapError
from cutswap.evaluation.detector_settings import ANOMALIB, DETECTORS, EXTRA
from cutswap.results.paper_tables import PAPER_TABLES
from cutswap.runs.states import log_tail
from cutswap.studies.estimate import duration, time_left
from cutswap.studies.flags import study_arguments
from cutswap.studies.methods import OTHER_METHODS
from cutswap.studies.plan import MAX_SEEDS, PRESETS, StudySettings
from cutswap.utils.folder_names import STUDY

_BEGUN = "study.begun"  # session: the study that was started last from here
_LAST = 8  # lines of a log
EVERY = 2.0  # seconds between looks for its folder


def begun(known: Collection[str], refresh: Callable[[], object]) -> None:
    """What became of the study started last, until its folder is there; then it is shown.

    Args:
        known: names of studies that are there.
        refresh: forgets which are there.
    """
    name = st.session_state.get(_BEGUN)
    if name in known:
        del st.session_state[_BEGUN]
        knobs.set_knob("study", name)
    elif name is not None:
        st.fragment(_wait, run_every=EVERY)(name, refresh)


def _wait(name: str, refresh: Callable[[], object]) -> None:
    folder = workspace.runs_folder() / name
    if (folder / STUDY).is_file():
        refresh()
        st.rerun()
    job = jobs.queue().of(folder)
    if job is not None and job.is_active:
        ahead = jobs.ahead_of(job)
        waits = f"waits for {ahead} other {'job' if ahead == 1 else 'jobs'}" if ahead else "begins"
        st.info(
            f"**{plain_text(name)}** {waits}; it is shown here then.",
            icon=":material/hourglass_top:",
        )
        return
    del st.session_state[_BEGUN]
    st.error(f"**{plain_text(name)}** failed to start. The end of its log:")
    st.code("\n".join(log_tail(folder, _LAST)), language=None, wrap_lines=True)


def form(taken: Collection[str]) -> None:
    """Tables, categories, seeds, preset and the button.

    Args:
        taken: names of studies that are there.
    """
    selected = current()
    if selected is None:
        return
    with st.expander("New study", icon=":material/add:", expanded=not taken):
        names = selected.dataset.categories
        tables = knobs.several(
            "newtables",
            "Tables",
            tuple(PAPER_TABLES),
            ("V", "VI"),
            help="; ".join(f"{t.number}: {t.about}" for t in PAPER_TABLES.values()) + ".",
        )
        categories = knobs.several(
            "newcategories",
            "Categories",
            names,
            (selected.category.name,),
            help="Of the data set chosen in the sidebar.",
        )
        first, second = st.columns(2)
        with first:
            seeds = (
                knobs.number(
                    "newseeds",
                    "Seeds",
                    1,
                    MAX_SEEDS,
                    3,
                    help="Measurements of every cell. One shows no spread; take three or more.",
                )
                or 3
            )
        with second:
            preset = knobs.choice(
                "newpreset",
                "Preset",
                tuple(PRESETS),
                "laptop",
                segmented=True,
                help="; ".join(f"{p.name}: {p.about}" for p in PRESETS.values()) + ".",
            )
        others = (*_methods(tables), *_detectors(tables))
        name = _name("".join(tables) + "-" + selected.dataset.root.name, taken)
        training = PRESETS[preset].training
        settings = StudySettings(preset, training, SaliencySettings(image_size=training.image_size))
        out = workspace.runs_folder() / name
        command = study_arguments(
            settings,
            selected.dataset.root,
            out,
            tables=tables,
            categories=categories,
            seeds=seeds,
            others=others,
        )
        from cutswap.studies.draft import draft  # loads torch, which a look at studies need not

        study = draft(
            name,
            tables,
            [selected.dataset.category(one) for one in categories],
            settings,
            seeds=seeds,
            others=others,
        )
        left = time_left(study)
        st.caption(
            f"{left.cells} cells to measure ({PRESETS[preset].about}), {left.networks} networks to"
            f" fine-tune from the embedded weights; together {len(study.cells)} entries of the"
            f" tables, for some share a cell. Written to {plain_text(name)} in the runs folder. The"
            " time is a rough estimate until the first cells are measured."
        )
        st.button(
            f"Start study (about {duration(left.seconds)})",
            icon=":material/play_arrow:",
            type="primary",
            key="study.begin",
            on_click=_start,
            args=(name, command),
            disabled=jobs.is_busy(out),
        )


def _methods(tables: Sequence[str]) -> tuple[str, ...]:
    """Heads, other negatives, SPD and PaDiM beside the paper's, of tables that compare methods."""
    if not any(PAPER_TABLES[table].has_categories for table in tables):
        return ()
    return knobs.several(
        "newmethods",
        "Other methods",
        OTHER_METHODS,
        (),
        help="Beside the paper's methods. A head learns on features that stay as they are and is"
        " scored together with the bank; random swap is CutSwap without its saliency. spd-padim is"
        " the tables' SPD + Padim, spd and untuned-padim are its halves.",
    )


def _detectors(tables: Sequence[str]) -> tuple[str, ...]:
    """Others to compare with, of tables that have a column for them."""
    if not any(PAPER_TABLES[table].has_categories for table in tables):
        return ()
    there = tuple(n for n in DETECTORS if n not in ANOMALIB or has_anomalib())
    chosen = knobs.several(
        "newdetectors",
        "Other detectors",
        there,
        (),
        help="On the same photos and measured alike. InTra takes half an hour a category on a CPU;"
        " anomalib's PaDiM seconds, STFPM minutes, DRAEM hours.",
    )
    if not has_anomalib():
        st.caption(f"STFPM, PaDiM and DRAEM can be compared with ours after `{EXTRA}`.")
    return chosen


def has_anomalib() -> bool:
    """Whether it is installed; importing it takes seconds, and the page does not need it."""
    return importlib.util.find_spec("anomalib") is not None


def _start(name: str, command: list[str]) -> None:
    try:
        jobs.enqueue(workspace.runs_folder() / name, command, "auto")
        st.session_state[_BEGUN] = name
    except CutSwapError as error:
        st.toast(
            plain_text(f"{error.subject}: {error.found}; {error.fix}."), icon=":material/block:"
        )


def _name(wanted: str, taken: Collection[str]) -> str:
    """A folder name that no study has yet."""
    plain = "study-" + re.sub(r"[^\w.-]", "-", wanted)[:60]
    number, name = 2, plain
    while name in taken or (workspace.runs_folder() / name).exists():
        name, number = f"{plain}-{number}", number + 1
    return name
