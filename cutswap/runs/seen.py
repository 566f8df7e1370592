"""The last batch as the network saw it, beside what the network said: seen.png and seen.json.

One row a photo, one column a class (positive, patch, scar). It is what the loss was computed on,
not drawn anew.
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
        probabilities: (rows, ways, ways), softmax scores of each sample, in label order.
    """

    step: int
    sheet: np.ndarray
    probabilities: np.ndarray


def write_seen(folder: Path, step: int, photos: Tensor, scores: Tensor) -> None:
    """Keep the first photos of a batch; the picture first, its words last.

    Args:
        folder: the run folder.
        step: updates done.
        photos: (B, ways, H, W, 3) uint8.
        scores: (B, ways, ways) float, before any softmax.
    """
    rows = [
        np.hstack([cv2.resize(p, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for p in row])
        for row in photos[:ROWS].numpy()
    ]
    save_png(folder / PICTURE, np.vstack(rows))
    probabilities = scores[:ROWS].softmax(dim=-1).numpy().round(4).tolist()
    write_json(folder / WORDS, {"step": step, "probabilities": probabilities})


def read_seen(folder: Path) -> Seen | None:
    """The last sheet; None where there is none or it was damaged."""
    if any((folder / name).is_symlink() for name in (PICTURE, WORDS)):
        return None
    try:
        words: dict[str, Any] = read_json(folder / WORDS)
        probabilities = np.asarray(words["probabilities"], dtype=np.float32)
        sheet = read_photo(folder / PICTURE)
        rows, ways, classes = probabilities.shape
        if ways != classes or sheet.shape != (rows * SIDE, ways * SIDE, 3):
            return None
        return Seen(int(words["step"]), sheet, probabilities)
    except (CutSwapError, LookupError, TypeError, ValueError):
        return None
