"""The last batch as the network saw it, beside what the network said: seen.png and seen.json.

One row a photo, one column a class (positive, patch, scar), or a view of SPD. It is what the loss
was computed on, not drawn anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch import Tensor

from cutswap.data.images import read_photo, save_png
from cutswap.errors import CutSwapError
from cutswap.utils.files import read_json, write_json
from cutswap.utils.folder_names import SEEN

PICTURE, WORDS = SEEN
ROWS = 4  # photos kept
SIDE = 160  # pixels of one picture
EVERY = 5.0  # seconds between two of them


@dataclass(frozen=True)
class Seen:
    """A sheet.

    Attributes:
        step: the update it was part of.
        sheet: (rows * SIDE, ways * SIDE, 3) uint8.
        probabilities: (rows, ways, ways), softmax scores of each sample, in label order; None of
            a run of SPD.
        cosines: (rows, ways) of such a run, in [-1, 1]: each view's to the photo; else None.
    """

    step: int
    sheet: np.ndarray
    probabilities: np.ndarray | None
    cosines: np.ndarray | None = None


def write_seen(folder: Path, step: int, photos: Tensor, scores: Tensor) -> None:
    """Keep the first photos of a batch; the picture first, its words last.

    Args:
        folder: the run folder.
        step: updates done.
        photos: (B, ways, H, W, 3) uint8.
        scores: (B, ways, ways) float, before any softmax; or (B, ways) cosines of SPD.
    """
    rows = [
        np.hstack([cv2.resize(p, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for p in row])
        for row in photos[:ROWS].numpy()
    ]
    save_png(folder / PICTURE, np.vstack(rows))
    kept = scores[:ROWS]
    if kept.ndim == 2:
        said = {"cosines": kept.numpy().round(4).tolist()}
    else:
        said = {"probabilities": kept.softmax(dim=-1).numpy().round(4).tolist()}
    write_json(folder / WORDS, {"step": step, **said})


def read_seen(folder: Path) -> Seen | None:
    """The last sheet; None where there is none or it was damaged."""
    if any((folder / name).is_symlink() for name in (PICTURE, WORDS)):
        return None
    try:
        words: dict[str, Any] = read_json(folder / WORDS)
        step, sheet = int(words["step"]), read_photo(folder / PICTURE)
        if "cosines" in words:
            cosines = np.asarray(words["cosines"], dtype=np.float32)
            rows, ways = cosines.shape
            fits = sheet.shape == (rows * SIDE, ways * SIDE, 3)
            return Seen(step, sheet, None, cosines) if fits else None
        probabilities = np.asarray(words["probabilities"], dtype=np.float32)
        rows, ways, classes = probabilities.shape
        if ways != classes or sheet.shape != (rows * SIDE, ways * SIDE, 3):
            return None
        return Seen(step, sheet, probabilities)
    except (CutSwapError, LookupError, TypeError, ValueError):
        return None
