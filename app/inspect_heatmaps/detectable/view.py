"""How small a defect? Sizes that the detector on the screen finds, and where it finds none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from app.figures.chart_files import chart_config
from app.figures.take_home import Figure, of_chart, of_picture, take_home
from app.inspect_heatmaps.detectable.charts import pod_chart
from app.inspect_heatmaps.detectable.work import measuring
from app.shared import caches, knobs, public
from app.shared.background import Work
from app.shared.caches import PhotoKey, changed
from app.shared.evaluations import shown_seconds
from app.shared.page_parts import plain_errors, plain_text, show_error
from app.viewer.viewer import Legend, Picture, viewer
from cutswap.config import DEFECT_KINDS, DetectableSettings
from cutswap.data.images import read_photo
from cutswap.data.regions.frame import Frame
from cutswap.decision.detectable.blind_spots import BlindSpots, blind_spots, in_square
from cutswap.decision.detectable.examples import DefectExample, example_sheet, examples
from cutswap.decision.detectable.limits import pixel_threshold
from cutswap.decision.detectable.measured import (
    BY_PHOTO,
    BY_PLACE,
    FILE,
    SENSES,
    Limits,
    Measured,
    mark_of,
    read_measured,
)
from cutswap.decision.detectable.wording import alarms_text, learnt_text, rows
from cutswap.errors import CutSwapError
from cutswap.evaluation.scored_set import ScoredSet
from cutswap.figures.figure_files import Origin
from cutswap.utils.folder_names import BANK, DETECTOR
from cutswap.utils.overlays import colourise, veil

SECONDS_A_PHOTO = 0.075  # ResNet18 at 256 pixels on two cores
_OLD = "What was measured here before was another detector's, or of another score. Measure again."


def section(scored: ScoredSet, image: float, pixel: float | None) -> None:
    """Button, progress, curves, map; they follow the thresholds.

    Args:
        scored: the evaluation.
        image: scores at or above it are called defective.
        pixel: heat at or above it marks a place; None: none is set.
    """
    st.subheader("How small a defect?", anchor=False)
    st.caption(
        "Scratches, spots and swapped patches of graded size and contrast, painted all over good"
        " test photos that the detector has not learnt: from which size on it finds them, and where"
        " on the photo it is blind."
    )
    why = _refusal(scored)
    if why:
        st.info(why, icon=":material/straighten:")
        return
    measured = None
    with plain_errors("what was measured"):
        measured = _stored(scored)
    work = measuring().of(scored.folder)
    if work is not None and work.is_running:
        st.fragment(_watch, run_every=1.0)(scored.folder)
    else:
        if work is not None and work.error is not None:
            show_error(work.error)
        _controls(scored, measured)
    if measured is not None:
        with plain_errors("how small a defect"):
            _results(scored, measured, image, pixel)


def _refusal(scored: ScoredSet) -> str:
    """Why nothing can be measured, or an empty text."""
    if scored.is_padim:
        return "PaDiM cannot be asked this yet: choose an evaluation by PatchCore."
    if scored.labels.all():
        return "There is no good test photo to paint on."
    if scored.records is None and not (scored.folder / FILE).exists():
        return "The photos are gone, so nothing can be painted on them."
    if public.is_public() and not (scored.folder / FILE).exists():
        return "Not measured in the public demo: it takes minutes. Run the app yourself."
    return ""


def _score(scored: ScoredSet) -> str:
    return str(scored.summary.get("score", "bank"))


def _stored(scored: ScoredSet) -> Measured | None:
    """What was measured of this very detector and score; says so where it was another's."""
    file = scored.folder / (DETECTOR if (scored.folder / DETECTOR).exists() else BANK)
    measured = _read(scored.folder, changed(scored.folder / FILE))
    if measured is None:
        return None
    if measured.mark != _mark(scored.folder, changed(file), _score(scored)):
        st.caption(f":material/history: {_OLD}")
        return None
    return measured


@st.cache_resource(max_entries=6, show_spinner=False)
def _read(folder: Path, modified: int) -> Measured | None:
    del modified
    return read_measured(folder)


@st.cache_resource(max_entries=12, show_spinner=False)
def _mark(folder: Path, modified: int, score: str) -> str:
    del modified
    return mark_of(folder, score)


