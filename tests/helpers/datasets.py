"""Builds tiny data sets: noise photos of a few pixels in the layouts the library knows."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (12, 16)  # (height, width)
VISA_HEADER = ("object", "split", "label", "image", "mask")


def noise_photo(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """(H, W, 3) uint8 noise, another one for every seed."""
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def blob_mask(size: tuple[int, int] = SIZE) -> np.ndarray:
    """(H, W) bool with a small square defect."""
    mask = np.zeros(size, bool)
    mask[2:5, 3:7] = True
    return mask


def write_image(path: Path, array: np.ndarray) -> Path:
    """Save an array in the format of the path's suffix, making folders as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def build_category(
    folder: Path,
    *,
    train: int = 3,
    test: Mapping[str, int] | None = None,
    masks: bool = True,
    suffix: str = ".png",
) -> Path:
    """A category in MVTec AD's layout; every photo is different.

    Args:
        folder: where it goes.
        train: number of good training photos.
        test: photos of each type; default two good, two crack, one dent.
        masks: whether defects get `ground_truth/<type>/<stem>_mask.png`.
        suffix: of the photos.
    """
    wanted = {"good": 2, "crack": 2, "dent": 1} if test is None else test
    seed = sum(map(ord, folder.name)) * 1000
    for i in range(train):
        write_image(folder / f"train/good/{i:03d}{suffix}", noise_photo(seed + i))
    for defect, count in wanted.items():
        for i in range(count):
            seed += 50
            write_image(folder / f"test/{defect}/{i:03d}{suffix}", noise_photo(seed + i))
            if masks and defect != "good":
                write_image(folder / f"ground_truth/{defect}/{i:03d}_mask.png", blob_mask())
    return folder


def write_visa_split(root: Path, rows: Iterable[Mapping[str, str]]) -> Path:
    """`split_csv/1cls.csv` with the usual header."""
    path = root / "split_csv" / "1cls.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, VISA_HEADER)
        writer.writeheader()
        writer.writerows(rows)
    return path


def build_visa(root: Path, rows: Iterable[Mapping[str, str]]) -> Path:
    """VisA's published tree: the split file, and a tiny photo and mask for every row."""
    rows = list(rows)
    for seed, row in enumerate(rows):
        write_image(root / row["image"], noise_photo(seed))
        if row["mask"]:
            write_image(root / row["mask"], blob_mask().astype(np.uint8) * 3)
    write_visa_split(root, rows)
    return root


def visa_rows(category: str = "candle", train: int = 3, good: int = 2, bad: int = 2) -> list[dict]:
    """Rows as in the published split: train and test share the folder of normal photos."""
    photos = f"{category}/Data/Images"
    rows = [
        {"split": "train" if i < train else "test", "image": f"{photos}/Normal/{i:04d}.JPG"}
        for i in range(train + good)
    ]
    rows = [{"object": category, "label": "normal", "mask": "", **row} for row in rows]
    for i in range(bad):
        row = {"object": category, "split": "test", "label": "anomaly"}
        row["image"] = f"{photos}/Anomaly/{i:03d}.JPG"
        row["mask"] = f"{category}/Data/Masks/Anomaly/{i:03d}.png"
        rows.append(row)
    return rows
