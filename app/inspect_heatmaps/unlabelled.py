"""Inspect for unlabelled photos: heatmap and score, and why there is no threshold."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app.inspect_heatmaps import caches as inspect_caches
from app.inspect_heatmaps import charts as inspect_charts
from app.inspect_heatmaps import nearest_normal as inspect_nearest
from app.inspect_heatmaps.caches import BankKey
from app.inspect_heatmaps.controls import InspectRequest
from app.inspect_heatmaps.gallery import gallery
from app.inspect_heatmaps.picture import Heat, picture
from app.inspect_heatmaps.resolve import wait_for
from app.shared.caches import PhotoKey
from app.shared.evaluations import SMALL, estimate, shown_seconds, workshop
from app.shared.page_parts import plain_errors, plain_text, show_error
from app.viewer.viewer import viewer
from cutswap.evaluation.unlabelled import UnlabelledSet

CLEAR = 0.25  # share of the range that stays clear: nobody knows which of these photos are good
NO_THRESHOLD = (
    "No threshold, figures or curves here: they need good **and** defective test photos, sorted"
    " into test/good and test/&lt;defect&gt;. The heatmap and the score need none: they say how"
    " unlike the normal photos this one is, not whether it is defective."
)
LEARNT = (
    "There are no test photos: these are the photos the bank was fitted on, so all of them look"
    " normal to it. Add photos to look at on the Data page."
)


def show(asked: InspectRequest) -> None:
    """The page for such a category.

    Raises:
        CutSwapError: weights that cannot be loaded, a damaged result, an unreadable photo.
    """
    wanted = asked.wanted
    slot = st.empty()
    if not wanted.is_done:
        work = workshop().of(wanted.key)
        if work is not None and work.error is not None and not work.is_running:
            show_error(work.error)
            _start(asked, "Try again")
        elif wanted.count <= SMALL or (work is not None and work.is_running):
            workshop().start(wanted)
            wait_for(wanted, slot, what="Learning what is normal")
        else:
            _start(asked, "Learn what is normal")
        return
    unlabelled = inspect_caches.unlabelled(wanted.folder)
    st.info(NO_THRESHOLD, icon=":material/info:")
    if unlabelled.learnt:
        st.caption(LEARNT)
    heat = _heat(asked, unlabelled)
    st.markdown(
        f"{plain_text(heat.record.name)} · score **{heat.score:.3f}** · higher than"
        f" {int((unlabelled.scores < heat.score).sum())} of {len(unlabelled.scores)} photos."
    )
    left, right = st.columns([3, 2])
    bank = BankKey.of(unlabelled.bank_file)
    with left:
        compared = None
        with plain_errors("the nearest normal patch"):
            compared = inspect_nearest.compared(
                bank, heat.record, heat.size, asked.selected.category.train
            )
        box = None if compared is None else compared.test.box
        tag = "" if compared is None else f"frame: {compared.distance:.3g} from normal"
        place = viewer(
            picture(heat, cell_box=box, tag=tag),
            key="heat",
            memory="heat",
            group="heat",
            clickable=True,
        )
        if place is not None:
            inspect_nearest.remember_place(heat.record, place)
            st.rerun()
    with right, plain_errors("the list of photos"):
        _list(asked, unlabelled)
    with plain_errors("the scores"):
        st.plotly_chart(
            inspect_charts.number_line(unlabelled.names, unlabelled.scores, None, heat.score, None),
            width="stretch",
            key="line",
            config={"displayModeBar": False},
            alt=f"Scores of {len(unlabelled.names)} photos; this one at {heat.score:.3f}",
        )
    if compared is not None:
        inspect_nearest.section(compared, heat.record)


def _heat(asked: InspectRequest, unlabelled: UnlabelledSet) -> Heat:
    record, settings = asked.selected.record, asked.wanted.settings
    live = inspect_caches.prediction(
        BankKey.of(unlabelled.bank_file),
        PhotoKey.of(record.image, settings.image_size, record.bits),
    )
    values = live.heatmaps[0]
    span, says = (
        unlabelled.range,
        f"distance to normal; one range for all {len(unlabelled.names)} photos",
    )
    if asked.stretch:
        span = (float(values.min()), float(values.max()))
        says = "distance to normal, stretched to this image alone: do not compare pictures"
    return Heat(
        record=record,
        values=values,
        score=float(live.scores[0]),
        mask=None,
        span=span,
        span_says=says,
        usual=None if asked.stretch else span[0] + CLEAR * (span[1] - span[0]),
    )


def _list(asked: InspectRequest, unlabelled: UnlabelledSet) -> None:
    category = asked.selected.category
    by_name = {r.name: r for r in (*category.test, *category.train)}
    names = [name for name in unlabelled.names if name in by_name]
    scores = np.array(
        [s for n, s in zip(unlabelled.names, unlabelled.scores, strict=True) if n in by_name]
    )
    order = [int(i) for i in np.argsort(-scores, kind="stable")]
    records = [by_name[name] for name in names]
    shown = asked.selected.record.name
    gallery(names, records, scores, [""] * len(names), order, shown, first="Most unusual")


def _start(asked: InspectRequest, text: str) -> None:
    wanted = asked.wanted
    st.button(
        f"{text} ({shown_seconds(estimate(wanted))})",
        on_click=workshop().start,
        args=(wanted,),
        icon=":material/play_arrow:",
        type="primary",
        key=f"start.{wanted.key}",
        help="Fits the memory bank on the training photos, once; it is kept.",
    )
