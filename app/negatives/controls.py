"""Controls of the Negatives page: method, geometry, anchors, level, seed, epoch; all in the URL."""

from __future__ import annotations

import secrets

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.browser.lesson_link import is_active, is_shown
from app.figures.where_to_look import RegionKey
from app.negatives.draws import METHODS, Drawing
from app.shared import knobs, public
from app.shared.caches import PhotoKey, SaliencyKey
from app.shared.networks import fusion_controls, layer_name, network_controls
from app.shared.selection import Selection
from cutswap.config import ANCHORS, ClusterSettings, NegativeSettings, WeakAugmentation
from cutswap.saliency.fusion import FUSED

ALL = "all levels"
BESIDE, WIPE = "side by side", "wipe"
SEEDS = 100_000  # what the dice rolls below: five digits can be read out to somebody
SIZES = (128, 192, 256, 384, 512)


def controls(
    selected: Selection, *, has_layout: bool = True
) -> tuple[Drawing, int, str, DeltaGenerator]:
    """Settings of the negatives drawn, the epoch shown, `BESIDE` or `WIPE`, and a free place.

    Args:
        selected: the photo.
        has_layout: whether one chooses between those two; else it is `BESIDE`.
    """
    first, second, beside = _places([3, 3, 4])
    with first:
        method = _method()
    layout = BESIDE
    if has_layout:
        with second:
            layout = knobs.choice(
                "pair",
                "Positive and negative",
                (BESIDE, WIPE),
                BESIDE,
                segmented=True,
                help="Beside each other, zooming together; or larger, one uncovered by wiping.",
            )
    guided = METHODS[method][0].startswith("cutswap")
    with knobs.settings("Network, patches, colours"):
        looking = network_controls()
        negatives, size, weak = _geometry(method)
        anchors, top_n = _anchors(guided)
    level = knobs.choice(
        "layer",
        "Layer",
        (*looking.layers, FUSED, ALL),
        looking.layers[len(looking.layers) // 2],
        show=lambda layer: layer_name(looking.name, layer, size),
        segmented=len(looking.layers) < 7,
        help="Which saliency map anchors the patches; fused is a weighted mean of them; with all"
        " levels each draw picks one.",
    )
    k, seed, epoch = _which_draw()
    count = len(looking.layers)
    fusion = fusion_controls(looking) if level == FUSED else (1.0,) * count
    one = (*looking.layers, FUSED).index(level) if level != ALL else 0
    train = [r.name for r in selected.category.train]
    name = selected.record.name
    drawing = Drawing(
        key=SaliencyKey(
            PhotoKey.of_record(selected.record, size),
            looking.name,
            looking.weights,
            looking.layers,
            fusion=fusion,
        ),
        method=method,
        levels=tuple(range(count)) if level == ALL else (one,),
        negatives=negatives,
        clusters=ClusterSettings(k=k, anchors=anchors, top_n=top_n),
        weak=weak,
        seed=seed,
        index=train.index(name) if name in train else None,
        count=len(train),
        region=RegionKey.of(selected.category),
    )
    return drawing, epoch, layout, beside


def _method() -> str:
    return knobs.choice(
        "method",
        "Method",
        tuple(METHODS),
        "CutSwap",
        help="CutSwap exchanges two patches anchored in the most salient cluster; CutPaste moves"
        " one anywhere; Random swap exchanges two patches anywhere. SmoothBlend is CutPaste with"
        " fading edges; NSA bends the patch's colours to its surroundings (Poisson blending);"
        " Perlin lets a foreign texture show through noise-shaped holes. A scar does the same in a"
        " thin turned strip.",
    )


def _which_draw() -> tuple[int, int, int]:
    """K, seed and epoch in one row."""
    first, second, dice, third = _places([4, 3, 2, 4])
    with first:
        k = int(knobs.of_field(ClusterSettings, "k", "k"))
    with second:
        seed = knobs.number(
            "seed",
            "Seed",
            0,
            2**31 - 1,
            0,
            help="Of the run: the same seed gives the same draws.",
        )
    if is_shown("seed"):
        dice.button(
            "Roll",
            on_click=_roll,
            icon=":material/casino:",
            key="seed.roll",
            help="Another seed, at random: the same settings, another draw.",
            width="stretch",
        )
    with third:
        epoch = knobs.slider(
            "epoch",
            "Epoch",
            0,
            255,
            0,
            help="A run meets this photo once an epoch and draws anew each time.",
        )
    return k, seed or 0, epoch


def _places(widths: list[int]) -> list[DeltaGenerator]:
    """Beside each other; below each other where a link shows some controls alone."""
    if is_active():  # columns would keep the place of what a link does not show
        return [st.container() for _ in widths]
    return st.columns(widths, vertical_alignment="bottom")


def _roll() -> None:
    knobs.set_knob("seed", secrets.randbelow(SEEDS))


def _geometry(method: str) -> tuple[NegativeSettings, int, WeakAugmentation]:
    changes: dict[str, object] = {}
    fields = ("angle", "scar_width") if method.endswith("scar") else ("area", "aspect")
    own = {"smoothblend": "softness", "nsa": "zoom", "perlin": "opacity"}
    first, second, third = st.columns(3)
    for column, name in zip((first, second), fields, strict=True):
        with column:
            changes[name] = _of_field(name)
    with first:
        if method.endswith("scar"):
            changes["scar_height"] = _of_field("scar_height")
        family, _, scar = METHODS[method][0].partition("-")
        if family in own and not (family == "nsa" and scar):
            changes[own[family]] = _of_field(own[family])
    with third:
        if knobs.toggle(
            "ownjitter",
            "Jitter the patch",
            False,
            help="Off: as published, none for CutSwap and 0.1 for CutPaste. On: the amount below.",
        ):
            changes["jitter"] = _of_field("jitter", 0.1)
        weak = knobs.of_field(WeakAugmentation, "jitter", "weak")
    size = knobs.choice(
        "size",
        "Image side, pixels",
        public.small(SIZES),
        256,
        help="The photo becomes this square first; training uses 256.",
    )
    return NegativeSettings().replace(**changes), size, WeakAugmentation(jitter=weak)


def _of_field(name: str, default: float | None = None) -> object:
    url = {"scar_width": "scarw", "scar_height": "scarh"}.get(name, name)
    return knobs.of_field(NegativeSettings, name, url, default)


def _anchors(guided: bool) -> tuple[str, int]:
    anchors = knobs.choice(
        "anchors",
        "Anchors",
        ANCHORS,
        "max-cluster",
        help="Where the upper-left corners of the patches may lie; the paper: the max cluster.",
    )
    top_n = ClusterSettings().top_n
    if anchors == "top-n":
        top_n = (
            knobs.number(
                "topn",
                "Pixels kept",
                2,
                65536,
                top_n,
                help="The most salient pixels that anchors are drawn from (paper: 300).",
            )
            or top_n
        )
    if not guided and not is_active():
        st.caption("This method ignores saliency: layer, K and anchors do not matter to it.")
    return anchors, top_n
