"""The two pictures of the Features page: one mark a point, the same colours and shapes in both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from cutswap.analysis.feature_set import DEFECT, GOOD_TEST, PATCH, POSITIVE, SCAR, FeaturePoint
from cutswap.data.records import natural_order

# Okabe and Ito's colours; every group has a shape of its own too.
GROUPS = {  # kind: (legend, colour, shape)
    POSITIVE: ("positives", "#0072b2", "circle"),
    PATCH: ("patch negatives", "#e69f00", "triangle-up"),
    SCAR: ("scars", "#009e73", "diamond"),
    GOOD_TEST: ("real: good", "#56b4e9", "square"),
}
DEFECT_COLOUR = "#d55e00"
DEFECT_SHAPES = (
    "x",
    "cross",
    "star",
    "hourglass",
    "bowtie",
    "triangle-down",
    "pentagon",
    "hexagram",
)
HERE = "#cc79a7"
CROWD = 60  # real photos beyond which their marks would cover everything


def scatter(
    points: Sequence[FeaturePoint],
    places: np.ndarray,
    axes: tuple[str, str],
    shown: int,
    texts: Sequence[str],
) -> go.Figure:
    """All points of one network.

    Args:
        points: what they are, N of them.
        places: (N, 2) float.
        axes: titles of x and y.
        shown: the point with a ring.
        texts: what each point says under the mouse, N of them.
    """
    figure = go.Figure()
    kinds = np.array([point.kind for point in points])
    large = 12 if np.isin(kinds, (GOOD_TEST, DEFECT)).sum() <= CROWD else 9
    for kind, (legend, colour, shape) in GROUPS.items():
        size = large if kind == GOOD_TEST else 8
        _add(figure, places, kinds == kind, (legend, colour, shape, size), texts)
    for number, defect in enumerate(defects_of(points)):
        chosen = np.array([p.kind == DEFECT and p.defect == defect for p in points])
        shape = DEFECT_SHAPES[number % len(DEFECT_SHAPES)]
        _add(figure, places, chosen, (f"real: {defect}", DEFECT_COLOUR, shape, large), texts)
    figure.add_scatter(
        x=[places[shown, 0]],
        y=[places[shown, 1]],
        mode="markers",
        name="shown below",
        marker={"symbol": "circle-open", "size": 22, "color": HERE, "line": {"width": 4}},
        hoverinfo="skip",
        customdata=[shown],
    )
    figure.update_layout(
        height=520,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        dragmode=False,
        # Below: beside the points there is no room on a phone.
        legend={"orientation": "h", "y": -0.18, "yanchor": "top", "x": 0},
        xaxis={"title": axes[0], "zeroline": False},
        yaxis={"title": axes[1], "zeroline": False},
        uirevision="keep",
    )
    return figure


def defects_of(points: Sequence[FeaturePoint]) -> list[str]:
    """Types of defect among the points, in natural order."""
    return natural_order({p.defect for p in points if p.kind == DEFECT})


def _add(
    figure: go.Figure,
    places: np.ndarray,
    chosen: np.ndarray,
    look: tuple[str, str, str, int],
    texts: Sequence[str],
) -> None:
    index = np.flatnonzero(chosen)
    if not len(index):
        return
    legend, colour, shape, size = look
    same = {"marker": {"opacity": 0.8}}  # a click must not fade all other points
    figure.add_scatter(
        x=places[index, 0],
        y=places[index, 1],
        mode="markers",
        name=legend,
        customdata=index,
        marker={
            "color": colour,
            "symbol": shape,
            "size": size,
            "opacity": 0.8,
            "line": {"width": 1, "color": "#808890"},
        },
        selected=same,
        unselected=same,
        text=[texts[int(i)] for i in index],
        hovertemplate="%{text}<extra></extra>",
    )
