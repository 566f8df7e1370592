"""How long the rest of a study will take, from its own finished cells where there are any."""

from __future__ import annotations

import statistics
from collections.abc import Collection
from dataclasses import dataclass

from cutswap.config import SPD_VIEWS, TrainingSettings
from cutswap.evaluation.detector_settings import DETECTORS, INTRA
from cutswap.heads.cost import head_seconds
from cutswap.studies.folder import DONE, PlannedCell, Study
from cutswap.studies.methods import BY_ROW
from cutswap.studies.plan import StudySettings
from cutswap.utils.folder_names import CELLS, RESULT, RUNS

# Two cores of an AMD EPYC (Zen 2), torch 2.14: 256 pixels, ResNet18, one image forward and
# backward, and one image scored. Rough: only until the first cells of a study are done.
TRAINED, SCORED = 0.09, 0.05  # seconds an image
OTHERS = {"STPM": 0.11, "PaDiM": 0.2, "Draem": 10.0}  # seconds an image and epoch, one busy core
PAINTED = 2e-5  # s a patch of a window, a block of width 128; one busy core of a Xeon
_FOREIGN = (*OTHERS, DETECTORS[INTRA])  # what trains and scores in one, as nothing of ours does
NETWORK_MB = 46  # of one tuned network on disk


@dataclass(frozen=True)
class TimeLeft:
    """The remaining work.

    Attributes:
        cells: distinct cells to compute.
        networks: networks to tune.
        seconds: in all.
        is_measured: from this study's own cells; otherwise from another machine's speed.
    """

    cells: int
    networks: int
    seconds: float
    is_measured: bool

    def text(self) -> str:
        """For people: `about 40 min`, and whether that is a guess."""
        return f"about {duration(self.seconds)}" + (
            "" if self.is_measured else " (rough, before the first cells are measured)"
        )


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h` or `2.1 days`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 2 * 86_400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.1f} days"


def time_left(study: Study, only: Collection[str] | None = None) -> TimeLeft:
    """Estimate the rest.

    Args:
        study: with its results.
        only: identities to count; default: all that are not done.
    """
    left = [
        cell
        for cell in study.distinct
        if study.result(cell).state != DONE and (only is None or cell.id in only)
    ]
    there = {cell.run for cell in study.cells if study.result(cell).state == DONE}
    there |= {c.run for c in left if (study.path / RUNS / c.run / RESULT).exists()}
    missing = {cell.run: cell for cell in left if cell.run and cell.run not in there}
    training = TrainingSettings.from_dict(dict(study.settings["training"]))
    done = [(c, study.result(c)) for c in study.distinct if study.result(c).state == DONE]
    trained: dict[str, list[float]] = {}  # seconds, by what was trained
    for cell, result in done:
        if result.training_seconds is not None:
            trained.setdefault(_trained(cell), []).append(result.training_seconds)
    seconds = sum(
        statistics.median(trained[kind])
        if (kind := _trained(cell)) in trained
        else _training(study, cell, training)
        for cell in missing.values()
    )
    for cell in left:
        method = cell.method if cell.method in _FOREIGN else None
        same = [
            r.seconds
            for c, r in done
            if c.category == cell.category
            and method in (None, c.method)
            and (method is not None or c.method not in _FOREIGN)
        ]
        seconds += statistics.median(same) if same else _scoring(study, cell, training)
    is_measured = bool(done) and (bool(trained) or not missing)
    return TimeLeft(len(left), len(missing), seconds, is_measured)


def _trained(cell: PlannedCell) -> str:
    if cell.method not in BY_ROW:
        return "backbone"
    method = BY_ROW[cell.method]
    return method.objective if method.objective == "spd" else method.trained


def _training(study: Study, cell: PlannedCell, training: TrainingSettings) -> float:
    images = int(study.data[cell.category]["n_train"])
    kind = _trained(cell)
    pictures = len(SPD_VIEWS) if kind == "spd" else training.ways
    if kind not in ("backbone", "spd"):
        head = StudySettings.from_dict(study.settings).head.replace(train=kind)
        return head_seconds(head, images, training.ways, training.image_size)
    updates = training.steps_per_epoch or max(1, images // training.batch_size)
    samples = training.epochs * updates * training.batch_size * pictures
    return samples * TRAINED * (training.image_size / 256) ** 2


def _scoring(study: Study, cell: PlannedCell, training: TrainingSettings) -> float:
    if cell.method == DETECTORS[INTRA]:
        own = StudySettings.from_dict(study.settings).intra
        tokens = own.window**2 * own.blocks * (own.width / 128) ** 2
        counts = study.data[cell.category]
        photos = int(counts["n_train"]) + int(counts["n_test"])
        painted = photos * (training.image_size / own.patch) ** 2
        return (3 * own.updates * own.windows + painted) * tokens * PAINTED
    if cell.method in OTHERS:
        settings = StudySettings.from_dict(study.settings)
        epochs = 1 if cell.method == "PaDiM" else settings.detector.epochs
        images = int(study.data[cell.category]["n_train"]) * epochs
        return images * OTHERS[cell.method] * (training.image_size / 256) ** 2
    counts = study.data[cell.category]
    images = int(counts["n_train"]) + int(counts["n_test"])
    return images * SCORED * (training.image_size / 256) ** 2


def plan_text(study: Study, left: TimeLeft, asked: int) -> str:
    """The plan as it is printed before anything is computed.

    Args:
        study: the whole folder.
        left: of the cells asked for.
        asked: distinct cells asked for by this call.
    """
    tables = ", ".join(study.tables)
    lines = [
        f"Tables {tables} on {', '.join(study.categories)}, {study.seeds} seeds:"
        f" {len(study.cells)} cells, {len(study.distinct)} different",
        f"this call asks for {asked}: {asked - left.cells} done, {left.cells} to compute"
        f" ({left.networks} networks to tune, up to {left.networks * NETWORK_MB / 1000:.1f} GB)",
        f"time left: {left.text()}" if left.cells else "nothing is left to compute",
        f"files: {study.path / CELLS}, tuned networks in {study.path / RUNS}",
    ]
    return "\n".join(lines)
