"""Paint a defect: after each stroke heat and score follow, by one detector or two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import streamlit as st

from app.figures.take_home import of_picture, take_home
from app.inspect_heatmaps import caches as inspect_caches
from app.inspect_heatmaps import compare as inspect_compare
from app.inspect_heatmaps.controls import NOTHING, InspectRequest
from app.inspect_heatmaps.painting import held
from app.inspect_heatmaps.painting.canvas import HeatPanel, canvas
from app.inspect_heatmaps.painting.judges import PaintingJudge, clean_scores, judged, judges_of
from app.shared import caches, knobs
from app.shared.caches import PhotoKey
from app.shared.page_parts import plain_errors, plain_text
from app.shared.selection import PRETRAINED
from app.viewer.viewer import Picture
from cutswap.evaluation.scored_set import ScoredSet
from cutswap.evaluation.verdicts import verdict_of
from cutswap.figures.figure_files import Origin
from cutswap.strokes.rendering import paint_strokes, painted_mask
from cutswap.strokes.stroke import MOST_IN_ALL, MOST_STROKES, Stroke

PAINT, EXERCISE = "paint", "ask"  # in links
BEFORE = "embedded"  # what a run that tuned the network is put beside


def is_asked() -> bool:
    """The switch."""
    is_on = knobs.toggle(
        PAINT,
        "Paint",
        False,
        help="Paint a defect: scratches, stains and moved patches on the photo, by hand; heatmap"
        " and score follow each stroke.",
    )
    if not is_on:
        held.leave()
    return is_on


def with_before(asked: InspectRequest) -> InspectRequest:
    """The same beside the network before fine-tuning, where a run tuned it and nothing is chosen.

    Args:
        asked: by the page's controls.
    """
    is_tuned = asked.selected.run not in PRETRAINED and asked.wanted.head is None
    if asked.versus == NOTHING and asked.saved is None and is_tuned:
        return replace(asked, versus=BEFORE)
    return asked


def show(asked: InspectRequest, scored: ScoredSet) -> None:
    """The tool in the place of the page's picture.

    Args:
        asked: by the page's controls.
        scored: the evaluation.

    Raises:
        CutSwapError: a damaged evaluation or detector, or an unreadable photo.
    """
    selected = asked.selected
    own = selected.run_label if asked.saved is None else asked.saved.name
    judges = list(judges_of(own, scored, selected.category))
    if asked.versus != NOTHING:
        with plain_errors("the comparison"):
            other = inspect_compare.other_evaluation(asked)
            if other is not None and (other.size, other.resize) != (scored.size, scored.resize):
                st.caption("The other evaluation sees its photos in another size or shape.")
            elif other is not None:
                name = asked.versus.removeprefix("saved:")
                name = PRETRAINED.get(name, name)
                more = judges_of(name, other, selected.category)
                # Before comes first, as time goes.
                judges = [*more, *judges] if asked.versus == BEFORE else [*judges, *more]
    record = replace(selected.record, resize=scored.resize)
    photo = PhotoKey.of_record(record, scored.size)
    name = f"{selected.key} {record.name}"
    files = tuple(judge.key for judge in judges)
    caches.photo(photo)  # what cannot be read is said here, once
    st.fragment(_paint)(tuple(judges), photo, name, clean_scores(files, photo))


def _paint(
    judges: Sequence[PaintingJudge], photo: PhotoKey, name: str, clean: Sequence[float]
) -> None:
    with plain_errors("the painting"):
        whole = caches.photo(photo)
        side = photo.size
        strokes = held.strokes_on(name, side)
        held.publish(name, strokes, side)
        painted = paint_strokes(whole, strokes)
        said = judged([judge.key for judge in judges], painted)
        is_exercise = knobs.toggle(
            EXERCISE,
            "As an exercise: heat and score after a click",
            False,
            help="Whoever opens the link sees the painted photo, predicts, and then asks for the"
            " heat.",
        )
        if why := held.refused(name):
            st.warning(plain_text(why), icon=":material/brush:")
        canvas(
            painted,
            [
                _panel(judge, values, score, before)
                for judge, (values, score), before in zip(judges, said, clean, strict=True)
            ],
            name=name,
            strokes=len(strokes),
            done=held.done(),
            exercise=f"{name} {photo.size}" if is_exercise else "",
            on_act=lambda acts: held.act(name, side, acts),
            key="painting",
        )
        mask = painted_mask(whole, painted)
        st.caption(
            f"{len(strokes)} of {MOST_STROKES} strokes, {sum(len(s.points) for s in strokes)} of"
            f" {MOST_IN_ALL} points; {mask.mean():.2%} of the pixels changed. The painting is in"
            " the page's link: whoever opens it sees the same pixels."
        )
        _take_home(name, whole, painted, mask, strokes, said, judges)


def _panel(judge: PaintingJudge, values: np.ndarray, score: float, before: float) -> HeatPanel:
    scored = judge.scored
    threshold = float(scored.summary["threshold"])
    good = scored.scores[~scored.labels]
    verdict = verdict_of(None, score, threshold)
    return HeatPanel(
        name=judge.name,
        values=values,
        span=scored.range,
        usual=inspect_caches.usual_heat(scored),
        region=scored.region,
        unit=f"{judge.meaning}; one range for all test photos",
        says=f"{verdict.text} · score {score:.3f}, as it was {before:.3f}, threshold"
        f" {threshold:.3f} · higher than {int((good < score).sum())} of {len(good)} good photos",
    )


def _take_home(
    name: str,
    whole: np.ndarray,
    painted: np.ndarray,
    mask: np.ndarray,
    strokes: Sequence[Stroke],
    said: Sequence[tuple[np.ndarray, float]],
    judges: Sequence[PaintingJudge],
) -> None:
    arrays = {"photo": whole, "painted": painted, "mask": mask}
    for number, (values, _) in enumerate(said):
        arrays[f"heatmap_{number}"] = values
    settings = {
        "photo": name,
        "strokes": [stroke.to_dict() for stroke in strokes],
        "heatmaps": [judge.name for judge in judges],
        "scores": [score for _, score in said],
    }
    figure = of_picture("painted", "Painted photo", Picture(painted), arrays)
    take_home([figure], Origin("Painted photo", settings, []), key="painting")
