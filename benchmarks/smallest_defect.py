"""Large photos with small defects: squashed, in their own shape, and by tiles at native resolution.

    python benchmarks/smallest_defect.py render --out DATA --seed 0 --train 20 --good 20 --bad 20
    python benchmarks/smallest_defect.py table EVALUATION ...

`render` makes one category of 2,000 x 1,200 photos (width x height) in MVTec AD's layout: hides of
the demo's leather, each its own, with one spot of `--spot` pixels on a defective one. The spots are
darker or brighter than the hide, and their masks are theirs to the pixel. `table` prints figures of
folders that `evaluate` wrote, a row a way, means over seeds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from cutswap.data.demo.rendering import render
from cutswap.data.images import save_png
from cutswap.utils.files import read_json

HEIGHT, WIDTH = 1200, 2000
FEATHER = 48  # pixels over which neighbouring pieces fade into each other
CATEGORY = "leather"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Small defects on large photos.")
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("render")
    making.add_argument("--out", type=Path, required=True)
    making.add_argument("--seed", type=int, default=0)
    making.add_argument("--train", type=int, default=20)
    making.add_argument("--good", type=int, default=20)
    making.add_argument("--bad", type=int, default=20)
    making.add_argument("--contrast", type=float, default=0.5, help="of a spot, share of the light")
    making.add_argument("--spot", type=float, default=8, help="pixels across")
    telling = commands.add_parser("table")
    telling.add_argument("evaluations", nargs="+", type=Path)
    options = parser.parse_args()
    if options.command == "render":
        make(options)
    else:
        print_table(options.evaluations)


def make(options: argparse.Namespace) -> None:
    """Write the category."""
    pieces = [
        render(CATEGORY, seed=options.seed, split="large", index=index).photo for index in range(40)
    ]
    folder = options.out / "hide"
    kinds = (
        ("train/good", options.train, False),
        ("test/good", options.good, False),
        ("test/spot", options.bad, True),
    )
    for number, (place, count, is_bad) in enumerate(kinds):
        for index in range(count):
            rng = np.random.default_rng((options.seed, number, index))
            photo = hide(pieces, rng)
            if is_bad:
                photo, mask = spotted(photo, rng, options.spot, options.contrast)
                save_png(folder / f"ground_truth/spot/{index:03d}_mask.png", mask)
            save_png(folder / place / f"{index:03d}.png", photo)


def hide(pieces: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """A large hide of pieces that fade into each other: (1200, 2000, 3) uint8."""
    side = pieces[0].shape[0]
    step = side - FEATHER
    ramp = np.minimum(np.arange(side) + 1, FEATHER) / FEATHER
    weight = np.minimum.outer(ramp * ramp[::-1], ramp * ramp[::-1]).astype(np.float32)[..., None]
    rows, columns = -(-HEIGHT // step), -(-WIDTH // step)
    summed = np.zeros((rows * step + FEATHER, columns * step + FEATHER, 3), np.float32)
    weights = np.zeros((*summed.shape[:2], 1), np.float32)
    for row in range(rows):
        for column in range(columns):
            piece = pieces[rng.integers(len(pieces))]
            piece = piece[:, :: rng.choice([1, -1])]
            place = (
                slice(row * step, row * step + side),
                slice(column * step, column * step + side),
            )
            summed[place] += weight * piece
            weights[place] += weight
    whole = summed / np.maximum(weights, 1e-6)
    free = whole.shape[0] - HEIGHT, whole.shape[1] - WIDTH
    top, left = (min(int(rng.integers(0, FEATHER // 2)), most) for most in free)
    part = whole[top : top + HEIGHT, left : left + WIDTH]
    noise = rng.normal(0, 1.5, part.shape)
    photo: np.ndarray = np.clip(np.rint(part + noise), 0, 255).astype(np.uint8)
    return photo


def spotted(
    photo: np.ndarray, rng: np.random.Generator, spot: float, contrast: float
) -> tuple[np.ndarray, np.ndarray]:
    """One spot of so many pixels somewhere, with its (H, W) bool mask."""
    y, x = (rng.uniform(spot, length - spot) for length in photo.shape[:2])
    rows, columns = np.ogrid[: photo.shape[0], : photo.shape[1]]
    away = np.hypot(rows - y, columns - x)
    share = np.clip(spot / 2 + 0.5 - away, 0, 1)[..., None] * contrast
    ground = 0.0 if rng.random() < 0.5 else 255.0
    marked = np.rint(photo + share * (ground - photo)).astype(np.uint8)
    return marked, away <= spot / 2


def print_table(folders: list[Path]) -> None:
    """Means over seeds of image AUROC, pixel AUROC, AUPRO and time, a row a way."""
    by_way: dict[str, list[dict[str, float]]] = {}
    for folder in folders:
        result = read_json(folder / "result.json")
        scoring = result["patchcore"]
        way = f"{result['data']['reading']['resize']} at {scoring['image_size']}"
        if scoring["tile_overlap"] is not None:
            way = f"tiles of {scoring['image_size']}, overlap {scoring['tile_overlap']}"
        by_way.setdefault(way, []).append(result)
    print("| way | seeds | image AUROC | pixel AUROC | AUPRO | seconds |")
    print("|---|---|---|---|---|---|")
    for way, results in by_way.items():
        cells = []
        for name, digits in (("image_auroc", 3), ("pixel_auroc", 3), ("aupro", 3), ("seconds", 0)):
            values = np.array([result[name] for result in results])
            cells.append(f"{values.mean():.{digits}f} ± {values.std():.{digits}f}")
        print(f"| {way} | {len(results)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
