"""A small scored category on disk: photos with marked spots, a tiny network, an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cutswap.config import PatchCoreSettings
from cutswap.data.loading import CheckedCategory, check_category
from cutswap.evaluation.evaluate import Evaluation, evaluate, write_evaluation
from cutswap.networks.backbone import Backbone
from tests.helpers.datasets import write_image
from tests.helpers.small_photos import disc, photo_of
from tests.helpers.tiny_networks import tiny_backbone

SIZE = 64
SETTINGS = PatchCoreSettings(
    image_size=SIZE, layers=("layer1", "layer2"), coreset=0.05, projection=None, sigma=1.0
)


@dataclass(frozen=True)
class Scored:
    """What was written, and what it was written from."""

    data: Path
    folder: Path
    checked: CheckedCategory
    backbone: Backbone
    evaluation: Evaluation


def build_parts(root: Path, *, masks: bool = True, defects: int = 3, good: int = 3) -> Path:
    """A data set of one category, bolt: six photos to learn from, spots to find.

    Args:
        root: the data set's folder.
        masks: whether the spots are marked.
        defects: photos with a spot; 0 leaves none.
        good: test photos without.
    """
    folder = root / "bolt"
    size = (SIZE, SIZE)
    for index in range(6):
        write_image(folder / f"train/good/{index:03d}.png", photo_of(index % 2, size))
    for index in range(good):
        write_image(folder / f"test/good/{index:03d}.png", photo_of(index % 2 + 10, size))
    for index in range(defects):
        spot = disc(size, (20 + 10 * index, 40), 6)
        photo = np.where(spot[..., None], np.uint8(255 * (index % 2)), photo_of(index % 2, size))
        write_image(folder / f"test/spot/{index:03d}.png", photo)
        if masks:
            write_image(folder / f"ground_truth/spot/{index:03d}_mask.png", spot)
    return root


def score_parts(root: Path, out: Path, *, seed: int = 0) -> Scored:
    """Evaluate what `build_parts` made with a tiny network and write it into `out`."""
    checked = check_category(root, "bolt", skip_bad=False)
    backbone = tiny_backbone()
    found = evaluate(checked, backbone, SETTINGS, seed=seed)
    write_evaluation(found, out)
    return Scored(root, out, checked, backbone, found)
