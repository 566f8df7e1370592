"""What a step's picture is drawn from: the photo, and settings from controls, link or file."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.features.over_time import LOOK_NAMES
from app.figures.where_to_look import RegionKey
from app.negatives.controls import SEEDS
from app.negatives.draws import METHODS, Drawing
from app.shared import knobs
from app.shared.caches import PhotoKey, SaliencyKey
from app.shared.networks import layer_name
from app.shared.selection import Selection
from cutswap.config import ClusterSettings, NegativeSettings, WeakAugmentation
from cutswap.lessons.lesson import LessonStep
from cutswap.lessons.live_pictures import (
    BANK_PHOTOS,
    LARGEST_SEED,
    LOOKS,
    NETWORK,
    PROJECTIONS,
    SETTINGS,
)
from cutswap.networks.backbone import SALIENCY_LEVELS

SIZE = 256  # pixels, as the pages have it; the most that a public demo allows
LAYERS = SALIENCY_LEVELS[NETWORK]
METHOD_NAMES = {name: shown for shown, (name, anchors) in METHODS.items() if anchors is None}
_LABELS = {"pca": "PCA", "tsne": "t-SNE", "lda": "Discriminants"}


@dataclass(frozen=True)
class StepView:
    """One step for one visitor.

    Attributes:
        step: of the lesson.
        selected: the photo.
        values: every setting of the step's picture.
        is_answered: whether the visitor has answered the step's question.
    """

    step: LessonStep
    selected: Selection
    values: Mapping[str, Any]
    is_answered: bool

    @property
    def saliency(self) -> SaliencyKey:
        """The photo's maps, by the paper's network with the weights that ship."""
        record = self.selected.record
        photo = PhotoKey.of_record(record, SIZE)
        return SaliencyKey(photo, NETWORK, "embedded", LAYERS)

    @property
    def level(self) -> int:
        """Index of the layer that is looked at."""
        return LAYERS.index(self.values["layer"])

    def drawing(self) -> Drawing:
        """Draws of the photo, as the Negatives page makes them without colour jitter."""
        category, name = self.selected.category, self.selected.record.name
        train = [record.name for record in category.train]
        return Drawing(
            key=self.saliency,
            method="CutSwap",
            levels=(self.level,),
            negatives=NegativeSettings(),
            clusters=ClusterSettings(k=self.values["k"]),
            weak=WeakAugmentation(jitter=0.0),
            seed=self.values["seed"],
            index=train.index(name) if name in train else None,
            count=len(train),
            region=RegionKey.of(category),
        )


def settings_of(step: LessonStep) -> dict[str, Any]:
    """Every setting of a step's picture: from its control, or the link, or the lesson file."""
    values: dict[str, Any] = {}
    # A row of options that is alone needs the whole width.
    several = len(step.controls) > 1
    columns = st.columns(len(step.controls)) if several else [st.container()]
    places = dict(zip(step.controls, columns, strict=False))
    for name in step.live.settings:
        default = step.settings.get(name, SETTINGS[name].default)
        # Over time all states share one projection.
        is_idle = name == "projection" and values.get("look") == "time"
        if name in places and not is_idle:
            with places[name]:
                values[name] = _control(name, default)
        else:  # a link may set it all the same
            values[name] = knobs.peek(name, default, SETTINGS[name].parse)
            knobs.publish(name, values[name], default)
    return values


def _control(name: str, default: Any) -> Any:
    if name == "k":
        return knobs.of_field(ClusterSettings, "k", "k", default)
    if name == "layer":
        return knobs.choice(
            "layer",
            "Layer",
            LAYERS,
            default,
            show=lambda layer: layer_name(NETWORK, layer, SIZE),
            segmented=True,
            help="Its name, the grid it looks with, and its depth.",
        )
    if name == "method":
        return knobs.choice(
            "method",
            "Compare with",
            tuple(METHOD_NAMES),
            default,
            show=METHOD_NAMES.__getitem__,
            help="Another way to make a negative of the same photo, with the same seed.",
        )
    if name == "projection":
        return knobs.choice(
            "projection",
            "Projection",
            PROJECTIONS,
            default,
            show=_LABELS.__getitem__,
            segmented=True,
            help="From 512 dimensions to the two of the picture.",
        )
    if name == "look":
        return knobs.choice(
            "look",
            "Show",
            LOOKS,
            default,
            show=LOOK_NAMES.__getitem__,
            segmented=True,
            help="Over time: ten states of the run, one after another.",
        )
    if name == "update":  # its slider stands with the picture
        return knobs.peek("update", default, SETTINGS["update"].parse)
    if name == "photos":
        return knobs.choice(
            "photos",
            "Good photos in the bank",
            BANK_PHOTOS,
            default,
            segmented=True,
            help="The first ones of the category's good training photos.",
        )
    return _seed(default)


def _seed(default: int) -> int:
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        seed = knobs.number(
            "seed",
            "Seed",
            0,
            LARGEST_SEED,
            default,
            help="The same seed gives the same draw.",
        )
    right.button(
        "Roll",
        on_click=_roll,
        icon=":material/casino:",
        key="lesson.roll",
        help="Another seed, at random.",
        width="stretch",
    )
    return seed or 0


def _roll() -> None:
    knobs.set_knob("seed", secrets.randbelow(SEEDS))
