"""What a memory bank's file holds: formats, names of its tensors, and what cannot be a bank's.

A file may come from a stranger, and a right hash says nothing about the numbers: shapes, kinds and
ranges are checked before a bank is made of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cutswap.config import PatchCoreSettings
from cutswap.errors import CutSwapError
from cutswap.patchcore.whitening import Whitening

FORMAT = "cutswap memory bank 1"
REFIT = "fit the bank again with evaluate"
WHITENED_FORMAT = "cutswap memory bank 2"  # with a whitening, which readers of 1 would leave out
REGION_FORMAT = "cutswap memory bank 3"  # with a region, perhaps with a whitening too
PAIRED_FORMAT = "cutswap memory bank 4"  # with a whitened bank beside it, perhaps with a region
FORMATS = (FORMAT, WHITENED_FORMAT, REGION_FORMAT, PAIRED_FORMAT)
WHITENING = ("whitening.mean", "whitening.matrix")
REGION = "region"
BESIDE = "beside."  # of the names of the second bank's tensors
UNIT = "beside.unit"


def parts_of(
    own: dict[str, Tensor], prefix: str = ""
) -> tuple[np.ndarray, np.ndarray, Whitening | None]:
    """Items, origins and whitening of a bank among a file's tensors."""
    whitening = None
    if prefix + WHITENING[0] in own:
        whitening = Whitening(*(own[prefix + name].numpy() for name in WHITENING))
    return own[f"{prefix}bank"].numpy(), own[f"{prefix}origin"].numpy(), whitening


def tensors_of(name: Any, there: set[str]) -> set[str]:
    """Names of the tensors of a format; none of a format that is not a bank's.

    Args:
        name: the format, as the header has it.
        there: names in the file, which say whether it holds a whitening or a region.
    """
    if name not in FORMATS:
        return set()
    held = {"bank", "origin"}
    if name == WHITENED_FORMAT or (name == REGION_FORMAT and WHITENING[0] in there):
        held |= set(WHITENING)
    if name == REGION_FORMAT or (name == PAIRED_FORMAT and REGION in there):
        held.add(REGION)
    if name == PAIRED_FORMAT:
        held |= {UNIT, *(BESIDE + n for n in ("bank", "origin", *WHITENING))}
    return held


def need_sound(path: Path, own: dict[str, Tensor], about: dict[str, Any], fix: str) -> None:
    """Refuse a bank that was put together by hand: a right hash says nothing about the numbers.

    Args:
        path: of the file, for the message.
        own: its tensors by name, as `tensors_of` names them.
        about: its header.
        fix: what to do, for the message.

    Raises:
        CutSwapError: items that are not (M, D) finite float32, origins that are not (M, 3) int32
            from 0, a whitening, a region or a unit that cannot belong to them, or a header with
            values of other kinds.
    """
    found = ""
    if type(about["seed"]) is not int:
        found = f"the seed {about['seed']!r}"
    elif not all(isinstance(about[key], str) for key in ("backbone", "fingerprint", "content")):
        found = "a header whose names are not text"
    for prefix in ("", BESIDE) if UNIT in own else ("",):
        items, origin = own[f"{prefix}bank"], own[f"{prefix}origin"]
        if items.ndim != 2 or items.dtype != torch.float32 or not items.numel():
            found = f"a bank of shape {tuple(items.shape)}, {items.dtype}"
        elif not items.isfinite().all():
            found = "NaN or infinity in the bank"
        elif (
            origin.shape != (len(items), 3)
            or origin.dtype != torch.int32
            or bool((origin < 0).any())
        ):
            found = f"origins of shape {tuple(origin.shape)}, {origin.dtype}"
    if found:
        raise CutSwapError(
            path, expected="a bank as it was saved: (M, D) finite float32", found=found, fix=fix
        )
    if WHITENING[0] in own:
        _need_sound_whitening(path, own, "", fix)
    if REGION in own:
        _need_sound_region(path, own[REGION], about, fix)
    if UNIT in own:
        _need_sound_whitening(path, own, BESIDE, fix)
        _need_sound_unit(path, own, fix)


def _need_sound_region(path: Path, region: Tensor, about: dict[str, Any], fix: str) -> None:
    """Refuse a region that cannot belong to the bank.

    Raises:
        CutSwapError: anything but (S, S) bool with something inside.
    """
    side = PatchCoreSettings.from_dict(about["settings"]).image_size
    if region.dtype != torch.bool or region.shape != (side, side) or not region.any():
        raise CutSwapError(
            path,
            expected=f"a region of {side} x {side} pixels, with something inside",
            found=f"{tuple(region.shape)}, {region.dtype}",
            fix=fix,
        )


def _need_sound_unit(path: Path, own: dict[str, Tensor], fix: str) -> None:
    """Refuse a second bank of other patches than the first, or a unit that is none.

    Raises:
        CutSwapError: anything but one finite float64 > 0, and a whitening of the first bank's
            dimensions.
    """
    unit, mean = own[UNIT], own[BESIDE + WHITENING[0]]
    is_sound = unit.shape == (1,) and unit.dtype == torch.float64 and bool(unit.isfinite().all())
    if not is_sound or float(unit[0]) <= 0 or len(mean) != own["bank"].shape[1]:
        raise CutSwapError(
            path,
            expected=f"a second bank of {own['bank'].shape[1]} numbers a patch, with its unit > 0",
            found=f"{len(mean)} numbers, and a unit of shape {tuple(unit.shape)}, {unit.dtype}",
            fix=fix,
        )


def _need_sound_whitening(path: Path, own: dict[str, Tensor], prefix: str, fix: str) -> None:
    """Refuse a whitening that cannot belong to the bank.

    Raises:
        CutSwapError: anything but finite float32 (D,) and (D, K), K the items' width.
    """
    mean, matrix = (own[prefix + name] for name in WHITENING)
    items = own[f"{prefix}bank"]
    shapes = tuple(mean.shape), tuple(matrix.shape)
    is_sound = (
        mean.ndim == 1
        and shapes[1] == (len(mean), items.shape[1])
        and mean.dtype == matrix.dtype == torch.float32
        and bool(mean.isfinite().all() and matrix.isfinite().all())
    )
    if not is_sound:
        raise CutSwapError(
            path,
            expected=f"a whitening to {items.shape[1]} dimensions, finite float32",
            found=f"shapes {shapes[0]} and {shapes[1]}, {mean.dtype} and {matrix.dtype}",
            fix=fix,
        )
