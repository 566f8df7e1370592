"""Loss, accuracy and learning rate of a run over its updates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.train.compare_chart import FAINT
from cutswap.runs.metrics_log import centred_mean

T = TypeVar("T")
POINTS = 400  # more cannot be told apart on a screen, and each look draws all of them again
CLASSES = ("positive", "patch", "scar")
COLOURS = ("#0072b2", "#e69f00", "#009e73")
DASHES = ("solid", "dash", "dot")


def curves(
    lines: Sequence[dict[str, Any]],
    *,
    is_head: bool = False,
    is_spd: bool = False,
    width: int = 1,
    validation: Sequence[dict[str, Any]] = (),
) -> go.Figure:
    """Loss, accuracy by class with the line of chance, the detector's AUROC, the learning rate.

    Args:
        lines: of metrics.jsonl, at least one, each with step, loss and accuracy; class_accuracy
            and learning_rate where they are there.
        is_head: whether accuracy is the chance that a changed patch scores above an unchanged one.
        is_spd: whether it is the share of photos that lie nearer their weak view than their
            SmoothBlend.
        width: updates averaged, odd; the raw lines are faint behind. 1 shows these alone.
        validation: of validation.jsonl, each with step and auroc.
    """
    what = "separation" if is_head else "weak nearer" if is_spd else "accuracy"
    groups = thinned(lines)
    steps = [group[-1]["step"] for group in groups]
    has_rate = all(isinstance(line.get("learning_rate"), (int, float)) for line in lines)
    heights = [0.4, 0.4, *([0.3] if validation else []), *([0.2] if has_rate else [])]
    rows = len(heights)
    figure = make_subplots(
        rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.06, row_heights=heights
    )
    ways = _ways(lines)
    drawn = [_Line(1, "loss", "#cc79a7", "solid", [line["loss"] for line in lines])]
    for way in range(ways):
        values = [line["class_accuracy"][way] for line in lines]
        drawn.append(_Line(2, CLASSES[way], COLOURS[way], DASHES[way], values))
    if not ways:
        values = [line["accuracy"] for line in lines]
        drawn.append(_Line(2, what, COLOURS[0], "solid", values))
    for line in drawn:
        line.draw(figure, steps, width)
    chance = {2: 0.5 if is_head or is_spd else 1 / (ways or 3), **({3: 0.5} if validation else {})}
    for row, value in chance.items():
        figure.add_hline(
            y=value,
            line_dash="dot",
            line_width=1,
            line_color="#888888",
            annotation_text="chance",
            row=row,
            col=1,
        )
    figure.update_yaxes(title_text="loss", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title_text=what, range=[0, 1.03], row=2, col=1)
    if validation:
        figure.add_scatter(
            x=[line["step"] for line in validation],
            y=[line["auroc"] for line in validation],
            name="detector",
            row=3,
            col=1,
            mode="lines+markers",
            line={"color": "#d55e00"},
            hovertemplate="update %{x}: AUROC %{y:.3f}<extra>detector</extra>",
        )
        figure.update_yaxes(title_text="AUROC", range=[0, 1.03], row=3, col=1)
    if has_rate:
        figure.add_scatter(
            x=steps,
            y=[_mean(g, "learning_rate") for g in groups],
            name="learning rate",
            row=rows,
            col=1,
            line={"color": "#56b4e9"},
            showlegend=False,
            hovertemplate="update %{x}: rate %{y:.2g}<extra></extra>",
        )
        figure.update_yaxes(title_text="rate", rangemode="tozero", nticks=3, row=rows, col=1)
    figure.update_xaxes(title_text="update", row=rows, col=1)
    figure.update_layout(
        height=100 + round(300 * sum(heights)),
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        uirevision="same",
    )
    return figure


@dataclass(frozen=True)
class _Line:
    """One curve of the plot; `values` are of every update."""

    row: int
    name: str
    colour: str
    dash: str
    values: Sequence[float]

    def draw(self, figure: go.Figure, steps: Sequence[int], width: int) -> None:
        raw = np.asarray(self.values, dtype=np.float64)
        if width > 1:
            figure.add_scatter(
                x=steps,
                y=_means(raw),
                row=self.row,
                col=1,
                mode="lines",
                line={"color": self.colour, "width": 1},
                opacity=FAINT,
                hoverinfo="skip",
                showlegend=False,
                legendgroup=self.name,
            )
        figure.add_scatter(
            x=steps,
            y=_means(centred_mean(raw, width)),
            name=self.name,
            row=self.row,
            col=1,
            line={"color": self.colour, "dash": self.dash},
            legendgroup=self.name,
            hovertemplate="update %{x}: %{y:.3f}<extra>" + self.name + "</extra>",
        )


def thinned(lines: Sequence[T]) -> list[Sequence[T]]:
    """Runs of neighbouring updates, `POINTS` at most; the last one ends with the last update."""
    width = -(-len(lines) // POINTS)
    return [lines[start : start + width] for start in range(0, len(lines), width)]


def _means(values: np.ndarray) -> list[float]:
    """Of each run of neighbours."""
    return [float(np.mean(group)) for group in thinned(values.tolist())]


def _ways(lines: Sequence[dict[str, Any]]) -> int:
    """Classes that every line tells the accuracy of; 0 where one does not."""
    accuracies = [line.get("class_accuracy") for line in lines]
    lengths = {len(f) if isinstance(f, list) and _are_numbers(f) else 0 for f in accuracies}
    return min(lengths.pop(), len(CLASSES)) if len(lengths) == 1 else 0


def _are_numbers(values: list[Any]) -> bool:
    return all(isinstance(v, (int, float)) for v in values)


def _mean(group: Sequence[dict[str, Any]], key: str) -> float:
    return float(sum(line[key] for line in group) / len(group))
