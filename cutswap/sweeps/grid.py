"""`--grid k=1..6 layers=4,16+30 augment=cutswap,nsa`: axes of a sweep, checked first.

A value may be a number, a word, or several joined by `+` for settings that take several; `a..b` is
every whole number from a to b. All problems of a grid are told at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cutswap.config import (
    HEAD_JITTER,
    ClusterSettings,
    FineTuningSettings,
    HeadSettings,
    NegativeSettings,
    PatchCoreSettings,
    SaliencySettings,
    SpdSettings,
    TrainingSettings,
    WeakAugmentation,
)
from cutswap.errors import CutSwapError
from cutswap.flags import read_value
from cutswap.settings import Settings

MAX_CELLS = 100_000
_SECTIONS: dict[str, type[Settings]] = {
    "training": TrainingSettings,
    "clusters": ClusterSettings,
    "negatives": NegativeSettings,
    "weak": WeakAugmentation,
    "saliency": SaliencySettings,
    "patchcore": PatchCoreSettings,
    "head": HeadSettings,
    "spd": SpdSettings,
}
# What decides where, not what, is computed, or is common to a sweep.
_NOT_SWEPT = {
    "training": (
        "backbone",
        "weights",
        "device",
        "workers",
        "checkpoint_every",
        "levels",
        "recipe",
    ),
    "negatives": ("method",),
    "saliency": ("backbone", "weights", "layers", "image_size"),
    # Tiles are for networks as they are: a cell's has learnt from squares.
    "patchcore": ("image_size", "layers", "batch_size", "tile_overlap"),
}


def axes() -> dict[str, tuple[str, str]]:
    """Every setting a grid may vary: name to section and field.

    A name that two sections have belongs to the first; `weak_jitter` names the second's. A head's
    are called as its flags: `train`, and `head_updates` and the like; so are SPD's: `spd_weight`.
    """
    options = {"layers": ("training", "levels")}
    for section, cls in _SECTIONS.items():
        for name in cls.__dataclass_fields__:
            if name not in _NOT_SWEPT.get(section, ()):
                is_apart = section == "spd" or (section == "head" and name != "train")
                is_plain = name not in options and not is_apart
                key = name if is_plain else f"{section}_{name}"
                options[key] = (section, name)
    return options


@dataclass(frozen=True)
class Point:
    """One combination of a grid.

    Attributes:
        label: `k=1, augment=nsa`.
        values: name to value, as settings take them.
    """

    label: str
    values: Mapping[str, Any]


def read_grid(words: Sequence[str], levels: Sequence[str] = ()) -> tuple[Point, ...]:
    """Every combination of the axes, the last one fastest; without axes one empty point.

    Args:
        words: `name=value,value` each.
        levels: saliency layers there are; none: any name passes.

    Raises:
        CutSwapError: unknown settings, values out of range, too many; all of them listed.
    """
    known, problems = axes(), list[str]()
    columns: dict[str, list[tuple[str, Any]]] = {}
    for word in words:
        name, equals, text = word.partition("=")
        name = name.strip().replace("-", "_")
        if name not in known:
            problems.append(f"{name}: no such setting; there are {', '.join(sorted(known))}")
        elif not equals or not text.strip():
            problems.append(f"{name}: no values; write {name}=a,b or {name}=1..6")
        elif name in columns:
            problems.append(f"{name}: named twice")
        else:
            columns[name] = []
            for part in _parts(name, text, problems):
                if (read := _value(name, part, known[name], levels, problems)) is not None:
                    columns[name].append(read)
    count = 1
    for column in columns.values():
        count *= max(1, len(column))
    if count > MAX_CELLS:
        problems.append(f"{count:,} combinations; at most {MAX_CELLS:,}")
    if problems:
        raise CutSwapError(
            "--grid",
            expected="settings and values in their range",
            found=f"{len(problems)} problem{'s' if len(problems) > 1 else ''}:\n  "
            + "\n  ".join(problems)
            + "\n",
            fix="correct them all; nothing was started",
        )
    return tuple(
        Point(
            ", ".join(f"{n}={text}" for n, (text, _) in zip(columns, chosen, strict=True)),
            {n: value for n, (_, value) in zip(columns, chosen, strict=True)},
        )
        for chosen in itertools.product(*columns.values())
    )


def _parts(name: str, text: str, problems: list[str]) -> list[str]:
    """Values of an axis as texts, ranges spelt out."""
    parts: list[str] = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        low, dots, high = part.partition("..")
        if not dots:
            parts.append(part)
            continue
        try:
            first, last = int(low), int(high)
        except ValueError:
            problems.append(f"{name}={part}: a range is of whole numbers, as 1..6")
            continue
        if not first <= last < first + 1000:
            problems.append(f"{name}={part}: a range goes up, by less than 1000")
        else:
            parts += map(str, range(first, last + 1))
    repeated = {p for p in parts if parts.count(p) > 1}
    problems += [f"{name}={p}: twice" for p in sorted(repeated)]
    return parts


def _value(
    name: str, text: str, place: tuple[str, str], levels: Sequence[str], problems: list[str]
) -> tuple[str, Any] | None:
    section, field = place
    try:
        value = read_value(_SECTIONS[section], field, text.replace("+", ","))
        value = getattr(_SECTIONS[section](**{field: value}), field)
    except CutSwapError as error:
        problems.append(f"{name}={text}: expected {error.expected}")
        return None
    if name == "layers" and levels and not set(value or ()) <= {*levels, "fused"}:
        problems.append(f"{name}={text}: expected some of {', '.join(levels)}, fused")
        return None
    return text, value


def applied(
    point: Point, tuning: FineTuningSettings, patchcore: PatchCoreSettings
) -> tuple[FineTuningSettings, PatchCoreSettings]:
    """A point's settings over common ones.

    Settings that nothing looks at go back to their defaults (`settled`), so that cells which
    differ in nothing else are one. The bank of a head has the head's layers.

    Raises:
        CutSwapError: values that do not go together.
    """
    known = axes()
    for name, value in point.values.items():
        section, field = known[name]
        if section == "patchcore":
            patchcore = patchcore.replace(**{field: value})
        else:
            part: Settings = getattr(tuning, section)
            tuning = tuning.replace(**{section: part.replace(**{field: value})})
    is_head = tuning.head.train != "backbone"
    if is_head and ("weak", "jitter") not in {known[name] for name in point.values}:
        tuning = tuning.replace(weak=tuning.weak.replace(jitter=HEAD_JITTER))
    if is_head:
        patchcore = patchcore.replace(layers=tuning.head.layers)
    return settled(tuning), patchcore.replace(image_size=tuning.training.image_size)


# Of the training settings what a head has a use for: its network, photos and negatives.
_OF_HEADS = ("backbone", "weights", "image_size", "augment", "ways", "levels")
_OF_MACHINES = ("device", "workers", "checkpoint_every")
_OF_CLASSES = ("augment", "ways", "levels", "hidden")  # what SPD has no use for
_OF_GAUSSIANS = ("train", "layers", "grid", "scale", "held_out", "highest")


def settled(tuning: FineTuningSettings) -> FineTuningSettings:
    """The same training with everything it never looks at as it is by default.

    Args:
        tuning: for example a projector with a batch size, which heads have not.
    """
    head, training = tuning.head, tuning.training
    if tuning.is_spd:
        given = TrainingSettings()
        training = training.replace(**{name: getattr(given, name) for name in _OF_CLASSES})
        size = training.image_size
        return tuning.replace(
            training=training,
            saliency=SaliencySettings(image_size=size),
            clusters=ClusterSettings(),
            head=HeadSettings(),
        )
    tuning = tuning.replace(spd=SpdSettings())
    if head.train == "backbone":
        tuning = tuning.replace(head=HeadSettings())
    else:
        kept = (*_OF_HEADS, *_OF_MACHINES)
        training = TrainingSettings(**{name: getattr(training, name) for name in kept})
        if head.train == "discriminator":
            head = head.replace(scale=HeadSettings().scale)
        tuning = tuning.replace(head=head)
    if not (head.learns or head.train == "backbone"):
        size = training.image_size
        used = {name: getattr(head, name) for name in _OF_GAUSSIANS}
        training = training.replace(augment=TrainingSettings().augment, ways=3, levels=None)
        tuning = tuning.replace(
            head=HeadSettings(**used),
            saliency=SaliencySettings(image_size=size),
            negatives=NegativeSettings(),
            weak=WeakAugmentation(jitter=HEAD_JITTER),
        )
    if training.augment != "cutswap" or not (head.learns or head.train == "backbone"):
        tuning = tuning.replace(clusters=ClusterSettings())
        training = training.replace(levels=None)
    return tuning.replace(training=training)
