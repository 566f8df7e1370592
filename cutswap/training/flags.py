"""The finetune command of a settings record: what repeats a run, flag by flag.

`settings.json` of a run folder is such a record. Only what differs from the recipe's defaults is
named, so the line stays readable; reading it back gives the same settings (a test).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cutswap.config import (
    HEAD_JITTER,
    RECIPES,
    ClusterSettings,
    FineTuningSettings,
    HeadSettings,
    NegativeSettings,
    SaliencySettings,
    SpdSettings,
    TrainingSettings,
    WeakAugmentation,
)
from cutswap.data.datasets import VISA_SPLIT
from cutswap.data.records import Category
from cutswap.data.regions.region_of_interest import (
    EVERYWHERE,
    recorded_resize,
    region_flags,
    resize_flags,
)
from cutswap.errors import CutSwapError
from cutswap.flags import PLAIN, FlagNames, flags_from, settings_from
from cutswap.settings import Settings
from cutswap.utils.folder_names import SETTINGS

# Flags of the saliency settings beside those of a network that is trained or evaluated.
SALIENCY_FLAGS = FlagNames(
    prefix="saliency-",
    skip=("image_size",),
    names={"layers": "layers", "target_class": "target-class"},
)
# Section of a run's record: its class, and the names of its flags.
FINETUNE_FLAGS: dict[str, tuple[type[Settings], FlagNames]] = {
    "training": (TrainingSettings, PLAIN),
    "saliency": (SaliencySettings, SALIENCY_FLAGS),
    "clusters": (ClusterSettings, PLAIN),
    "negatives": (NegativeSettings, FlagNames(skip=("method",))),
    "weak": (WeakAugmentation, FlagNames(prefix="weak-")),
    "head": (HeadSettings, FlagNames(prefix="head-", names={"train": "train"})),
    "spd": (SpdSettings, FlagNames(prefix="spd-")),
}


def finetune_arguments(
    record: Mapping[str, Any], data: Path, category: str, out: Path, *, skip_bad: bool = False
) -> list[str]:
    """Everything after `python -m cutswap`.

    Args:
        record: seed and sections as in settings.json; missing sections are at their defaults.
        data: the data set's folder.
        category: its category.
        out: the run folder.
        skip_bad: go on without unusable files.

    Raises:
        CutSwapError: a section that is none, or settings out of range.
    """
    words = ["finetune", "--data", str(data), "--category", category]
    words += ["--seed", str(record.get("seed", 0)), "--out", str(out)]
    if skip_bad:
        words.append("--skip-bad")
    for section, (cls, naming) in FINETUNE_FLAGS.items():
        settings = cls.from_dict(record.get(section) or {})
        base: Mapping[str, Any] | None = None
        if isinstance(settings, TrainingSettings):  # the recipe's own values come with its name
            base = RECIPES[settings.recipe]
        elif isinstance(settings, WeakAugmentation) and trained_in(record) != "backbone":
            base = {"jitter": HEAD_JITTER}
        words += flags_from(settings, base, naming)
    return words


def trained_in(record: Mapping[str, Any]) -> str:
    """The part a run trains, by its settings.json: backbone, or one of `config.HEADS`."""
    head = record.get("head")
    return str(head.get("train", "backbone")) if isinstance(head, dict) else "backbone"


def is_spd_in(record: Mapping[str, Any]) -> bool:
    """Whether a run's phi learns by SPD, by its settings.json."""
    training = record.get("training")
    return isinstance(training, dict) and training.get("objective") == "spd"


def repeat_arguments(settings: Mapping[str, Any], out: Path) -> list[str]:
    """The command that resumes or repeats a run, from its settings.json.

    Args:
        settings: as read from the file.
        out: the run folder.

    Raises:
        CutSwapError: the record lacks its data, or a setting is out of range.
    """
    root, name, left_out = recorded_data(settings, out)
    words = finetune_arguments(settings, root, name, out, skip_bad=left_out)
    return words + region_flags(settings["data"]) + resize_flags(settings["data"])


def recorded_data(settings: Mapping[str, Any], out: Path) -> tuple[Path, str, bool]:
    """Which photos a run has learnt from.

    Args:
        settings: as read from settings.json.
        out: the run folder, for the message.

    Returns:
        The data set's folder, its category, and whether unusable files were left out.

    Raises:
        CutSwapError: the record lacks its data.
    """
    data = settings.get("data")
    if not isinstance(data, dict) or not data.get("root") or not data.get("name"):
        raise CutSwapError(
            out / SETTINGS,
            expected="the category's name and folder under data",
            found="none",
            fix="start a new run",
        )
    # Recorded is the category's own folder, which opens by itself, except in VisA's tree.
    root = Path(str(data["root"]))
    if (root.parent / VISA_SPLIT).is_file():
        root = root.parent
    return root, str(data["name"]), bool(data.get("left_out"))


def recorded_looks(settings: Mapping[str, Any]) -> tuple[str, str]:
    """Where a run has looked, and how its photos became squares, as `check_category` takes both.

    Args:
        settings: as read from settings.json.
    """
    data = settings.get("data")
    region = data.get("region") if isinstance(data, dict) else None
    path = region.get("path") if isinstance(region, dict) else None
    return str(path or EVERYWHERE), recorded_resize(data)


def need_same_squares(settings: Mapping[str, Any], run: Path, category: Category) -> None:
    """Refuse to look at other squares than a run has learnt from.

    Args:
        settings: as read from the run's settings.json.
        run: its folder, for the message.
        category: whose photos it is asked about.

    Raises:
        CutSwapError: they become squares in another way.
    """
    recorded, found = recorded_looks(settings)[1], category.reading.resize
    if recorded != found:
        raise CutSwapError(
            run,
            expected=f"photos brought to squares by --resize {recorded}, as it has learnt from",
            found=f"--resize {found}",
            fix=f"pass --resize {recorded}, or train again with --resize {found}",
        )


def finetuning_settings(options: argparse.Namespace) -> FineTuningSettings:
    """All stages' settings of a finetune command: flags over the recipe over the defaults.

    Raises:
        CutSwapError: a value out of range, or flags that do not go together.
    """
    recipe = getattr(options, "TrainingSettings.recipe") or TrainingSettings().recipe
    training = settings_from(options, TrainingSettings, RECIPES.get(recipe, {}))
    looking = settings_from(options, SaliencySettings, {"image_size": training.image_size})
    head = settings_from(options, HeadSettings)
    jitter = {} if head.train == "backbone" else {"jitter": HEAD_JITTER}
    spd = settings_from(options, SpdSettings)
    if training.objective != "spd" and spd != SpdSettings():
        raise CutSwapError(
            "--spd flags",
            expected="--objective spd, the only one that looks at them",
            found=f"--objective {training.objective}",
            fix="pass --objective spd, or leave them out",
        )
    return FineTuningSettings(
        training=training,
        saliency=looking,
        clusters=settings_from(options, ClusterSettings),
        negatives=settings_from(options, NegativeSettings),
        weak=settings_from(options, WeakAugmentation, jitter),
        head=head,
        spd=spd,
    )
