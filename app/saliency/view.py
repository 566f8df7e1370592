"""What the Saliency page shows: the strip of levels, one large, its clusters and its histogram.

Order matters for speed: the large picture is drawn before everything that can wait.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from app.browser.lesson_link import is_shown
from app.figures import where_to_look
from app.figures.chart_files import chart_config
from app.figures.take_home import Figure, of_chart, of_picture, take_home
from app.figures.where_to_look import RegionKey
from app.saliency import histogram as charts
from app.saliency.classes import (
    best_guesses,
    chosen_class,
    class_control,
    explained_sentence,
    named,
    percent,
)
from app.saliency.clustered import cluster_picture
from app.saliency.comparison import (
    NOTHING,
    TUNED,
    Looked,
    compare_control,
    range_sentence,
    second_control,
    shared_range,
)
from app.saliency.grid import saliency_command, saliency_grid
from app.saliency.levels import level_control, level_picture
from app.saliency.tuned import tuned_comparison
from app.shared import caches, knobs, public
from app.shared.caches import Explained, PhotoKey, SaliencyKey
from app.shared.networks import (
    Looking,
    fusion_controls,
    layer_name,
    network_controls,
)
from app.shared.page_parts import command_line, how_it_works, plain_errors, plain_text
from app.shared.picture_memory import kept
from app.shared.selection import Selection
from app.viewer.pictures import thumbnail
from app.viewer.viewer import Point, viewer
from cutswap.config import ClusterSettings
from cutswap.errors import CutSwapError
from cutswap.figures.figure_files import Origin
from cutswap.figures.labelled_grid import GridCell, LabelledGrid, draw_grid
from cutswap.saliency.clusters import Clusters
from cutswap.saliency.fusion import FUSED
from cutswap.utils.overlays import blend

SIZE = 256
SIZES = (128, 192, 256, 384, 512)
SMALL = 122  # pixels wide; six levels fit beside each other


def show(selected: Selection) -> None:
    """The page below its title.

    Raises:
        CutSwapError: see `caches.explained`.
    """
    looking, size, compare, shares_range = _settings()
    target = chosen_class()
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        level = level_control(looking, size)
    fused = level == len(looking.layers)
    fusion = fusion_controls(looking) if fused else (1.0,) * len(looking.layers)
    key = SaliencyKey(
        photo=PhotoKey.of_record(selected.record, size),
        backbone=looking.name,
        weights=looking.weights,
        layers=looking.layers,
        target_class=target,
        fusion=fusion,
    )
    explained = caches.explained(key)
    with right:
        k = knobs.of_field(ClusterSettings, "k", "k")
    told = st.container()
    if note := caches.depth_note(key.photo):
        st.warning(note, icon=":material/exposure:")
    region = _region(selected, size)
    pair, words, below = (st.container() for _ in range(3))
    first = Looked(key, level, selected.record)
    second, span = None, None
    if compare not in (NOTHING, TUNED):
        with below, plain_errors("the comparison"):  # chosen first: both may share their colours
            second = second_control(compare, first, selected)
            span = shared_range(first, second) if shares_range else None
    with pair:
        groups = _pair(first, k, region, told, span)
    with words:
        if is_shown("guesses"):
            is_random = looking.weights == "random"
            st.markdown(explained_sentence(explained, target, is_random=is_random))
            best_guesses(explained)
        class_control()
        st.caption(f"{plain_text(looking.name)}, {plain_text(explained.weights)}.")
    with below, plain_errors("the comparison"):
        if compare == TUNED:
            tuned_comparison(selected, key, level, k, region, shares_range=shares_range)
        elif second is not None:
            _pair(second, k, region, st.container(), span, tag=".second")
            _say_second(compare, first, second, is_asked=shares_range)
    if is_shown("levels"):
        _strip(key, level, region)
    chart = None
    if groups is not None and is_shown("histogram"):
        chart = _histogram(key, level, k)
    origin = _origin(selected, key, explained, k, level, span)
    _take_home(first, explained, groups, chart, origin, region, span)
    saliency_grid(selected, key, level, k, origin, region)
    _explanation()
    command_line(
        saliency_command(key),
        note=f"Writes saliency.npz (all levels and their fusion) and an overlay each. Clusters of"
        f" {key.levels[level]} at K = {k}:"
        " cutswap.cluster_saliency(map, k), the same call as here.",
    )


def _region(selected: Selection, size: int) -> RegionKey | None:
    """The category's region, whose outline every picture has; None without one, or a bad one.

    A network looks at the whole photo; what follows, negatives and scores, stays inside.
    """
    region = RegionKey.of(selected.category)
    with plain_errors("the region's outline"):
        where_to_look.pixels(region, size)
        if region is not None and region.path is not None:
            st.caption(
                ":material/crop_free: Outlined: the category's region,"
                f" {where_to_look.share(region, size):.0%} of the photo. The network looks at all"
                " of it; negatives and scores stay inside."
            )
        return region
    return None


def _settings() -> tuple[Looking, int, str, bool]:
    with knobs.settings("Network, layers, size, comparison"):
        looking = network_controls()
        size = knobs.choice(
            "size",
            "Image side, pixels",
            public.small(SIZES),
            SIZE,
            help="The photo becomes this square first; training uses 256.",
        )
        compare, shares_range = compare_control()
    return looking, size, compare, shares_range


def _pair(
    looked: Looked,
    k: int,
    region: RegionKey | None,
    told: Any,
    span: tuple[float, float] | None,
    tag: str = "",
) -> Clusters | None:
    """Saliency and clusters beside each other, zooming together; a click is told in `told`."""
    key, level = looked.key, looked.level
    explained = caches.explained(key)
    photo = caches.photo(key.photo)
    values = explained.maps[level]
    layer = key.levels[level]
    inside = where_to_look.pixels(region, key.photo.size)
    left, right = st.columns(2)
    place_key = f"place{tag}"
    place = st.session_state.get(place_key)
    points = () if place is None else (_point(place, values.shape),)
    with left:
        clicked = viewer(
            level_picture(key, explained, level, looked.record, points, inside=inside, span=span),
            key=f"saliency{tag}",
            memory="saliency",
            group="saliency",
            clickable=True,
        )
    groups = _clusters(key, level, k)
    clicked_too = None
    with right:
        if groups is None:
            st.warning(
                f"Layer {layer} has fewer than K = {k} distinct values here"
                f" ({len(np.unique(values))}). Lower K or choose another layer."
            )
        else:
            clicked_too = viewer(
                cluster_picture(photo, values, groups, points, layer, inside),
                key=f"clusters{tag}",
                memory="clusters",
                group="saliency",
                clickable=True,
            )
    if clicked or clicked_too:
        st.session_state[place_key] = clicked or clicked_too
        st.rerun()
    if place is not None and groups is not None:
        with told:
            _tell(place, values, groups)
    return groups


def _named(layer: str) -> str:
    return layer if layer == FUSED else f"layer {layer}"


def _clusters(key: SaliencyKey, level: int, k: int) -> Clusters | None:
    try:
        return caches.clusters(key, level, k)
    except CutSwapError:  # fewer distinct values than K
        return None


def _point(place: tuple[float, float], shape: tuple[int, ...]) -> Point:
    return Point((place[0] * shape[0], place[1] * shape[1]))


def _tell(place: tuple[float, float], values: np.ndarray, groups: Clusters) -> None:
    y, x = int(place[0] * values.shape[0]), int(place[1] * values.shape[1])
    value = float(values[y, x])
    cluster = int(groups.regions(values[y : y + 1, x : x + 1])[0, 0])
    st.markdown(
        f"Row {y}, column {x}: saliency **{value:.3f}**, cluster **{cluster + 1}** of {groups.k},"
        f" {abs(value - groups.centroids[cluster]):.3f} from its centroid."
    )


def _strip(key: SaliencyKey, chosen: int, region: RegionKey | None) -> None:
    """All levels small, shallow to deep."""
    st.markdown("**All levels, shallow to deep**")
    row = st.container(horizontal=True)
    for level, layer in enumerate(key.levels):
        name = layer_name(key.backbone, layer, key.photo.size)
        row.image(
            _small(key, level, region),
            caption=f"{'▶ ' if level == chosen else ''}{name}",
            width=SMALL,
            alt=f"Saliency of layer {layer}",
        )


@kept()
def _small(key: SaliencyKey, level: int, region: RegionKey | None) -> bytes:
    return thumbnail(_mixed(key, level, region), SMALL)


def _mixed(key: SaliencyKey, level: int, region: RegionKey | None) -> np.ndarray:
    """(S, S, 3) uint8: the map over the photo, dimmed outside the region."""
    mixed = blend(caches.photo(key.photo), caches.heat(key, level), 0.6)
    return where_to_look.shown(mixed, where_to_look.pixels(region, key.photo.size))


@kept()
def _chart(key: SaliencyKey, level: int, k: int) -> go.Figure:
    values = caches.explained(key).maps[level]
    return charts.saliency_histogram(values, caches.clusters(key, level, k))


def _histogram(key: SaliencyKey, level: int, k: int) -> go.Figure:
    chart = _chart(key, level, k)
    st.plotly_chart(
        chart,
        width="stretch",
        key="histogram",
        config=chart_config("saliency-histogram"),
        alt="Histogram of saliency with the cluster boundaries",
    )
    st.caption("Dashed: boundaries between clusters. Numbers: their centroids.")
    return chart


def _say_second(compare: str, first: Looked, second: Looked, *, is_asked: bool) -> None:
    explained = caches.explained(second.key)
    st.caption(
        f"Below: {plain_text(second.record.name)}, {plain_text(explained.weights)},"
        f" {named(explained.target_class)}, at {percent(explained.probability)}."
        f" {range_sentence(compare, first, second, is_asked=is_asked)}"
    )


def _explanation() -> None:
    how_it_works(
        r"""
