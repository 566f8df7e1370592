"""From the flags of a finetune command to all its stages' settings."""

from __future__ import annotations

import argparse

from cutswap.config import (
    HEAD_JITTER,
    RECIPES,
    ClusterSettings,
    HeadSettings,
    NegativeSettings,
    SaliencySettings,
    TrainingSettings,
    WeakAugmentation,
)
from cutswap.flags import settings_from
from cutswap.training.finetuning import FineTuningSettings


def finetuning_settings(options: argparse.Namespace) -> FineTuningSettings:
    """All stages' settings of a finetune command: flags over the recipe over the defaults."""
    recipe = getattr(options, "TrainingSettings.recipe") or TrainingSettings().recipe
    training = settings_from(options, TrainingSettings, RECIPES.get(recipe, {}))
    looking = settings_from(options, SaliencySettings, {"image_size": training.image_size})
    head = settings_from(options, HeadSettings)
    jitter = {} if head.train == "backbone" else {"jitter": HEAD_JITTER}
    return FineTuningSettings(
        training=training,
        saliency=looking,
        clusters=settings_from(options, ClusterSettings),
        negatives=settings_from(options, NegativeSettings),
        weak=settings_from(options, WeakAugmentation, jitter),
        head=head,
    )
