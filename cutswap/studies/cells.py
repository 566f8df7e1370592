"""Who a cell is: a hash of everything that decides its figures, and nothing else.

In it are all settings, the content of every photo and mask, the content of the weights and the
seed. The path of data and weights is not: a moved data set is the same one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutswap.config import PatchCoreSettings
from cutswap.data.datasets import Category
from cutswap.errors import CutSwapError
from cutswap.evaluation.detector_settings import DETECTORS, DetectorSettings
from cutswap.networks.backbone import BACKBONES, load_backbone
from cutswap.networks.weights import find_state
from cutswap.results.paper_tables import CUTPASTE, UNTUNED
from cutswap.studies.plan import LEVELS, Cell
from cutswap.studies.study_settings import StudySettings
from cutswap.training.finetuning import FineTuningSettings
from cutswap.utils.files import sha256_of

VERSION = 1  # raised when the same settings come to compute something else
_LENGTH = 16  # hex digits: 64 bits, far beyond the number of cells anybody computes


@dataclass(frozen=True)
class Weights:
    """The two networks' weights by content.

    Attributes:
        phi: SHA-256 of the file, or `random`.
        saliency: likewise.
        levels: names of the saliency network's levels that `LEVELS` stands for.
    """

    phi: str
    saliency: str
    levels: tuple[str, ...]


def weights_of(settings: StudySettings) -> Weights:
    """Read both networks' weights, which also refuses wrong ones before the first cell.

    Raises:
        CutSwapError: see `weights.find_state`; an unknown network.
    """
    hashes = []
    for name, weights in (
        (settings.training.backbone, settings.training.weights),
        (settings.saliency.backbone, settings.saliency.weights),
    ):
        if name not in BACKBONES:
            raise CutSwapError(
                "backbone", expected=f"one of {', '.join(BACKBONES)}", found=name,
                fix="pass one of these",
            )  # fmt: skip
        load_backbone(name, weights)  # a state dict of another network is found out now
        state = find_state(name, weights)
        hashes.append("random" if state is None else str(state.sha256))
    layers = settings.saliency.layers
    levels = tuple(layers or load_backbone(settings.saliency.backbone, "random").levels)
    return Weights(hashes[0], hashes[1], tuple(str(level) for level in levels))


def data_identity(category: Category) -> dict[str, Any]:
    """Counts, and the hash of every photo and mask with its place.

    Returns:
        `n_train`, `n_test`, `train` and `test` (hex SHA-256 of the split).
    """
    values: dict[str, Any] = {"n_train": len(category.train), "n_test": len(category.test)}
    for split, records in (("train", category.train), ("test", category.test)):
        digest = hashlib.sha256()
        for record in records:
            mask = sha256_of(record.mask) if record.mask is not None else "-"
            digest.update(f"{record.name}|{sha256_of(record.image)}|{mask}\n".encode())
        values[split] = digest.hexdigest()
    return values


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
    augment = "cutpaste" if cell.variant.method == CUTPASTE else "cutswap"
    return FineTuningSettings(
        training=settings.training.replace(augment=augment, levels=levels),
        saliency=settings.saliency,
        clusters=cell.variant.clusters,
    )


def patchcore_of(cell: Cell, settings: StudySettings) -> PatchCoreSettings:
    """A cell's settings of scoring: the training's image size, PatchCore's defaults."""
    return PatchCoreSettings(image_size=settings.training.image_size, coreset=cell.coreset)


def detector_name(cell: Cell) -> str | None:
    """Which other detector a cell is about; None for PatchCore's."""
    return next((n for n, row in DETECTORS.items() if row == cell.variant.method), None)


def detector_of(settings: StudySettings) -> DetectorSettings:
    """Settings of other detectors, at the training's image size."""
    return settings.detector.replace(image_size=settings.training.image_size)


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
        about = {
            "detector": other, "settings": detector_of(settings).to_dict(),
            "backbone": settings.training.backbone, "phi": weights.phi,
            "train": data["train"], "test": data["test"], "seed": cell.seed,
        }  # fmt: skip
        return _hash({"version": VERSION, **about}), ""
    tuning = None
    if cell.variant.method != UNTUNED:
        tuning = finetuning_of(cell, settings, weights)
    return hashes(
        tuning, settings.training.backbone, patchcore_of(cell, settings), weights, data, cell.seed
    )


def hashes(
    tuning: FineTuningSettings | None,
    backbone: str,
    patchcore: PatchCoreSettings,
    weights: Weights,
    data: dict[str, Any],
    seed: int,
) -> tuple[str, str]:
    """The hash of a cell, and of its tuned network; empty for the untuned one.

    Args:
        tuning: settings of fine-tuning; None for the untuned network.
        backbone: its name.
        patchcore: settings of scoring.
        weights: by content.
        data: of the category, see `data_identity`.
        seed: of every draw.
    """
    if tuning is None:
        network: dict[str, Any] = {"backbone": backbone, "phi": weights.phi}
        run = ""
    else:
        values = tuning.to_dict()
        values["training"] = tuning.training.deciding()
        # A path says nothing of what lies there; the hashes do.
        values["training"].pop("weights")
        values["saliency"].pop("weights")
        network = {
            "settings": values,
            "phi": weights.phi,
            "saliency": weights.saliency,
            "levels": weights.levels,
            "train": data["train"],
            "seed": seed,
        }
        run = _hash({"version": VERSION, **network})
    whole = {
        "version": VERSION,
        "network": network,
        "patchcore": patchcore.deciding(),
        "train": data["train"],
        "test": data["test"],
        "seed": seed,
    }
    return _hash(whole), run


def _hash(values: dict[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


def run_name(cell: Cell, run: str) -> str:
    """Folder name of a tuned network: readable, and its hash; empty for the untuned one."""
    method = "cutpaste" if cell.variant.method == CUTPASTE else "cutswap"
    return name_of_run(cell.category, method, cell.seed, run)


def name_of_run(category: str, method: str, seed: int, run: str) -> str:
    """The same by its parts.

    Args:
        category: folder name.
        method: family of negatives.
        seed: of every draw.
        run: hash of the network; empty for the untuned one.
    """
    if not run:
        return ""
    plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in category)
    return f"{plain[:40]}-{method}-seed{seed}-{run}"


def photos_root(root: Path) -> Path:
    """A data set's folder as it is recorded."""
    return Path(root).expanduser().absolute()
