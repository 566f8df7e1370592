"""A sweep: settings x categories x seeds, each cell computed once into one store.

sweep.json        axes, settings, data and the list of cells, each with its identity
cells/<id>.json   one finished or failed cell (see `store`)
results.csv       lies only beside a folder store, written at each end
"""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutswap.config import SCORES, FineTuningSettings, PatchCoreSettings
from cutswap.data.datasets import open_dataset
from cutswap.data.loading import need_all_test_images
from cutswap.errors import CutSwapError
from cutswap.sweeps.cell import CellSpec
from cutswap.sweeps.engines import Engine, is_done, settle, tasks_of
from cutswap.sweeps.grid import Point, applied
from cutswap.sweeps.identity import (
    Weights,
    data_identity,
    hashes,
    method_of,
    name_of_run,
    photos_root,
)
from cutswap.sweeps.store import CELLS, ResultStore
from cutswap.utils.progress import Notify

SWEEP = "sweep"


@dataclass(frozen=True)
class PlannedSweep:
    """The plan of a sweep.

    Attributes:
        specs: distinct cells, by identity, the first seed of all first.
        rows: (label of the point, category, seed, identity) of every combination.
        record: what sweep.json holds.
    """

    specs: dict[str, CellSpec]
    rows: tuple[tuple[str, str, int, str], ...]
    record: dict[str, Any]

    def left(self, store: ResultStore) -> list[CellSpec]:
        """Cells the store does not hold, the failed ones included."""
        there = set(store.names(CELLS))
        return [s for i, s in self.specs.items() if i not in there or not is_done(store, i)]


def plan_sweep(
    data: Path,
    points: Sequence[Point],
    tuning: FineTuningSettings,
    patchcore: PatchCoreSettings,
    weights: Weights,
    *,
    categories: Sequence[str] = (),
    seeds: int = 3,
    skip_bad: bool = False,
    notify: Notify | None = None,
) -> PlannedSweep:
    """Lay out a sweep; nothing is written.

    Args:
        data: the data set's folder.
        points: of the grid.
        tuning: common settings of fine-tuning.
        patchcore: common settings of scoring.
        weights: by content.
        categories: folder names; none: all there are.
        seeds: how many, from 0 on.
        skip_bad: leave out unusable files.
        notify: called with (stage, done, total).

    Raises:
        CutSwapError: no such data; unknown categories or combinations that do not go together,
            all of them listed; categories that cannot be scored.
    """
    dataset = open_dataset(data)
    names = tuple(categories) or dataset.categories
    problems = [
        f"{name}: no such category; there are {', '.join(dataset.categories)}"
        for name in names
        if name not in dataset.categories
    ]
    settings = []
    for point in points:
        try:
            settings.append((point, *applied(point, tuning, patchcore)))
        except CutSwapError as error:
            problems.append(f"{point.label}: {error}")
    if problems:
        raise CutSwapError(
            "sweep",
            expected="categories and settings that exist",
            found="\n  ".join([f"{len(problems)} problems:", *problems]) + "\n",
            fix="correct them all; nothing was started",
        )
    by_name = {name: dataset.category(name) for name in names}
    need_all_test_images(list(by_name.values()))
    known = {}
    for done, name in enumerate(names):
        if notify:
            notify("hashing the data", done, len(names))
        known[name] = data_identity(by_name[name])
    specs: dict[str, CellSpec] = {}
    rows = []
    for seed in range(seeds):
        for name in names:
            for point, tuned, scored in settings:
                identity, run = hashes(
                    tuned, tuned.training.backbone, scored, weights, known[name], seed
                )
                label = ", ".join(filter(None, (name, point.label, f"seed {seed}")))
                folder = name_of_run(name, method_of(tuned), seed, run)
                specs.setdefault(
                    identity,
                    CellSpec(
                        id=identity,
                        label=label,
                        root=str(photos_root(data)),
                        category=name,
                        tuning=tuned,
                        patchcore=scored,
                        seed=seed,
                        run=folder,
                        skip_bad=skip_bad,
                    ),
                )
                rows.append((point.label, name, seed, identity))
    record = {
        "kind": "sweep",
        "root": str(photos_root(data)),
        "data": known,
        "tuning": tuning.to_dict(),
        "patchcore": patchcore.to_dict(),
        "weights": {"phi": weights.phi, "saliency": weights.saliency},
        "cells": [dict(zip(("setting", "category", "seed", "id"), r, strict=True)) for r in rows],
    }
    return PlannedSweep(specs, tuple(rows), record)


def run_sweep(
    plan: PlannedSweep,
    store: ResultStore,
    engine: Engine,
    *,
    runs: str = "",
    threads: int = 1,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[CellSpec, dict[str, Any]]]:
    """Compute what the store lacks.

    Args:
        plan: of `plan_sweep`.
        store: of the results.
        engine: who computes.
        runs: folder that keeps tuned networks, seen by all workers; empty: none is kept.
        threads: of torch, a worker.
        stop: asked often; on yes cells in flight are lost.

    Yields:
        Each cell with its record, done or failed.

    Raises:
        CutSwapError: the store cannot be written.
    """
    store.write(SWEEP, plan.record)
    tasks = tasks_of(plan.left(store), store.url, runs=runs, threads=threads)
    for outcome in engine.run(tasks, stop):
        for identity, record in settle(store, outcome).items():
            yield plan.specs[identity], record


def table_of(plan: PlannedSweep, store: ResultStore) -> list[dict[str, Any]]:
    """One line a setting and category, of a head one for each of `SCORES`: means over the seeds.

    Returns:
        setting, category, score (empty of a tuned network), seeds done, image_auroc and its sample
        standard deviation (None of one seed), pixel_auroc or None.
    """
    records = {i: store.read(f"{CELLS}/{i}") for i in plan.specs}
    lines: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for label, category, _, identity in plan.rows:
        record = records[identity]
        is_head = plan.specs[identity].tuning.head.train != "backbone"
        done = isinstance(record, dict) and record.get("state") == "done"
        for score in SCORES if is_head else ("",):
            figures = []
            if done:
                figures = [record["scores"][score] if is_head else record["metrics"]]
            lines.setdefault((label, category, score), []).extend(figures)
    return [
        {
            "setting": label or "as given",
            "category": category,
            "score": score,
            "seeds": len(metrics),
            "image_auroc": _mean([m["image_auroc"] for m in metrics]),
            "spread": statistics.stdev(m["image_auroc"] for m in metrics)
            if len(metrics) > 1
            else None,
            "pixel_auroc": _mean([m["pixel_auroc"] for m in metrics]),
        }
        for (label, category, score), metrics in lines.items()
    ]


def to_csv(lines: Sequence[dict[str, Any]]) -> str:
    """The table as CSV with a heading."""
    text = io.StringIO()
    table = csv.DictWriter(text, list(lines[0]) if lines else ["setting"])
    table.writeheader()
    table.writerows(lines)
    return text.getvalue()


def _mean(values: Sequence[float | None]) -> float | None:
    there = [v for v in values if v is not None]
    return statistics.fmean(there) if there else None
