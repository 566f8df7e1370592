"""Builds study folders as the reproduce command writes them, without any training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cutswap.config import SaliencySettings
from cutswap.studies.folder import PlannedCell, Study, read_study, write_cell, write_study
from cutswap.studies.plan import PRESETS, Cell, StudySettings, plan

Value = Callable[[Cell], float | str | None]  # image AUROC, an error, or nothing yet
LAPTOP = StudySettings("laptop", PRESETS["laptop"].training, SaliencySettings())


def write_small_study(
    path: Path,
    value: Value,
    *,
    tables: Sequence[str] = ("V",),
    categories: Sequence[str] = ("bolt",),
    seeds: int = 3,
    root: str = "/data",
    settings: StudySettings = LAPTOP,
    counts: dict[str, tuple[int, int]] | None = None,
    others: Sequence[str] = (),
) -> Study:
    """A study whose cells hold `value`, pixel AUROC 0.1 below it; all identities differ."""
    cells = []
    for number, cell in enumerate(plan(tables, categories, seeds, others)):
        name, run = f"id{number:04d}", "" if cell.variant.method.startswith("Res") else f"r{number}"
        variant = cell.variant
        cells.append(
            PlannedCell(
                cell.table,
                variant.row,
                variant.method,
                cell.category,
                cell.coreset,
                cell.seed,
                name,
                run,
            )
        )
        found = value(cell)
        if isinstance(found, str):
            write_cell(path, name, {"id": name, "state": "failed", "error": found})
        elif found is not None:
            write_cell(path, name, done(name, found))
    data = {
        name: dict(zip(("n_train", "n_test"), (counts or {}).get(name, (4, 5)), strict=True))
        for name in categories
    }
    write_study(
        Study(
            path,
            path.name,
            settings.to_dict(),
            root,
            data,
            {"phi": "a", "saliency": "b"},
            False,
            tuple(cells),
        )
    )
    return read_study(path)


def done(name: str, image: float, **changes: Any) -> dict[str, Any]:
    """The record of a finished cell."""
    metrics = {"image_auroc": image, "pixel_auroc": image - 0.1}
    record = {
        "id": name,
        "state": "done",
        "metrics": metrics,
        "seconds": 2.0,
        "training_seconds": 10.0,
        "accuracy": 0.8,
    }
    return {**record, **changes}
