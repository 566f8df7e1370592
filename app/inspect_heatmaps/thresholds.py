"""Thresholds with everything that follows from them: counts, rates, cost, curves to click on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.browser import link
from app.figures.chart_files import chart_config
from app.figures.take_home import Figure, of_chart
from app.inspect_heatmaps import charts as inspect_charts
from app.inspect_heatmaps.caches import Truth
from app.shared import knobs
from cutswap.evaluation.scored_set import ScoredSet
from cutswap.evaluation.thresholds import Confusion, CurvePoint, Prices, ThresholdCounts

IMAGE, PIXEL = "thr", "pthr"  # names in the URL
STEPS = 500  # of a slider
SHARE = 0.05  # of photos without labels, for a first look at the most unusual


def image_threshold(
    scored: ScoredSet,
    images: ThresholdCounts,
    confusion: DeltaGenerator | None = None,
    beside: Callable[[], None] = lambda: None,
) -> tuple[float, Prices]:
    """Slider, buttons, confusion; small enough to stand beside the picture.

    Args:
        scored: the evaluation.
        images: counts of its photos.
        confusion: place of the counts; None: below the slider.
        beside: draws what stands beside the prices.

    Returns:
        The threshold, and what the two kinds of mistake cost.
    """
    run = float(scored.summary["threshold"])
    slider, row, figures = st.container(), st.container(horizontal=True), st.container()
    figures = figures if confusion is None else confusion
    with st.container(horizontal=True):
        with st.popover("Prices", icon=":material/payments:", help="What mistakes cost."):
            prices = _prices()
        beside()
    with slider:
        value = _one(
            IMAGE,
            "Image threshold",
            images,
            run,
            scored,
            prices,
            row,
            "Parts whose score reaches it are sorted out. Lower it and fewer defects slip through,"
            " but more good parts are lost.",
        )
    with figures:
        _figures(images, value, prices, "images")
    return value, prices


def pixel_threshold(
    scored: ScoredSet, pixels: ThresholdCounts | None, prices: Prices
) -> float | None:
    """The same of pixels; None, with the reason, where no defect is marked."""
    if pixels is None:
        st.info(_why_no_pixels(scored), icon=":material/info:")
        return None
    left, right = st.columns(2)
    run = scored.summary.get("pixel_threshold")
    default = float(run) if isinstance(run, (int, float)) else pixels.best_f1()
    with left:
        slider, row = st.container(), st.container(horizontal=True)
        with slider:
            value = _one(
                PIXEL,
                "Pixel threshold",
                pixels,
                default,
                scored,
                prices,
                row,
                "Pixels whose heat reaches it are called defective: it decides how large a defect"
                " looks, not whether the part is sorted out.",
            )
    with right:
        _figures(pixels, value, prices, "pixels")
    return value


def own_threshold(
    scores: np.ndarray,
    owner: str,
    *,
    promised: float | None = None,
    beside: Callable[[], None] = lambda: None,
) -> float | None:
    """A threshold for photos without labels, and what it calls; None until somebody sets one.

    Args:
        scores: (N,) float.
        owner: whose scores; a link's threshold is kept for the first one.
        promised: a threshold that must be on the slider too, above all scores or not.
        beside: draws what stands beside the buttons.
    """
    counts = ThresholdCounts.of_images(scores, np.zeros(len(scores), bool))
    low, none = counts.low, counts.beyond
    if promised is not None:
        low, none = min(low, promised), max(none, promised + (counts.beyond - counts.low) / STEPS)
    keep_in_range(IMAGE, low, none, none, owner)
    value = float(
        knobs.slider(
            IMAGE,
            "Image threshold",
            low,
            none,
            none,
            step=(none - low) / STEPS,
            help="Photos whose score reaches it are called defective. Nobody has said which photos"
            " are good, so nobody can count how often that is wrong.",
        )
    )
    row = st.container(horizontal=True)
    highest = float(np.sort(scores)[-max(1, round(SHARE * len(scores)))])
    row.button(
        f"The {SHARE:.0%} highest",
        on_click=knobs.set_knob,
        args=(IMAGE, highest),
        key="thr.share",
        help="The most unusual photos, of any number; at least one.",
    )
    row.button(
        "None",
        on_click=knobs.set_knob,
        args=(IMAGE, none),
        key="thr.none",
        disabled=value >= none,
        help="Removes the threshold: no photo has a verdict then.",
    )
    with row:
        beside()
    if value >= none:
        st.caption("No threshold is set: no photo is called good or defective.")
        return None
    called = counts.at(value).alarms
    st.markdown(f"**{called:,}** called defective, **{len(scores) - called:,}** called good.")
    return counts.acting(value) if value <= counts.beyond else value


def curves(
    image: float, pixel: float | None, images: ThresholdCounts, pixels: ThresholdCounts | None
) -> list[Figure]:
    """ROC and precision-recall of both; a click on a point sets the threshold.

    Returns:
        The charts, to take home.
    """
    st.subheader("Every threshold at once", anchor=False)
    st.caption(
        "Each point of a curve is a threshold. Click one to set it; the diamond is where you are."
    )
    left, right = st.columns(2)
    with left:
        figures = _curve_pair(images, image, IMAGE, "images")
    if pixels is not None and pixel is not None:
        with right:
            figures += _curve_pair(pixels, pixel, PIXEL, "pixels")
    return figures


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
        link.write(name, None)
    if is_foreign or (value is not None and not low <= value <= high):
        knobs.set_knob(name, default)
    owners[name] = owner


def _one(
    name: str,
    label: str,
    tally: ThresholdCounts,
    run: float,
    scored: ScoredSet,
    prices: Prices,
    row: DeltaGenerator,
    help: str,
) -> float:
    low, high = tally.low, tally.beyond
    run = min(max(run, low), high)
    keep_in_range(name, low, high, run, f"{scored.folder} {scored.summary.get('score', '')}")
    value = float(knobs.slider(name, label, low, high, run, step=(high - low) / STEPS, help=help))
    buttons: tuple[tuple[str, float, str], ...] = (
        ("Best F1", tally.best_f1(), "Where precision and recall together are best."),
        ("As in the run", run, "The threshold stored with the evaluation: its own best F1."),
        (
            "Cheapest",
            tally.cheapest(prices.miss, prices.alarm),
            "Where the mistakes cost least at these prices.",
        ),
    )
    for text, target, why in buttons:
        row.button(
            text, on_click=knobs.set_knob, args=(name, target), key=f"{name}.{text}", help=why
        )
    return value


def _prices() -> Prices:
    miss = knobs.number(
        "missprice",
        "Price of a missed defect",
        0,
        1_000_000,
        10,
        help="What it costs to ship one defective part: a complaint, a recall.",
    )
    alarm = knobs.number(
        "alarmprice",
        "Price of a false alarm",
        0,
        1_000_000,
        1,
        help="What it costs to throw away, or look again at, one good part.",
    )
    return Prices(miss or 0, alarm or 0)


def _figures(tally: ThresholdCounts, threshold: float, prices: Prices, what: str) -> None:
    counts = tally.at(threshold)
    st.markdown(counts_table(counts))
    st.markdown(
        f"Precision **{_rate(counts.precision)}** · recall **{_rate(counts.recall)}** ·"
        f" F1 **{counts.f1:.3f}** · cost **{counts.cost(prices.miss, prices.alarm):,.0f}**"
    )
    if not tally.is_exact:
        acting = tally.acting(threshold)
        st.caption(f"Of {what}, counted in 4096 steps of heat: the threshold acts as {acting:.5g}.")


def counts_table(counts: Confusion) -> str:
    """The confusion matrix as a Markdown table, verdicts in words and marks."""
    return (
        "| truth | called defective | called good |\n|---|---|---|\n"
        f"| **is defective** | ✔ {counts.hits:,} found | ✖ {counts.missed:,} missed |\n"
        f"| **is good** | ✖ {counts.alarms:,} false alarms | ✔ {counts.passed:,} passed |"
    )


def _curve_pair(tally: ThresholdCounts, threshold: float, name: str, what: str) -> list[Figure]:
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
    figures = []
    for kind, title, points, (x, y), x_title, y_title in pairs:
        here = None if x is None or y is None else CurvePoint(x, y, threshold)
        turn = st.session_state.get(f"inspect.turn.{name}", 0)
        key = f"curve.{name}.{kind}.{turn}"
        st.markdown(f"**{title}**")
        chart = inspect_charts.curve(points, here, x_title, y_title)
        figures.append(of_chart(f"{kind}-{what}", title, chart))
        st.plotly_chart(
            chart,
            width="stretch",
            key=key,
            on_select=_setter(key, name),
            selection_mode="points",
            config=chart_config("thresholds"),
            alt=f"{title}, {len(points)} points; now at {_rate(x)} and {_rate(y)}",
        )
    return figures


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
