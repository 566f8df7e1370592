"""A study before it is begun: its cells, and so the time it takes, without a file being read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cutswap.data.records import Category
from cutswap.networks.backbone import SALIENCY_LEVELS
from cutswap.studies.cells import planned_cells
from cutswap.studies.folder import Study
from cutswap.studies.plan import StudySettings, plan
from cutswap.sweeps.identity import Weights


def draft(
    name: str,
    tables: Sequence[str],
    categories: Sequence[Category],
    settings: StudySettings,
    *,
    seeds: int,
    others: Sequence[str] = (),
) -> Study:
    """A study as it would be laid out, to tell its cells and its time before anything is hashed.

    Args:
        name: of its folder, which is not looked at.
        tables: roman numbers.
        categories: at least one.
        settings: common to all cells.
        seeds: how many, from 0 on.
        others: beside the paper's methods, see `plan`.

    Raises:
        CutSwapError: see `plan`.
    """
    data: dict[str, Any] = {
        # In the place of hashes: other photos have another name.
        c.name: {"n_train": len(c.train), "n_test": len(c.test), "train": c.name, "test": c.name}
        for c in categories
    }
    cells = plan(tables, [c.name for c in categories], seeds, others)
    saliency = settings.saliency
    levels = saliency.layers or SALIENCY_LEVELS[saliency.backbone]
    weights = Weights("", "", tuple(map(str, levels)))
    return Study(
        path=Path(name),
        name=name,
        settings=settings.to_dict(),
        data=data,
        cells=planned_cells(cells, settings, weights, data),
    )
