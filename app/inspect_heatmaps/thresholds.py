"""Thresholds with everything that follows from them: counts, rates, cost, curves to click on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from app.inspect_heatmaps import charts as inspect_charts
from app.inspect_heatmaps.caches import Truth
from app.shared import knobs
from cutswap.evaluation.scored_set import ScoredSet
from cutswap.evaluation.thresholds import Confusion, CurvePoint, ThresholdCounts

IMAGE, PIXEL = "thr", "pthr"  # names in the URL
STEPS = 500  # of a slider


@dataclass(frozen=True)
class Verdicts:
    """The thresholds as they are set.

    Attributes:
        image: image scores at or above it are called defective.
        pixel: heatmap values at or above it are; None without marked defects.
    """

    image: float
    pixel: float | None


def controls(
    scored: ScoredSet, images: ThresholdCounts, pixels: ThresholdCounts | None
) -> Verdicts:
    """Prices, both sliders and their buttons; both columns end where the figures go on."""
    first, second, _ = st.columns([1, 1, 2], vertical_alignment="bottom")
    with first:
        miss = (
            knobs.number(
                "missprice",
                "Price of a missed defect",
                0,
                1_000_000,
                10,
                help="What it costs to ship one defective part: a complaint, a recall.",
            )
            or 0
        )
    with second:
        alarm = (
            knobs.number(
                "alarmprice",
                "Price of a false alarm",
                0,
                1_000_000,
                1,
                help="What it costs to throw away, or look again at, one good part.",
            )
            or 0
        )
    left, right = st.columns(2)
    with left:
        image = _one(
            IMAGE,
            "Image threshold",
            images,
            float(scored.summary["threshold"]),
            scored,
            miss,
            alarm,
            "Parts whose score reaches it are sorted out. Lower it and fewer defects slip through,"
            " but more good parts are lost.",
        )
        _figures(images, image, miss, alarm, "images")
    pixel = None
    with right:
        if pixels is None:
            st.info(_why_no_pixels(scored), icon=":material/info:")
        else:
            run = scored.summary.get("pixel_threshold")
            default = float(run) if isinstance(run, (int, float)) else pixels.best_f1()
            pixel = _one(
                PIXEL,
                "Pixel threshold",
                pixels,
                default,
                scored,
                miss,
                alarm,
                "Pixels whose heat reaches it are called defective: it decides how large a defect"
                " looks, not whether the part is sorted out.",
            )
            _figures(pixels, pixel, miss, alarm, "pixels")
    return Verdicts(image, pixel)


def curves(verdicts: Verdicts, images: ThresholdCounts, pixels: ThresholdCounts | None) -> None:
    """ROC and precision-recall of both; a click on a point sets the threshold."""
    st.subheader("Every threshold at once", anchor=False)
    st.caption(
        "Each point of a curve is a threshold. Click one to set it; the diamond is where you are."
    )
    left, right = st.columns(2)
    with left:
        _curve_pair(images, verdicts.image, IMAGE, "images")
    if pixels is not None and verdicts.pixel is not None:
        with right:
            _curve_pair(pixels, verdicts.pixel, PIXEL, "pixels")


def keep_in_range(name: str, low: float, high: float, default: float, owner: str) -> None:
    """Put a threshold back to its default when it belongs to other numbers or lies outside.

    Args:
        name: of the knob.
        low: smallest value of its slider.
        high: largest value.
        default: where these numbers' own threshold is.
        owner: whose numbers; a link's threshold is kept for the first one.
    """
    owners = st.session_state.setdefault("inspect.owners", {})
    value = st.session_state.get(f"knob.{name}")
    is_foreign = owners.get(name, owner) != owner
    if is_foreign:
        st.query_params.pop(name, None)
    if is_foreign or (value is not None and not low <= value <= high):
        knobs.set_knob(name, default)
    owners[name] = owner


def _one(
    name: str,
    label: str,
    tally: ThresholdCounts,
    run: float,
    scored: ScoredSet,
    miss: int,
    alarm: int,
    help: str,
) -> float:
    low, high = tally.low, tally.beyond
    run = min(max(run, low), high)
    keep_in_range(name, low, high, run, f"{scored.folder} {scored.summary.get('score', '')}")
    value = float(knobs.slider(name, label, low, high, run, step=(high - low) / STEPS, help=help))
    row = st.container(horizontal=True)
    buttons: tuple[tuple[str, float, str], ...] = (
        ("Best F1", tally.best_f1(), "Where precision and recall together are best."),
        ("As in the run", run, "The threshold stored with the evaluation: its own best F1."),
        ("Cheapest", tally.cheapest(miss, alarm), "Where the mistakes cost least at these prices."),
    )
    for text, target, why in buttons:
        row.button(
            text, on_click=knobs.set_knob, args=(name, target), key=f"{name}.{text}", help=why
        )
    return value


def _figures(tally: ThresholdCounts, threshold: float, miss: int, alarm: int, what: str) -> None:
    counts = tally.at(threshold)
    st.markdown(counts_table(counts))
    st.markdown(
        f"Precision **{_rate(counts.precision)}** · recall **{_rate(counts.recall)}** ·"
        f" F1 **{counts.f1:.3f}** · cost **{counts.cost(miss, alarm):,.0f}**"
    )
    if not tally.is_exact:
        acting = tally.acting(threshold)
        st.caption(f"Of {what}, counted in 4096 steps of heat: the threshold acts as {acting:.5g}.")


def counts_table(counts: Confusion) -> str:
    """The confusion matrix as a Markdown table, verdicts in words and marks."""
    return (
        "| | called defective | called good |\n|---|---|---|\n"
        f"| **is defective** | ✔ {counts.hits:,} found | ✖ {counts.missed:,} missed |\n"
        f"| **is good** | ✖ {counts.alarms:,} false alarms | ✔ {counts.passed:,} passed |"
    )


def _curve_pair(tally: ThresholdCounts, threshold: float, name: str, what: str) -> None:
    counts = tally.at(threshold)
    rates = (counts.alarm_rate, counts.recall, counts.precision)
    pairs = (
        (
            "roc",
            f"ROC of {what}",
            tally.roc(),
            (rates[0], rates[1]),
            f"False alarms among good {what}",
            "Recall",
        ),
        (
            "pr",
            f"Precision and recall of {what}",
            tally.precision_recall(),
            (rates[1], rates[2]),
            "Recall",
            "Precision",
        ),
    )
    for kind, title, points, (x, y), x_title, y_title in pairs:
        here = None if x is None or y is None else CurvePoint(x, y, threshold)
        turn = st.session_state.get(f"inspect.turn.{name}", 0)
        key = f"curve.{name}.{kind}.{turn}"
        st.markdown(f"**{title}**")
        st.plotly_chart(
            inspect_charts.curve(points, here, x_title, y_title),
            width="stretch",
            key=key,
            on_select=_setter(key, name),
            selection_mode="points",
            config={"displayModeBar": False},
            alt=f"{title}, {len(points)} points; now at {_rate(x)} and {_rate(y)}",
        )


def _setter(chart: str, name: str) -> Callable[[], None]:
    """A callback that moves a threshold to the point clicked on, once."""

    def move() -> None:
        value = first_value(st.session_state.get(chart))
        if value is not None:
            knobs.set_knob(name, value)
            # A new key is a chart without a selection: the next click on the same point counts.
            st.session_state[f"inspect.turn.{name}"] = (
                st.session_state.get(f"inspect.turn.{name}", 0) + 1
            )

    return move


def first_value(event: object) -> float | None:
    """The number that the first selected point of a chart carries, or None."""
    try:
        carried = event["selection"]["points"][0]["customdata"]  # type: ignore[index]
        return float(carried[0] if isinstance(carried, (list, tuple)) else carried)
    except (TypeError, LookupError, ValueError):  # nothing selected, or the marker of the present
        return None


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _why_no_pixels(scored: ScoredSet) -> str:
    if scored.records is None:
        return "No pixel figures: the data set is no longer there, and the masks with it."
    return (
        "No pixel figures: this data set does not mark its defects, or marks nothing. Add masks"
        " to ground_truth/<defect>/ to have them; the image figures need none."
    )


def tally_of(truth: Truth | None) -> ThresholdCounts | None:
    """Counts of pixels, where there is a truth to count against."""
    return None if truth is None else truth.tally
