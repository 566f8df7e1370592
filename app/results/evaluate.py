"""Evaluate the selected category into the runs folder, as a job."""

from __future__ import annotations

import re
from pathlib import Path

import streamlit as st

from app.shared import jobs, knobs, workspace
from app.shared.evaluations import Wanted, estimate, network_of, shown_seconds
from app.shared.heads import head_of
from app.shared.open_in_inspect import CORESETS
from app.shared.page_parts import data_flags, plain_text, show_error
from app.shared.selection import Selection, found_runs, learnt_elsewhere
from cutswap.config import PatchCoreSettings
from cutswap.errors import CutSwapError
from cutswap.reports.repeat import weights_flags
from cutswap.runs.states import DONE, log_tail, read_evaluation
from cutswap.runs.status import jobs_ahead

_STARTED = "results.evaluating"  # session: the folder this visitor asked for last


def add_evaluation(selected: Selection) -> None:
    """Coreset, seed, the button, and what became of the last press."""
    category = selected.category
    good = sum(r.is_good for r in category.test)
    if good in (0, len(category.test)):
        st.info(
            f"{plain_text(category.name)} cannot be evaluated: that needs good and defective"
            f" test photos, and it has {good} good and {len(category.test) - good} defective."
            " Choose another category in the sidebar, or add photos to test/good and"
            " test/<defect>.",
            icon=":material/rule:",
        )
        return
    first, second, third = st.columns([2, 2, 3], vertical_alignment="bottom")
    with first:
        coreset = knobs.choice(
            "newcoreset",
            "Coreset (share of patches kept)",
            CORESETS,
            0.01,
            show=lambda share: f"{share:.2%}".replace(".00%", "%"),
            help="Of the patches of all good photos, those in the memory bank. The paper's tables"
            " have 0.1% and 1%; other shares cannot be compared with them.",
        )
    with second:
        seed = (
            knobs.number(
                "newseed",
                "Seed",
                0,
                2**31 - 1,
                0,
                help="Each seed is one more measurement of the same cell; three give a first idea"
                " of the spread.",
            )
            or 0
        )
    out, command = _command(selected, coreset, seed)
    is_there = read_evaluation(out).state == DONE
    head = head_of(selected.weights)
    is_foreign = head is not None and head.category != category.name
    with third:
        seconds = estimate(
            Wanted(
                category=category,
                network=network_of(selected),
                weights=selected.weights,
                settings=PatchCoreSettings(coreset=coreset),
                seed=seed,
            )
        )
        if st.button(
            f"Evaluate {plain_text(category.name)} ({shown_seconds(seconds)})",
            type="primary",
            icon=":material/play_arrow:",
            disabled=is_there or is_foreign or jobs.is_busy(out),
            help="Scores all test photos with the weights chosen in the sidebar and keeps the"
            " result in the runs folder. It waits while the device is busy.",
        ):
            try:
                jobs.enqueue(out, command, "auto")
                st.session_state[_STARTED] = str(out)
            except CutSwapError as error:
                show_error(error)
    if head is not None:
        st.caption(
            f"{plain_text(selected.run)} trained a {head.kind}: the score joins memory bank and"
            f" {head.kind}, and is for {plain_text(head.category)} only."
        )
    elif elsewhere := learnt_elsewhere(selected.run, category):
        st.caption(f":material/category: {elsewhere}")
    if is_there:
        st.caption(
            f"{plain_text(out.name)} is there already: choose another seed, coreset, or weights."
        )
    job = (
        jobs.queue().of(Path(st.session_state[_STARTED])) if _STARTED in st.session_state else None
    )
    st.fragment(_watch, run_every=1.5 if job is not None and job.is_active else None)()


def _watch() -> None:
    """The running job's last line; at its end the whole page is drawn again."""
    started = st.session_state.get(_STARTED)
    if started is None:
        return
    out = Path(started)
    queue = jobs.queue()
    job, tail = queue.of(out), log_tail(out, 8)
    if job is not None and job.is_active:
        said, button = st.columns([5, 1], vertical_alignment="center")
        ahead = jobs_ahead(job, queue.active())
        word = tail[-1] if tail else "starting"
        said.info(
            f"{plain_text(out.name)}: " + (f"waits for {ahead} before it" if ahead else word),
            icon=":material/hourglass_top:",
        )
        button.button(
            "Stop",
            on_click=_stop,
            args=(out,),
            icon=":material/stop:",
            help="Nothing of it is kept.",
        )
        return
    del st.session_state[_STARTED]
    found_runs.clear()
    if read_evaluation(out).state == DONE:
        st.rerun()
    st.error(f"{plain_text(out.name)} was not finished. Its last words are below.")
    st.code("\n".join(tail) or "nothing was written", language=None, wrap_lines=True)


def _stop(out: Path) -> None:
    try:
        jobs.queue().stop(out)
    except CutSwapError as error:  # it works in another container
        st.toast(
            plain_text(f"{error.subject}: {error.found}; {error.fix}."), icon=":material/block:"
        )


def _command(selected: Selection, coreset: float, seed: int) -> tuple[Path, list[str]]:
    """The folder, and the argument list that writes it."""
    parts = [selected.category.name, Path(selected.run).name, f"{coreset:g}", *selected.squares[1:]]
    name = "-".join([*parts, f"seed{seed}"])
    out = workspace.runs_folder() / re.sub(r"[^\w.-]", "-", name)
    flags = [*data_flags(selected.dataset.root, selected.category.name)]
    flags += selected.squares
    flags += [str(word) for word in weights_flags(selected.weights)]
    flags += ["--coreset", f"{coreset:g}", "--seed", str(seed), "--out", str(out)]
    return out, ["evaluate", *flags]