def _controls(scored: ScoredSet, measured: Measured | None) -> None:
    """How many places, which contrasts, and the button."""
    default = DetectableSettings()
    if public.is_public():
        return
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left, st.popover("What is painted", icon=":material/tune:"):
        kinds = knobs.several(
            "podkinds",
            "Kinds",
            DEFECT_KINDS,
            default.kinds,
            help="A thin line, a disc, two patches that swap places.",
        )
        low, high = knobs.interval(
            "podcontrast",
            "Contrasts, percent",
            0,
            100,
            (float(min(default.contrasts)), float(max(default.contrasts))),
            step=5,
            help="How far from the photo to black or white a painted pixel is, or to the other"
            " patch. Both ends are painted.",
        )
        places = knobs.slider(
            "podplaces",
            "Places of each size",
            5,
            100,
            default.places,
            step=5,
            help="More narrow the intervals. 29 found of 29 prove 90% with 95% confidence.",
        )
    settings = DetectableSettings(
        kinds=kinds, contrasts=tuple(sorted({int(low), int(high)})), places=int(places)
    )
    photos = len(kinds) * len(settings.contrasts) * settings.places * 6
    each = SECONDS_A_PHOTO * (scored.size / 256) ** 2
    if measured is not None:
        each = measured.seconds / len(measured.kinds)
    seconds = photos * each
    with right:
        st.button(
            f"Measure {'again ' if measured else ''}({shown_seconds(seconds)})",
            on_click=_start,
            args=(scored.folder, settings, _score(scored)),
            icon=":material/straighten:",
            type="secondary" if measured else "primary",
            key="detectable.start",
            disabled=scored.records is None,
            help=f"Scores about {photos:,} painted photos in the background. Kept beside the"
            " evaluation; another threshold needs no new measurement.",
        )


def _start(folder: Path, settings: DetectableSettings, score: str) -> None:
    try:
        measuring().start(folder, settings, score)
    except CutSwapError as error:
        st.toast(plain_text(f"{error.subject}: {error.found}; {error.fix}."))


def _watch(folder: Path) -> None:
    """Progress and Stop; at the end the whole page is drawn again."""
    work = measuring().of(folder)
    if work is None or not work.is_running:
        st.rerun()
    bar, button = st.columns([5, 1], vertical_alignment="center")
    counted = f": {work.done:,} of {work.total:,}" if work.total else ""
    bar.progress(_share(work), f"{_sentence(work.stage)}{counted}")
    button.button(
        "Stop",
        on_click=measuring().stop,
        args=(folder,),
        icon=":material/stop:",
        key="detectable.stop",
        help="Nothing of it is kept.",
    )


def _share(work: Work) -> float:
    return min(work.done / work.total, 1.0) if work.total else 0.0


def _results(scored: ScoredSet, measured: Measured, image: float, pixel: float | None) -> None:
    if pixel is None:
        pixel, _ = pixel_threshold(None, measured)
    limits = Limits(image, pixel)
    contrasts = sorted({contrast for _, contrast in measured.designs})
    left, right = st.columns(2)
    with left:
        contrast = knobs.choice(
            "podshow",
            "Contrast",
            contrasts,
            contrasts[-1],
            show=lambda percent: f"{percent}%",
            segmented=True,
            help="Of the painted defects whose curves are drawn.",
        )
    with right:
        sense = knobs.choice(
            "podsense",
            "Found means",
            tuple(SENSES),
            BY_PHOTO,
            show=lambda name: {BY_PHOTO: "Photo called", BY_PLACE: "Place marked"}[name],
            segmented=True,
            help="That the photo is called defective by the image threshold, or that the heat on"
            " the defect reaches the pixel threshold.",
        )
    st.caption(f"{_sentence(alarms_text(measured, limits))}.")
    if warning := learnt_text(measured):
        st.warning(f"{_sentence(warning)}.", icon=":material/school:")
    pair = st.columns([3, 2])
    with pair[0]:
        fits = [
            (kind, measured.curve(kind, contrast, limits, sense))
            for kind, own in measured.designs
            if own == contrast
        ]
        chart = pod_chart(fits)
        said = "; ".join(f"{name}: {fit.sentence()}" for name, fit in fits)
        st.plotly_chart(
            chart,
            width="stretch",
            key=f"detectable.pod.{contrast}.{sense}",
            config=chart_config("pod"),
            alt=f"Probability of detection by size at contrast {contrast}%. {said}",
        )
        st.caption(
            "Signs: shares found. Thick: fitted POD. Thin: its 95% lower confidence bound; where it"
            " reaches 90% is a90/95."
        )
    with pair[1]:
        spots = blind_spots(measured, limits, sense)
        picture = _map(scored, measured, spots)
    st.markdown(_table(measured, limits, sense))
    with st.expander("What these defects look like", icon=":material/image_search:"):
        _examples(scored, measured, contrast, measured.found(limits, sense))
    st.caption(
        f"{len(measured.kinds):,} defects on {len(measured.names)} photos, seed {measured.seed},"
        f" {measured.seconds:.0f} s; at the thresholds set on this page. Sizes in pixels of the"
        f" photo and as a share of its shorter side, {measured.shorter} pixels; after"
        " MIL-HDBK-1823A, hit/miss, logit of log size."
    )
    _take_home(measured, limits, _figures(chart, picture, spots))


def _figures(chart: go.Figure, picture: Picture | None, spots: BlindSpots) -> list[Figure]:
    """What can be taken home: the chart, and the map where there is one."""
    figures = [of_chart("pod", "Probability of detection", chart)]
    if picture is not None:
        arrays = {"found": spots.found, "painted": spots.count, "expected": spots.expected}
        figures.append(of_picture("blind-spots", "Blind spots", picture, arrays))
    return figures


