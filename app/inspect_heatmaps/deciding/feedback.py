"""Feedback on Inspect: what is said of a photo, what that changes, accept, undo and history."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import streamlit as st

from app.inspect_heatmaps.deciding.words import Saying, Shown
from app.shared import public
from app.shared.knobs import set_knob
from app.shared.page_parts import plain_text, show_error
from app.shared.selection import found_runs
from cutswap.data.records import Record
from cutswap.decision.feedback import FINE, Wish, in_force, need_bank_of_squares, used_in
from cutswap.errors import CutSwapError
from cutswap.evaluation.missed import Recall
from cutswap.evaluation.scored_set import ScoredSet


def can_learn(scored: ScoredSet) -> bool:
    """Whether the evaluation's bank can be taught here."""
    if public.is_public() or scored.records is None:
        return False
    try:
        need_bank_of_squares(scored)
    except CutSwapError:
        return False
    return True


def buttons(saying: Saying, record: Record, *, is_good: bool, is_called: bool) -> None:
    """What can be said of the photo on the screen.

    Args:
        saying: about its evaluation.
        record: the photo.
        is_good: whether its label says so.
        is_called: whether the threshold calls it defective.
    """
    wish, name = saying.wish, record.name
    if not is_good or name in used_in(saying.history):
        return
    is_said = name in (*wish.fine, *wish.defects)
    row = st.container(horizontal=True)
    row.button(
        "This is fine",
        on_click=saying.say,
        args=(replace(wish, fine=(*wish.fine, name), undo=False),),
        disabled=is_said,
        type="primary" if is_called else "secondary",
        icon=":material/thumb_up:",
        key="feedback.fine",
        help="A false alarm: its patches join the bank. What that changes is shown first.",
    )
    row.button(
        "This is a defect",
        on_click=saying.say,
        args=(replace(wish, defects=(*wish.defects, name), undo=False),),
        disabled=is_said,
        icon=":material/report:",
        key="feedback.defect",
        help="Its label is wrong: it is kept as an example, and counts in what is found.",
    )


def section(saying: Saying) -> None:
    """What was said, what it changes, and what was accepted before."""
    wish, history = saying.wish, saying.history
    done = saying.accepting()
    if not (history or wish.undo or wish.fine or wish.defects):
        return
    st.subheader("Feedback", anchor=False)
    if done is not None and done.error is not None:
        show_error(done.error)
    if done is not None and done.result is not None:
        st.success(f"Written as {plain_text(done.result.name)}.", icon=":material/check:")
        st.button(
            "Open the new evaluation",
            on_click=_open,
            args=(saying, done.result.name),
            type="primary",
            icon=":material/open_in_new:",
            key="feedback.open",
        )
    elif wish.undo or wish.fine or wish.defects:
        _asked(saying)
    if history:
        _history(saying)


def _open(saying: Saying, name: str) -> None:
    found_runs.clear()  # it is looked at every few seconds only
    set_knob("eval", name)
    saying.drop()


def _asked(saying: Saying) -> None:
    wish, work = saying.wish, saying.looking()
    parts = [f"fine: {', '.join(map(plain_text, wish.fine))}"] if wish.fine else []
    parts += [f"a defect: {', '.join(map(plain_text, wish.defects))}"] if wish.defects else []
    st.markdown("Take the last feedback back." if wish.undo else f"Said: {'; '.join(parts)}.")
    if work is not None and work.error is not None:
        show_error(work.error)
    shown = None if work is None else work.result
    if shown is not None:
        _change(shown)
    with st.container(horizontal=True):
        if shown is None:
            st.button(
                "Show what changes",
                on_click=saying.look,
                disabled=work is not None and work.is_running,
                type="primary",
                icon=":material/compare_arrows:",
                key="feedback.look",
                help="Scores all photos that are not used by both banks. Nothing is written.",
            )
        else:
            st.button(
                "Accept",
                on_click=saying.accept,
                args=(shown,),
                type="primary",
                icon=":material/check:",
                key="feedback.accept",
                help="Writes a new evaluation by the changed bank into the runs folder, with its"
                " history. This one stays.",
            )
        st.button("Discard", on_click=saying.drop, icon=":material/close:", key="feedback.drop")


def _change(shown: Shown) -> None:
    change = shown.change
    rows = ["| photos not used | before | after |", "|---|---|---|"]
    kinds = (("good, called defective", change.alarms), ("defects found", change.found))
    for what, (before, after, count) in kinds:
        texts = [
            Recall("", number, count).text() if count else "no such photo"
            for number in (before, after)
        ]
        rows.append(f"| {what} | {texts[0]} | {texts[1]} |")
    st.markdown("\n".join(rows))
    moved = np.abs(change.before - change.after)
    way = "fall" if change.joined >= 0 else "rise"
    if len(moved):
        st.caption(
            f"{abs(change.joined)} patches {'join' if change.joined >= 0 else 'leave'} the bank,"
            f" which has {change.bank.size:,} then; scores {way} by {moved.mean():.3g} on average,"
            f" {moved.max():.3g} at most. With 95% intervals."
        )
    names = [record.name for record in change.records]
    truths = ["good" if record.is_good else record.defect for record in change.records]
    earlier = [*change.before.tolist(), *(b for _, b, _ in change.examples)]
    later = [*change.after.tolist(), *(a for _, _, a in change.examples)]
    names += [name for name, _, _ in change.examples]
    truths += ["said to be a defect"] * len(change.examples)
    limit = change.threshold
    turns = [
        "" if (b >= limit) == (a >= limit) else ("now good" if a < limit else "now defective")
        for b, a in zip(earlier, later, strict=True)
    ]
    order = sorted(range(len(names)), key=lambda i: (not turns[i], later[i] - earlier[i]))
    columns = (names, truths, earlier, later, turns)
    titles = ("photo", "truth", "before", "after", "verdict")
    table = {t: [c[i] for i in order] for t, c in zip(titles, columns, strict=True)}
    with st.expander(f"All scores; {sum(map(bool, turns))} verdicts turn"):
        st.dataframe(table, hide_index=True, height=300)


def _history(saying: Saying) -> None:
    history = saying.history
    with st.expander(f"History: {len(history)} accepted", icon=":material/history:"):
        for number, entry in enumerate(history, 1):
            what = "fine" if entry.action == FINE else "taken back"
            parts = [f"{what}: {', '.join(map(plain_text, entry.fine))}"] if entry.fine else []
            if entry.defects:
                parts.append(f"defects: {', '.join(map(plain_text, entry.defects))}")
            st.markdown(
                f"{number}. {'; '.join(parts)} · {entry.joined} patches · false alarms"
                f" {entry.alarms[0]} → {entry.alarms[1]} of {entry.alarms[2]} · found"
                f" {entry.found[0]} → {entry.found[1]} of {entry.found[2]}"
            )
        if in_force(history):
            st.button(
                "Take the last back",
                on_click=saying.say,
                args=(Wish(undo=True),),
                icon=":material/undo:",
                key="feedback.undo",
                help="Shown first, then accepted, as any feedback.",
            )
