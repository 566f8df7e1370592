"""Where `tune` searches, as typed: `--search-k 1,6 --search-layers 4,16+30`; checked first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cutswap.errors import CutSwapError
from cutswap.sweeps.tuning import COMBINATIONS, Space
from cutswap.training.finetuning import FineTuningSettings


def read_space(
    base: FineTuningSettings,
    levels: Sequence[str],
    *,
    k: str | None = None,
    layers: str | None = None,
    area: str | None = None,
    rate: str | None = None,
) -> Space:
    """The default space, with what was typed in its place.

    Args:
        base: common settings, which tell what is in range.
        levels: names of the saliency levels there are.
        k: `low,high` of the clusters, ends included.
        layers: sets of levels, with commas; levels of a set are joined by `+`.
        area: `low,high` of the largest patch area, a share of the image.
        rate: `low,high` of the learning rate.

    Raises:
        CutSwapError: values out of range, all of them listed.
    """
    problems = list[str]()
    sets = tuple("+".join(levels[i] for i in c if i < len(levels)) for c in COMBINATIONS)
    if layers is not None:
        sets = tuple(part.strip() for part in layers.split(","))
        known = {*levels, "fused"}
        for part in sets:
            names = part.split("+")
            if not set(names) <= known or len(set(names)) < len(names):
                problems.append(
                    f"--search-layers {part!r}: expected some of {', '.join([*levels, 'fused'])},"
                    " each once, joined by +"
                )
    default = Space(layers=tuple(dict.fromkeys(filter(None, sets))))
    ends: dict[str, Any] = {}
    for flag, name, text, kind in (
        ("k", "k", k, int), ("area", "patch", area, float), ("rate", "rate", rate, float)
    ):  # fmt: skip
        if text is None:
            continue
        try:
            low, high = map(kind, text.split(","))
        except (ValueError, OverflowError):
            noun = "whole numbers" if kind is int else "numbers"
            problems.append(f"--search-{flag} {text}: expected two {noun}, low,high")
            continue
        if not low <= high:
            problems.append(f"--search-{flag} {text}: expected the lower one first")
            continue
        ends[name] = (low, high)
        for end in (low, high):
            try:
                _checked(base, default, name, end)
            except CutSwapError as error:
                problems.append(f"--search-{flag} {text}: expected {error.expected}")
                break
    if problems:
        raise CutSwapError(
            "tune", expected="ranges that settings allow",
            found="\n  ".join([f"{len(problems)} problem{'s' * (len(problems) > 1)}:", *problems])
            + "\n",
            fix="correct them all; nothing was started",
        )  # fmt: skip
    return replace(default, **ends)


def _checked(base: FineTuningSettings, space: Space, name: str, end: float) -> None:
    """Refuse a value no trial could have; the other settings decide nothing here.

    Raises:
        CutSwapError: out of range.
    """
    values = {
        "k": space.k[0], "patch": max(space.patch[1], base.negatives.area[0]),
        "learning_rate": space.rate[0], "layers": "4",
    }  # fmt: skip
    space.applied({**values, {"rate": "learning_rate"}.get(name, name): end}, base)
