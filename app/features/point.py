"""Details and nearest neighbours of one point of the Features page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cutswap.analysis.feature_set import FeaturePoint, FeatureSet

NEIGHBOURS = 5
WORDS = {
    "positive": "positive",
    "patch": "patch negative",
    "scar": "scar",
    "good": "good test photo",
    "defect": "real defect",
}


def nearest(values: np.ndarray, index: int, count: int = NEIGHBOURS) -> list[int]:
    """The points nearest to one in (N, D) features, itself left out, nearest first."""
    distance = np.linalg.norm(values - values[index], axis=1)
    order = np.argsort(distance, kind="stable")
    return [int(i) for i in order if i != index][:count]


def hover_names(points: Sequence[FeaturePoint]) -> list[str]:
    """What each point is and of which photo, in HTML as Plotly reads it."""
    return [f"{WORDS[p.kind]}<br>{p.name.replace('<', '&lt;')}" for p in points]


def hover_texts(features: FeatureSet) -> list[str]:
    """What each point says under the mouse, in HTML as Plotly reads it."""
    p_positive = features.p_positive()
    texts = []
    for index, point in enumerate(features.points):
        lines = [WORDS[point.kind], point.name.replace("<", "&lt;")]
        if point.sample is not None:
            lines.append(f"draw {point.sample}")
        if p_positive is not None:
            lines.append(f"p(positive) {p_positive[index]:.3f} after tuning")
        texts.append("<br>".join(lines))
    return texts


def facts(features: FeatureSet, index: int) -> str:
    """Details of a point, as Markdown."""
    point = features.points[index]
    p_positive = features.p_positive()
    parts = []
    if point.defect:
        parts.append(f"type of defect: **{point.defect}**")
    if point.record is not None and point.record.layer is not None:
        parts.append(f"guided by layer {point.record.layer}")
    if p_positive is not None and features.scores is not None:
        called = "defective" if features.scores[index].argmax() else "good"
        parts.append(f"p(positive) **{p_positive[index]:.3f}**, so the head calls it **{called}**")
    return " · ".join(parts)
