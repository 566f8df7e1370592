"""Figures of anomalib's PatchCore beside ours, whole categories, same weights and photos.

Needs a second environment, as `bench_peers.py` says:

    /tmp/peers/bin/python benchmarks/bench_peers_figures.py --data mvtec \
        --categories bottle,transistor --weights resnet18.pth --json figures.json

Three ways a category and seed: ours in the paper's plain form; anomalib's with the coreset it
chooses; anomalib's with our bank, which leaves only its search and its map. All are measured by our
figures and by anomalib's own, so that a difference tells where it comes from.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from anomalib.metrics.aupro import _AUPRO  # noqa: E402
from anomalib.metrics.auroc import _AUROC  # noqa: E402

from benchmarks.bench_peers import peer_model  # noqa: E402
from cutswap.benchmark.machine import describe_machine  # noqa: E402
from cutswap.benchmark.measurement import extra_memory  # noqa: E402
from cutswap.config import PLAIN, PatchCoreSettings  # noqa: E402
from cutswap.data.images import to_image  # noqa: E402
from cutswap.data.loading import check_category, load_masks, load_photos  # noqa: E402
from cutswap.evaluation.evaluate import evaluate  # noqa: E402
from cutswap.evaluation.metrics import summarise  # noqa: E402
from cutswap.networks.backbone import load_backbone  # noqa: E402

SIZE, BATCH = 256, 16
FIGURES = ("image_auroc", "pixel_auroc", "aupro")


def batches(photos: np.ndarray) -> Iterator[torch.Tensor]:
    """(N, S, S, 3) uint8 photos as normalised images, some at a time."""
    for start in range(0, len(photos), BATCH):
        yield to_image(photos[start : start + BATCH])


def theirs(
    model: Any, train: np.ndarray | None, test: np.ndarray, coreset: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Scores (N,) and maps (N, S, S) of anomalib's model; with `train` it chooses its own bank."""
    torch.manual_seed(seed)
    if train is not None:
        model.memory_bank = torch.empty(0)
        model.train()
        for image in batches(train):
            model(image)
        model.subsample_embedding(coreset)
    model.eval()
    with torch.no_grad():
        found = [model(image) for image in batches(test)]
    scores = torch.cat([one.pred_score.flatten() for one in found])
    return scores.numpy(), torch.cat([one.anomaly_map[:, 0] for one in found]).numpy()


def figures(
    scores: np.ndarray, labels: np.ndarray, maps: np.ndarray, masks: np.ndarray
) -> dict[str, dict[str, float]]:
    """Measured by us and by anomalib."""
    own = summarise(scores, labels, maps, masks).to_dict()
    area, overlap, image = _AUROC(), _AUPRO(), _AUROC()
    image.update(torch.from_numpy(scores), torch.from_numpy(labels).int())
    heat, truth = torch.from_numpy(np.ascontiguousarray(maps)), torch.from_numpy(masks).int()
    area.update(heat.flatten(), truth.flatten())
    low, high = heat.min(), heat.max()
    overlap.update((heat - low) / (high - low), truth)
    found = (float(one.compute()) for one in (image, area, overlap))
    peer = dict(zip(FIGURES, found, strict=True))
    return {"ours": {name: own[name] for name in FIGURES}, "anomalib": peer}


def measured(step: Any) -> tuple[Any, dict[str, float | None]]:
    """What a step returns, its processor seconds and its memory."""
    kept: list[Any] = []
    began = time.process_time()
    memory = extra_memory(lambda: kept.append(step()))
    spent = {"seconds": round(time.process_time() - began, 1)}
    return kept[0], {**spent, "megabytes": None if memory is None else round(memory / 1e6)}


def rows_of(name: str, seed: int, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The three ways of one category and seed."""
    backbone = load_backbone("resnet18", options.weights)
    checked = check_category(options.data, name, skip_bad=False)
    settings = PatchCoreSettings(**PLAIN, coreset=options.coreset, image_size=SIZE)
    train, test = checked.category.train, checked.category.test
    labels = np.array([not record.is_good for record in test])
    masks = load_masks(test, SIZE)
    if masks is None:
        raise SystemExit(f"{name} has no masks")
    ours, cost = measured(lambda: evaluate(checked, backbone, settings, seed=seed))
    bank = torch.from_numpy(np.array(ours.bank.items))

    def row(way: str, scores: np.ndarray, maps: np.ndarray, cost: dict[str, Any]) -> dict[str, Any]:
        told = {"category": name, "seed": seed, "way": way, "bank": len(bank), **cost}
        return {**told, "figures": figures(scores, labels, np.asarray(maps), masks)}

    yield row("ours", ours.scores, ours.heatmaps, cost)
    model, good, bad = peer_model(backbone, bank), load_photos(train, SIZE), load_photos(test, SIZE)
    (scores, maps), cost = measured(lambda: theirs(model, None, bad, options.coreset, seed))
    yield row("anomalib, our bank", scores, maps, cost)
    (scores, maps), cost = measured(lambda: theirs(model, good, bad, options.coreset, seed))
    yield row("anomalib", scores, maps, cost)


def main() -> None:
    """All rows, printed as they come, and every number in a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="MVTec AD folder")
    parser.add_argument("--categories", required=True, help="names with commas")
    parser.add_argument("--weights", default="embedded", help="of the ResNet18 [embedded]")
    parser.add_argument("--coreset", type=float, default=0.01, help="share of patches kept [0.01]")
    parser.add_argument("--seeds", type=int, default=2, help="how many, from 0 on [2]")
    parser.add_argument("--threads", type=int, help="of torch [all cores]")
    parser.add_argument("--json", type=Path, help="file for every number")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    machine = {**describe_machine(), "anomalib": importlib.metadata.version("anomalib")}
    rows = []
    for name in options.categories.split(","):
        for seed in range(options.seeds):
            for row in rows_of(name, seed, options):
                rows.append(row)
                shown = [
                    f"{who} " + " / ".join(f"{value:.4f}" for value in found.values())
                    for who, found in row["figures"].items()
                ]
                print(name, seed, row["way"], *shown, row["seconds"], row["megabytes"], flush=True)
    if options.json:
        result = {"machine": machine, "rows": rows}
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
