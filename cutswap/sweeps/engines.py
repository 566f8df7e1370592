"""The task that every engine runs, and the interface of an engine.

A task is the cells that share a tuned network. It reads the store first and writes each cell as it
is done, so it may be killed, retried or started twice: at worst a cell is computed again and
written over with the same figures. An engine brings tasks to processes and says how each ended.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cutswap.errors import CutSwapError
from cutswap.sweeps.store import CELLS, ResultStore

if TYPE_CHECKING:  # with it comes torch, which workers load while the caller still reads
    from cutswap.sweeps.cell import CellSpec

DONE, FAILED = "done", "failed"


@dataclass(frozen=True)
class Task:
    """Cells that share a tuned network, and where things lie.

    Attributes:
        store: URL or folder of the results.
        cells: `CellSpec.to_json` of each.
        runs: folder of tuned networks, seen by all workers; empty: a temporary one, thrown away.
        threads: of torch; part of what makes results equal, as sums depend on it.
    """

    store: str
    cells: tuple[str, ...]
    runs: str = ""
    threads: int = 1

    def specs(self) -> tuple[CellSpec, ...]:
        """Its cells."""
        from cutswap.sweeps.cell import CellSpec

        return tuple(map(CellSpec.from_json, self.cells))

    def to_json(self) -> str:
        """As one line."""
        return json.dumps({**vars(self), "cells": list(self.cells)})


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Attributes:
        task: which.
        error: why the last attempt failed; empty where all its cells are done.
        attempts: how many there were, as far as the engine knows.
    """

    task: Task
    error: str = ""
    attempts: int = 1


class Engine(Protocol):
    """Brings tasks to processes."""

    def run(self, tasks: Sequence[Task], stop: Callable[[], bool]) -> Iterator[Outcome]:
        """Yield each task as it ends, in any order; on a stop those in flight are left out."""


def tasks_of(
    specs: Iterable[CellSpec], store: str, *, runs: str = "", threads: int = 1
) -> list[Task]:
    """Group cells by their network; each untuned cell is its own task.

    Args:
        specs: cells to compute.
        store: URL or folder of the results.
        runs: see `Task`.
        threads: see `Task`.
    """
    groups: dict[str, list[str]] = {}
    for spec in specs:
        groups.setdefault(spec.run or spec.id, []).append(spec.to_json())
    return [Task(store, tuple(cells), runs, threads) for cells in groups.values()]


def run_task(text: str, stop: Callable[[], bool] = lambda: False) -> bool:
    """Compute the cells of a task that are not done; the one function all engines call.

    Args:
        text: `Task.to_json`.
        stop: asked after every update.

    Returns:
        Whether it came to its end.

    Raises:
        CutSwapError: anything a cell refuses; the cells before it are written.
    """
    import torch

    from cutswap.sweeps.cell import compute_cell
    from cutswap.sweeps.store import open_store

    task = Task(**json.loads(text))
    torch.set_num_threads(task.threads)
    store = open_store(task.store)
    with tempfile.TemporaryDirectory(prefix="cutswap-cell-") as temporary:
        for spec in task.specs():
            if is_done(store, spec.id):
                continue
            result = compute_cell(spec, spec.check(), Path(task.runs or temporary), stop=stop)
            if result is None:
                return False
            record = {"id": spec.id, "label": spec.label, "state": DONE, **result}
            store.write(f"{CELLS}/{spec.id}", record)
    return True


def load_all() -> None:
    """Import what cells need, before there are any."""
    import sklearn.cluster  # noqa: F401 - half a second, and cells ask for it late

    import cutswap.sweeps.cell  # noqa: F401


def is_done(store: ResultStore, identity: str) -> bool:
    """Whether the store holds the cell's figures."""
    record = store.read(f"{CELLS}/{identity}")
    return isinstance(record, dict) and (record.get("id"), record.get("state")) == (identity, DONE)


def settle(store: ResultStore, outcome: Outcome) -> dict[str, dict[str, Any]]:
    """Records of an ended task's cells; those it did not finish are written down as failed."""
    records = {}
    for spec in outcome.task.specs():
        record = store.read(f"{CELLS}/{spec.id}")
        if not isinstance(record, dict) or record.get("state") != DONE:
            record = {
                "id": spec.id,
                "label": spec.label,
                "state": FAILED,
                "error": outcome.error or "its result cannot be read back",
                "attempts": outcome.attempts,
            }
            store.write(f"{CELLS}/{spec.id}", record)
        records[spec.id] = record
    return records


def words_of(error: BaseException) -> str:
    """An error as it is recorded."""
    if isinstance(error, CutSwapError):
        return str(error)
    return f"{type(error).__name__}: {str(error) or 'no more is known'}"
