"""A search for settings: its history, and what each setting matters, read from its JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from app.figures.chart_files import chart_config
from app.figures.chart_style import COLOURS
from app.figures.take_home import of_chart, take_home
from app.shared import knobs, workspace
from app.shared.page_parts import plain_text
from cutswap.errors import CutSwapError
from cutswap.figures.figure_files import Origin
from cutswap.utils.files import read_json

_STATES = ("complete", "pruned", "failed")


@st.cache_resource(ttl=5, max_entries=4, show_spinner=False)
def searches(folder: Path) -> dict[str, dict[str, Any]]:
    """Sound searches directly below a runs folder or a study of it, by name."""
    by_name = {}
    for path in sorted([*folder.glob("*/tune.json"), *folder.glob("*/*/tune.json")]):
        try:
            values = read_json(path)
            trials = [
                {
                    "number": int(t["number"]),
                    "state": t["state"],
                    "value": None if t["value"] is None else float(t["value"]),
                    "values": {str(n): v for n, v in t["values"].items()},
                }
                for t in values["trials"]
                if t["state"] in _STATES
            ]
            importance = {str(n): float(v) for n, v in values["importance"].items()}
            kinds = [str(kind) for kind in values["validation"]]
        except (CutSwapError, LookupError, TypeError, ValueError, AttributeError):
            continue  # half a search is no search; the next look may find it whole
        name = path.parent.relative_to(folder).as_posix()
        by_name[name] = {"trials": trials, "importance": importance, "kinds": kinds}
    return by_name


def show() -> None:
    """A section of the Study page; nothing where no search was made."""
    by_name = searches(workspace.runs_folder())
    if not by_name:
        return
    with st.expander("Searches for settings", icon=":material/tune:"):
        name = knobs.choice(
            "tuning",
            "Search",
            tuple(by_name),
            next(iter(by_name)),
            help="Every folder with a tune.json below the runs folder.",
        )
        search = by_name[name]
        st.caption(
            "A trial's score is the AUROC on negatives of good photos held out from training"
            f" ({plain_text(', '.join(search['kinds']))}), never of the test set: settings chosen"
            " by that would be fitted to it."
        )
        best = best_of(search["trials"])
        if best:
            values = ", ".join(f"{n} {_shown(v)}" for n, v in best["values"].items())
            st.markdown(f"Best: trial {best['number']}, {best['value']:.3f}: {plain_text(values)}")
        chart = history(search["trials"])
        figures = [of_chart("tuning-history", "Scores of the trials", chart)]
        st.plotly_chart(
            chart,
            width="stretch",
            key="tuning.history",
            config=chart_config("tuning-history"),
            alt=f"Score of {len(search['trials'])} trials in their order, and the best so far",
        )
        if search["importance"]:
            chart = importance(search["importance"])
            figures.append(of_chart("tuning-importance", "Importance of the settings", chart))
            st.plotly_chart(
                chart,
                width="stretch",
                key="tuning.importance",
                config=chart_config("tuning-importance"),
                alt="Share of the scores' variance that each setting explains",
            )
        else:
            st.caption("Importance needs four complete trials whose scores differ.")
        about = {"search": name, "kinds": search["kinds"], "best": best}
        take_home(figures, Origin(f"Search {name}", about, []), key="tuning")


def best_of(trials: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The complete trial of the highest score."""
    complete = [t for t in trials if t["state"] == "complete" and t["value"] is not None]
    return max(complete, key=lambda t: t["value"], default=None)


def history(trials: list[dict[str, Any]]) -> go.Figure:
    """Scores in the order of trials, complete and pruned, and the best so far."""
    figure = go.Figure()
    for index, state in enumerate(("complete", "pruned")):
        shown = [t for t in trials if t["state"] == state and t["value"] is not None]
        figure.add_scatter(
            x=[t["number"] for t in shown],
            y=[t["value"] for t in shown],
            mode="markers",
            name=state,
            marker={"color": COLOURS[index], "size": 8},
            customdata=[
                ", ".join(f"{n} {_shown(v)}" for n, v in t["values"].items()) for t in shown
            ],
            hovertemplate="trial %{x}: %{y:.3f}<br>%{customdata}<extra></extra>",
        )
    complete = [t for t in trials if t["state"] == "complete" and t["value"] is not None]
    so_far = [max(t["value"] for t in complete[: i + 1]) for i in range(len(complete))]
    figure.add_scatter(
        x=[t["number"] for t in complete],
        y=so_far,
        mode="lines",
        name="best so far",
        line={"color": COLOURS[0], "shape": "hv"},
    )
    figure.update_layout(
        height=300,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis_title="trial",
        yaxis_title="AUROC, held-out negatives",
    )
    return figure


def importance(shares: dict[str, float]) -> go.Figure:
    """A bar a setting."""
    names = sorted(shares, key=lambda n: shares[n])
    figure = go.Figure(
        go.Bar(x=[shares[n] for n in names], y=names, orientation="h", marker_color=COLOURS[0])
    )
    figure.update_layout(
        height=200,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis_title="importance (fANOVA)",
    )
    return figure


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
