"""The recorded run: two clouds of points and the chosen one large, or state after state."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from app.features.charts import scatter
from app.features.over_time import show_history
from app.features.point import facts, hover_texts
from app.figures.chart_files import chart_config
from app.lesson.recording import (
    CATEGORY,
    projected,
    recorded_features,
    recorded_history,
    separation,
)
from app.lesson.step_view import StepView
from app.shared import workspace
from app.shared.page_parts import plain_errors
from app.viewer.viewer import Picture, viewer
from cutswap.analysis.feature_set import DEFECT, FeatureSet

_POINT = "lesson.point"  # session: index of the chosen one
CHARTS = ("lesson.before", "lesson.after")


def show(view: StepView) -> None:
    """Both clouds; the answer of the figures once somebody has answered.

    Raises:
        CutSwapError: a recording that is missing or damaged.
    """
    demo = workspace.demo_rendering().root
    if view.values["look"] == "time":
        _over_time(view, demo)
        return
    features = recorded_features(demo or Path())
    kinds = [point.kind for point in features.points]
    shown = int(st.session_state.get(_POINT, kinds.index(DEFECT)))
    flat = projected(view.values["projection"])
    texts = hover_texts(features)
    sides = (
        ("Before fine-tuning", flat.before, flat.axes_before),
        ("After fine-tuning", flat.after, flat.axes_after),
    )
    for column, key, (title, places, axes) in zip(st.columns(2), CHARTS, sides, strict=True):
        with column:
            st.markdown(f"**{title}**")
            chart = scatter(features.points, places, axes, shown, texts)
            chart.update_layout(height=460, legend_y=-0.24)  # below the title of x
            st.plotly_chart(
                chart,
                key=key,
                width="stretch",
                on_select=partial(_clicked, key),
                selection_mode="points",
                config=chart_config(key.replace(".", "-")),
                alt=f"{title}: {len(places)} points by {' and '.join(axes)}",
            )
    about = features.about
    st.caption(
        f"Recorded on the demo's {about['category']}: {about['trained_samples'] // 16} updates of"
        f" 16 photos at {about['image_size']} pixels; {about['samples']} new samples of each kind"
        " and all test photos. Click a point to see it."
    )
    left, right = st.columns([1, 2])
    with left, plain_errors("the chosen point"):
        if demo is None:
            st.info("Its photo is shown once the demo is rendered.", icon=":material/image_search:")
        else:
            _point(features, shown)
    with right:
        st.markdown(facts(features, shown))
        if view.is_answered:
            st.markdown(f"**What the figures say:** {separation().answer()}")


def _over_time(view: StepView, demo: Path | None) -> None:
    history = recorded_history(demo or Path())
    if demo is None:
        st.info("The run is shown once the demo is rendered.", icon=":material/image_search:")
        return
    category = view.selected.category
    is_its_own = category.name == CATEGORY and category.root.is_relative_to(demo)
    show_history(history, view.selected.record.name if is_its_own else None, "lesson.time")
    if view.is_answered:
        st.markdown(f"**What the figures say:** {history.answer()}")


def _point(features: FeatureSet, shown: int) -> None:
    photo, mask = features.picture(shown)
    label = features.points[shown].label
    viewer(Picture(photo, mask=mask, alt=label, caption=label), key="lesson.point.picture")


def _clicked(chart: str) -> None:
    event: Any = st.session_state.get(chart)
    try:
        value = event["selection"]["points"][0]["customdata"]
        st.session_state[_POINT] = int(value[0] if isinstance(value, (list, tuple)) else value)
    except (LookupError, TypeError, ValueError):  # a second click takes the choice back
        return
