"""Loss, accuracy and learning rate of a run over its updates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

POINTS = 400  # more cannot be told apart on a screen, and each look draws all of them again
CLASSES = ("positive", "patch", "scar")
COLOURS = ("#0072b2", "#e69f00", "#009e73")
DASHES = ("solid", "dash", "dot")


def curves(lines: Sequence[dict[str, Any]], *, is_head: bool = False) -> go.Figure:
    """Loss above, accuracy by class below with the line of chance, then the learning rate.

    Args:
        lines: of metrics.jsonl, at least one, each with step, loss and accuracy; class_accuracy
            and learning_rate where they are there.
        is_head: whether accuracy is the chance that a changed patch scores above an unchanged one.
    """
    what = "separation" if is_head else "accuracy"
    groups = thinned(lines)
    steps = [group[-1]["step"] for group in groups]
    has_rate = all(isinstance(line.get("learning_rate"), (int, float)) for line in lines)
    rows = 3 if has_rate else 2
    figure = make_subplots(
        rows=rows,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.06,
        row_heights=[0.4, 0.4, 0.2][:rows],
    )
    figure.add_scatter(
        x=steps,
        y=[_mean(g, "loss") for g in groups],
        name="loss",
        row=1,
        col=1,
        line={"color": "#cc79a7"},
        hovertemplate="update %{x}: loss %{y:.3f}<extra></extra>",
    )
    ways = _ways(lines)
    for way in range(ways):
        values = [sum(line["class_accuracy"][way] for line in g) / len(g) for g in groups]
        figure.add_scatter(
            x=steps,
            y=values,
            name=CLASSES[way],
            row=2,
            col=1,
            line={"color": COLOURS[way], "dash": DASHES[way]},
            hovertemplate="update %{x}: %{y:.2f}<extra>" + CLASSES[way] + "</extra>",
        )
    if not ways:
        figure.add_scatter(
            x=steps,
            y=[_mean(g, "accuracy") for g in groups],
            name=what,
            row=2,
            col=1,
            line={"color": COLOURS[0]},
        )
    figure.add_hline(
        y=0.5 if is_head else 1 / (ways or 3),
        line_dash="dot",
        line_width=1,
        line_color="#888888",
        annotation_text="chance",
        row=2,
        col=1,
    )
    figure.update_yaxes(title_text="loss", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title_text=what, range=[0, 1.03], row=2, col=1)
    if has_rate:
        figure.add_scatter(
            x=steps,
            y=[_mean(g, "learning_rate") for g in groups],
            name="learning rate",
            row=3,
            col=1,
            line={"color": "#56b4e9"},
            showlegend=False,
            hovertemplate="update %{x}: rate %{y:.2g}<extra></extra>",
        )
        figure.update_yaxes(title_text="rate", rangemode="tozero", nticks=3, row=3, col=1)
    figure.update_xaxes(title_text="update", row=rows, col=1)
    figure.update_layout(
        height=400 if has_rate else 340,
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        uirevision="same",
    )
    return figure


def thinned(lines: Sequence[dict[str, Any]]) -> list[Sequence[dict[str, Any]]]:
    """Runs of neighbouring updates, `POINTS` at most; the last one ends with the last update."""
    width = -(-len(lines) // POINTS)
    return [lines[start : start + width] for start in range(0, len(lines), width)]


def _ways(lines: Sequence[dict[str, Any]]) -> int:
    """Classes that every line tells the accuracy of; 0 where one does not."""
    accuracies = [line.get("class_accuracy") for line in lines]
    lengths = {len(f) if isinstance(f, list) and _are_numbers(f) else 0 for f in accuracies}
    return min(lengths.pop(), len(CLASSES)) if len(lengths) == 1 else 0


def _are_numbers(values: list[Any]) -> bool:
    return all(isinstance(v, (int, float)) for v in values)


def _mean(group: Sequence[dict[str, Any]], key: str) -> float:
    return float(sum(line[key] for line in group) / len(group))
