"""Steps about saliency: five depths of one photo, and what K-means makes of one of them."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app.figures.chart_files import chart_config
from app.lesson.step_view import SIZE, StepView
from app.saliency.clustered import cluster_picture
from app.saliency.histogram import saliency_histogram
from app.saliency.levels import level_picture
from app.shared import caches
from app.shared.caches import SaliencyKey
from app.shared.networks import layer_name
from app.shared.picture_memory import kept
from app.viewer.pictures import thumbnail
from app.viewer.viewer import viewer
from cutswap.errors import CutSwapError
from cutswap.saliency.clusters import Clusters
from cutswap.utils.overlays import blend

SMALL = 150  # pixels wide


def depths(view: StepView) -> None:
    """One map large, all five small.

    Raises:
        CutSwapError: see `caches.explained`.
    """
    key = view.saliency
    explained = caches.explained(key)
    left, right = st.columns([1, 1])
    with left:
        viewer(
            level_picture(key, explained, view.level, view.selected.record),
            key="lesson.depth",
            memory="saliency",
        )
    with right, st.container(horizontal=True):
        for level, layer in enumerate(key.layers):
            mark = "▶ " if level == view.level else ""
            st.image(
                _small(key, level),
                caption=mark + layer_name(key.backbone, layer, SIZE),
                width=SMALL,
                alt=f"Saliency of layer {layer}",
            )


@kept()
def _small(key: SaliencyKey, level: int) -> bytes:
    return thumbnail(blend(caches.photo(key.photo), caches.heat(key, level), 0.6), SMALL)


def clusters(view: StepView) -> None:
    """The clusters over the photo, beside the histogram that they cut.

    Raises:
        CutSwapError: see `caches.explained`.
    """
    key, k = view.saliency, view.values["k"]
    values = caches.explained(key).maps[view.level]
    try:
        groups = caches.clusters(key, view.level, k)
    except CutSwapError:
        st.warning(
            f"This map has fewer than K = {k} distinct values ({len(np.unique(values))}). Lower K."
        )
        return
    left, right = st.columns([1, 1])
    with left:
        viewer(
            cluster_picture(caches.photo(key.photo), values, groups, (), key.layers[view.level]),
            key="lesson.clusters",
            memory="clusters",
        )
    with right:
        st.plotly_chart(
            saliency_histogram(values, groups),
            width="stretch",
            key="lesson.histogram",
            config=chart_config("saliency-histogram"),
            alt="Histogram of saliency with the cut points between clusters",
        )
        _cut_points(groups, values)


def _cut_points(groups: Clusters, values: np.ndarray) -> None:
    shares = np.bincount(groups.regions(values).ravel(), minlength=groups.k) / values.size
    cuts = ", ".join(f"{cut:.2f}" for cut in groups.boundaries) or "none"
    st.markdown(
        f"Cut points: **{cuts}**. The most salient cluster, number {groups.k}, has"
        f" **{shares[-1]:.1%}** of the area."
    )
