"""Whether a mask marks what it should, and with which threshold it would."""

from __future__ import annotations

import numpy as np

LARGE = 0.5  # share of a photo that a defect rarely fills, and the ground of an inverted mask does
UNSURE = 0.01  # share of the photo that faint values may mark: less is dust
EDGE = 0.5  # faint pixels for each bright one; soft edges have fewer
CLASS_IDS = 31  # values up to here are numbers of classes: VisA has 1 to 10
PHOTO_LEVELS = 64  # masks with soft edges have many values too, but do not fill the photo


def doubt_of(mask: np.ndarray, counts: np.ndarray) -> str | None:
    """Why a mask may be wrong, and what would be right; None for one that looks sound.

    Args:
        mask: (H, W) bool, what is marked.
        counts: (256,) pixels by value, as `read_mask_levels` gives them.
    """
    marked = float(mask.mean())
    levels = np.flatnonzero(counts)
    if marked == 0:
        return None  # an empty mask is a problem of its own
    if marked <= LARGE and len(levels) == 2 and levels[0] == 0:
        return None  # nearly all masks
    threshold = split_level(counts)
    bright = float(counts[threshold + 1 :].sum() / counts.sum())
    # Two heaps of values, dark and bright, of which all but the value 0 counts.
    is_faint = levels[-1] > CLASS_IDS and marked - bright > max(UNSURE, EDGE * bright)
    if marked <= LARGE and not is_faint:
        return None
    said = f"marks {_percent(marked)} of the photo"
    if len(levels) == 1:
        return f"{said}: every pixel has the value {levels[0]}; draw the mask again"
    if len(levels) >= PHOTO_LEVELS and not is_parted(counts, threshold):
        return (
            f"{said} and holds {len(levels)} values, as a photo does; a mask has 0 for sound and"
            f" 255 for defective (a threshold of {threshold} would mark {_percent(bright)})"
        )
    if is_faint and bright <= LARGE:
        return (
            f"{said}, as every value but 0 counts, and it holds {len(levels)}, from {levels[0]} to"
            f" {levels[-1]}; a threshold of {threshold} would mark {_percent(bright)}: save values"
            f" above {threshold} as 255 and the others as 0"
        )
    return (
        f"{said}: if black and white are swapped, invert it (then {_percent(1 - bright)}"
        f" is marked, with a threshold of {threshold})"
    )


def split_level(counts: np.ndarray) -> int:
    """The value that parts dark from bright best, in the middle of the gap (Otsu 1979).

    Args:
        counts: (256,) pixels by value.
    """
    values = np.arange(len(counts), dtype=np.float64)
    share = counts / max(1, counts.sum())
    below = np.cumsum(share)
    mean = np.cumsum(share * values)
    spread = below * (1 - below)
    between = np.zeros_like(spread)
    is_part = spread > 1e-12
    between[is_part] = (mean[-1] * below - mean)[is_part] ** 2 / spread[is_part]
    best = np.flatnonzero(between >= between.max() - 1e-9)  # alike over the whole gap
    return int((best[0] + best[-1]) // 2)


def is_parted(counts: np.ndarray, threshold: int) -> bool:
    """Whether few pixels lie between the two heaps: a mask with noise or soft edges.

    Args:
        counts: (256,) pixels by value.
        threshold: see `split_level`.
    """
    low = float(np.average(np.arange(threshold + 1), weights=counts[: threshold + 1] + 1e-9))
    high = float(np.average(np.arange(threshold + 1, 256), weights=counts[threshold + 1 :] + 1e-9))
    quarter = (high - low) / 4
    middle = counts[int(low + quarter) + 1 : int(high - quarter) + 1]
    return bool(middle.sum() <= 0.05 * counts.sum())


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.2%}"
