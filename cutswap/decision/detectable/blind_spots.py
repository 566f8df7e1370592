"""Where painted defects are missed: the share found by place, beside what was to be expected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cutswap.data.regions.frame import Frame
from cutswap.decision.detectable.measured import BY_PHOTO, Limits, Measured
from cutswap.decision.detectable.plan import GRID, cell_of
from cutswap.utils.overlays import blend, colourise, outline

DOUBT = 0.05  # chance that any cell of a detector without blind spots is called one
CLEAR, FULL = 0.15, 0.75  # opacity over the photo where nothing is lost, and where all is


@dataclass(frozen=True)
class BlindSpots:
    """Painted defects by place; a place is a cell of `GRID` x `GRID` over the part that is seen.

    Attributes:
        found: (GRID, GRID) int, found.
        count: (GRID, GRID) int, painted.
        expected: (GRID, GRID) float, found if places did not matter: of each defect the share of
            its kind, size and contrast that is found anywhere.
        is_blind: (GRID, GRID) bool, where fewer are found than chance explains: binomial,
            one-sided, 5% for all cells together (Bonferroni).
    """

    found: np.ndarray
    count: np.ndarray
    expected: np.ndarray
    is_blind: np.ndarray

    @property
    def lost(self) -> np.ndarray:
        """(GRID, GRID) float in [0, 1]: of what was to be found the share missed; NaN: untried."""
        with np.errstate(divide="ignore", invalid="ignore"):
            share = 1 - self.found / self.expected
        share = np.where(self.expected > 0, np.clip(share, 0, 1), 0.0)
        return np.where(self.count > 0, share, np.nan)

    def lines(self, height: int, width: int) -> list[str]:
        """The blind ones in words, the blindest first.

        Args:
            height: of the photo, pixels.
            width: likewise.
        """
        places = sorted(zip(*np.nonzero(self.is_blind), strict=True), key=lambda p: -self.lost[p])
        return [
            f"rows {r * height // GRID} to {(r + 1) * height // GRID - 1}, columns"
            f" {c * width // GRID} to {(c + 1) * width // GRID - 1}: {self.found[r, c]} of"
            f" {self.count[r, c]} found where {self.expected[r, c]:.1f} were to be expected"
            for r, c in places
        ]


def blind_spots(measured: Measured, limits: Limits, sense: str = BY_PHOTO) -> BlindSpots:
    """Count by place.

    Args:
        measured: the painted defects; a swap counts where it was planned, not at its other patch.
        limits: the thresholds.
        sense: one of `SENSES`.
    """
    from scipy.stats import binom

    hits = measured.found(limits, sense)
    shares = _shares(measured, hits)
    rows, columns = _cells(measured)
    found, count = np.zeros((GRID, GRID), int), np.zeros((GRID, GRID), int)
    expected = np.zeros((GRID, GRID))
    np.add.at(found, (rows, columns), hits.astype(int))
    np.add.at(count, (rows, columns), 1)
    np.add.at(expected, (rows, columns), shares)
    tried = count > 0
    chance = binom.cdf(found, np.maximum(count, 1), expected / np.maximum(count, 1))
    return BlindSpots(found, count, expected, tried & (chance < DOUBT / max(1, tried.sum())))


def in_square(cells: np.ndarray, frame: Frame, outside: float = 0.0) -> np.ndarray:
    """(GRID, GRID) values in the square that a photo becomes, (S, S) float; `outside` beside it."""
    top, left, height, width = frame.target
    rows, columns = (np.arange(side) * GRID // side for side in (height, width))
    whole = np.full((frame.size, frame.size), outside)
    whole[top : top + height, left : left + width] = cells[np.ix_(rows, columns)]
    return whole


def map_picture(
    photo: np.ndarray, spots: BlindSpots, resize: str, side: int, region: np.ndarray | None
) -> np.ndarray:
    """The map over a photo: bright where defects are missed, blind spots outlined.

    Args:
        photo: (H, W, 3) uint8, one of the measured.
        spots: what to draw.
        resize: how photos become squares, see `Frame`.
        side: S of the square.
        region: (S, S) bool, where the detector looks; outside the photo is dimmed.

    Returns:
        (h, w, 3) uint8 in the photo's shape, as `Frame.shown` gives it.
    """
    frame = Frame((photo.shape[0], photo.shape[1]), side, resize)
    square = frame.of_photo(photo)
    lost = in_square(spots.lost, frame, outside=np.nan)
    known = ~np.isnan(lost)
    lost = np.where(known, lost, 0.0)
    opacity = np.where(known, CLEAR + (FULL - CLEAR) * lost, 0.0)
    picture = blend(square, colourise(lost), opacity)
    looked_at = known if region is None else known & region
    if not looked_at.all():
        picture = np.where(looked_at[..., None], picture, square // 2)
    blind = (in_square(spots.is_blind, frame) > 0) & looked_at
    return frame.shown(outline(picture, blind) if blind.any() else picture)


def _cells(measured: Measured) -> tuple[np.ndarray, np.ndarray]:
    """(P,) rows and columns of the defects' cells."""
    rows, columns = [], []
    boxes = [
        Frame((int(height), int(width)), GRID, measured.resize).source
        for height, width in measured.photo_sizes
    ]
    numbers = (measured.numbers[name].tolist() for name in ("photo", "y", "x"))
    for photo, y, x in zip(*numbers, strict=True):
        top, left, height, width = boxes[photo]
        rows.append(cell_of((y - top + 0.5) / height))
        columns.append(cell_of((x - left + 0.5) / width))
    return np.array(rows), np.array(columns)


def _shares(measured: Measured, hits: np.ndarray) -> np.ndarray:
    """(P,) share found of all defects of the same kind, size and contrast."""
    keys = list(
        zip(
            measured.kinds,
            measured.numbers["size"].tolist(),
            measured.numbers["contrast"].tolist(),
            strict=True,
        )
    )
    places: dict[tuple[str, int, int], list[int]] = {}
    for index, key in enumerate(keys):
        places.setdefault(key, []).append(index)
    shares = np.zeros(len(keys))
    for own in places.values():
        shares[own] = hits[own].mean()
    return shares
