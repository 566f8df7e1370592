"""The finetune command of a settings record: what repeats a run, flag by flag.

`settings.json` of a run folder is such a record. Only what differs from the recipe's defaults is
named, so the line stays readable; reading it back gives the same settings (a test).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
from cutswap.data.datasets import VISA_SPLIT
from cutswap.errors import CutSwapError
from cutswap.settings import Settings

# Section of the record: its class, the flags' prefix, and fields the command line has no flag for.
_SECTIONS: dict[str, tuple[type[Settings], str, tuple[str, ...]]] = {
    "training": (TrainingSettings, "", ()),
    "saliency": (SaliencySettings, "saliency-", ("image_size",)),
    "clusters": (ClusterSettings, "", ()),
    "negatives": (NegativeSettings, "", ("method",)),
    "weak": (WeakAugmentation, "weak-", ()),
    "head": (HeadSettings, "head-", ()),
}
# Without the prefix of their section.
_PLAIN = {"saliency": ("layers", "target_class"), "head": ("train",)}


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
    for section, (cls, prefix, skip) in _SECTIONS.items():
        values = cls.from_dict(record.get(section) or {}).to_dict()
        base = cls().to_dict()
        if section == "training":  # the recipe's own values come with its name
            base |= RECIPES[values["recipe"]]
        if section == "weak" and trained_in(record) != "backbone":
            base["jitter"] = HEAD_JITTER
        for name, value in values.items():
            if name in skip or value == base[name]:
                continue
            flag = name if name in _PLAIN.get(section, ()) else prefix + name
            # One word, since a value may begin with a minus sign.
            words.append(f"--{flag.replace('_', '-')}={flag_text(value)}")
    return words


def trained_in(record: Mapping[str, Any]) -> str:
    """What a run trains by its settings.json: backbone, or one of `config.HEADS`."""
    head = record.get("head")
    return str(head.get("train", "backbone")) if isinstance(head, dict) else "backbone"


def repeat_arguments(settings: Mapping[str, Any], out: Path) -> list[str]:
    """The command that resumes or repeats a run, from its settings.json.

    Args:
        settings: as read from the file.
        out: the run folder.

    Raises:
        CutSwapError: the record lacks its data, or a setting is out of range.
    """
    root, name, left_out = recorded_data(settings, out)
    return finetune_arguments(settings, root, name, out, skip_bad=left_out)


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
            out / "settings.json",
            expected="the category's name and folder under data",
            found="none",
            fix="start a new run",
        )
    # Recorded is the category's own folder, which opens by itself, except in VisA's tree.
    root = Path(str(data["root"]))
    if (root.parent / VISA_SPLIT).is_file():
        root = root.parent
    return root, str(data["name"]), bool(data.get("left_out"))


def flag_text(value: Any) -> str:
    """A setting's value as `flags.settings_from` reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(flag_text(v) for v in value)
    return "none" if value is None else str(value)
