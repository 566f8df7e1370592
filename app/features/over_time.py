"""Over time: heatmap, features, accuracy and AUROC of a run's states, which move together.

Everything was computed before; a move reads one state of arrays that lie in memory.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from app.browser.lesson_link import is_shown
from app.features.charts import GROUPS, HERE, scatter
from app.features.point import hover_names
from app.figures.chart_files import chart_config
from app.figures.take_home import Figure, of_chart, take_home
from app.shared import caches, knobs
from app.shared.caches import PhotoKey
from app.shared.page_parts import plain_errors, plain_text
from app.viewer.viewer import Legend, Picture, viewer
from cutswap.analysis.feature_set import DEFECT, SYNTHETIC, FeaturePoint
from cutswap.analysis.over_time.history import TrainingHistory
from cutswap.analysis.over_time.report import history_csv
from cutswap.data.images import read_mask
from cutswap.data.records import GOOD, Record
from cutswap.data.regions.frame import framed_mask
from cutswap.figures.figure_files import Origin
from cutswap.utils.overlays import colourise

LOOK_NAMES = {"ends": "Before and after", "time": "Over time"}
UPDATE = "update"  # knob: after which one looks
EVERY = 1.2  # seconds a state is shown while it plays
# Session: whether it plays, the update that is shown meanwhile, and since when.
_PLAYS, _AT, _MOVED = "over_time.plays", "over_time.at", "over_time.moved"
SHARP = 512  # pixels of the photo below the heat
AUROC_COLOUR = "#d55e00"


def show_history(
    history: TrainingHistory,
    name: str | None,
    key: str,
    commands: Sequence[Sequence[object]] = (),
) -> None:
    """Scrubber, heatmap, cloud and curves.

    Args:
        history: of a run; photos lie where its points say.
        name: of the test photo that the page has chosen; None, or one that it has not: a list
            below the scrubber chooses.
        key: of the widgets.
        commands: that repeat it, see `Origin`.

    Raises:
        CutSwapError: a photo that cannot be read.
    """
    plays = bool(st.session_state.get(_PLAYS))
    st.fragment(_moving, run_every=EVERY if plays else None)(history, name, key, plays, commands)
    st.caption(
        f"Dots: {int(history.about['samples'])} unseen draws of each kind and all test photos, on"
        " two axes that all states share (PCA of the draws of all of them, each state around its"
        " own mean). PatchCore is fitted anew on every state, with its defaults at"
        f" {history.about['image_size']} pixels; its bars are 95% intervals. These are **test"
        " photos**: an update that is chosen by them is fitted to them."
    )
    st.download_button(
        "States as CSV",
        history_csv(history),
        "over_time.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
        key=f"{key}.csv",
    )


def _moving(
    history: TrainingHistory,
    name: str | None,
    key: str,
    plays: bool,
    commands: Sequence[Sequence[object]],
) -> None:
    """What follows the scrubber: a fragment, so that the rest of the page stays as it is."""
    if bool(st.session_state.get(_PLAYS)) != plays:
        st.rerun()  # the whole page: a fragment cannot end its own clock
    updates = [int(update) for update in history.updates]
    with plain_errors("the states"):  # here, as a fragment tells nobody else
        by_text = {str(update): update for update in updates}
        knobs.peek(UPDATE, updates[0], by_text.get)  # what the link says, before a button asks
        if plays:
            _advance(updates)
        photo = _scrubber(history, updates, name, key)
        if photo is not None:
            figures = _draw(history, updates, photo, key)
            if not plays:
                settings = {"update": _current(updates), **history.about}
                take_home(figures, Origin("Over time", settings, commands), key=f"{key}.figures")


def _draw(history: TrainingHistory, updates: list[int], photo: int, key: str) -> list[Figure]:
    frame = _Frame(history, updates.index(_current(updates)), photo, key)
    left, middle, right = st.columns([4, 5, 4])
    with left, plain_errors("the heatmap"):
        frame.heat()
    with middle:
        cloud = frame.cloud()
    with right:
        curves = frame.curves()
    return [
        of_chart("over-time-features", f"Features after update {frame.update}", cloud),
        of_chart("over-time-curves", "Accuracy and AUROC over the updates", curves),
    ]


def _advance(updates: list[int]) -> None:
    """The next state, where the one that is shown has had its time; the last one ends it.

    Meanwhile there is no slider: a browser that is behind would send its last place but one with
    the next tick of the clock, as if a hand had moved it back.
    """
    now = time.monotonic()
    played = st.session_state[_AT]
    at = updates.index(played) if played in updates else 0  # of another run
    if now - st.session_state[_MOVED] >= 0.7 * EVERY and at + 1 < len(updates):
        at += 1
        st.session_state[_MOVED] = now
    st.session_state[_AT] = updates[at]
    knobs.set_knob(UPDATE, updates[at])
    if at + 1 == len(updates):
        st.session_state[_PLAYS] = False
        st.rerun()


def _current(updates: list[int]) -> int:
    value = knobs.value_of(UPDATE)
    return value if value in updates else updates[0]


def _scrubber(
    history: TrainingHistory, updates: list[int], name: str | None, key: str
) -> int | None:
    """Buttons and slider; index of the test photo that is shown, None where there is none."""
    plays = bool(st.session_state.get(_PLAYS))
    at = updates.index(_current(updates))
    with st.container(horizontal=True, vertical_alignment="bottom", key="over_time_controls"):
        if is_shown(UPDATE):
            with st.container(horizontal=True, width="content", gap="small"):
                _step("Back", updates, at - 1, ":material/skip_previous:", f"{key}.back")
                st.button(
                    "Pause" if plays else "Play",
                    on_click=_play,
                    args=(updates,),
                    icon=":material/pause:" if plays else ":material/play_arrow:",
                    key=f"{key}.play",
                    help="From the state that is shown to the last one, or from the first.",
                )
                _step("Next", updates, at + 1, ":material/skip_next:", f"{key}.next")
        if plays:
            st.progress(at / (len(updates) - 1), f"Update {updates[at]} of {updates[-1]}")
        else:
            knobs.scale(
                UPDATE,
                "Update",
                updates,
                updates[0],
                help="After which the network looks. 0 is the one that the run started from. The"
                " arrow keys move the slider.",
            )
    photo = None if name is None else history.position(name)
    if photo is None and history.photos:
        names = [point.name for point in history.photos]
        first = next((i for i, p in enumerate(history.photos) if p.kind == DEFECT), 0)
        chosen = st.selectbox(
            "Test photo", names, index=first, key=f"{key}.photo", persist_state="session"
        )
        photo = names.index(chosen)
    if photo is None:
        st.info("The category has no test photos.", icon=":material/image_not_supported:")
    return photo


def _step(label: str, updates: list[int], to: int, icon: str, key: str) -> None:
    st.button(
        label,
        on_click=_go,
        args=(updates, to),
        disabled=not 0 <= to < len(updates),
        icon=icon,
        key=key,
        help="The state that the run has kept before or after this one.",
    )


def _go(updates: list[int], to: int) -> None:
    st.session_state[_PLAYS] = False
    knobs.set_knob(UPDATE, updates[to])


def _play(updates: list[int]) -> None:
    plays = not st.session_state.get(_PLAYS)
    st.session_state[_PLAYS] = plays
    if plays:
        at = _current(updates)
        st.session_state[_AT] = updates[0] if at == updates[-1] else at
        st.session_state[_MOVED] = time.monotonic()


@dataclass(frozen=True)
class _Frame:
    """Everything that one state shows."""

    history: TrainingHistory
    state: int
    photo: int
    key: str

    @property
    def update(self) -> int:
        return int(self.history.updates[self.state])

    @property
    def point(self) -> FeaturePoint:
        return self.history.photos[self.photo]

    def heat(self) -> None:
        history, point = self.history, self.point
        score = float(history.scores[self.state, self.photo])
        values = history.heatmap(self.state, self.photo)
        low, high = (float(end) for end in history.about["heat"])
        factor = max(1, SHARP // len(values))
        key = PhotoKey.of_record(record_of(point), factor * len(values))
        y, x = (int(place) for place in np.unravel_index(int(values.argmax()), values.shape))
        shown = Picture(
            caches.photo(key),
            heat=colourise(values, low, high),
            mask=_mask(point, key.size),
            legend=Legend(f"{low:.3g}", f"{high:.3g}", "distance to the bank; one range for all"),
            alt=f"Heatmap of {point.name} after update {self.update}: peak {values[y, x]:.3g} at"
            f" row {y}, column {x} of {len(values)}; image score {score:.3g}",
        )
        st.markdown(f"**{plain_text(point.name)}**, after update **{self.update}**")
        viewer(shown, key=f"{self.key}.heat", memory="over_time.heat")
        below, good = history.above_good(self.state, self.photo)
        said = f"above {below} of {good} good test photos" if good else "no good one beside it"
        st.markdown(f"Score **{score:.2f}**, {said}")

    def cloud(self) -> go.Figure:
        history = self.history
        shown = len(history.points) - len(history.photos) + self.photo
        places, axes = history.places[self.state], tuple(history.about["axes"])
        figure = scatter(history.points, places, axes, shown, hover_names(history.points))
        for axis, (low, high) in zip("xy", _ranges(history.places), strict=True):
            figure.update_layout({f"{axis}axis": {"range": [low, high], "autorange": False}})
        figure.update_layout(height=430, legend_y=-0.24)
        figure.data[-1].name = "the photo"
        st.markdown("**What the network sees**, each dot a picture")
        st.plotly_chart(
            figure,
            key=f"{self.key}.cloud",
            width="stretch",
            config=chart_config("over-time-features"),
            alt=f"Features after update {self.update}: {len(places)} points",
        )
        return figure

    def curves(self) -> go.Figure:
        history = self.history
        figure = curves_over_time(history, self.state)
        st.markdown("**How far it is**")
        st.plotly_chart(
            figure,
            key=f"{self.key}.curves",
            width="stretch",
            config=chart_config("over-time-curves"),
            alt=f"Accuracy and AUROC over {int(history.updates[-1])} updates, at {self.update}",
        )
        return figure


def record_of(point: FeaturePoint) -> Record:
    """The test photo that a real point is."""
    defect = point.defect or GOOD
    return Record(point.file, "test", defect, point.mask, point.bits, point.resize)


def _mask(point: FeaturePoint, size: int) -> np.ndarray | None:
    if point.mask is None:
        return None
    return framed_mask(read_mask(point.mask), size, point.resize)


def _ranges(places: np.ndarray) -> list[tuple[float, float]]:
    """Both axes' ends, the same for all states."""
    ends = []
    for axis in range(2):
        low, high = float(places[..., axis].min()), float(places[..., axis].max())
        ends.append((low - 0.05 * (high - low), high + 0.05 * (high - low)))
    return ends


