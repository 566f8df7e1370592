"""Which memory bank is best without any training: one JSON line a bank, a category after the other.

    python benchmarks/banks.py --data ../shared/data/mvtec256 transistor bottle \
        --weights ../shared/weights/resnet18_imagenet_layer1-3.pth --out banks.jsonl
    python benchmarks/banks.py --demo chip denim hex_nut leather --out banks.jsonl
    python benchmarks/banks.py --out banks.jsonl --tables

Every fifth good training photo is held out and banks are fitted on the rest, for each whitening,
foreground, coreset ratio and coreset seed. Two kinds of figures come out and are kept apart:

    chosen by   image and pixel AUROC of held-out good photos against made-up defects on those very
                photos, by five families (CutSwap on fused saliency), no colour jitter beforehand
    told after  image and pixel AUROC on the test photos, which take no part in the choice

Every photo is embedded once; a greedy coreset of 0.001 is the beginning of that of 0.01, so each is
picked once.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cutswap.config import ClusterSettings, NegativeSettings, PatchCoreSettings
from cutswap.data.demo.render import make_demo
from cutswap.data.images import to_image
from cutswap.data.loading import check_category, load_masks, load_photos
from cutswap.evaluation.metrics import auroc, pixel_auroc
from cutswap.negatives.draw import draw_negative
from cutswap.networks.backbone import Backbone, load_backbone
from cutswap.patchcore.coreset import greedy_k_center
from cutswap.patchcore.embeddings import embed
from cutswap.patchcore.heatmaps import to_heatmap
from cutswap.patchcore.image_score import mean_of_highest
from cutswap.patchcore.memory_bank import MemoryBank, whitening_of
from cutswap.saliency.cache import saliency_of

RATIOS = (0.001, 0.01)
SEEDS = (0, 1, 2)
COUNTS = (1, 3, 5, 10, 20, 30, 50, 100)
TOLD = (1, 10)  # of these, in the tables of all forms
FAMILIES = ("cutpaste", "smoothblend", "nsa", "perlin", "cutswap")
# What is appended to a family's name: patches cover 2 to 15% of the photo, scars 0.03 to 0.6%.
DEFECTS = {"patches": "", "scars": "-scar"}
MADE_ON = 24  # held-out photos that defects are made on, at most
# Name to whiten and shrinkage.
WHITENINGS = {
    "none": ("none", 0.07),
    "pca": ("pca", 0.07),
    "channels": ("channels", 0.07),
    "pca-0": ("pca", 0.0),
    "pca-0.3": ("pca", 0.3),
}
# all: as PatchCore; bank: the coreset leaves out the less salient half of each photo; scores:
# distances count by saliency, from a half to a whole; both: the less salient half is in neither.
FOREGROUNDS = ("all", "bank", "scores", "both")


@dataclass(frozen=True)
class Looks:
    """One category, embedded.

    Attributes:
        train: (P, D) float32 patches the bank is chosen from.
        grid: (h, w) of a photo.
        size: (H, W) of a photo, pixels.
        held, made, test: (N, h, w, D) float32; `made` family by family.
        made_masks, test_masks: (N, H, W) bool; the latter None where the data has none.
        labels: (N,) bool, True for defective test photos.
        saliency: part to (N, h, w) float32 in [0, 1], fused; empty where nobody asks for it.
    """

    train: Tensor
    grid: tuple[int, int]
    size: tuple[int, int]
    held: Tensor
    made: Tensor
    made_masks: np.ndarray
    test: Tensor
    test_masks: np.ndarray | None
    labels: np.ndarray
    saliency: dict[str, np.ndarray]


def embedded(backbone: Backbone, photos: np.ndarray, layers: tuple[str, ...]) -> Tensor:
    """(N, h, w, D) float32 of (N, H, W, 3) uint8."""
    parts = [embed(backbone, to_image(photos[i : i + 8]), layers) for i in range(0, len(photos), 8)]
    return torch.cat(parts)


def look(
    root: Path,
    name: str,
    backbone: Backbone,
    watcher: Backbone,
    *,
    defects: str,
    with_saliency: bool,
) -> Looks:
    """Read a category, hold out every fifth good photo, make five defects on each of those."""
    settings = PatchCoreSettings()
    category = check_category(root, name, skip_bad=True).category
    photos = load_photos(category.train, settings.image_size)
    out = np.arange(len(photos)) % 5 == 0
    held, kept = photos[out], photos[~out]
    changed = held[:: max(1, -(-len(held) // MADE_ON))]
    maps = saliency_of(watcher, changed)
    made = [
        draw_negative(
            photo,
            maps.at(number, len(maps.layers)),
            NegativeSettings(method=family + DEFECTS[defects]),
            ClusterSettings(),
            seed=(9, place, number),
        )
        for place, family in enumerate(FAMILIES)
        for number, photo in enumerate(changed)
    ]
    test = load_photos(category.test, settings.image_size)
    made_photos = np.stack([negative.photo for negative in made])
    train = embedded(backbone, kept, settings.layers)
    grid = (int(train.shape[1]), int(train.shape[2]))

    def fused(which: np.ndarray) -> np.ndarray:
        found = saliency_of(watcher, which)
        whole = np.stack([found.at(i, len(found.layers)) for i in range(len(found))])
        h, w = whole.shape[1] // grid[0], whole.shape[2] // grid[1]
        return whole.reshape(len(whole), grid[0], h, grid[1], w).mean(axis=(2, 4))

    parts = {"train": kept, "held": held, "made": made_photos, "test": test}
    return Looks(
        train.flatten(0, 2),
        grid,
        photos.shape[1:3],
        embedded(backbone, held, settings.layers),
        embedded(backbone, made_photos, settings.layers),
        np.stack([negative.mask for negative in made]),
        embedded(backbone, test, settings.layers),
        load_masks(category.test, settings.image_size),
        np.array([not r.is_good for r in category.test]),
        {part: fused(which) for part, which in parts.items()} if with_saliency else {},
    )


def banks(
    looks: Looks, backbone: Backbone, wanted: list[tuple[str, str]]
) -> Iterator[dict[str, Any]]:
    """One dictionary a foreground and whitening of `wanted`, seed and ratio."""
    for foreground, name in wanted:
        allowed = torch.arange(len(looks.train))
        if foreground in ("bank", "both"):
            salient = looks.saliency["train"].reshape(len(looks.saliency["train"]), -1)
            inside = (salient >= np.median(salient, axis=1, keepdims=True)).ravel()
            allowed = allowed[torch.from_numpy(inside)]
        whiten, shrinkage = WHITENINGS[name]
        settings = PatchCoreSettings(whiten=whiten, shrinkage=shrinkage, sigma=0.0)
        whitening = whitening_of(looks.train, settings)
        patches = looks.train if whitening is None else whitening.apply(looks.train)
        patches = patches[allowed] if len(allowed) < len(patches) else patches
        for seed in SEEDS:
            most = max(1, int(max(RATIOS) * len(looks.train)))
            picks = greedy_k_center(patches, most, projection=settings.projection, seed=seed)
            for ratio in RATIOS:
                began = time.process_time()
                chosen = picks[: max(1, int(ratio * len(looks.train)))]
                bank = MemoryBank(
                    backbone,
                    settings.replace(coreset=ratio),
                    patches[chosen].numpy(),
                    np.zeros((len(chosen), 3), np.int32),
                    seed,
                    whitening,
                )
                yield {
                    "whitening": name,
                    "whiten": whiten,
                    "shrinkage": shrinkage,
                    "foreground": foreground,
                    "ratio": ratio,
                    "seed": seed,
                    "bank": bank.size,
                    "width": bank.items.shape[1],
                    **figures(bank, looks, foreground),
                    "cpu_seconds": round(time.process_time() - began, 1),
                }


def figures(bank: MemoryBank, looks: Looks, foreground: str) -> dict[str, Any]:
    """AUROC by how many of the highest patches are averaged, and of pixels."""
    distances = {}
    for part in ("held", "made", "test"):
        found = bank.score_patches(getattr(looks, part), looks.grid).distances
        if foreground == "scores":
            found = found * (0.5 + 0.5 * looks.saliency[part])
        elif foreground == "both":
            salient = looks.saliency[part]
            found = found * (salient >= np.median(salient, axis=(1, 2), keepdims=True))
        distances[part] = found
    made, test = [], []
    for count in COUNTS:
        held, bad, tested = (
            np.array([mean_of_highest(d.ravel(), count) for d in distances[part]])
            for part in ("held", "made", "test")
        )
        made.append([image_auroc(held, family) for family in np.split(bad, len(FAMILIES))])
        test.append(auroc(tested, looks.labels))
    sigma = PatchCoreSettings().sigma
    maps = to_heatmap(distances["made"], looks.size, sigma)[:, 2::4, 2::4]  # a 16th of the pixels
    result = {
        "counts": list(COUNTS),
        "made_up": made,
        "test_image": test,
        "made_up_pixel": pixel_auroc(maps, looks.made_masks[:, 2::4, 2::4]),
        "test_pixel": None,
    }
    if looks.test_masks is not None:
        maps = to_heatmap(distances["test"], looks.size, sigma)
        result["test_pixel"] = pixel_auroc(maps, looks.test_masks)
    return result


def bank_key(line: dict[str, Any]) -> tuple[str, str, str, str]:
    """What a line is about, but for seed and ratio."""
    return line["defects"], line["category"], line["foreground"], line["whitening"]


def image_auroc(good: np.ndarray, bad: np.ndarray) -> float:
    """AUROC of two sets of scores."""
    labels = np.r_[np.zeros(len(good), bool), np.ones(len(bad), bool)]
    found = auroc(np.r_[good, bad], labels)
    assert found is not None  # noqa: S101 - both kinds are there
    return found


def tables(lines: list[dict[str, Any]]) -> str:
    """Markdown: what decides, then what is told after; mean +- standard deviation over seeds."""
    by_bank: dict[tuple[str, float, str, str], list[dict[str, Any]]] = {}
    for line in lines:
        defects, category, *form = bank_key(line)
        key = f"{category}, {defects}", line["ratio"], form[0], form[1]
        by_bank.setdefault(key, []).append(line)
    places = sorted({(category, ratio) for category, ratio, _, _ in by_bank})
    forms = sorted({key[2:] for key in by_bank}, key=lambda f: (f[0] != "all", f))
    parts = []
    for title, image, pixel in (
        ("made up", lambda line, at: float(np.mean(line["made_up"][at])), "made_up_pixel"),
        ("test", lambda line, at: line["test_image"][at], "test_pixel"),
    ):
        columns = [
            (f"{' '.join(form)}, {count}", form, COUNTS.index(count))
            for form in forms
            for count in TOLD
        ]
        if title == "made up":
            columns += [(f"{count}", ("all", "none"), at) for at, count in enumerate(COUNTS)]
        names = "".join(f" {name} |" for name, _, _ in columns)
        rule = "|---" * (len(columns) + 2) + "|"
        parts += [f"\n{title}\n", f"| category | coreset |{names}", rule]
        for category, ratio in places:
            cells = [
                _cell(by_bank.get((category, ratio, form[0], form[1]), []), image, at, pixel)
                for _, form, at in columns
            ]
            parts.append(f"| {category} | {ratio} | " + " | ".join(cells) + " |")
    return "\n".join(parts)


def _cell(lines: list[dict[str, Any]], image: Any, at: int, pixel: str) -> str:
    if not lines:
        return "-"
    scores, maps = [image(line, at) for line in lines], [line[pixel] for line in lines]
    return f"{np.mean(scores):.3f} +- {np.std(scores, ddof=1):.3f} / {np.mean(maps):.3f}"


def main() -> None:
    """Write one line a bank; what is in the file is left out."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("categories", nargs="*")
    parser.add_argument("--data", type=Path, help="the categories' data set")
    parser.add_argument("--demo", type=Path, help="render the demo set here and use it as --data")
    parser.add_argument("--weights", default="embedded", help="of phi, a ResNet18 [embedded]")
    parser.add_argument("--foreground", nargs="+", default=["all"], choices=FOREGROUNDS)
    parser.add_argument(
        "--whitening", nargs="+", default=list(WHITENINGS), choices=list(WHITENINGS)
    )
    parser.add_argument("--defects", default="patches", choices=list(DEFECTS))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tables", action="store_true", help="print what --out holds, and end")
    args = parser.parse_args()
    if args.tables:
        print(tables([json.loads(line) for line in args.out.read_text().splitlines()]))
        return
    root = args.data
    if args.demo:
        root = args.demo if args.demo.exists() else make_demo(args.demo)
    done = set()
    if args.out.exists():
        lines = [json.loads(line) for line in args.out.read_text().splitlines()]
        count = Counter(bank_key(line) for line in lines)
        done = {key for key, found in count.items() if found == len(SEEDS) * len(RATIOS)}
        lines = [line for line in lines if bank_key(line) in done]
        args.out.write_text("".join(json.dumps(line) + "\n" for line in lines))
    backbone = load_backbone("resnet18", args.weights)
    watcher = load_backbone("vgg16", "embedded")
    with args.out.open("a") as file:
        for name in args.categories:
            wanted = [
                (foreground, whitening)
                for foreground in args.foreground
                for whitening in args.whitening
                if (args.defects, name, foreground, whitening) not in done
            ]
            if not wanted:
                continue
            with_saliency = any(foreground != "all" for foreground, _ in wanted)
            looks = look(
                root, name, backbone, watcher, defects=args.defects, with_saliency=with_saliency
            )
            print(f"{name}: {len(looks.train)} patches, {len(looks.made)} made-up", flush=True)
            for line in banks(looks, backbone, wanted):
                print(
                    json.dumps({"defects": args.defects, "category": name, **line}),
                    file=file,
                    flush=True,
                )


if __name__ == "__main__":
    main()
