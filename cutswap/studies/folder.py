"""A study on disk, read without torch: its plan, its finished cells, its missing ones.

study.json        settings, weights, data and the list of cells, each with its identity
cells/<id>.json   one finished or failed cell, written whole
runs/<name>       tuned networks, run folders as finetune writes them; several cells share one
heartbeat.json    who is at work on it, or how that ended (see `heartbeat`)
study.csv, study.tex, report.html   what it says, written at each end
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cutswap.data.records import natural_key
from cutswap.errors import CutSwapError
from cutswap.evaluation.detector_settings import DETECTORS
from cutswap.results.paper_tables import PAPER_TABLES
from cutswap.studies.methods import METHODS, OTHER_METHODS
from cutswap.utils.files import read_json, write_json
from cutswap.utils.folder_names import CELLS, STUDY

DONE, FAILED, MISSING = "done", "failed", "missing"
FINISHED, UNFINISHED, BROKEN = "finished", "unfinished", "broken"
_MAX_JSON = 50_000_000  # bytes; a study of all tables has 2,000,000
_DEPTH = 3
_KEYS = ("table", "row", "method", "category", "coreset", "seed")


@dataclass(frozen=True)
class PlannedCell:
    """One figure the study asks for.

    Attributes:
        table: roman number.
        row: the table's setting or method.
        method: which network is scored.
        category: folder name.
        coreset: share of patches kept in the bank.
        seed: of every draw.
        id: hash of all that decides the result; rows that ask for the same share it.
        run: folder name of its tuned network; empty for the untuned one.
    """

    table: str
    row: str
    method: str
    category: str
    coreset: float
    seed: int
    id: str
    run: str

    @property
    def key(self) -> tuple[Any, ...]:
        """Its place in the tables."""
        return tuple(getattr(self, name) for name in _KEYS)

    @property
    def label(self) -> str:
        """For a line on the screen."""
        return f"{self.category}, {self.row}, coreset {self.coreset:g}, seed {self.seed}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {name: getattr(self, name) for name in (*_KEYS, "id", "run")}


@dataclass(frozen=True)
class CellResult:
    """What became of a cell.

    Attributes:
        state: done, failed or missing.
        metrics: image_auroc and the like, in [0, 1], where defined.
        error: why it failed; empty otherwise.
        training_seconds: spent on its network by this cell; None where that was there already.
        seconds: spent on scoring.
        accuracy: training accuracy at the end; None for the untuned network.
        missed: recall by type and area, see `missed.Missed.to_dict`; empty where not counted.
    """

    state: str
    metrics: dict[str, float | None] = field(default_factory=dict)
    error: str = ""
    training_seconds: float | None = None
    seconds: float = 0.0
    accuracy: float | None = None
    missed: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """A study as its folder has it.

    Attributes:
        path: its folder.
        name: the same from the runs folder on.
        settings: preset, training and saliency, as in study.json.
        root: the data set's folder.
        data: category to its counts and hashes.
        weights: network to source and hash.
        skip_bad: whether unusable files are left out.
        cells: every figure asked for.
        results: by identity; those without an entry are missing.
        reason: why it cannot be read; empty for a sound one.
    """

    path: Path
    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    root: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Any] = field(default_factory=dict)
    skip_bad: bool = False
    cells: tuple[PlannedCell, ...] = ()
    results: dict[str, CellResult] = field(default_factory=dict)
    reason: str = ""

    @property
    def state(self) -> str:
        """finished, unfinished or broken."""
        if self.reason:
            return BROKEN
        done = all(self.result(cell).state == DONE for cell in self.cells)
        return FINISHED if done else UNFINISHED

    def result(self, cell: PlannedCell) -> CellResult:
        """What became of a cell."""
        return self.results.get(cell.id, CellResult(MISSING))

    @property
    def distinct(self) -> tuple[PlannedCell, ...]:
        """One cell for each identity, in the order of the plan."""
        return tuple({cell.id: cell for cell in self.cells}.values())

    def count(self, state: str) -> int:
        """Distinct cells of that state."""
        return sum(self.result(cell).state == state for cell in self.distinct)

    @property
    def detectors(self) -> tuple[str, ...]:
        """Other detectors among its methods, by the names of the command line."""
        methods = {cell.method for cell in self.cells}
        return tuple(name for name, row in DETECTORS.items() if row in methods)

    @property
    def methods(self) -> tuple[str, ...]:
        """Heads and other negatives among its methods, by the names of the command line."""
        rows = {cell.method for cell in self.cells}
        return tuple(name for name in OTHER_METHODS if METHODS[name].row in rows)

    @property
    def others(self) -> tuple[str, ...]:
        """What stands beside the paper's methods."""
        return (*self.methods, *self.detectors)

    @property
    def tables(self) -> tuple[str, ...]:
        """Roman numbers, in the paper's order."""
        asked = {cell.table for cell in self.cells}
        return tuple(number for number in PAPER_TABLES if number in asked)

    @property
    def categories(self) -> tuple[str, ...]:
        """Folder names, in natural order."""
        return tuple(sorted({cell.category for cell in self.cells}, key=natural_key))

    @property
    def seeds(self) -> int:
        """How many seeds it asks for."""
        return max((cell.seed for cell in self.cells), default=-1) + 1


