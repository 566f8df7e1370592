"""Score photos with the detector in this folder: needs onnxruntime, NumPy and Pillow alone.

    python run_detector.py PHOTO_OR_FOLDER ... [--heatmaps DIR]

One CSV line a photo on standard output: photo, score, p_value, verdict. A photo that cannot be read
is told on standard error, and the exit status is then 1.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


def open_folder(folder: Path) -> tuple[dict[str, Any], onnxruntime.InferenceSession]:
    """The detector's description and its network, which must be the file that was exported."""
    about = json.loads((folder / "detector.json").read_text(encoding="utf-8"))
    data = (folder / "detector.onnx").read_bytes()
    if hashlib.sha256(data).hexdigest() != about["files"]["detector.onnx"]:
        raise SystemExit("detector.onnx: changed since it was exported; export the detector again")
    return about, onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])


def read_photo(path: Path, size: int, bits: int | None, resize: str) -> np.ndarray:
    """An upright RGB photo as (size, size, 3) uint8; transparency is laid on white."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode == "F" or image.mode.startswith("I"):  # grey of more than 8 bits
        full = 1 if image.mode == "F" else 2 ** (bits or 16) - 1
        levels = np.rint(np.asarray(image).astype(np.float32) * np.float32(255 / full))
        if not (levels.min() >= 0 and levels.max() <= 255):
            raise ValueError(f"grey values outside 0..{full}")
        image = Image.fromarray(levels.astype(np.uint8))
    elif "A" in image.mode or "transparency" in image.info:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    sides, image = np.array(image.size), image.convert("RGB")
    seen = np.minimum(sides, sides.min()) if resize == "crop" else sides
    shape = np.rint(sides * size / sides.max()).clip(1) if resize == "fit" else [size, size]
    box, (width, height) = (sides - seen) // 2, map(int, shape)
    square = image.crop((*box, *(box + seen))).resize((width, height), Image.Resampling.BILINEAR)
    beside = [(n // 2, n - n // 2) for n in (size - height, size - width)]
    return np.pad(np.asarray(square), (*beside, (0, 0)), mode="edge")


def photos_in(places: list[Path]) -> Iterator[tuple[Path, str]]:
    """Files as named, and all photos in folders and below, with what to call them."""
    for place in places:
        below = sorted(place.rglob("*")) if place.is_dir() else [place]
        for path in below:
            if path == place or path.suffix.lower() in SUFFIXES:
                yield path, path.name if path == place else path.relative_to(place).as_posix()


def guarded(name: str) -> str:
    """A name that no spreadsheet computes."""
    return f"'{name}" if re.match(r"'*[=+\-@\t\r]", name) else name


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Score photos: good or defective.")
    parser.add_argument("photos", nargs="+", type=Path, help="photos, or folders of them")
    parser.add_argument("--heatmaps", type=Path, help="folder for float32 heatmaps, .npy a photo")
    options = parser.parse_args()
    about, session = open_folder(Path(__file__).resolve().parent)
    table, failed = csv.writer(sys.stdout), 0
    table.writerow(["photo", "score", "p_value", "verdict"])
    names = [output.name for output in session.get_outputs()]
    for path, name in photos_in(options.photos):
        try:
            photo = read_photo(path, about["image_size"], about["bits"], about["resize"])
        except Exception as error:  # decoders raise almost anything on damaged files
            print(f"{path}: {error}", file=sys.stderr)
            failed = 1
            continue
        told = dict(zip(names, session.run(None, {"photo": photo[None]}), strict=True))
        p_value = f"{told['p_value'][0]:.6g}" if "p_value" in told else ""
        verdict = "defective" if told["is_defective"][0] else "good"
        table.writerow([guarded(name), f"{told['score'][0]:.9g}", p_value, verdict])
        if options.heatmaps:
            (place := options.heatmaps / f"{name}.npy").parent.mkdir(parents=True, exist_ok=True)
            np.save(place, told["heatmap"][0], allow_pickle=False)
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
