"""Which evaluation the Inspect page can show now, and how the visitor gets the one wanted.

Settings that were never evaluated leave the last numbers on the screen, marked as outdated, with a
button and its price in seconds. A small category that has none yet is evaluated without asking.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from app.inspect_heatmaps import caches as inspect_caches
from app.inspect_heatmaps.controls import InspectRequest
from app.shared.background import follow
from app.shared.evaluations import SMALL, Wanted, estimate, shown_seconds, workshop
from app.shared.knobs import set_knob
from app.shared.open_in_inspect import HERE
from app.shared.page_parts import plain_text, show_error
from cutswap.errors import CutSwapError
from cutswap.evaluation.scored_set import ScoredSet
from cutswap.runs.states import BROKEN

_LAST = "inspect.last"  # session: what was shown last, by category and weights


@dataclass(frozen=True)
class Resolved:
    """What the page can show now.

    Attributes:
        scored: the evaluation; None where there is none yet, and the page has said why.
        outdated: what of the wanted settings it has otherwise; empty where nothing.
        is_waiting: whether the evaluation that was asked for is on its way.
    """

    scored: ScoredSet | None
    outdated: str = ""
    is_waiting: bool = False


def resolve(asked: InspectRequest) -> Resolved:
    """What can be shown now, with reasons and buttons drawn for what cannot.

    Raises:
        CutSwapError: weights that cannot be loaded.
    """
    if asked.saved is not None:
        return _saved(asked)
    wanted = asked.wanted
    place = (asked.selected.key, wanted.weights)
    last: dict[tuple[str, str], Wanted] = st.session_state.setdefault(_LAST, {})
    if wanted.is_done:
        last[place] = wanted
        return Resolved(read_or_offer_repair(wanted, asked.score))
    before = last.get(place)
    shown = Resolved(None)
    if before is not None and before.is_done:
        shown = Resolved(read_or_offer_repair(before, asked.score), _difference(before, wanted))
    work = workshop().of(wanted.key)
    if work is not None and work.is_running:
        return replace(shown, is_waiting=True)
    if work is not None and work.error is not None:
        show_error(work.error)
        _start_button(wanted, "Try again")
        return shown
    if shown.scored is not None:
        warning, button = st.columns([3, 2], vertical_alignment="center")
        with warning:
            st.warning(
                f"The numbers are outdated: {plain_text(shown.outdated)}.",
                icon=":material/history:",
            )
        with button:
            _start_button(wanted, "Recompute")
        return shown
    if wanted.count <= SMALL:
        workshop().start(wanted)
        return Resolved(None, is_waiting=True)
    st.info(
        f"This category has {wanted.count} photos and has not been evaluated with these weights"
        " and settings yet. It is done in the background, once, and kept.",
        icon=":material/hourglass_empty:",
    )
    _start_button(wanted, "Evaluate")
    return shown


def wait_for(wanted: Wanted, slot: Any, what: str = "Evaluating") -> None:
    """Show the progress of a running evaluation, then rerun.

    Called last, so that everything else on the page is there meanwhile.
    """
    work = workshop().of(wanted.key)
    if work is None:
        return

    def words() -> str:
        assert work is not None  # noqa: S101 - for the type checker
        ahead = workshop().ahead(wanted.key)
        place = f" ({ahead} before it)" if ahead else ""
        workshop().of(wanted.key)  # in public mode what nobody waits for is given up
        return f"{what}: {work.stage}{place}"

    follow(work, slot, words)


def read_or_offer_repair(wanted: Wanted, score: str | None) -> ScoredSet | None:
    """The finished evaluation of this page; of a damaged one the reason and a way out."""
    try:
        return inspect_caches.scored(
            wanted.folder, wanted.category, score if wanted.head is not None else None
        )
    except CutSwapError as error:
        show_error(error)
        st.button(
            f"Compute it again ({shown_seconds(estimate(wanted))})",
            on_click=_again,
            args=(wanted,),
            icon=":material/refresh:",
            key=f"again.{wanted.key}",
        )
        return None


def _saved(asked: InspectRequest) -> Resolved:
    saved = asked.saved
    assert saved is not None  # noqa: S101 - for the type checker
    try:
        if saved.state == BROKEN:
            raise CutSwapError(
                saved.name,
                expected="a finished evaluation",
                found=saved.reason,
                fix="evaluate again, or choose other numbers",
            )
        return Resolved(inspect_caches.scored(saved.path, asked.selected.category, asked.score))
    except CutSwapError as error:
        show_error(error)
        st.button(
            "Show this page's own numbers",
            on_click=set_knob,
            args=("eval", HERE),
            icon=":material/undo:",
        )
        return Resolved(None)


def _start_button(wanted: Wanted, text: str) -> None:
    st.button(
        f"{text} ({shown_seconds(estimate(wanted))})",
        on_click=workshop().start,
        args=(wanted,),
        icon=":material/play_arrow:",
        type="primary",
        key=f"start.{wanted.key}",
        help="Fits the bank on the good photos and scores all test photos.",
    )


def _again(wanted: Wanted) -> None:
    shutil.rmtree(wanted.folder, ignore_errors=True)
    workshop().start(wanted)


def _difference(old: Wanted, new: Wanted) -> str:
    """`coreset 0.01, now 0.001`: what the shown numbers were computed with."""
    before, after = (
        {**one.settings.to_dict(), "whiten": one.settings.whitening, "seed": one.seed}
        for one in (old, new)
    )
    parts = [
        f"{name.replace('_', ' ')} {_plain(before[name])}, now {_plain(after[name])}"
        for name in before
        if before[name] != after[name]
    ]
    return "; ".join(parts) or "a photo has changed since"


def _plain(value: object) -> str:
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)
