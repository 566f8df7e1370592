"""What decides a cell: hashes of photos, weights and settings, and the names made from them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutswap.config import (
    PADIM,
    PATCHCORE,
    FineTuningSettings,
    PadimSettings,
    PatchCoreSettings,
    SaliencySettings,
    TrainingSettings,
)
from cutswap.data.images import mask_files
from cutswap.data.reading import SQUASH
from cutswap.data.records import Category
from cutswap.data.regions.region_of_interest import region_of
from cutswap.networks.backbone import load_backbone, need_known
from cutswap.networks.weights import find_state
from cutswap.utils.files import sha256_of, user_path

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


def weights_of(training: TrainingSettings, saliency: SaliencySettings) -> Weights:
    """Read both networks' weights, which also refuses wrong ones before the first cell.

    Args:
        training: names phi's backbone and weights.
        saliency: names the saliency network's.

    Raises:
        CutSwapError: see `weights.find_state`; an unknown network.
    """
    hashes = []
    for name, weights in (
        (training.backbone, training.weights),
        (saliency.backbone, saliency.weights),
    ):
        need_known(name)
        load_backbone(name, weights)  # a state dict of another network is found out now
        state = find_state(name, weights)
        hashes.append("random" if state is None else str(state.sha256))
    layers = saliency.layers
    levels = tuple(layers or load_backbone(saliency.backbone, "random").levels)
    return Weights(hashes[0], hashes[1], tuple(str(level) for level in levels))


def data_identity(category: Category) -> dict[str, Any]:
    """Counts, and the hash of every photo and mask with its place.

    Returns:
        `n_train`, `n_test`, `train` and `test` (hex SHA-256 of the split); `region` where there
        is one.
    """
    values: dict[str, Any] = {"n_train": len(category.train), "n_test": len(category.test)}
    for split, records in (("train", category.train), ("test", category.test)):
        digest = hashlib.sha256()
        for record in records:
            masks = () if record.mask is None else mask_files(record.mask)
            mask = ",".join(map(sha256_of, masks)) or "-"
            bits = "" if record.bits is None else f"|{record.bits}"
            bits += "" if record.resize == SQUASH else f"|{record.resize}"
            digest.update(f"{record.name}|{sha256_of(record.image)}|{mask}{bits}\n".encode())
        values[split] = digest.hexdigest()
    if (region := region_of(category)) is not None:
        values["region"] = region.sha256
    return values


def hashes(
    tuning: FineTuningSettings | None,
    backbone: str,
    scoring: PatchCoreSettings | PadimSettings,
    weights: Weights,
    data: dict[str, Any],
    seed: int,
) -> tuple[str, str]:
    """The hash of a cell, and of its tuned network; empty for the untuned one.

    Args:
        tuning: settings of fine-tuning; None for the untuned network.
        backbone: its name.
        scoring: PatchCore's settings, or PaDiM's.
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
        **_deciding(scoring),
        "train": data["train"],
        "test": data["test"],
        "seed": seed,
    }
    return _hash(whole), run


def _deciding(scoring: PatchCoreSettings | PadimSettings) -> dict[str, Any]:
    """What decides scores, by who scores; how many photos at once does not."""
    if isinstance(scoring, PadimSettings):
        return {PADIM: {n: v for n, v in scoring.to_dict().items() if n != "batch_size"}}
    return {PATCHCORE: scoring.deciding()}


def _hash(values: dict[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


def method_of(tuning: FineTuningSettings) -> str:
    """`cutswap`, `cutswap-projector`, `gaussian`, `spd`: negatives and what learns, for a name."""
    head = tuning.head
    if tuning.is_spd:
        return tuning.training.objective
    if head.train == "backbone":
        return tuning.training.augment
    return f"{tuning.training.augment}-{head.train}" if head.learns else head.train


def name_of_run(category: str, method: str, seed: int, run: str) -> str:
    """The same by its parts.

    Args:
        category: folder name.
        method: family of negatives, or more (`method_of`).
        seed: of every draw.
        run: hash of the network; empty for the untuned one.
    """
    if not run:
        return ""
    plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in category)
    return f"{plain[:40]}-{method}-seed{seed}-{run}"


def photos_root(root: Path) -> Path:
    """A data set's folder as it is recorded."""
    return user_path(root).absolute()
