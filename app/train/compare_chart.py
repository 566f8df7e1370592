"""Loss and accuracy of several runs, one colour and dash a run in both plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from cutswap.runs.metrics_log import RunSeries, centred_mean, outline_of

# Okabe and Ito's without yellow, which white swallows; a dash tells runs apart without colour.
COLOURS = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#8c6d31",
    "#7f7f7f",
)
DASHES = ("solid", "dash", "dot", "dashdot")
POINTS = 400  # a line: more cannot be told apart on a screen
FAINT = 0.28
WIDTHS = (1, 5, 11, 25, 51, 101, 251, 501, 1001)


def default_width(curves: Sequence[RunSeries]) -> int:
    """Updates to average over: a sixth of the longest curve at most, of `WIDTHS`."""
    longest = max((len(curve.steps) for curve in curves), default=0)
    return max(w for w in WIDTHS if w <= max(1, longest // 6))


def over(width: int) -> str:
    """A width as people read it."""
    return "none" if width == 1 else f"{width} updates"


def compared(
    curves: Mapping[str, RunSeries], width: int, ways: Mapping[str, int], *, by_seconds: bool
) -> go.Figure:
    """Loss above, accuracy below, smoothed, with the raw lines faint behind.

    Args:
        curves: by the run's name, at most as many as `COLOURS`; by seconds all must tell them.
        width: updates averaged, odd; 1 shows the raw line alone.
        ways: classes by the run's name: each number of them has a line of chance.
        by_seconds: x is the time spent in updates instead of their number.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    for index, (name, curve) in enumerate(curves.items()):
        x = curve.seconds if by_seconds and curve.seconds is not None else curve.steps
        line = {"color": COLOURS[index], "dash": DASHES[index % len(DASHES)], "width": 2}
        for row, what, values in ((1, "loss", curve.loss), (2, "accuracy", curve.accuracy)):
            smooth = centred_mean(values, width)
            if width > 1:
                kept = outline_of(values, POINTS)
                figure.add_scatter(
                    x=_short(x[kept]),
                    y=_short(values[kept]),
                    mode="lines",
                    row=row,
                    col=1,
                    line={"color": COLOURS[index], "width": 1},
                    opacity=FAINT,
                    hoverinfo="skip",
                    showlegend=False,
                    legendgroup=name,
                )
            kept = outline_of(smooth, POINTS)
            unit = "%{x:.1f} s" if by_seconds else "update %{x}"
            figure.add_scatter(
                x=_short(x[kept]),
                y=_short(smooth[kept]),
                mode="lines",
                name=name,
                row=row,
                col=1,
                line=line,
                legendgroup=name,
                showlegend=row == 1,
                hovertemplate=f"{unit}: {what} " + "%{y:.3f}<extra>%{fullData.name}</extra>",
            )
    for count in sorted(set(ways.values())):
        figure.add_hline(
            y=1 / count,
            line_dash="dot",
            line_width=1,
            line_color="#888888",
            annotation_text=f"chance, {count} classes",
            row=2,
            col=1,
        )
    figure.update_yaxes(title_text="loss", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title_text="accuracy", range=[0, 1.03], row=2, col=1)
    title = "seconds of updates" if by_seconds else "update"
    figure.update_xaxes(title_text=title, rangemode="tozero", row=2, col=1)
    figure.update_layout(
        height=430 + 22 * len(curves),
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        # Below, one a line: names beside the curves would leave no room for them on a phone.
        legend={"orientation": "v", "y": -0.16, "yanchor": "top", "x": 0},
        uirevision="same",
    )
    return figure


def _short(values: np.ndarray) -> list[float]:
    """Five digits: the browser gets half the bytes."""
    return [float(f"{value:.5g}") if value % 1 else int(value) for value in values.tolist()]
