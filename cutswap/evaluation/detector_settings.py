"""The other detectors of the paper's tables that anomalib has, and how long they learn.

Apart from what runs them, so that flags and plans need neither torch nor anomalib. InTra and SPD
are not among them: their numbers stay the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass

from cutswap.errors import CutSwapError
from cutswap.settings import Settings, setting

# Name of the command line to the row of a table; STFPM and Draem as the paper prints them.
DETECTORS = {"stfpm": "STPM", "padim": "PaDiM", "draem": "Draem"}
DETECTOR_EPOCHS = {"stfpm": 100, "draem": 700}  # of their papers; PaDiM makes one pass
EXTRA = 'pip install "cutswap[anomalib]"'


@dataclass(frozen=True)
class DetectorSettings(Settings):
    """One recipe for all of them; rates and losses are anomalib's own."""

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
            fix="InTra and SPD are the paper's numbers only; name one of these",
        )
    return tuple(name for name in DETECTORS if name in asked)