def curves_over_time(history: TrainingHistory, state: int) -> go.Figure:
    """Accuracy by class above, the detector's AUROC with its intervals below, and where one is.

    Args:
        history: of a run.
        state: index of the one that is shown.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    steps = [step for step, _ in history.accuracy]
    ways = len(history.accuracy[0][1]) if history.accuracy else 0
    update = int(history.updates[state])
    for way in range(ways):
        legend, colour, shape = GROUPS[SYNTHETIC[way]]
        has_classes = history.about["has_classes"]
        name = legend if has_classes else "weak view nearer than the SmoothBlend"
        figure.add_scatter(
            x=steps,
            y=[values[way] for _, values in history.accuracy],
            name=name,
            mode="lines",
            line={"color": colour},
            hovertemplate="update %{x}: %{y:.2f}<extra>" + name + "</extra>",
            row=1,
            col=1,
        )
        at = history.accuracy_at(update)
        if at is not None:
            figure.add_scatter(
                x=[update],
                y=[at[way]],
                mode="markers",
                marker={"color": colour, "symbol": shape, "size": 11},
                hoverinfo="skip",
                showlegend=False,
                row=1,
                col=1,
            )
    if history.aurocs is not None:
        values = np.array([one.value for one in history.aurocs])
        figure.add_scatter(
            x=history.updates,
            y=values,
            name="PatchCore",
            mode="lines+markers",
            line={"color": AUROC_COLOUR},
            marker={"size": [12 if i == state else 6 for i in range(len(values))]},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [one.high - one.value for one in history.aurocs],
                "arrayminus": [one.value - one.low for one in history.aurocs],
                "thickness": 1,
                "width": 3,
            },
            hovertemplate="update %{x}: AUROC %{y:.3f}<extra>PatchCore</extra>",
            showlegend=False,
            row=2,
            col=1,
        )
    figure.add_vline(x=update, line_width=2, line_color=HERE)
    for row, chance in ((1, 1 / ways if ways > 1 else 0.5), (2, 0.5)):
        figure.add_hline(
            y=chance, line_dash="dot", line_width=1, line_color="#888888", row=row, col=1
        )
    figure.update_yaxes(title_text="accuracy", range=[0, 1.03], row=1, col=1)
    figure.update_yaxes(title_text="image AUROC", range=[0, 1.03], row=2, col=1)
    last = int(history.updates[-1])
    figure.update_xaxes(range=[-0.03 * last, 1.03 * last], zeroline=False)
    figure.update_xaxes(title_text="update", row=2, col=1)
    figure.update_layout(
        height=430,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        legend={"orientation": "h", "y": -0.18, "yanchor": "top", "x": 0},
        dragmode=False,
        uirevision="keep",
    )
    return figure
