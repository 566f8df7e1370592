"""From the Negatives page to Train: a run that makes these very negatives."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.negatives.draws import METHODS, Drawing
from app.shared import public
from app.shared.page_parts import go_to
from app.shared.train_with import hand_to_train
from cutswap.config import NegativeSettings, SaliencySettings, TrainingSettings
from cutswap.networks.backbone import SALIENCY_LEVELS


def training_record(drawing: Drawing) -> dict[str, Any]:
    """Seed and sections of settings.json that decide a run's negatives as they decide these.

    A run's second class is the scar of the same family, so a scar here asks for three classes.
    """
    negatives, clusters = drawing.settings()
    key = drawing.key
    names = [key.levels[level] for level in drawing.levels]
    layers = None if key.layers == SALIENCY_LEVELS[key.backbone] else list(key.layers)
    is_fused = len(names) == 1 and names[0] not in key.layers
    plain = NegativeSettings().to_dict()
    ways = 3 if METHODS[drawing.method][0].endswith("-scar") else TrainingSettings().ways
    return {
        "seed": drawing.seed,
        "training": {
            "augment": negatives.method.removesuffix("-scar"),
            "ways": ways,
            "image_size": key.photo.size,
            "levels": None if tuple(names) == key.layers else names,
        },
        "saliency": {
            **SaliencySettings(image_size=key.photo.size).to_dict(),
            "backbone": key.backbone,
            "weights": key.weights,
            "layers": layers,
            "fusion": list(key.fusion) if is_fused and key.fusion else None,
        },
        "clusters": clusters.to_dict(),
        "negatives": {
            name: value
            for name, value in negatives.to_dict().items()
            if name != "method" and value != plain[name]
        },
        "weak": drawing.weak.to_dict(),
    }


def train_button(drawing: Drawing) -> None:
    """The next step: the same settings on the Train page; not in public mode, which trains none."""
    if public.is_public():
        return
    if st.button(
        "Train with these settings",
        on_click=hand_to_train,
        args=(training_record(drawing),),
        icon=":material/model_training:",
        key="negatives.train",
        help="Opens Train with method, layer, K, anchors, seed, sizes and patch settings as here.",
    ):
        go_to("train")
