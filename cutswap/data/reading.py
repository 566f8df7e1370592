"""How the files of one category are read, as a small file in its folder says.

It lies beside the photos because it belongs to them: the command line, sweeps and the app read them
alike, and nobody has to remember a flag.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cutswap.errors import CutSwapError
from cutswap.settings import Settings, setting
from cutswap.utils.files import is_own_file, read_json

READING_FILE = "cutswap.json"
RESIZES = SQUASH, FIT, CROP = ("squash", "fit", "crop")  # see `cutswap.data.regions.frame`
CAMERA_BITS = (8, 10, 12, 14)  # what cameras fill of the 16 bits of a file


@dataclass(frozen=True)
class ReadingSettings(Settings):
    """What the files of a category cannot tell by themselves."""

    bits: int | None = setting(
        None,
        "bits that the camera fills of grey photos of more than 8, for example 12; none: all that"
        " the file has",
        low=8,
        high=16,
    )
    resize: str = setting(
        SQUASH,
        "how a photo becomes the square that a network sees: squash stretches its sides alike, as"
        " the paper's peers do; fit keeps its shape, and what is beside it is looked at nowhere;"
        " crop takes the largest square from its centre",
        choices=RESIZES,
    )
    good: tuple[str, ...] = setting((), "folders of train and test that hold good photos, too")
    defects: tuple[str, ...] = setting(
        (), "folders of test that hold a type of defect although their names mean good"
    )


def unused_bits(top: int) -> tuple[int, int] | None:
    """How many of 16 bits grey photos use, and the camera that would fill them.

    Args:
        top: largest number of the photos, as `read_depth` gives it; 0 for others.

    Returns:
        (bits used, bits of the smallest camera that has them); None where all bits are used, or
        there is no such photo.
    """
    if not 0 < top < 2 ** CAMERA_BITS[-1]:
        return None
    used = top.bit_length()
    return used, next(bits for bits in CAMERA_BITS if bits >= used)


def read_reading(folder: Path) -> ReadingSettings:
    """The settings of a category's folder; the defaults where it has no such file.

    Raises:
        CutSwapError: a link, not JSON, or a setting that is unknown or out of range.
    """
    path = folder / READING_FILE
    if not os.path.lexists(path):
        return ReadingSettings()
    if not is_own_file(path):
        raise CutSwapError(
            path,
            expected="a file of settings",
            found="a link or a folder",
            fix="put the file itself here",
        )
    values = read_json(path)
    try:
        return ReadingSettings.from_dict(values)
    except CutSwapError as error:
        raise CutSwapError(
            f"{path}: {error.subject}", expected=error.expected, found=error.found, fix=error.fix
        ) from error
