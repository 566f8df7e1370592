"""Painted defects made up by hand: which are found is known without any network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cutswap.config import DetectableSettings
from cutswap.decision.detectable.measured import Measured, mark_of

FOUND, MISSED = 9.0, 1.0  # scores; at a threshold between them


def made_up(
    folder: Path, names: Sequence[str], hits: Mapping[tuple[str, int], Mapping[int, int]]
) -> Measured:
    """Thirty defects of each kind, contrast and size, of which so many are found.

    Args:
        folder: the evaluation that they are of.
        names: of its good photos, 64 pixels a side.
        hits: found by size, of each (kind, contrast).
    """
    rows = [
        (kind, contrast, size, place < found)
        for (kind, contrast), by_size in hits.items()
        for size, found in by_size.items()
        for place in range(30)
    ]
    count = len(rows)
    rng = np.random.default_rng(0)
    found = np.array([row[3] for row in rows])
    numbers = {
        "size": np.array([row[2] for row in rows]),
        "contrast": np.array([row[1] for row in rows]),
        "photo": np.arange(count) % len(names),
        "y": rng.integers(0, 64, count),
        "x": rng.integers(0, 64, count),
        "source_y": np.array([row[0] == "swap" for row in rows]) * 30 - 1,
        "source_x": np.array([row[0] == "swap" for row in rows]) * 30 - 1,
        "seed": np.arange(count),
        "angle": np.zeros(count),
        "share": np.full(count, 0.01),
        "change": np.full(count, 20.0),
        "score": np.where(found, FOUND, MISSED),
        "heat": np.where(found, FOUND, MISSED),
        "clean_heat": np.zeros(count),
    }
    return Measured(
        mark=mark_of(folder, "bank"),
        score="bank",
        category="bolt",
        settings=DetectableSettings(),
        seed=0,
        source="good test photos of the evaluation, which the detector has not learnt",
        learnt=False,
        names=tuple(names),
        photo_sizes=np.full((len(names), 2), 64),
        clean_scores=np.full(len(names), MISSED),
        clean_peaks=np.full(len(names), MISSED),
        kinds=tuple(row[0] for row in rows),
        numbers=numbers,
    )
