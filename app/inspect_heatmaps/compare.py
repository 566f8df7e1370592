"""Two evaluations of one image, beside each other in the same colours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.inspect_heatmaps import caches as inspect_caches
from app.inspect_heatmaps.controls import NOTHING, InspectRequest, saved_evaluations
from app.inspect_heatmaps.heads import with_head
from app.inspect_heatmaps.picture import (
    Called,
    Heat,
    evaluation_of,
    heat_to_take_home,
    picture,
)
from app.inspect_heatmaps.resolve import read_or_offer_repair, wait_for
from app.shared import workspace
from app.shared.evaluations import SMALL, Wanted, estimate, network_of, shown_seconds, workshop
from app.shared.heads import head_of
from app.shared.page_parts import plain_errors
from app.shared.selection import PRETRAINED, found_runs, learnt_elsewhere
from app.viewer.viewer import Picture, viewer
from cutswap.errors import CutSwapError
from cutswap.evaluation.scored_set import ScoredSet, scores_in
from cutswap.utils.overlays import colourise

SAME_SCALE = (
    "The same colours are the same distance. Distances of two networks are different units: a"
    " darker picture is not a calmer verdict. Compare where the heat is, and how each image"
    " ranks among the good ones."
)
NOT_SCORED = "The other evaluation has not scored this photo."
LEARNT_FROM = "Evaluations score test photos: choose one of those to compare."
FIGURES = (
    ("image_auroc", "Image AUROC"),
    ("pixel_auroc", "Pixel AUROC"),
    ("aupro", "AUPRO"),
    ("f1_max", "Best image F1"),
)


def beside(
    asked: InspectRequest,
    scored: ScoredSet,
    index: int | None,
    heat: Heat,
    drawn: Picture,
    called: Called,
    words: DeltaGenerator,
) -> tuple[float, float] | None:
    """Draw the picture, and the other evaluation's next to it where one is asked for.

    Args:
        asked: what to put beside.
        scored: the evaluation on the left.
        index: of the image in it.
        heat: the image's heatmap.
        drawn: its picture.
        called: what the thresholds say of it.
        words: place of what the colours mean and of the figures of both.

    Returns:
        Where the left picture was clicked, as `viewer` says.
    """
    other = None
    if asked.versus != NOTHING:
        with plain_errors("the comparison"):
            other = other_evaluation(asked)
    if other is None or index is None or scored.names[index] not in other.names:
        if other is not None:
            st.caption(NOT_SCORED if index is not None else LEARNT_FROM)
        place = viewer(drawn, key="heat", memory="heat", group="heat", clickable=True)
    else:
        place = _pair(asked, scored, other, heat, drawn, words)
    about = evaluation_of(scored, index, heat)
    heat_to_take_home(asked.selected.key, heat, drawn, called, about)
    return place


def is_ready(asked: InspectRequest) -> bool:
    """Whether the other evaluation is there, so that two pictures need the whole width."""
    if asked.versus == NOTHING:
        return False
    if asked.versus.startswith("saved:"):
        return True
    try:
        return wanted_of(asked).is_done
    except CutSwapError:  # said where it would stand
        return False


def wait(asked: InspectRequest, slot: Any) -> None:
    """Show the progress of the second evaluation while it runs; called last."""
    if asked.versus == NOTHING or asked.versus.startswith("saved:"):
        return
    with plain_errors("the comparison"):
        wanted = wanted_of(asked)
        work = workshop().of(wanted.key)
        if work is not None and work.is_running:
            wait_for(wanted, slot, what=f"Evaluating {_short(asked.versus)}")


def _pair(
    asked: InspectRequest,
    scored: ScoredSet,
    other: ScoredSet,
    heat: Heat,
    drawn: Picture,
    words: DeltaGenerator,
) -> tuple[float, float] | None:
    at = other.names.index(heat.record.name)
    values = other.heatmaps[at]
    span = (min(heat.span[0], other.range[0]), max(heat.span[1], other.range[1]))
    says = "distance to normal; one range for all test images of both"
    if asked.stretch:
        span = (min(heat.span[0], float(values.min())), max(heat.span[1], float(values.max())))
        says = "distance to normal, stretched to this image in both"
    second = Heat(
        record=replace(heat.record, resize=other.resize),
        values=values,
        score=float(other.scores[at]),
        mask=heat.mask,
        span=span,
        span_says=says,
        usual=None if asked.stretch else inspect_caches.usual_heat(other),
        region=other.region,
    )
    if second.size != heat.size or other.resize != heat.record.resize:
        second = replace(second, mask=None)
    again = picture(replace(heat, span=span, span_says=says))
    first = replace(
        drawn,
        heat=colourise(heat.values, *span),
        heat_alpha=again.heat_alpha,
        left=_name(asked, scored),
        opacity=55,
        legend=again.legend,
    )
    left, right = st.columns(2)
    with left:
        place = viewer(first, key="heat", memory="heat", group="heat", clickable=True)
    with right:
        viewer(
            picture(second, tag=_short(asked.versus)),
            key="heat.second",
            memory="heat",
            group="heat",
        )
    words.caption(SAME_SCALE)
    if elsewhere := learnt_elsewhere(asked.versus, asked.selected.category):
        words.caption(f":material/category: {elsewhere}")
    words.markdown(_table(asked, scored, other, heat, second))
    return place


def other_evaluation(asked: InspectRequest) -> ScoredSet | None:
    """The second evaluation; None until it is there, with a button to get it.

    Args:
        asked: what to put beside, something.

    Raises:
        CutSwapError: weights that cannot be loaded, a damaged evaluation.
    """
    if asked.versus.startswith("saved:"):
        saved = saved_evaluations(asked.selected)[asked.versus.removeprefix("saved:")]
        score = asked.score if asked.score in scores_in(saved.summary) else None
        return inspect_caches.scored(saved.path, asked.selected.category, score)
    wanted = wanted_of(asked)
    if wanted.is_done:
        return read_or_offer_repair(wanted, asked.score or "both")
    work = workshop().of(wanted.key)
    if work is not None and work.is_running:  # `wait` shows how far it is
        return None
    if work is not None and work.error is not None:
        raise work.error
    if wanted.count <= SMALL:  # as the page's own numbers: without asking, the picture stays
        workshop().start(wanted)
        return None
    st.button(
        f"Evaluate {_short(asked.versus)} too ({shown_seconds(estimate(wanted))})",
        on_click=workshop().start,
        args=(wanted,),
        icon=":material/play_arrow:",
        key=f"start.{wanted.key}",
        help="The same category and settings with the other weights, once; it is kept.",
    )
    return None


def wanted_of(asked: InspectRequest) -> Wanted:
    """The evaluation by the other weights.

    Raises:
        CutSwapError: the run is no longer there.
    """
    weights = asked.versus
    if weights not in PRETRAINED:
        run = found_runs(workspace.runs_folder()).run(weights)
        if run is None:
            raise CutSwapError(
                weights,
                expected="a finished run",
                found="none of that name",
                fix="choose another one to compare with",
            )
        weights = str(run.path)
    other = replace(asked.selected, run=asked.versus, weights=weights)
    wanted = replace(asked.wanted, weights=weights, network=network_of(other), head=None)
    return with_head(wanted, head_of(weights))


def _table(
    asked: InspectRequest, scored: ScoredSet, other: ScoredSet, heat: Heat, second: Heat
) -> str:
    """Figures of both as a Markdown table."""
    lines = [f"| | {_name(asked, scored)} | {_short(asked.versus)} |", "|---|---|---|"]
    lines.append(f"| score of this image | {heat.score:.3f} | {second.score:.3f} |")
    ranks = [
        f"{int((s.scores[~s.labels] < h.score).sum())} of {int((~s.labels).sum())}"
        for s, h in ((scored, heat), (other, second))
    ]
    lines.append(f"| higher than good test images | {ranks[0]} | {ranks[1]} |")
    for key, title in FIGURES:
        shown = [
            f"{v:.3f}" if isinstance(v := s.summary.get(key), (int, float)) else "–"
            for s in (scored, other)
        ]
        lines.append(f"| {title} | {shown[0]} | {shown[1]} |")
    return "\n".join(lines)


def _name(asked: InspectRequest, scored: ScoredSet) -> str:
    return asked.selected.run if asked.saved is None else Path(scored.folder).name


def _short(versus: str) -> str:
    return versus.removeprefix("saved:")
