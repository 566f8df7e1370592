"""Plotly figures: few points, colours that the legend elsewhere uses, no chart junk."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from app.viewer.pictures import CLUSTER_COLOURS
from cutswap.saliency.clusters import Clusters

BINS = 64


def saliency_histogram(values: np.ndarray, groups: Clusters) -> go.Figure:
    """Share of pixels by saliency, bars in their cluster's colour, boundaries and centroids.

    Args:
        values: (H, W) float in [0, 1].
        groups: its clusters.
    """
    counts, edges = np.histogram(values, bins=BINS, range=(0, 1))
    middle = (edges[:-1] + edges[1:]) / 2
    cluster = np.searchsorted(groups.boundaries, middle, side="left")
    figure = go.Figure(
        go.Bar(
            x=middle,
            y=counts / values.size,
            width=1 / BINS,
            marker_color=[CLUSTER_COLOURS[c % len(CLUSTER_COLOURS)] for c in cluster],
            customdata=cluster + 1,
            hovertemplate="saliency %{x:.2f}: %{y:.1%} of pixels, cluster %{customdata}"
            "<extra></extra>",
        )
    )
    # In one go: each `add_vline` goes through every property of the figure, 14% of a busy app.
    lines = [
        {
            "type": "line",
            "x0": x,
            "x1": x,
            "y0": 0,
            "y1": 1,
            "xref": "x",
            "yref": "y domain",
            "line": {"dash": "dash", "width": 1},
        }
        for x in groups.boundaries.tolist()
    ]
    names = [
        {
            "x": x,
            "y": 1,
            "yref": "paper",
            "text": f"{index + 1}",
            "showarrow": False,
            "yshift": 10,
            "font": {"size": 12},
        }
        for index, x in enumerate(groups.centroids.tolist())
    ]
    figure.update_layout(
        shapes=lines,
        annotations=names,
        height=230,
        margin={"l": 10, "r": 10, "t": 24, "b": 10},
        bargap=0,
        showlegend=False,
        xaxis_title="saliency",
        yaxis_title="share of pixels",
        yaxis_type="log",
        yaxis_tickvals=[0.0001, 0.001, 0.01, 0.1, 1],
        yaxis_ticktext=["0.01%", "0.1%", "1%", "10%", "100%"],
    )
    return figure