def _take_home(measured: Measured, limits: Limits, figures: Sequence[Figure]) -> None:
    settings = {
        **measured.settings.to_dict(),
        "seed": measured.seed,
        "threshold": limits.image,
        "pixel_threshold": limits.pixel,
        "detector": measured.mark,
    }
    st.download_button(
        "Defects (CSV)",
        lambda: measured.table(limits),
        "defects.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/table:",
        key="detectable.csv",
        help="A line a painted defect: kind, size, contrast, place, score, heat, found or not.",
    )
    take_home(list(figures), Origin("How small a defect", settings, []), key="detectable")


def _map(scored: ScoredSet, measured: Measured, spots: BlindSpots) -> Picture | None:
    """The map over the first of the photos; without it, where the photos are gone, nothing."""
    record = None
    if scored.records is not None:
        record = next((r for r in scored.records if r.name == measured.names[0]), None)
    if record is None:
        st.info("No map: its photos are gone.", icon=":material/map:")
        return None
    photo = caches.photo(PhotoKey.of_record(record, scored.size))
    height, width = (int(side) for side in measured.photo_sizes[0])
    frame = Frame((height, width), scored.size, measured.resize)
    lost = in_square(spots.lost, frame, outside=np.nan)
    looked_at = ~np.isnan(lost) if scored.region is None else ~np.isnan(lost) & scored.region
    lost = np.nan_to_num(lost)
    base = photo if looked_at.all() else veil(photo, photo, looked_at)
    blind = in_square(spots.is_blind, frame) > 0
    count, lines = int(spots.is_blind.sum()), spots.lines(height, width)
    picture = Picture(
        base,
        heat=colourise(lost),
        heat_alpha=np.where(looked_at, np.clip(55 + 200 * lost, 0, 255), 0).astype(np.uint8),
        heat_name="Map",
        mask=blind & looked_at if count else None,
        outline_name="Blind spots",
        legend=Legend("as anywhere", "none found", unit="missed of what is found elsewhere"),
        alt=f"Map of blind spots over {measured.names[0]}: {count} of"
        f" {int((spots.count > 0).sum())} places. {'; '.join(lines)}",
        caption=f"{count} blind of {int((spots.count > 0).sum())} places"
        if count
        else "No blind spot: no place is missed more often than chance explains.",
        opacity=60,
    )
    viewer(picture, key="detectable.map", memory="detectable.map", group="detectable")
    for line in lines[:3]:
        st.caption(line)
    return picture


def _examples(scored: ScoredSet, measured: Measured, contrast: int, is_found: np.ndarray) -> None:
    """One of each kind and size, cut out of its photo; framed where it is found."""
    modified = changed(scored.folder / FILE)
    shown = _painted(scored.folder, modified, contrast, measured, scored)
    if not shown:
        st.info("The photos are gone.", icon=":material/image_search:")
        return
    said = [
        f"{one.kind}, {one.size} px, {'found' if is_found[one.place] else 'missed'}"
        for one in shown
    ]
    kinds = ", ".join(dict.fromkeys(one.kind for one in shown))
    sizes = ", ".join(str(size) for size in dict.fromkeys(one.size for one in shown))
    st.image(example_sheet(list(shown), is_found), alt="; ".join(said))
    st.caption(
        f"Rows: {kinds}. Columns: {sizes} pixels, contrast {contrast}%; each enlarged or reduced to"
        " three times its size. A frame: this one is found."
    )


@st.cache_resource(max_entries=12, show_spinner="Painting examples")
def _painted(
    folder: Path, modified: int, contrast: int, _measured: Measured, _scored: ScoredSet
) -> tuple[DefectExample, ...]:
    del folder, modified
    known = {record.name: record for record in _scored.records or ()}
    photos: dict[int, np.ndarray] = {}

    def photo_of(number: int) -> np.ndarray:
        if number not in photos:
            record = known[_measured.names[number]]
            photos[number] = read_photo(record.image, record.bits)
        return photos[number]

    if not set(_measured.names) <= set(known):
        return ()
    return tuple(examples(_measured, contrast, photo_of))


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _table(measured: Measured, limits: Limits, sense: str) -> str:
    lines = [
        "| kind | contrast | grey levels | a90 | a90/95 | remark |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows(measured, limits, sense):
        lines.append(
            f"| {row['kind']} | {row['contrast']}% | {row['change']:.0f} |"
            f" {_size(row['a90'], measured.shorter)} | {_size(row['a90_95'], measured.shorter)} |"
            f" {row['remark']} |"
        )
    return "\n".join(lines)


def _size(size: float | None, shorter: int) -> str:
    return "–" if size is None else f"**{size:.3g} px** ({size / shorter:.1%})"
