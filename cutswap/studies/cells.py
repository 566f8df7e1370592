"""Who a cell is: a hash of everything that decides its figures, and nothing else.

In it are all settings, the content of every photo and mask, the content of the weights and the
seed. The path of data and weights is not: a moved data set is the same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cutswap.config import (
    HEAD_JITTER,
    PADIM,
    PLAIN,
    FineTuningSettings,
    HeadSettings,
    PadimSettings,
    PatchCoreSettings,
    SpdSettings,
)
from cutswap.errors import CutSwapError
from cutswap.evaluation.detector_settings import DETECTORS, INTRA, DetectorSettings
from cutswap.intra.settings import IntraSettings
from cutswap.results.paper_tables import UNTUNED
from cutswap.studies.folder import PlannedCell
from cutswap.studies.methods import BY_ROW, METHODS
from cutswap.studies.plan import LEVELS, Cell, StudySettings
from cutswap.sweeps.grid import settled
from cutswap.sweeps.identity import VERSION, Weights, _hash, hashes, name_of_run


def finetuning_of(cell: Cell, settings: StudySettings, weights: Weights) -> FineTuningSettings:
    """A cell's settings of fine-tuning.

    Raises:
        CutSwapError: its levels cannot be told, for the saliency network has not five.
    """
    levels = None
    if cell.variant.levels is not None:
        if len(weights.levels) != len(LEVELS):
            raise CutSwapError(
                f"Table {cell.table}",
                expected=f"{len(LEVELS)} saliency layers, for the paper's {LEVELS}",
                found=", ".join(weights.levels),
                fix="name five with --layers, or leave it out",
            )
        levels = tuple(weights.levels[position] for position in cell.variant.levels)
    method = BY_ROW.get(cell.variant.method, METHODS["cutswap"])
    return head_settled(
        FineTuningSettings(
            training=settings.training.replace(
                objective=method.objective, augment=method.augment, levels=levels
            ),
            saliency=settings.saliency,
            clusters=method.clusters or cell.variant.clusters,
            head=settings.head.replace(train=method.trained),
            spd=settings.spd if method.objective == "spd" else SpdSettings(),
        )
    )


def head_settled(tuning: FineTuningSettings) -> FineTuningSettings:
    """The same, of a head or SPD without what it never looks at; others stay as they were."""
    if tuning.is_spd:
        return settled(tuning)
    if tuning.head.train == "backbone":
        return tuning.replace(head=HeadSettings())
    return settled(tuning.replace(weak=tuning.weak.replace(jitter=HEAD_JITTER)))


def patchcore_of(cell: Cell, settings: StudySettings) -> PatchCoreSettings:
    """A cell's settings of scoring: the training's image size, the paper's plain form."""
    size, method = settings.training.image_size, BY_ROW.get(cell.variant.method)
    scoring = PatchCoreSettings(image_size=size, coreset=cell.coreset, **PLAIN)
    if method is None or method.trained == "backbone":
        return scoring
    return scoring.replace(layers=settings.head.layers)


def padim_of(cell: Cell, settings: StudySettings) -> PadimSettings | None:
    """Settings of PaDiM, of a cell that it scores, at the training's image size; else None."""
    method = BY_ROW.get(cell.variant.method)
    if method is None or method.detector != PADIM:
        return None
    return settings.padim.replace(image_size=settings.training.image_size)


def detector_name(cell: Cell) -> str | None:
    """Which other detector a cell is about; None for PatchCore's."""
    return next((n for n, row in DETECTORS.items() if row == cell.variant.method), None)


def detector_of(name: str | None, settings: StudySettings) -> DetectorSettings | IntraSettings:
    """Settings of another detector, at the training's image size.

    Args:
        name: of `DETECTORS`; None: nobody's, and anomalib's are as good as any.
        settings: the study's.
    """
    own = settings.intra if name == INTRA else settings.detector
    return own.replace(image_size=settings.training.image_size)


def identities(
    cell: Cell, settings: StudySettings, weights: Weights, data: dict[str, Any]
) -> tuple[str, str]:
    """The hash of a cell, and of its tuned network; empty for the untuned one.

    Args:
        cell: what is asked for.
        settings: common to the study.
        weights: by content.
        data: of the category, see `data_identity`.
    """
    other = detector_name(cell)
    if other is not None:  # it has no memory bank: the coreset decides nothing
        # InTra has no backbone either.
        used = {} if other == INTRA else {"backbone": settings.training.backbone}
        used |= {} if other == INTRA else {"phi": weights.phi}
        about = {
            "detector": other,
            "settings": detector_of(other, settings).to_dict(),
            **used,
            "train": data["train"],
            "test": data["test"],
            "seed": cell.seed,
        }
        return _hash({"version": VERSION, **about}), ""
    method, tuning = BY_ROW.get(cell.variant.method), None
    if cell.variant.method != UNTUNED and (method is None or method.is_tuned):
        tuning = finetuning_of(cell, settings, weights)
    # PaDiM has no memory bank either: of several coresets it is one cell.
    scoring = padim_of(cell, settings) or patchcore_of(cell, settings)
    return hashes(tuning, settings.training.backbone, scoring, weights, data, cell.seed)


def planned_cells(
    cells: Iterable[Cell],
    settings: StudySettings,
    weights: Weights,
    data: Mapping[str, dict[str, Any]],
) -> tuple[PlannedCell, ...]:
    """Cells with their identities and the runs of their networks, in the order given.

    Args:
        cells: what is asked for.
        settings: common to the study.
        weights: by content.
        data: of each category, see `data_identity`.
    """
    planned = []
    for cell in cells:
        identity, run = identities(cell, settings, weights, data[cell.category])
        planned.append(
            PlannedCell(
                table=cell.table,
                row=cell.variant.row,
                method=cell.variant.method,
                category=cell.category,
                coreset=cell.coreset,
                seed=cell.seed,
                id=identity,
                run=run_name(cell, run),
            )
        )
    return tuple(planned)


def run_name(cell: Cell, run: str) -> str:
    """Folder name of a tuned network: readable, and its hash; empty for the untuned one."""
    method = BY_ROW.get(cell.variant.method)
    named = next((n for n, m in METHODS.items() if m == method), "")
    if method is not None and method.objective == "spd":
        named = "spd"  # one network, whoever scores it
    return name_of_run(cell.category, named, cell.seed, run)
