"""One swap of two salient patches, beside what another method makes of the same photo."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app.lesson.step_view import METHOD_NAMES, StepView
from app.negatives.draws import Drawing, Drawn, draw
from app.negatives.shapes import COLOURS, shapes
from app.viewer.viewer import Legend, Picture, viewer


def show(view: StepView) -> None:
    """Both negatives, each with where it was changed.

    Raises:
        CutSwapError: see `draws.draw`.
    """
    drawing = view.drawing()
    other = METHOD_NAMES[view.values["method"]]
    for place, (column, method) in enumerate(zip(st.columns(2), ("CutSwap", other), strict=True)):
        with column:
            drawn = draw(drawing, 0, method=method)
            viewer(
                _picture(drawn, method),
                key=f"lesson.swap.{place}",
                memory="lesson.swap",
                group="lesson.swap",
            )

    if view.is_answered:
        _say_kept(drawing, tuple(dict.fromkeys(("CutSwap", other))))


def _say_kept(drawing: Drawing, methods: tuple[str, ...]) -> None:
    """How many pixels of the photo each negative still has, wherever they are now."""
    parts = []
    for method in methods:
        drawn = draw(drawing, 0, method=method)
        kept = pixels_kept(drawn.positive, drawn.negative.photo)
        count = drawn.negative.mask.size
        parts.append(f"{method} has **{kept:,}** of {count:,} pixels ({kept / count:.1%})")
    st.markdown("Counted, wherever they lie: " + "; ".join(parts) + ".")


def pixels_kept(photo: np.ndarray, negative: np.ndarray) -> int:
    """How many pixels of a photo are in its negative, each counted as often as in both.

    Args:
        photo: (H, W, 3) uint8.
        negative: (H, W, 3) uint8.
    """
    counts: list[dict[int, int]] = []
    for picture in (photo, negative):
        one, two, three = (picture[..., c].astype(np.int64).ravel() for c in range(3))
        colours, often = np.unique((one << 16) + (two << 8) + three, return_counts=True)
        counts.append(dict(zip(colours.tolist(), often.tolist(), strict=True)))
    return sum(min(often, counts[1].get(colour, 0)) for colour, often in counts[0].items())


def _picture(drawn: Drawn, method: str) -> Picture:
    boxes, points = shapes(drawn)
    is_swap = drawn.negative.record.method.startswith("cutswap")
    names = ("first patch", "second patch") if is_swap else ("cut from", "pasted to")
    changed = f"{drawn.negative.mask.mean():.1%} of the pixels changed"
    has_two = len(boxes) == 2
    return Picture(
        drawn.positive,
        after=drawn.negative.photo,
        boxes=boxes,
        points=points,
        left="photo",
        right=method,
        legend=Legend(swatches=tuple(zip(COLOURS, names, strict=True))) if has_two else None,
        caption=f"{method}: {changed}. Wipe to uncover it.",
        alt=f"{method} of the photo, {changed}",
    )
