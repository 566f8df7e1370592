"""Inspect for unlabelled photos: heatmap and score, and verdicts by a threshold of one's own."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app.figures.chart_files import chart_config
from app.figures.take_home import of_chart
from app.inspect_heatmaps import caches as inspect_caches
from app.inspect_heatmaps import charts as inspect_charts
from app.inspect_heatmaps import nearest_normal as inspect_nearest
from app.inspect_heatmaps.caches import BankKey
from app.inspect_heatmaps.controls import InspectRequest
from app.inspect_heatmaps.deciding import from_good
from app.inspect_heatmaps.deciding.held_out import GoodPhotos
from app.inspect_heatmaps.picture import Called, Heat, heat_to_take_home, picture
from app.inspect_heatmaps.resolve import wait_for
from app.inspect_heatmaps.review import contact_sheet, kept
from app.inspect_heatmaps.review.reviewed import Reviewed
from app.inspect_heatmaps.review.steps import step_buttons
from app.inspect_heatmaps.thresholds import IMAGE, own_threshold
from app.shared.caches import PhotoKey, changed
from app.shared.evaluations import SMALL, estimate, shown_seconds, workshop
from app.shared.knobs import set_knob
from app.shared.page_parts import plain_errors, plain_text, show_error
from app.viewer.viewer import viewer
from cutswap.config import PATCHCORE
from cutswap.evaluation.unlabelled import UnlabelledSet
from cutswap.evaluation.verdicts import verdict_of
from cutswap.utils.folder_names import UNLABELLED

NO_FIGURES = (
    "No figures or curves here: they need good **and** defective test photos, sorted into test/good"
    " and test/&lt;defect&gt;. Heatmap and score need none: they say how unlike the normal photos"
    " this one is. Where the line is between good and defective is yours to set."
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
    heat = _heat(asked, unlabelled)
    top, screen = st.container(), st.container(key="inspect_screen")
    st.info(NO_FIGURES, icon=":material/info:")
    if unlabelled.learnt:
        st.caption(LEARNT)
    left, right = screen.columns([3, 2])
    with right:
        threshold = _threshold(asked, unlabelled)
    reviewed = _reviewed(asked, unlabelled, threshold)
    verdict = verdict_of(None, heat.score, threshold)
    with top:
        st.markdown(
            f"**{verdict.text}** · {plain_text(heat.record.name)} · score **{heat.score:.3f}** ·"
            f" higher than {int((unlabelled.scores < heat.score).sum())} of"
            f" {len(unlabelled.scores)} photos."
        )
    bank = BankKey.of(unlabelled.bank_file)
    with left:
        compared = None
        with plain_errors("the nearest normal patch"):
            compared = inspect_nearest.compared(
                bank, heat.record, heat.size, asked.selected.category.train
            )
        box = None if compared is None else compared.test.box
        tag = "" if compared is None else f"frame: {compared.distance:.3g} from normal"
        drawn = picture(heat, cell_box=box, tag=tag, verdict=verdict.text)
        place = viewer(
            drawn,
            key="heat",
            memory="heat",
            group="heat",
            clickable=True,
        )
        if place is not None:
            inspect_nearest.remember_place(heat.record, place)
            st.rerun()
        about = {PATCHCORE: wanted.settings.to_dict(), "weights": wanted.weights}
        called = Called(verdict, threshold)
        chart = inspect_charts.number_line(
            unlabelled.names, unlabelled.scores, None, heat.score, threshold
        )
        scores = of_chart("scores", "Scores", chart)
        heat_to_take_home(asked.selected.key, heat, drawn, called, about, scores)
    with right, plain_errors("the scores"):
        step_buttons(reviewed.most_wrong(), heat.record.name, "Most unusual")
        st.plotly_chart(
            chart,
            width="stretch",
            key="line",
            config=chart_config("unlabelled"),
            alt=f"Scores of {len(unlabelled.names)} photos; this one at {heat.score:.3f}",
        )
        if heat.record.name in unlabelled.names:
            kept.keep_box(reviewed.category, heat.record.name)
    if compared is not None:
        is_paired = wanted.settings.whitening == "both"
        inspect_nearest.section(compared, heat.record, is_paired=is_paired)
    with plain_errors("the contact sheet"):
        contact_sheet.section(reviewed, heat.record.name)
    with plain_errors("the kept photos"):
        st.subheader("Kept photos", anchor=False)
        kept.section(reviewed)


def _threshold(asked: InspectRequest, unlabelled: UnlabelledSet) -> float | None:
    """Set by hand, or from the good photos alone."""
    good = GoodPhotos(
        folder=unlabelled.folder,
        category=asked.selected.category.name,
        train=asked.selected.category.train,
        bank=BankKey.of(unlabelled.bank_file),
        detector=None,
        score="bank",
    )
    promised = None
    with plain_errors("the threshold from good photos"):
        promised = from_good.promised(good)

    def use(threshold: float) -> None:
        set_knob(IMAGE, threshold)

    # Photos that were learnt from score lower than others, which is no drift.
    new = None if unlabelled.learnt else unlabelled.scores
    return own_threshold(
        unlabelled.scores,
        str(unlabelled.folder),
        promised=promised,
        beside=lambda: from_good.control(good, use, None, new),
    )


def _reviewed(
    asked: InspectRequest, unlabelled: UnlabelledSet, threshold: float | None
) -> Reviewed:
    """The scored photos, without those that have gone since."""
    category = asked.selected.category
    by_name = {r.name: r for r in (*category.test, *category.train)}
    there = [i for i, name in enumerate(unlabelled.names) if name in by_name]
    names = tuple(unlabelled.names[i] for i in there)
    return Reviewed(
        category=asked.selected.key,
        source=(unlabelled.folder, changed(unlabelled.folder / UNLABELLED)),
        names=names,
        defects=None,
        labels=None,
        scores=unlabelled.scores[there],
        records=[by_name[name] for name in names],
        threshold=threshold,
        values=lambda place: unlabelled.heatmaps[there[place]],
        masks=None,
        span=unlabelled.range,
        usual=inspect_caches.usual_unlabelled(unlabelled),
        region=_region(unlabelled),
    )


def _heat(asked: InspectRequest, unlabelled: UnlabelledSet) -> Heat:
    record, settings = asked.selected.record, asked.wanted.settings
    live = inspect_caches.prediction(
        BankKey.of(unlabelled.bank_file),
        PhotoKey.of_record(record, settings.image_size),
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
        usual=None if asked.stretch else inspect_caches.usual_unlabelled(unlabelled),
        region=_region(unlabelled),
    )


def _region(unlabelled: UnlabelledSet) -> np.ndarray | None:
    """(S, S) bool, where its bank looks; None: everywhere."""
    return inspect_caches.bank(BankKey.of(unlabelled.bank_file)).region_pixels


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
