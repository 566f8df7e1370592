"""Plotly figures of the Inspect page: scores on a line, ROC and precision-recall curves.

Good and defective differ by shape and row as well as by colour. Points carry what a click on them
means: an image's number, or a threshold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from cutswap.evaluation.thresholds import CurvePoint

GOOD, DEFECTIVE, HERE = "#0072b2", "#d55e00", "#cc79a7"
THRESHOLD = "#808890"  # seen on white and on black
MARGIN = {"l": 10, "r": 10, "t": 10, "b": 10}


def number_line(
    names: Sequence[str],
    scores: np.ndarray,
    labels: np.ndarray | None,
    here: float | None,
    threshold: float | None,
) -> go.Figure:
    """All test images by score, good ones in the lower row, and where the shown one is.

    Args:
        names: of the images.
        scores: (N,) float.
        labels: (N,) bool, True for defective; None where nobody knows.
        here: score of the shown image.
        threshold: where good ends, or None.
    """
    figure = go.Figure()
    known = np.zeros(len(scores), bool) if labels is None else labels
    rows = [("good" if labels is not None else "photos", ~known, GOOD, "circle", 0)]
    if labels is not None:
        rows.append(("defective", known, DEFECTIVE, "x", 1))
    for title, chosen, colour, symbol, row in rows:
        places = np.flatnonzero(chosen)
        figure.add_scatter(
            x=scores[places],
            y=np.full(len(places), row),
            mode="markers",
            name=title,
            marker={"color": colour, "symbol": symbol, "size": 11, "opacity": 0.75},
            customdata=places,
            text=[names[int(i)] for i in places],
            hovertemplate=f"%{{text}}<br>{title}, score %{{x:.4g}}<extra></extra>",
        )
    if here is not None:
        figure.add_vline(x=here, line_width=2, line_color=HERE)
        figure.add_annotation(
            x=here,
            y=1,
            yref="paper",
            yshift=10,
            text="this image",
            showarrow=False,
            font={"color": HERE},
        )
    if threshold is not None:
        figure.add_vline(x=threshold, line_dash="dash", line_width=2, line_color=THRESHOLD)
        figure.add_annotation(
            x=threshold, y=-0.75, text=" threshold", showarrow=False, xanchor="left"
        )
    figure.update_layout(
        height=185,
        margin={**MARGIN, "t": 26},
        showlegend=False,
        dragmode=False,
        xaxis_title="image score",
        yaxis={
            "tickvals": [r[4] for r in rows],
            "ticktext": [r[0] for r in rows],
            "range": [-1.05, len(rows) - 0.5],
            "zeroline": False,
            "fixedrange": True,
        },
        xaxis={"fixedrange": True},
    )
    return figure


def curve(
    points: Sequence[CurvePoint], here: CurvePoint | None, x_title: str, y_title: str
) -> go.Figure:
    """A curve with a threshold at each point, and the current point.

    Args:
        points: at most 200.
        here: where the present threshold is; None where it has no place on the curve.
        x_title: what is across.
        y_title: what is up.
    """
    figure = go.Figure()
    figure.add_scatter(
        x=[p.x for p in points],
        y=[p.y for p in points],
        mode="lines+markers",
        line={"color": GOOD, "width": 2},
        marker={"size": 7},
        customdata=[p.threshold for p in points],
        hovertemplate=f"{x_title.lower()} %{{x:.3f}}<br>{y_title.lower()} %{{y:.3f}}"
        "<br>threshold %{customdata:.4g}<extra></extra>",
    )
    if here is not None:
        figure.add_scatter(
            x=[here.x],
            y=[here.y],
            mode="markers",
            hoverinfo="skip",
            marker={"color": DEFECTIVE, "size": 15, "symbol": "diamond-open", "line_width": 3},
        )
    figure.update_layout(
        height=300,
        margin=MARGIN,
        showlegend=False,
        dragmode=False,
        xaxis={"title": x_title, "range": [-0.02, 1.02], "fixedrange": True},
        yaxis={"title": y_title, "range": [-0.02, 1.04], "fixedrange": True},
    )
    return figure
