"""Small copies of data sets as people have them: the folders and names of the published ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.helpers.datasets import (
    blob_mask,
    build_category,
    build_visa,
    noise_photo,
    visa_rows,
    write_image,
)


def write_photos(folder: Path, count: int, seed: int, name: str = "{:03d}.png") -> None:
    """Noise photos, another one for every seed."""
    for i in range(count):
        write_image(folder / name.format(i), noise_photo(seed + i))


def build_mvtec_ad(root: Path) -> Path:
    """MVTec AD: two categories, and the licence and read-me of the archive."""
    for number, name in enumerate(("bottle", "metal_nut")):
        test = {"good": 2, "scratch": 2, "bent": 1 + number}
        build_category(root / name, test=test)
        (root / name / "license.txt").write_text("CC BY-NC-SA 4.0")
        (root / name / "readme.txt").write_text("MVTec AD")
    return root


def build_mvtec_ad_2(root: Path) -> Path:
    """MVTec AD 2: a validation set, a public test set with its masks, two private ones."""
    can = root / "can"
    name = "{:03d}_regular.png"
    write_photos(can / "train/good", 3, 100, name)
    write_photos(can / "validation/good", 2, 200, name)
    write_photos(can / "test_public/good", 2, 300, name)
    write_photos(can / "test_public/bad", 2, 400, name)
    write_photos(can / "test_private", 2, 500, name)
    write_photos(can / "test_private_mixed", 2, 600, "{:03d}_mixed.png")
    for i in range(2):
        mask = can / f"test_public/ground_truth/bad/{i:03d}_regular_mask.png"
        write_image(mask, blob_mask())
    return root


def build_loco(root: Path) -> Path:
    """MVTec LOCO: a validation set, and a folder of masks for each defective photo."""
    box = root / "breakfast_box"
    write_photos(box / "train/good", 3, 100)
    write_photos(box / "validation/good", 2, 200)
    write_photos(box / "test/good", 2, 300)
    write_photos(box / "test/logical_anomalies", 2, 400)
    write_photos(box / "test/structural_anomalies", 1, 500)
    marks = box / "ground_truth"
    blob = blob_mask().astype(np.uint8)
    write_image(marks / "logical_anomalies/000/000.png", blob * 255)
    write_image(marks / "logical_anomalies/000/001.png", np.roll(blob, 8, axis=1) * 254)
    write_image(marks / "logical_anomalies/001/000.png", blob * 251)
    write_image(marks / "structural_anomalies/000/000.png", blob * 238)
    (box / "defects_config.json").write_text("[]")
    return root


def build_visa_set(root: Path) -> Path:
    """VisA as published, with the annotations beside each category's photos."""
    build_visa(root, [*visa_rows("candle"), *visa_rows("pcb1", train=4)])
    for name in ("candle", "pcb1"):
        (root / name / "image_anno.csv").write_text("image,label,mask\n")
    return root


def build_btad(root: Path) -> Path:
    """BTAD: good photos are called ok and defective ones ko; some are bmp."""
    for name, suffix in (("01", ".bmp"), ("02", ".png")):
        write_photos(root / name / "train/ok", 3, 100, "{:04d}" + suffix)
        write_photos(root / name / "test/ok", 2, 200, "{:04d}" + suffix)
        write_photos(root / name / "test/ko", 2, 300, "{:04d}" + suffix)
        for i in range(2):
            write_image(root / name / f"ground_truth/ko/{i:04d}.png", blob_mask())
    return root


def build_flat(root: Path) -> Path:
    """Photos in one folder, and a CSV that says which are defective."""
    write_photos(root, 4, 100, "part_{:03d}.jpg")
    (root / "labels.csv").write_text("file,label\npart_000.jpg,ok\npart_003.jpg,scratch\n")
    return root


PUBLIC_LAYOUTS = {
    "MVTec AD": build_mvtec_ad,
    "MVTec AD 2": build_mvtec_ad_2,
    "LOCO": build_loco,
    "VisA": build_visa_set,
    "BTAD": build_btad,
    "flat folder with a CSV": build_flat,
}
