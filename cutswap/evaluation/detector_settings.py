"""Flags of our own PaDiM; and the other detectors of the paper's tables, anomalib's and InTra.

Apart from what runs them, so that flags and plans need neither torch nor anomalib.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from cutswap.config import PADIM, PadimSettings, PatchCoreSettings
from cutswap.errors import CutSwapError
from cutswap.flags import FlagNames, flags_from, settings_from
from cutswap.settings import Settings, setting

# Settings that PaDiM has in common with PatchCore, and their flags with them.
_SHARED = ("layers", "image_size", "sigma", "batch_size")
PADIM_FLAGS = FlagNames(prefix="padim-", skip=_SHARED)


def padim_settings(options: argparse.Namespace) -> PadimSettings:
    """PaDiM's settings of an evaluate command: its own flags, and those it shares.

    Args:
        options: with the flags of `PatchCoreSettings` and of `PADIM_FLAGS`.

    Raises:
        CutSwapError: a value out of range, or a flag that only PatchCore has.
    """
    typed = {
        name: text
        for name in PatchCoreSettings.__dataclass_fields__
        if (text := getattr(options, f"PatchCoreSettings.{name}", None)) is not None
    }
    foreign = [name for name in typed if name not in _SHARED]
    if foreign:
        raise CutSwapError(
            f"--{foreign[0].replace('_', '-')}",
            expected="--detector patchcore, which has it",
            found=f"--detector {PADIM}",
            fix="leave it out",
        )
    for name, text in typed.items():
        setattr(options, f"PadimSettings.{name}", text)
    return settings_from(options, PadimSettings)


def padim_arguments(settings: PadimSettings) -> list[str]:
    """The flags that give these settings: the inverse of `padim_settings`."""
    own = flags_from(settings, None, PADIM_FLAGS)
    others = tuple(n for n in PadimSettings.__dataclass_fields__ if n not in _SHARED)
    return ["--detector", PADIM, *flags_from(settings, None, FlagNames(skip=others)), *own]


# Name of the command line to the row of a table, as the paper prints them.
ANOMALIB = {"stfpm": "STPM", "padim": "PaDiM", "draem": "Draem"}
INTRA = "intra"  # our own
DETECTORS = {**ANOMALIB, INTRA: "InTra"}
DETECTOR_EPOCHS = {"stfpm": 100, "draem": 700}  # of their papers; PaDiM makes one pass
EXTRA = 'pip install "cutswap[anomalib]"'


@dataclass(frozen=True)
class DetectorSettings(Settings):
    """One recipe for all of anomalib's; rates and losses are its own."""

    epochs: int = setting(
        100,
        "passes over the training photos; PaDiM makes one (STFPM's paper: 100, DRAEM's: 700)",
        low=1,
    )
    batch_size: int = setting(8, "photos an update", low=1, high=1024)
    image_size: int = setting(256, "side of the square image, pixels", low=64, high=2048)
    textures: str | None = setting(
        None, "folder of photos that DRAEM pastes; none: noise (its paper: the DTD data set)"
    )


def detector_names(text: str) -> tuple[str, ...]:
    """`stfpm,padim` as names in the order of `DETECTORS`.

    Raises:
        CutSwapError: no such detector.
    """
    asked = {part.strip().lower() for part in text.replace(" ", ",").split(",") if part.strip()}
    unknown = sorted(asked - set(DETECTORS))
    if unknown:
        raise CutSwapError(
            "--detectors",
            expected=f"some of {', '.join(DETECTORS)}",
            found=", ".join(unknown),
            fix="name one of these; spd-padim is one of --methods",
        )
    return tuple(name for name in DETECTORS if name in asked)
