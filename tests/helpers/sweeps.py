"""A sweep of small cells on rendered demo data, and what its store must hold in the end.

Four cells; 24 under `make test-kills` and `make test-ray`, where something must be left to kill.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cutswap.data.demo.render import DemoCounts, make_demo
from cutswap.sweeps.engines import Outcome, Task, run_task
from cutswap.sweeps.store import open_store

CATEGORIES = ("leather", "hex_nut")
IS_LONG = not {"CUTSWAP_KILLS", "CUTSWAP_RAY"}.isdisjoint(os.environ)
GRID = "k=1..6" if IS_LONG else "k=1..2"
SEEDS = 2 if IS_LONG else 1
CELLS = 24 if IS_LONG else 4  # K x two categories x seeds
TINY = [
    "--image-size",
    "64",
    "--weights",
    "random",
    "--saliency-backbone",
    "squeezenet1_0",
    "--saliency-weights",
    "random",
    "--epochs",
    "1",
    "--batch-size",
    "2",
    "--hidden",
    "8",
    "--device",
    "cpu",
    "--precision",
    "float32",
    "--quiet",
]


class SameProcess:
    """An engine for second starts: a new process takes seconds to import torch."""

    def run(self, tasks: Sequence[Task], stop: Callable[[], bool]) -> Iterator[Outcome]:
        """See `engines.Engine`."""
        for task in tasks:
            assert run_task(task.to_json(), stop)
            yield Outcome(task)


def demo(folder: Path) -> Path:
    """Demo data of a few pictures."""
    return make_demo(folder, counts=DemoCounts(train=4, good=2, defective=1))


def words(data: Path, out: str, *more: str) -> list[str]:
    """The command of all the cells."""
    return [
        "sweep",
        "--data",
        str(data),
        "--categories",
        ",".join(CATEGORIES),
        "--grid",
        GRID,
        "--seeds",
        str(SEEDS),
        "--out",
        out,
        "--steps-per-epoch",
        "1",
        *TINY,
        *more,
    ]


def figures(url: str) -> dict[str, Any]:
    """What each cell of a store says, without times; every cell is done, and there once.

    The plan and the files must name the same cells: none is missing, none has another name.
    """
    store = open_store(url)
    planned = [cell["id"] for cell in store.read("sweep")["cells"]]
    assert len(planned) == len(set(planned)) == CELLS
    assert store.names("cells") == sorted(planned)
    found = {}
    for identity in planned:
        record = store.read(f"cells/{identity}")
        assert (record["id"], record["state"]) == (identity, "done")
        found[identity] = json.dumps([record["metrics"], record["accuracy"], record["label"]])
    return found
