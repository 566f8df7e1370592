"""AUROC of a network on real data over several seeds: `make shared-figures`, or by hand

    python tests/shared_figures.py --weights PATH --coreset 0.01 0.001 --seeds 0 1 2

Not part of the test suite: minutes on two cores. Prints mean and standard deviation.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from cutswap.backbone import Backbone, load_backbone
from cutswap.bars import Bars
from cutswap.config import PatchCoreSettings
from cutswap.evaluation import evaluate
from cutswap.finetuning import tuned_backbone
from cutswap.photos import check_category
from cutswap.run_folder import RunFolder

SHARED = Path(__file__).resolve().parents[2] / "shared"


def figures(
    backbone: Backbone, root: Path, coreset: float, seeds: list[int]
) -> tuple[list[float], list[float]]:
    """Image and pixel AUROC of every seed."""
    checked = check_category(root, None, skip_bad=False)
    image, pixel = [], []
    with Bars() as bars:
        for seed in seeds:
            found = evaluate(
                checked, backbone, PatchCoreSettings(coreset=coreset), seed=seed, notify=bars
            )
            image.append(float(found.metrics.image_auroc or 0))
            pixel.append(float(found.metrics.pixel_auroc or 0))
    return image, pixel


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
        for coreset in options.coreset:
            image, pixel = figures(backbone, SHARED / "data" / name, coreset, options.seeds)
            print(
                f"{name} coreset {coreset}: image {spread(image)}, pixel {spread(pixel)}",
                f"({len(options.seeds)} seeds)",
                flush=True,
            )


if __name__ == "__main__":
    main()