def cell_file(folder: Path, identity: str) -> Path:
    """Where a cell's result lies."""
    return folder / CELLS / f"{identity}.json"


def write_cell(folder: Path, identity: str, record: dict[str, Any]) -> None:
    """Write a cell's result whole.

    Raises:
        CutSwapError: it cannot be written.
    """
    write_json(cell_file(folder, identity), record)


def read_cell(folder: Path, identity: str) -> CellResult:
    """A cell's result; one that is damaged counts as missing, and is computed again."""
    path = cell_file(folder, identity)
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _MAX_JSON:
            return CellResult(MISSING)
        values = read_json(path)
        if values["id"] != identity or values["state"] not in (DONE, FAILED):
            return CellResult(MISSING)
        if values["state"] == FAILED:
            return CellResult(FAILED, error=str(values["error"])[:2000])
        metrics = {name: _figure(value) for name, value in values["metrics"].items()}
        if metrics.get("image_auroc") is None:
            return CellResult(MISSING)
        trained, accuracy = values.get("training_seconds"), values.get("accuracy")
        return CellResult(
            state=DONE,
            metrics=metrics,
            error="",
            training_seconds=None if trained is None else float(trained),
            seconds=float(values["seconds"]),
            accuracy=None if accuracy is None else float(accuracy),
            missed=_missed(values.get("missed")),
        )
    except (CutSwapError, OSError, LookupError, TypeError, ValueError, AttributeError):
        return CellResult(MISSING)


def _missed(value: Any) -> dict[str, Any]:
    """Cells of an earlier version have none; the rows are checked where they are read."""
    return value if isinstance(value, dict) else {}


def _figure(value: Any) -> float | None:
    if value is None:
        return None
    number = float(value)
    if not 0 <= number <= 1:
        raise ValueError(f"a figure of {value}")
    return number


def read_study(folder: Path, name: str | None = None) -> Study:
    """A study and all its results; one that cannot be read says why instead.

    Args:
        folder: with study.json.
        name: what to call it; default: the folder's name.
    """
    name = folder.name if name is None else name
    try:
        path = folder / STUDY
        if not path.is_file():
            raise ValueError("no study.json")
        if path.stat().st_size > _MAX_JSON:
            raise ValueError("study.json is far too large")
        values = read_json(path)
        if not isinstance(values, dict) or values.get("kind") != "study":
            raise ValueError("study.json is not a study's")
        cells = tuple(_cell(line) for line in values["cells"])
        if not cells:
            raise ValueError("it asks for no cell")
        if not isinstance(values["settings"], dict) or not isinstance(values["data"], dict):
            raise ValueError("settings or data are none")
        identities = dict.fromkeys(cell.id for cell in cells)
        return Study(
            path=folder,
            name=name,
            settings=values["settings"],
            root=str(values["root"]),
            data=values["data"],
            weights=dict(values["weights"]),
            skip_bad=bool(values.get("skip_bad")),
            cells=cells,
            results={
                i: stored for i in identities if (stored := read_cell(folder, i)).state != MISSING
            },
        )
    except (CutSwapError, OSError, LookupError, TypeError, ValueError, AttributeError) as error:
        reason = error.found if isinstance(error, CutSwapError) else str(error)
        return Study(folder, name, reason=f"study.json: {reason}")


def _cell(line: dict[str, Any]) -> PlannedCell:
    cell = PlannedCell(
        table=str(line["table"]),
        row=str(line["row"]),
        method=str(line["method"]),
        category=str(line["category"]),
        coreset=float(line["coreset"]),
        seed=int(line["seed"]),
        id=str(line["id"]),
        run=str(line["run"]),
    )
    plain = cell.id.isalnum() and "/" not in cell.run and cell.run != ".."
    if cell.table not in PAPER_TABLES or not plain or not math.isfinite(cell.coreset):
        raise ValueError(f"a cell that is none: {json.dumps(line)[:80]}")
    return cell


def write_study(study: Study) -> None:
    """Write study.json; the cells lie beside it.

    Raises:
        CutSwapError: it cannot be written.
    """
    write_json(
        study.path / STUDY,
        {
            "kind": "study",
            "settings": study.settings,
            "root": study.root,
            "data": study.data,
            "weights": study.weights,
            "skip_bad": study.skip_bad,
            "cells": [cell.to_dict() for cell in study.cells],
        },
    )


def find_studies(folder: Path) -> tuple[Study, ...]:
    """Every study below a runs folder, by name; links are not followed.

    Args:
        folder: need not exist.
    """
    studies = []
    for path in _folders(folder, 0):
        name = "." if path == folder else path.relative_to(folder).as_posix()
        studies.append(read_study(path, name))
    return tuple(sorted(studies, key=lambda study: natural_key(study.name)))


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    if (folder / STUDY).is_file():
        yield folder  # what lies in a study is its own
        return
    try:
        entries = list(os.scandir(folder)) if depth < _DEPTH else []
    except OSError:
        return
    for entry in entries:
        if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
            yield from _folders(Path(entry.path), depth + 1)
