"""Does saliency guidance help: paired differences of a study as intervals, by place and defect."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from app.figures.chart_files import chart_config
from app.figures.chart_style import COLOURS
from app.figures.take_home import of_chart, take_home
from app.shared import knobs
from app.study.origin import study_origin
from cutswap.results.paper_tables import AVERAGE
from cutswap.results.table import METRICS
from cutswap.studies.folder import Study
from cutswap.studies.guidance import PairedDifference, differences, differences_by_type

_ROW = 34  # pixels of the chart for a difference


def section(study: Study, metric: str) -> None:
    """An expander, and how to get figures where there are none.

    Args:
        study: with its results.
        metric: key of `METRICS`, chosen above.
    """
    found = differences(study, metric)
    with st.expander("Does saliency guidance help?", icon=":material/compare_arrows:"):
        if not found:
            st.caption(
                "Nothing to compare yet: CutSwap is measured against random swap, the same without"
                " its saliency. Start a study of Table 1 or 2 with the methods `random-swap` and"
                " `projector`, below or with `reproduce --methods random-swap projector`."
            )
            return
        _differences(study, found, metric)
        _by_type(differences_by_type(study))


def _differences(study: Study, found: Sequence[PairedDifference], metric: str) -> None:
    places = tuple(dict.fromkeys(d.place for d in found))
    place = knobs.choice(
        "guidanceplace",
        "Where",
        places,
        AVERAGE,
        show=lambda p: "All categories" if p == AVERAGE else p,
        help="All pairs together, or those of one category.",
    )
    shown = [d for d in found if d.place == place]
    chart = intervals(shown, METRICS[metric])
    st.plotly_chart(
        chart,
        width="stretch",
        key=f"study.guidance.{metric}",
        config=chart_config("guidance"),
        alt=f"CutSwap less other methods, {METRICS[metric]}: the figures of the table below",
    )
    title = f"CutSwap less other methods, {METRICS[metric]}"
    origin = study_origin(study, title, figure=metric, of=place)
    take_home([of_chart("guidance", title, chart)], origin, key="guidance")
    _grid(shown, METRICS[metric])
    st.caption(
        "A pair is a category and a seed, both sides on the same photos and the same size of bank."
        " Random swap is CutSwap without its saliency; Gaussian and ResNet18 + PC have learnt from"
        " no negative. Mean and Student's 95% interval over the pairs: of one category it tells of"
        " other seeds there, of all of them of other categories and seeds as these are."
    )


def _by_type(found: Sequence[PairedDifference]) -> None:
    if not found:
        return
    st.markdown(
        "**By type of defect**: share of the defective images found, CutSwap less the other"
    )
    _grid(found, "recall")
    st.caption(
        "At each evaluation's own threshold, the best F1 of these very images; a pair is a seed."
    )


def _grid(shown: Sequence[PairedDifference], name: str) -> None:
    st.dataframe(
        [
            {
                "trained": d.trained,
                "coreset": f"{d.coreset:g}",
                "CutSwap less": d.against,
                "where": "all categories" if d.place == AVERAGE else d.place,
                "pairs": len(d.values),
                f"{name}, 95%": d.text(),
                "says": d.verdict,
            }
            for d in shown
        ],
        hide_index=True,
        width="stretch",
        alt=f"CutSwap less other methods, {name}: {len(shown)} differences with their intervals",
    )


def intervals(shown: Sequence[PairedDifference], name: str) -> go.Figure:
    """Means with their intervals and single pairs, one below the other, a line at no difference.

    Args:
        shown: of one place.
        name: of the figure, for the axis.
    """
    labels = [f"{d.trained}, {d.coreset:g}<br>less {d.against}" for d in shown]
    figure = go.Figure()
    pairs = [(value, label) for d, label in zip(shown, labels, strict=True) for value in d.values]
    figure.add_scatter(
        x=[value for value, _ in pairs],
        y=[label for _, label in pairs],
        mode="markers",
        name="one pair",
        marker={"color": COLOURS[0], "size": 6, "opacity": 0.45},
        hovertemplate="%{x:+.3f}<extra>one pair</extra>",
    )
    figure.add_scatter(
        x=[d.mean for d in shown],
        y=labels,
        mode="markers",
        name="mean, 95%",
        marker={"color": COLOURS[0], "size": 11},
        error_x={"array": [d.half or 0.0 for d in shown], "color": COLOURS[0]},
        customdata=[d.text() for d in shown],
        hovertemplate="%{customdata}<extra>%{y}</extra>",
    )
    figure.add_vline(x=0, line_width=1, line_dash="dash", line_color="gray")
    figure.update_layout(
        height=110 + _ROW * len(shown),
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis_title=f"difference in {name}",  # no longer: a phone is 390 pixels wide
        yaxis={"autorange": "reversed", "title": None},
    )
    return figure
