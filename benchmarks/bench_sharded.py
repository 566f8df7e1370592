"""Sharded coreset beside the exact one: radius, and AUROC of the demo's hex nut and leather.

    python benchmarks/bench_sharded.py

The bank of every training patch at once, and over 5 shards that each keep as many as it holds,
with the same seed and projection. Radii are in the projected space, where both work.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cutswap.config import PLAIN, PatchCoreSettings  # noqa: E402
from cutswap.data.demo.render import demo_root  # noqa: E402
from cutswap.data.loading import check_category  # noqa: E402
from cutswap.evaluation.evaluate import batches  # noqa: E402
from cutswap.evaluation.metrics import auroc  # noqa: E402
from cutswap.networks.backbone import load_backbone  # noqa: E402
from cutswap.patchcore.coreset import coverage_radius, greedy_k_center  # noqa: E402
from cutswap.patchcore.embeddings import collect_patches  # noqa: E402
from cutswap.patchcore.memory_bank import MemoryBank  # noqa: E402
from cutswap.patchcore.sharded_coreset import ShardedCoreset, project  # noqa: E402

SHARDS = 5


def main() -> None:
    """One line a category and ratio."""
    backbone = load_backbone("resnet18")
    for name in ("hex_nut", "leather"):
        category = check_category(demo_root(), name, skip_bad=False).category
        labels = np.array([not r.is_good for r in category.test])
        for ratio in (0.01, 0.001):
            settings = PatchCoreSettings(coreset=ratio, **PLAIN)
            patches, _ = collect_patches(
                backbone, batches(category.train, settings), settings.layers, None, None
            )
            count = int(ratio * len(patches))
            exact = greedy_k_center(patches, count, projection=128, seed=0)
            sharded = ShardedCoreset(count, measure=True)
            for part in patches.tensor_split(SHARDS):
                sharded.add(part)
            _, index, bound = sharded.finish()
            space = project(patches, 128, 0)
            said = []
            for picks in (exact, index):
                origin = np.zeros((count, 3), np.int32)
                bank = MemoryBank(backbone, settings, patches[picks].numpy(), origin, 0)
                found = [bank.score(image).scores for image in batches(category.test, settings)]
                area = auroc(np.concatenate(found), labels)
                said.append(f"radius {coverage_radius(space, picks):.3f}, image AUROC {area:.3f}")
            print(
                f"{name}, {len(patches)} patches, bank {count}: exact {said[0]}; {SHARDS} shards"
                f" {said[1]}, measured bound {bound:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
