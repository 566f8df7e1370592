"""Plotly figure of the probability of detection by size."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from app.inspect_heatmaps.charts import MARGIN, THRESHOLD
from cutswap.decision.detectable.pod import PROBABILITY, PodFit

# Okabe and Ito's, with a sign and a dash each: told apart without colour
_LOOKS = (
    ("#0072b2", "circle", "solid"),
    ("#d55e00", "square", "dash"),
    ("#009e73", "diamond", "dot"),
)


def pod_chart(fits: Sequence[tuple[str, PodFit]]) -> go.Figure:
    """Shares found by size, curves, and the lower confidence bound of each.

    Args:
        fits: (name, hits and misses) of each kind, at most three.
    """
    figure = go.Figure()
    for (name, fit), (colour, symbol, dash) in zip(fits, _LOOKS, strict=False):
        shares = [f / n for f, n in zip(fit.found, fit.count, strict=True)]
        figure.add_scatter(
            x=fit.sizes,
            y=shares,
            mode="markers" if fit.how == "curve" else "lines+markers",
            name=name,
            line={"color": colour, "dash": dash, "width": 1},
            marker={"color": colour, "symbol": symbol, "size": 9},
            text=[f"{f} of {n}" for f, n in zip(fit.found, fit.count, strict=True)],
            hovertemplate=f"{name}<br>%{{x}} px: %{{text}} found<extra></extra>",
        )
        drawn = fit.drawn()
        curve, lower = fit.pod(drawn), fit.lower(drawn)
        if curve is None or lower is None:
            continue
        for values, width, what in ((curve, 3, "POD"), (lower, 1, "95% lower bound")):
            figure.add_scatter(
                x=drawn,
                y=values,
                mode="lines",
                name=f"{name}, {what}",
                showlegend=False,
                line={"color": colour, "dash": dash if width > 1 else "solid", "width": width},
                hovertemplate=f"{name}, {what}<br>%{{x:.3g}} px: %{{y:.2f}}<extra></extra>",
            )
    figure.add_hline(
        y=PROBABILITY,
        line_dash="dash",
        line_color=THRESHOLD,
        annotation_text="90%",
        annotation_position="top left",
    )
    ticks = sorted({size for _, fit in fits for size in fit.sizes})
    figure.update_layout(
        height=360,
        margin={**MARGIN, "t": 30},
        dragmode=False,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis={
            "title": "size, pixels of the photo",
            "type": "log",
            "tickvals": ticks,
            "ticktext": [str(size) for size in ticks],
            "fixedrange": True,
        },
        yaxis={
            "title": "probability of detection",
            "range": [-0.03, 1.05],
            "tickformat": ".0%",
            "fixedrange": True,
        },
    )
    return figure
