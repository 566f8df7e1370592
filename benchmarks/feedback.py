"""What feedback on false alarms does to photos that took no part in it.

    python benchmarks/feedback.py --data ROOT CATEGORY ... --out feedback.jsonl --tables

All photos of a category are embedded once. A seed deals the good ones of train and test into half
to learn from, a quarter to look through and a quarter never used. The threshold comes from the
first half alone, by folds, for `--rate` false alarms. Of the second part those called defective,
`--most` at most and the highest first, are said to be fine. Told are false alarms among the unused
good photos and recall of the defective ones at the same threshold, before and after.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from cutswap.config import PatchCoreSettings
from cutswap.data.loading import check_category
from cutswap.decision.conformal import promised_threshold
from cutswap.decision.held_out import deal, scores_by_folds
from cutswap.evaluation.evaluate import batches
from cutswap.networks.backbone import load_backbone
from cutswap.patchcore.embeddings import collect_patches
from cutswap.patchcore.grown_bank import grown
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.utils.files import append_json_line, read_json_lines


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Feedback, measured where it was not given.")
    parser.add_argument("--data", type=Path, help="folder of the categories")
    parser.add_argument("categories", nargs="*")
    parser.add_argument("--weights", default="embedded")
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--most", type=int, default=10)
    parser.add_argument("--coreset", type=float, default=0.01)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--photos", type=int, default=400, help="good ones, evenly chosen")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tables", action="store_true")
    options = parser.parse_args()
    for category in options.categories:
        measure(category, options)
    if options.tables:
        print_tables(options.out)


def measure(name: str, options: argparse.Namespace) -> None:
    """Append a line a seed."""
    category = check_category(options.data / name, None, skip_bad=True).category
    good = (*category.train, *(r for r in category.test if r.is_good))
    places = np.linspace(0, len(good) - 1, min(len(good), options.photos)).round().astype(int)
    bad = tuple(record for record in category.test if not record.is_good)
    records = (*(good[i] for i in places), *bad)
    settings = PatchCoreSettings(coreset=options.coreset, image_size=options.image_size)
    backbone = load_backbone("resnet18", options.weights)
    patches, grid = collect_patches(
        backbone, batches(records, settings), settings.layers, len(records), None
    )
    embedded = patches.view(len(records), -1, patches.shape[1])
    count = len(places)
    for seed in range(options.seeds):
        order = np.random.default_rng((seed, 2)).permutation(count)
        learnt, looked, unused = np.split(order, [count // 2, count * 3 // 4])
        own = embedded[torch.from_numpy(learnt)]
        held = scores_by_folds(backbone, own, grid, settings, deal(len(learnt), 5, seed), seed)
        threshold = promised_threshold(held, options.rate).threshold
        bank = MemoryBank.choose(backbone, own.flatten(0, 1), grid, settings, seed=seed)
        scores = scored(bank, embedded[torch.from_numpy(looked)], grid)
        falling = np.argsort(-scores, kind="stable")
        fine = looked[[i for i in falling[: options.most] if scores[i] >= threshold]]
        if not len(fine):
            print(f"{name}, seed {seed}: no false alarm to say anything of", flush=True)
            continue
        told = embedded[torch.from_numpy(fine)].unflatten(1, grid)
        more = grown(bank, told, first=len(learnt))
        line = {
            "category": name,
            "seed": seed,
            "fine": len(fine),
            "unused": len(unused),
            "defects": len(bad),
            "items": [bank.size, more.size],
        }
        for kind, rows in (("alarms", unused), ("found", np.arange(count, len(records)))):
            asked = embedded[torch.from_numpy(rows)]
            line[kind] = [
                int((scored(one, asked, grid) >= threshold).sum()) for one in (bank, more)
            ]
        append_json_line(options.out, line)
        print(line, flush=True)


def scored(bank: MemoryBank, embedded: torch.Tensor, grid: tuple[int, int]) -> np.ndarray:
    """(N,) float32 image scores of embedded photos."""
    parts = embedded.split(8)
    return np.concatenate(
        [bank.score_patches(part.unflatten(1, grid), (1, 1)).scores for part in parts]
    )


def print_tables(path: Path) -> None:
    """Means over seeds, with the standard deviation."""
    lines = read_json_lines(path)
    print(
        "| category | seeds | said to be fine | false alarms before | after | recall before"
        " | after |"
    )
    print("|---|---|---|---|---|---|---|")
    for name in dict.fromkeys(line["category"] for line in lines):
        own = [line for line in lines if line["category"] == name]
        cells = [f"{np.mean([line['fine'] for line in own]):.1f}"]
        for kind, among in (("alarms", "unused"), ("found", "defects")):
            for place in (0, 1):
                shares = np.array([100 * line[kind][place] / line[among] for line in own])
                cells.append(f"{shares.mean():.1f}% +- {shares.std():.1f}%")
        print(f"| {name} | {len(own)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
