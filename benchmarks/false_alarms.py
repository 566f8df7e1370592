"""Does the promise of `evaluate --false-alarms` hold? Rates on good photos that took no part.

    python benchmarks/false_alarms.py --data ROOT CATEGORY ... --out false_alarms.jsonl

All good photos of a category, of train and test, are embedded once. A split deals them into photos
to learn from and photos to ask. From the former come the bank and, by folds, the threshold; the
latter's false alarms are counted. One line of JSON a category, coreset and split; `--tables` prints
the means. Rates of one split scatter by its Beta distribution and by how few photos are asked, so
only the mean over splits can break the promise.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from cutswap.config import PatchCoreSettings
from cutswap.data.loading import check_category
from cutswap.decision.conformal import drift, promised_threshold
from cutswap.decision.held_out import deal, scores_by_folds
from cutswap.evaluation.evaluate import batches
from cutswap.networks.backbone import load_backbone
from cutswap.patchcore.embeddings import collect_patches
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.utils.files import append_json_line, read_json_lines


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Rates promised and given.")
    parser.add_argument("--data", type=Path, help="folder of the categories")
    parser.add_argument("categories", nargs="*")
    parser.add_argument("--weights", default="embedded")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.05, 0.1])
    parser.add_argument("--coreset", type=float, default=0.001)
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--calibration", choices=("folds", "apart"), default="folds")
    parser.add_argument(
        "--share", type=float, default=0.5, help="of the good photos, to learn from"
    )
    parser.add_argument("--most", type=int, default=400, help="good photos, evenly chosen")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tables", action="store_true")
    options = parser.parse_args()
    for category in options.categories:
        measure(category, options)
    if options.tables:
        print_tables(options.out)


def measure(name: str, options: argparse.Namespace) -> None:
    """Append a line a split."""
    category = check_category(options.data / name, None, skip_bad=True).category
    records = (*category.train, *(r for r in category.test if r.is_good))
    places = np.linspace(0, len(records) - 1, min(len(records), options.most)).round().astype(int)
    records = tuple(records[i] for i in places)
    settings = PatchCoreSettings(coreset=options.coreset, image_size=options.image_size)
    backbone = load_backbone("resnet18", options.weights)
    patches, grid = collect_patches(
        backbone, batches(records, settings), settings.layers, len(records), None
    )
    embedded = patches.view(len(records), -1, patches.shape[1])
    for split in range(options.splits):
        order = np.random.default_rng((split, 1)).permutation(len(records))
        learnt, asked = np.split(order, [round(options.share * len(order))])
        own = embedded[torch.from_numpy(learnt)]
        folds = deal(len(learnt), options.folds, split)
        if options.calibration == "apart":
            rest = torch.from_numpy(np.setdiff1d(np.arange(len(learnt)), folds[0]))
            bank = MemoryBank.choose(backbone, own[rest].flatten(0, 1), grid, settings, seed=split)
            good = scored(bank, own[torch.from_numpy(folds[0])], grid)
        else:
            good = scores_by_folds(backbone, own, grid, settings, folds, split)
            bank = MemoryBank.choose(backbone, own.flatten(0, 1), grid, settings, seed=split)
        new = scored(bank, embedded[torch.from_numpy(asked)], grid)
        for rate in options.rates:
            promised = promised_threshold(good, rate)
            line = {
                "category": name,
                "coreset": options.coreset,
                "calibration": options.calibration,
                "split": split,
                "asked": rate,
                "photos": len(good),
                "expected": promised.expected,
                "low": promised.low,
                "high": promised.high,
                "new": len(new),
                "alarms": int((new >= promised.threshold).sum()),
                "drift": drift(good, new).is_drift,
            }
            append_json_line(options.out, line)
            print(line, flush=True)


def scored(bank: MemoryBank, embedded: torch.Tensor, grid: tuple[int, int]) -> np.ndarray:
    """(N,) float32 image scores of embedded photos."""
    parts = embedded.split(8)
    return np.concatenate(
        [bank.score_patches(part.unflatten(1, grid), (1, 1)).scores for part in parts]
    )


def print_tables(path: Path) -> None:
    """Means over splits, with the standard error of the given rate."""
    lines = read_json_lines(path)
    print(
        "| category | coreset | calibration | good photos | asked | expected | given | spread |"
        " splits | drift called |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    names = ("category", "coreset", "calibration", "asked")
    for key in dict.fromkeys(tuple(n[name] for name in names) for n in lines):
        own = [n for n in lines if tuple(n[name] for name in names) == key]
        given = np.array([n["alarms"] / n["new"] for n in own])
        error = given.std(ddof=1) / np.sqrt(len(given)) if len(given) > 1 else float("nan")
        print(
            f"| {key[0]} | {key[1]:g} | {key[2]} | {own[0]['photos']} | {key[3]:.0%} |"
            f" {own[0]['expected']:.1%} | {given.mean():.1%} +- {error:.1%} |"
            f" {given.std(ddof=1) if len(given) > 1 else float('nan'):.1%} | {len(own)} |"
            f" {sum(n['drift'] for n in own)} |"
        )


if __name__ == "__main__":
    main()
