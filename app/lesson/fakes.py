"""How far from normal are made-up defects, and how far are real ones? Measured for one photo."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from app.figures.chart_files import chart_config
from app.lesson.bank import NETWORK, SETTINGS, photo_key, small_bank
from app.lesson.step_view import SIZE, StepView
from app.negatives.draws import Drawing, draw, small
from app.shared import caches, public
from app.shared.caches import PhotoKey
from app.shared.page_parts import plain_text
from app.shared.picture_memory import kept
from app.viewer.pictures import thumbnail
from cutswap.analysis.quality_measures import cell_shares
from cutswap.data.images import to_image
from cutswap.data.loading import load_masks
from cutswap.data.records import Record

METHODS = ("CutSwap", "CutSwap scar", "CutPaste", "CutPaste scar")
DRAWS = 3  # a method
NORMAL = 8  # good photos that distances are measured to
REAL = 6  # defective test photos at most
SMALL = 150  # pixels wide
_COLOURS = ("#0072b2", "#56b4e9", "#e69f00", "#009e73", "#d55e00")


def show(view: StepView) -> None:
    """One negative a method beside a real defect; the distances once somebody has answered.

    Raises:
        CutSwapError: an unreadable photo.
    """
    drawing, category = view.drawing(), view.selected.category
    real = _evenly([r for r in category.test if not r.is_good and r.mask is not None])
    with st.container(horizontal=True):
        for method in METHODS:
            one = small(drawing, 0, SMALL, method=method)
            st.image(one.jpeg, width=SMALL, caption=method, alt=f"{method} of the photo")
        for record in real[:1]:
            picture = thumbnail(caches.photo(photo_key(record)), SMALL)
            says = f"real: {plain_text(record.defect)}"
            st.image(picture, width=SMALL, caption=says, alt=f"A real defect, {record.defect}")
    if not view.is_answered:
        st.caption("How far each is from normal is shown once you have answered.")
        return
    name = view.selected.record.name
    normal = tuple(photo_key(r) for r in category.train if r.name != name)[:NORMAL]
    groups = {method: _distances(drawing, method, normal) for method in METHODS}
    if found := _real_distances(tuple(real), normal):
        groups["Real defects"] = found
    st.plotly_chart(
        _chart(groups),
        width="stretch",
        key="lesson.fakes",
        config=chart_config("distances"),
        alt="; ".join(f"{name}: mean {np.mean(d):.2f} from normal" for name, d in groups.items()),
    )
    st.caption(
        f"A dot is one negative ({DRAWS} a method, of this photo) or one real defect: the mean"
        f" distance of what changed to the nearest patch of {len(normal)} other good photos."
    )


@kept("Measuring")
def _distances(drawing: Drawing, method: str, normal: tuple[PhotoKey, ...]) -> tuple[float, ...]:
    drawn = [draw(drawing, epoch, method=method).negative for epoch in range(DRAWS)]
    photos, masks = (
        np.stack(part) for part in zip(*((n.photo, n.mask) for n in drawn), strict=True)
    )
    return _mean_distances(photos, masks, normal)


@kept("Measuring")
def _real_distances(records: tuple[Record, ...], normal: tuple[PhotoKey, ...]) -> tuple[float, ...]:
    masks = load_masks(list(records), SIZE) if records else None
    if masks is None:
        return ()
    photos = np.stack([caches.photo(photo_key(record)) for record in records])
    seen = [i for i, mask in enumerate(masks) if mask.any()]  # a speck may vanish made smaller
    return _mean_distances(photos[seen], masks[seen], normal) if seen else ()


def _mean_distances(
    photos: np.ndarray, masks: np.ndarray, normal: tuple[PhotoKey, ...]
) -> tuple[float, ...]:
    bank = small_bank(normal)
    with public.turn(NETWORK, SETTINGS.layers, SIZE):
        distances = bank.score(to_image(photos)).distances
    grid = (int(distances.shape[1]), int(distances.shape[2]))
    return tuple(
        float((cell_shares(mask, grid) * one).sum())
        for mask, one in zip(masks, distances, strict=True)
    )


def _evenly(records: Sequence[Record]) -> list[Record]:
    """At most `REAL` of them, from all types."""
    count = min(REAL, len(records))
    return [records[i * len(records) // count] for i in range(count)]


def _chart(groups: dict[str, tuple[float, ...]]) -> go.Figure:
    figure = go.Figure()
    for (name, values), colour in zip(groups.items(), _COLOURS, strict=False):
        figure.add_scatter(
            x=values,
            y=[name] * len(values),
            mode="markers",
            marker={"size": 12, "color": colour, "line": {"width": 1, "color": "#808890"}},
            hovertemplate=f"{name}: %{{x:.2f}}<extra></extra>",
        )
    figure.update_layout(
        height=260,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        showlegend=False,
        xaxis={"title": "distance from normal", "rangemode": "tozero", "zeroline": False},
        yaxis={"autorange": "reversed"},
    )
    return figure