A network classifies the image; LayerCAM asks each place of layer $i$ how much it speaks for
the class $c$. With activations $A_k$ and gradients $G_k = \partial y^c / \partial A_k$,

$$M_i = \mathrm{ReLU}\Big(\sum_k \mathrm{ReLU}(G_k) \cdot A_k\Big),$$

enlarged bilinearly to the image and stretched to 0..1, each map by itself: a value is relative,
never a probability. K-means then groups the *values* of one map into $K$ clusters, positions
ignored; the cluster with the largest mean is where CutSwap anchors its patches. Deeper layers
have a coarser grid and look at objects rather than edges. The level `fused` is the weighted mean of
the stretched maps, stretched again: the paper names it as future work.
"""
    )


def _origin(
    selected: Selection,
    key: SaliencyKey,
    explained: Explained,
    k: int,
    level: int,
    span: tuple[float, float] | None,
) -> Origin:
    """How the page's figures were made, as their files say it."""
    settings = {
        "category": selected.key,
        "image": selected.record.name,
        "image_size": key.photo.size,
        "backbone": key.backbone,
        "weights": explained.weights,
        "layers": list(key.layers),
        "layer": key.levels[level],
        "fusion": key.fusion and list(key.fusion),
        "target_class": explained.target_class,
        "k": k,
        "colours": span or "each map's own range",
    }
    return Origin(f"Saliency of {selected.record.name}", settings, (saliency_command(key),))


