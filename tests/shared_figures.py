"""AUROC of a network on real data over several seeds: `make shared-figures`, or by hand

    python tests/shared_figures.py --weights PATH --coreset 0.01 0.001 --seeds 0 1 2

Not part of the test suite: minutes on two cores. Prints mean and standard deviation.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import numpy as np

from cutswap.config import PLAIN, PatchCoreSettings
from cutswap.data.loading import check_category, load_masks
from cutswap.evaluation.evaluate import batches
from cutswap.evaluation.metrics import auroc, pixel_auroc
from cutswap.networks.backbone import Backbone, load_backbone
from cutswap.patchcore.embeddings import collect_patches, embed
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.runs.folder import RunFolder
from cutswap.training.finetuning import tuned_backbone
from cutswap.utils.progress import Bars

SHARED = Path(__file__).resolve().parents[2] / "shared"


def figures(
    backbone: Backbone, root: Path, coresets: list[float], seeds: list[int]
) -> dict[float, tuple[list[float], list[float]]]:
    """Image and pixel AUROC of every seed, by coreset ratio; every image is embedded once."""
    category = check_category(root, None, skip_bad=False).category
    settings = PatchCoreSettings(**PLAIN)
    with Bars() as bars:
        patches, grid = collect_patches(
            backbone,
            batches(category.train, settings),
            settings.layers,
            len(category.train),
            lambda done, total: bars("training images", done, total),
        )
        test = [
            embed(backbone, image, settings.layers) for image in batches(category.test, settings)
        ]
    labels = np.array([not r.is_good for r in category.test])
    masks = load_masks(category.test, settings.image_size)
    size = (settings.image_size, settings.image_size)
    found: dict[float, tuple[list[float], list[float]]] = {}
    for coreset in coresets:
        image_aurocs, pixel_aurocs = found[coreset] = ([], [])
        for seed in seeds:
            bank = MemoryBank.choose(
                backbone, patches, grid, settings.replace(coreset=coreset), seed=seed
            )
            scored = [bank.score_patches(part, size) for part in test]
            image_aurocs.append(auroc(np.concatenate([s.scores for s in scored]), labels))
            maps = np.concatenate([s.heatmaps for s in scored])
            pixel_aurocs.append(pixel_auroc(maps, masks))
    return found


def spread(values: list[float]) -> str:
    """`0.902 +- 0.004`, the standard deviation of the sample."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.3f} +- {deviation:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default=str(SHARED / "weights/resnet18_imagenet_layer1-3.pth"))
    parser.add_argument("--run", type=Path)
    parser.add_argument("--data", nargs="+", default=["transistor", "magnetic_tile"])
    parser.add_argument("--coreset", nargs="+", type=float, default=[0.01, 0.001])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options = parser.parse_args()
    if options.run:
        backbone = tuned_backbone(RunFolder(options.run))
    else:
        backbone = load_backbone("resnet18", options.weights)
    print(backbone.report.sentence())
    for name in options.data:
        found = figures(backbone, SHARED / "data" / name, options.coreset, options.seeds)
        for coreset, (image, pixel) in found.items():
            print(
                f"{name} coreset {coreset}: image {spread(image)}, pixel {spread(pixel)}",
                f"({len(options.seeds)} seeds)",
                flush=True,
            )


if __name__ == "__main__":
    main()
