"""The control of a threshold from good photos alone: a rate asked for, and what that gives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st

from app.inspect_heatmaps.deciding.held_out import FOLDS, GoodPhotos, decision_of, start, work_on
from app.shared import knobs, public
from app.shared.page_parts import plain_errors, plain_text, show_error
from cutswap.decision.conformal import Drift, drift, photos_needed, share_text
from cutswap.decision.deciding import on_test_photos
from cutswap.decision.decision import ASSUMPTION, Decision
from cutswap.evaluation.scored_set import ScoredSet

RATE = "rate"  # in the URL
RATES = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
DEFAULT = 0.05
WHAT = (
    "No defect is needed: good photos are scored by banks that have not seen them, and the"
    " threshold is set so that at most this share of good parts to come is called defective."
)


def control(
    good: GoodPhotos,
    use: Callable[[float], None],
    scored: ScoredSet | None,
    scores: np.ndarray | None = None,
) -> None:
    """A popover with the rate, and what it gives.

    Args:
        good: whose scores decide.
        use: callback that sets the page's threshold.
        scored: labelled test photos, on which it is shown what the threshold costs.
        scores: (N,) float of photos without labels, which are looked at for drift alone.
    """
    with (
        st.popover(
            "From good photos",
            icon=":material/verified:",
            help="A threshold for a false-alarm rate, without defects.",
        ),
        plain_errors("the threshold from good photos"),
    ):
        rate = knobs.choice(
            RATE,
            "False alarms at most",
            RATES,
            DEFAULT,
            show=lambda share: f"{100 * share:g}%",
            help=WHAT,
        )
        needed, count = photos_needed(rate), good.count()
        st.caption(f"Needs {needed:,} good photos; there are {count:,}.")
        if good.cannot:
            st.info(good.cannot, icon=":material/info:")
            return
        decision = decision_of(good)
        there = count if decision is None else len(decision.good)
        if there < needed:
            least = min((r for r in RATES if photos_needed(r) <= there), default=None)
            other = "" if least is None else f", or ask for {100 * least:g}%"
            st.warning(
                f"{needed - there:,} good photos too few for {100 * rate:g}%: add them{other}.",
                icon=":material/production_quantity_limits:",
            )
        elif decision is None:
            _offer(good, rate)
        else:
            _told(decision.at(rate), use, scored, scores)


def promised(good: GoodPhotos) -> float | None:
    """The threshold at the rate that is set; None where there is none yet.

    Args:
        good: whose scores decide.

    Raises:
        CutSwapError: a damaged file.
    """
    rate = knobs.peek(RATE, DEFAULT, lambda text: float(text) if float(text) in RATES else None)
    decision = decision_of(good)
    if decision is None or len(decision.good) < photos_needed(rate):
        return None
    return decision.at(rate).promise.threshold


def _offer(good: GoodPhotos, rate: float) -> None:
    work = work_on(good)
    if work is not None and work.is_running:
        st.info(f"{plain_text(work.stage)} …", icon=":material/hourglass_empty:")
        return
    if work is not None and work.error is not None:
        show_error(work.error)
    if public.is_public():
        st.info("Scoring them is not part of the public demo.", icon=":material/info:")
        return
    st.button(
        "Score the good photos",
        on_click=start,
        args=(good, rate),
        type="primary",
        icon=":material/play_arrow:",
        key="deciding.start",
        help=f"Once, in the background: {FOLDS} small banks, each without a part of the photos.",
    )


def _told(
    decision: Decision,
    use: Callable[[float], None],
    scored: ScoredSet | None,
    scores: np.ndarray | None,
) -> None:
    promise = decision.promise
    st.markdown(
        f"Threshold **{promise.threshold:.4g}** · gives **{share_text(promise.expected)}** on"
        f" average, 95% interval {share_text(promise.low)} to {share_text(promise.high)}"
    )
    moved: Drift | None = None
    if scored is not None:
        tested = on_test_photos(decision, scored.defects, scored.scores, None)
        moved = tested.drift
        if tested.text():
            st.markdown(f"{tested.text().capitalize()}.")
    elif scores is not None and len(scores):
        moved = drift(decision.good, scores)
        st.caption("What it costs in missed defects nobody knows: no defect is labelled.")
    if moved is not None and moved.is_drift:
        st.warning(f"{moved.text().capitalize()}.", icon=":material/trending_up:")
    st.button(
        "Use this threshold",
        on_click=use,
        args=(promise.threshold,),
        type="primary",
        icon=":material/check:",
        key="deciding.use",
    )
    st.caption(f"Holds if {ASSUMPTION}. {decision.how[:1].upper()}{decision.how[1:]}.")
