"""Anomaly maps as the MVTec AD evaluation script reads them: one float32 TIFF a test image.

    <out>/anomaly_maps/<object>/test/<defect>/<image>.tiff

The script wants every map at the size of its photo, so maps are enlarged (bilinear); their values
stay distances. Source of the layout: MVTec's `mvtec_ad_evaluation`, README.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from cutswap.data.images import photo_size
from cutswap.data.regions.frame import Frame
from cutswap.errors import CutSwapError
from cutswap.evaluation.scored_set import ScoredSet
from cutswap.utils.files import write_json, write_with

MAPS, EXPORT = "anomaly_maps", "export.json"


def export_maps(
    scored: ScoredSet,
    out: Path,
    *,
    photo_sized: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Write a scored set's maps.

    Args:
        scored: the evaluation.
        out: folder to write; `anomaly_maps/` is made in it.
        photo_sized: enlarge each map to its photo; else they stay S x S and no photo is needed.
        progress: called with (done, total).

    Returns:
        What `export.json` holds: counts, the folder, the command of the script.

    Raises:
        CutSwapError: the photos are gone (their sizes are needed), or nothing can be written.
    """
    records = scored.need_records() if photo_sized else None
    category = str(scored.summary["category"])
    places = map_files(category, scored.names)
    for index, place in enumerate(places):
        values = np.array(scored.heatmaps[index], dtype=np.float32)
        if records is not None:
            record = records[index]
            values = Frame(photo_size(record.image), scored.size, record.resize).back(values)
        write_map(out / place, values)
        if progress:
            progress(index + 1, len(scored.names))
    root = Path(str(scored.summary["data"].get("root", "")))
    result = {
        "maps": len(scored.names),
        "folder": str(out / MAPS),
        "category": category,
        "photo_sized": photo_sized,
        "range": list(scored.range),
        "evaluation": str(scored.folder),
        "script": [
            "python",
            "evaluate_experiment.py",
            "--dataset_base_dir",
            str(root.parent),
            "--anomaly_maps_dir",
            str(out / MAPS),
            "--evaluated_objects",
            category,
        ],
    }
    write_json(out / EXPORT, result)
    return result


def map_files(category: str, names: Sequence[str]) -> list[str]:
    """Where the script looks for the maps of images.

    Args:
        category: its name.
        names: of the test images, `test/crack/003`.

    Raises:
        CutSwapError: a name that leads out of the folder.
    """
    return [f"{MAPS}/{_inside(category)}/{_inside(name)}.tiff" for name in names]


def enlarged(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A (h, w) float32 map at a photo's size (H, W), bilinear."""
    large = cv2.resize(values, size[::-1], interpolation=cv2.INTER_LINEAR)
    return large.astype(np.float32, copy=False)


def write_map(path: Path, values: np.ndarray) -> None:
    """Write (H, W) float32 as a TIFF of one 32-bit float channel, without loss.

    Raises:
        CutSwapError: another dtype or shape, or the file cannot be written.
    """
    if values.dtype != np.float32 or values.ndim != 2 or not values.size:
        raise CutSwapError(
            path,
            expected="an (H, W) float32 map",
            found=f"{values.shape} {values.dtype}",
            fix="convert it first",
        )
    write_with(path, lambda file: Image.fromarray(values).save(file, format="TIFF"))


def _inside(name: str) -> str:
    """`test/crack/003` as a path below the category, whatever it contains."""
    parts = Path(name).parts
    if not parts or ".." in parts or Path(name).is_absolute():
        raise CutSwapError(
            name,
            expected="an image's name inside its category",
            found="a path that leads out",
            fix="evaluate again",
        )
    return Path(*parts).as_posix()