def _take_home(
    looked: Looked,
    explained: Explained,
    groups: Clusters | None,
    chart: go.Figure | None,
    origin: Origin,
    region: RegionKey | None,
    span: tuple[float, float] | None,
) -> None:
    """Files of the pair, the strip and the histogram."""
    key, level, record = looked.key, looked.level, looked.record
    photo, values, layer = caches.photo(key.photo), explained.maps[level], key.levels[level]
    inside = where_to_look.pixels(region, key.photo.size)
    figures = [
        of_picture(
            f"saliency-{layer}",
            f"Saliency, {_named(layer)}",
            level_picture(key, explained, level, record, inside=inside, span=span),
            {"photo": photo, "saliency": values},
        )
    ]
    if groups is not None and chart is not None:
        picture = cluster_picture(photo, values, groups, (), layer, inside)
        arrays = {
            "photo": photo,
            "regions": groups.regions(values).astype(np.uint8),
            "centroids": groups.centroids,
            "boundaries": groups.boundaries,
        }
        name = f"clusters-{layer}-k{groups.k}"
        figures.append(of_picture(name, f"Clusters, K = {groups.k}", picture, arrays))
        figures.append(of_chart("histogram", "Histogram", chart))
    levels = partial(_levels, key, region)
    figures.append(Figure("levels", "All levels", levels, lambda: {"maps": explained.maps}))
    take_home(figures, origin, key="saliency")


def _levels(key: SaliencyKey, region: RegionKey | None, width: int) -> np.ndarray:
    """The strip of levels on paper."""
    cells = tuple(GridCell(_mixed(key, i, region)) for i in range(len(key.levels)))
    return draw_grid(LabelledGrid(("",), tuple(map(_named, key.levels)), (cells,)), width)
