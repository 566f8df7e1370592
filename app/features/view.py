"""What the Features page shows: the answer, both pictures, the chosen point large, the numbers."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from app.features import explanation as features_words
from app.features.charts import scatter
from app.features.collecting import (
    WantedFeatures,
    feature_workshop,
    features_of,
    figures_of,
    projection_of,
)
from app.features.over_time import LOOK_NAMES
from app.features.point import WORDS, facts, hover_texts, nearest
from app.features.run_choice import need_run
from app.features.run_over_time import recorded_link, show_run
from app.features.waiting import start_button, wait
from app.figures.chart_files import chart_config
from app.figures.take_home import of_chart, take_home
from app.shared import knobs, public
from app.shared.page_parts import go_to, plain_errors, show_error
from app.shared.selection import Selection, select
from app.viewer.hover import hover_thumbnails
from app.viewer.viewer import Picture, viewer
from cutswap.analysis.feature_projection import points_csv
from cutswap.analysis.feature_set import DEFECT, FeatureSet
from cutswap.analysis.feature_settings import PROJECTIONS, FeatureSettings
from cutswap.data.regions.region_of_interest import with_region, with_resize
from cutswap.errors import CutSwapError
from cutswap.figures.figure_files import Origin
from cutswap.lessons.live_pictures import LOOKS
from cutswap.runs.folder import RunFolder
from cutswap.training.flags import recorded_looks

CHARTS = ("features-before", "features-after")
NAMES = {"pca": "PCA", "tsne": "t-SNE", "lda": "Discriminants"}
SAMPLES = (20, 60, 120, 240)
SMALL = 400  # images looked at without asking: under half a minute on two cores


def show(selected: Selection) -> None:
    """The page below its title.

    Raises:
        CutSwapError: a run or a set of features that is damaged.
    """
    run = None if public.is_public() else need_run(selected)  # no runs there, and no training
    if run is None:
        recorded_link()
        features_words.explanation()
        return
    look = knobs.choice(
        "look",
        "Show",
        LOOKS,
        LOOKS[0],
        segmented=True,
        show=LOOK_NAMES.__getitem__,
        help="Over time: a run that kept states on the way, one after another.",
    )
    region, resize = recorded_looks(RunFolder(run).settings())  # as it has learnt, not the sidebar
    category = with_resize(with_region(selected.category, region), resize)
    if look == "time":
        show_run(selected, run, category)
        features_words.explanation()
        return
    settings, seed = _controls()
    wanted = WantedFeatures(run, category, settings)
    slot = st.empty()
    body, tail = st.container(), st.container()
    with tail:  # drawn first: the body may wait
        features_words.explanation()
        features_words.command(selected, wanted, seed)
    if wanted.is_done:
        with body:
            _finished(selected, wanted, seed)
        return
    work = feature_workshop().of(wanted.key)
    count = settings.samples * 3 + len(selected.category.test)
    if work is None and count <= SMALL:
        feature_workshop().start(wanted)
        work = feature_workshop().of(wanted.key)
    with body:
        if work is None:
            st.info(
                f"Up to {count} images go through two networks, once; the result is kept.",
                icon=":material/hourglass_empty:",
            )
            start_button(wanted, "Look at the features")
        elif work.error is not None:
            show_error(work.error)
            start_button(wanted, "Try again")
    if work is not None and work.error is None:
        wait(work, slot, "Looking at the features")


def _controls() -> tuple[FeatureSettings, int]:
    first, second, third = st.columns([5, 3, 3], vertical_alignment="bottom")
    with first:
        projection = knobs.choice(
            "flat",
            "Projection",
            PROJECTIONS,
            "pca",
            segmented=True,
            show=NAMES.__getitem__,
            help="From 512 dimensions to two. PCA keeps the directions in which the samples differ"
            " most, t-SNE keeps near points near, discriminants separate the classes best.",
        )
    with second:
        samples = knobs.choice(
            "draws",
            "New samples",
            SAMPLES,
            60,
            help="Each gives a positive and one negative of each kind, none of which the run was"
            " trained on.",
        )
    with third:
        seed = knobs.number(
            "flatseed",
            "Seed",
            0,
            2**31 - 1,
            0,
            help="Of folds, resamples and t-SNE. The draws have the run's own seed.",
        )
    return FeatureSettings(samples=samples, projection=projection), seed or 0


def _finished(selected: Selection, wanted: WantedFeatures, seed: int) -> None:
    try:
        features = features_of(wanted.folder)
    except CutSwapError as error:
        show_error(error)
        st.button(
            "Collect them again",
            on_click=_again,
            args=(wanted,),
            icon=":material/refresh:",
            key=f"features.again.{wanted.key}",
        )
        return
    _Screen(selected, wanted, features, seed).draw()


def _again(wanted: WantedFeatures) -> None:
    shutil.rmtree(wanted.folder, ignore_errors=True)
    feature_workshop().start(wanted)


@dataclass(frozen=True)
class _Screen:
    """Everything that one rerun draws."""

    selected: Selection
    wanted: WantedFeatures
    features: FeatureSet
    seed: int

    @property
    def key(self) -> str:
        return f"features.shown.{self.wanted.key[:12]}"

    @property
    def folder(self) -> Path:
        return self.wanted.folder

    def draw(self) -> None:
        top, charts, below, figures = (st.container() for _ in range(4))
        shown = self._shown()
        with charts, plain_errors("the picture of the features"):
            self._charts(shown)
        with below, plain_errors("the chosen point"):
            self._point(shown)
        with figures, plain_errors("the numbers"):
            metrics = figures_of(self.folder, self.wanted.settings, self.seed)
            with top:
                st.markdown(f"**{metrics.answer()}**")
                for note in filter(None, [*self.features.about["notes"], metrics.doubt]):
                    st.warning(note, icon=":material/warning:")
            features_words.numbers(metrics, self.features)

    def _charts(self, shown: int) -> None:
        flat = projection_of(self.folder, self.wanted.settings, self.seed)
        texts = hover_texts(self.features)
        sides = (
            ("Before tuning", flat.before, flat.axes_before),
            ("After tuning", flat.after, flat.axes_after),
        )
        figures = []
        for column, key, (title, places, axes) in zip(st.columns(2), CHARTS, sides, strict=True):
            with column:
                st.markdown(f"**{title}**")
                chart = scatter(self.features.points, places, axes, shown, texts)
                figures.append(of_chart(key, title, chart))
                st.plotly_chart(
                    chart,
                    key=key,
                    width="stretch",
                    on_select=partial(self._clicked, key),
                    selection_mode="points",
                    config=chart_config(key),
                    alt=f"{title}: {len(places)} points by {' and '.join(axes)}",
                )
        about = self.features.about
        st.caption(
            f"{flat.fitted_on} {about['samples']} new samples (numbers {about['first_sample']} to"
            f" {about['first_sample'] + about['samples'] - 1}; the run trained on 0 to"
            f" {about['trained_samples'] - 1}). Hover a point for its thumbnail, click it to see it"
            " large; a click in the legend hides a group."
        )
        hover_thumbnails(CHARTS, self.features.thumbnails, key=f"hover.{self.wanted.key[:12]}")
        settings = {**self.wanted.settings.to_dict(), "seed": self.seed, **about}
        command = features_words.features_command(self.selected, self.wanted, self.seed)
        take_home(figures, Origin("Features", settings, (command,)), key="features")
        st.download_button(
            "Points as CSV",
            points_csv(self.features, flat),
            "points.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )

    def _shown(self) -> int:
        """The point with the ring: the clicked one, or the sidebar's image where that changed."""
        names = {p.name: i for i, p in enumerate(self.features.points) if not p.is_synthetic}
        image = self.selected.record.name
        default = names.get(image)
        if default is None:
            kinds = [p.kind for p in self.features.points]
            default = kinds.index(DEFECT) if DEFECT in kinds else 0
        has_changed = st.session_state.get(f"{self.key}.image") != image
        if self.key not in st.session_state or (has_changed and image in names):
            st.session_state[self.key] = default
        st.session_state[f"{self.key}.image"] = image
        return int(st.session_state[self.key])

    def _clicked(self, chart: str) -> None:
        """Callback of a chart; a second click takes a point back and means it all the same."""
        last = f"{self.key}.{chart}"
        index = _first_index(st.session_state.get(chart))
        if index is None:
            index = st.session_state.get(last)
        st.session_state[last] = index
        if index is not None:
            self._choose(index)

    def _choose(self, index: int) -> None:
        if not 0 <= index < len(self.features.points):
            return
        st.session_state[self.key] = index
        self._selected()

    def _selected(self) -> None:
        """A real photo becomes the image of all pages."""
        point = self.features.points[int(st.session_state[self.key])]
        if not point.is_synthetic:
            select(image=point.name)
            st.session_state[f"{self.key}.image"] = point.name

    def _point(self, shown: int) -> None:
        features = self.features
        left, right = st.columns([2, 3])
        with right:
            st.selectbox(
                "Shown point",
                range(len(features.points)),
                key=self.key,
                format_func=lambda i: features.points[i].label,
                on_change=self._selected,
                help="The ringed point; a click on another one chooses it too.",
            )
            st.markdown(facts(features, shown))
            for title, values in (("before", features.before), ("after", features.after)):
                st.caption(f"Nearest {title} tuning, in all dimensions, nearest first")
                near = nearest(values, shown)
                st.image(
                    [features.thumbnails[i] for i in near],
                    width=84,
                    caption=[WORDS[features.points[i].kind] for i in near],
                    alt=[f"{WORDS[features.points[i].kind]}, near {title} tuning" for i in near],
                )
            if not features.points[shown].is_synthetic and st.button(
                "See its heatmap on Inspect",
                on_click=self._selected,
                key="features.inspect",
                icon=":material/frame_inspect:",
            ):
                go_to("inspect_heatmaps")
        with left:
            photo, mask = features.picture(shown)
            point = features.points[shown]
            viewer(
                Picture(
                    photo,
                    mask=mask,
                    alt=point.label,
                    caption=point.label,
                    outline_name="Marked defect" if point.kind == DEFECT else "Changed area",
                ),
                key="features.picture",
            )


def _first_index(event: Any) -> int | None:
    """The customdata of the first selected point of a chart, or None."""
    try:
        value = event["selection"]["points"][0]["customdata"]
        return int(value[0] if isinstance(value, (list, tuple)) else value)
    except (LookupError, TypeError, ValueError):
        return None
