r"""Which head helps PatchCore, and by which negatives: one JSON line a trained head.

    python benchmarks/heads.py --data ../shared/data/mvtec256 transistor bottle --out heads.jsonl \
        --weights imagenet --saliency-weights imagenet

For each category, method of negatives and seed a head is trained as `finetune --train` does it, on
trial without a fifth of the good photos and then on all, and joined with PatchCore banks (plain and
whitened, three coreset seeds each of 0.001 and 0.01) as `evaluate --run` does. Two kinds of figures
are kept apart:

    made_up     image AUROC of held-out good photos against made-up defects of families that were
                not trained on, by weight of the head: what recipes and weights are chosen by
    test        image and pixel AUROC of bank, head and both on the test images, told afterwards

The method `none` trains nothing: it is the head `gaussian`, a diagonal PaDiM. A head that does not
beat it has learnt nothing of use. Embedded features are kept in --cache; `table` of the printed
lines is made by `--table`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cutswap.config import (
    SCORES,
    TINY_CORESET,
    ClusterSettings,
    HeadSettings,
    NegativeSettings,
    PatchCoreSettings,
    SaliencySettings,
    WeakAugmentation,
)
from cutswap.data.images import to_image
from cutswap.data.loading import check_category, load_masks, load_photos
from cutswap.evaluation.metrics import auroc, pixel_auroc
from cutswap.heads.feature_cache import HeadFeatures, cache_features, to_places
from cutswap.heads.joining import PROVEN, TIED, WEIGHTS, ValidationScores, fit_join
from cutswap.heads.patch_head import HeadOrigin, PatchHead
from cutswap.heads.training import HeadTrainer
from cutswap.heads.validation import held_out_positions, make_validation_set, validation_scores
from cutswap.negatives.samples import TrainingSamples
from cutswap.networks.backbone import Backbone, load_backbone
from cutswap.patchcore.embeddings import embed
from cutswap.patchcore.heatmaps import to_heatmap
from cutswap.patchcore.memory_bank import MemoryBank, Prediction
from cutswap.saliency.cache import saliency_of
from cutswap.studies.guidance import student_half
from cutswap.studies.methods import UNGUIDED

RATIOS = (0.001, 0.01)
SIZE = 256
# Name: family, K and anchors. With one cluster, the whole image, CutSwap is unguided.
METHODS = {
    "none": ("cutswap", UNGUIDED),
    "cutswap": ("cutswap", ClusterSettings()),
    "random swap": ("cutswap", UNGUIDED),
    **{f: (f, ClusterSettings()) for f in ("cutpaste", "smoothblend", "nsa", "perlin")},
}


@dataclass(frozen=True)
class Embedded:
    """One category, embedded: float16 but for labels and masks.

    Attributes:
        photos: (N, H, W, 3) uint8, all good training photos.
        train: (N, h, w, D).
        held_out: positions among them.
        made_up: by family left out of the validation set, (M, h, w, D).
        test: (T, h, w, D).
        labels: (T,) bool.
        masks: (T, H, W) bool, or None.
    """

    photos: np.ndarray
    train: np.ndarray
    held_out: np.ndarray
    made_up: dict[str, np.ndarray]
    test: np.ndarray
    labels: np.ndarray
    masks: np.ndarray | None


def embedded(backbone: Backbone, photos: np.ndarray, layers: tuple[str, ...]) -> np.ndarray:
    """(N, h, w, D) float16 of (N, H, W, 3) uint8."""
    parts = [
        embed(backbone, to_image(photos[i : i + 8]), layers).half().numpy()
        for i in range(0, len(photos), 8)
    ]
    return np.concatenate(parts)


def stored(path: Path, make: Any) -> dict[str, np.ndarray]:
    """Arrays by name from the cache, made when they are not there."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".part").open("wb") as file:
            np.savez(file, allow_pickle=False, **make())
        path.with_suffix(".part").replace(path)
    with np.load(path, allow_pickle=False) as found:
        return dict(found)


def look(root: Path, name: str, backbone: Backbone, head: HeadSettings, cache: Path) -> Embedded:
    """Read and embed a category, with the validation sets of CutSwap's and CutPaste's heads."""
    category = check_category(root, name, skip_bad=True).category
    photos = load_photos(category.train, SIZE)
    held_out = held_out_positions(len(photos), head.held_out)

    def make() -> dict[str, np.ndarray]:
        made = {
            f"made_up {family}": embedded(
                backbone, make_validation_set(photos[held_out], family).made_up, head.layers
            )
            for family in ("cutswap", "cutpaste")
        }
        return {
            "train": embedded(backbone, photos, head.layers),
            "test": embedded(backbone, load_photos(category.test, SIZE), head.layers),
            **made,
        }

    found = stored(cache / f"{name}.npz", make)
    made_up = {n.removeprefix("made_up "): v for n, v in found.items() if n.startswith("made_up ")}
    labels = np.array([not r.is_good for r in category.test])
    masks = load_masks(category.test, SIZE)
    return Embedded(photos, found["train"], held_out, made_up, found["test"], labels, masks)


def features_of(
    data: Embedded,
    backbone: Backbone,
    watcher: Backbone,
    method: str,
    head: HeadSettings,
    seed: int,
    path: Path,
) -> HeadFeatures:
    """Features that a head of this seed learns from, as `finetune --train` draws them."""
    family, clusters = METHODS[method]
    whole = torch.from_numpy(data.train.astype(np.float32))
    clean = to_places(whole, head.grid).half().numpy()
    if method == "none":  # it sees no negative
        return HeadFeatures.of_photos(clean)

    def make() -> dict[str, np.ndarray]:
        saliency = None
        if family == "cutswap":
            saliency = saliency_of(watcher, data.photos, SaliencySettings().layers)
        samples = TrainingSamples(
            data.photos,
            saliency,
            family=family,
            ways=3,
            negatives=NegativeSettings(),
            clusters=clusters,
            weak=WeakAugmentation(jitter=0.0),
            seed=seed,
            count=head.draws * len(data.photos),
        )
        made = cache_features(
            backbone,
            data.photos,
            samples.sample,
            layers=head.layers,
            grid=head.grid,
            draws=head.draws,
            ways=3,
            clean=clean,
        )
        return vars(made)

    return HeadFeatures(**stored(path, make))


def trained(
    data: Embedded, features: HeadFeatures, settings: HeadSettings, origin: HeadOrigin, method: str
) -> PatchHead:
    """The head of this method, with its validation scores; `none` learns statistics alone."""
    learns = np.delete(np.arange(len(data.photos)), data.held_out)
    validation = None
    if method == "none":
        settings = settings.replace(train="gaussian")
    for photos in (learns, None):
        trainer = HeadTrainer(features, settings, origin.seed, learns=photos)
        for _ in trainer.run():
            pass
        head = trainer.head(origin, validation)
        if validation is None:
            validation = validation_scores(
                head, batches(data.train[data.held_out]), batches(made_up_of(data, origin))
            )
    return head


def made_up_of(data: Embedded, origin: HeadOrigin) -> np.ndarray:
    """Made-up defects of families that the head was not trained on, embedded."""
    return data.made_up["cutpaste" if origin.family == "cutpaste" else "cutswap"]


def batches(values: np.ndarray) -> Iterator[Tensor]:
    """Embedded photos, eight at a time, as float32."""
    for start in range(0, len(values), 8):
        yield torch.from_numpy(values[start : start + 8].astype(np.float32))


@dataclass(frozen=True)
class BankSide:
    """What one bank says, whatever the head: computed once a category.

    Attributes:
        test: of the test images.
        figures: image and pixel AUROC.
        validation: by the key of `Embedded.made_up`.
    """

    test: Prediction
    figures: list[float | None]
    validation: dict[str, ValidationScores]


def bank_side(bank: MemoryBank, data: Embedded) -> BankSide:
    """Score test images, and the validation set without its own patches, as `evaluate` does."""
    parts = [bank.score_patches(part, (SIZE, SIZE)) for part in batches(data.test)]
    test = Prediction(
        *(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Prediction))
    )
    asked = bank.without_photos(tuple(int(i) for i in data.held_out))
    good = [asked.score_patches(p, (1, 1)) for p in batches(data.train[data.held_out])]
    validation = {}
    for family, made_up in data.made_up.items():
        bad = np.concatenate([asked.score_patches(p, (1, 1)).scores for p in batches(made_up)])
        validation[family] = ValidationScores(
            np.concatenate([g.scores for g in good]),
            bad,
            float(np.mean([g.distances.mean() for g in good])),
        )
    return BankSide(test, told_after(data, test.scores, test.heatmaps), validation)


def told_after(data: Embedded, scores: np.ndarray, maps: np.ndarray) -> list[float | None]:
    """Image AUROC, and pixel AUROC at every second pixel, of the test images."""
    image = auroc(scores, data.labels)
    pixel = None if data.masks is None else pixel_auroc(maps[:, ::2, ::2], data.masks[:, ::2, ::2])
    return [None if v is None else round(v, 4) for v in (image, pixel)]


def rounded(scores: ValidationScores | None) -> dict[str, list[float]]:
    """The validation set's image scores, to try other rules of joining on."""
    if scores is None:
        raise RuntimeError("a head without its scores of the validation set")
    return {
        name: [round(float(v), 5) for v in getattr(scores, name)] for name in ("good", "made_up")
    }


def figures(
    data: Embedded, head: PatchHead, banks: dict[tuple[str, float, int], BankSide]
) -> Iterator[dict[str, Any]]:
    """One dictionary a bank: validation figures, and test figures of bank, head and both."""
    if head.validation is None:
        raise RuntimeError("a head without its scores of the validation set")
    patches = np.concatenate([head.score_patches(part) for part in batches(data.test)])
    images = head.image_scores(patches)
    alone = told_after(data, images, to_heatmap(patches, (SIZE, SIZE)))
    key = "cutpaste" if head.origin.family == "cutpaste" else "cutswap"
    for (whiten, ratio, seed), bank in banks.items():
        margin = TIED if ratio < TINY_CORESET else PROVEN
        join, told = fit_join(bank.validation[key], head.validation, margin)
        maps = to_heatmap(join.patches(bank.test.distances, patches), (SIZE, SIZE))
        yield {
            "whiten": whiten,
            "ratio": ratio,
            "bank_seed": seed,
            "weight": round(join.weight, 3),
            "validation": rounded(bank.validation[key]),
            "made_up": {f"{w:.3g}": round(v, 4) for w, v in told.items()},
            "test_by_weight": {
                f"{w:.3g}": round(
                    auroc(replace(join, weight=w).images(bank.test.scores, images), data.labels)
                    or 0,
                    4,
                )
                for w in WEIGHTS
            },
            "bank": bank.figures,
            "head": alone,
            "both": told_after(data, join.images(bank.test.scores, images), maps),
        }


def runs(args: argparse.Namespace, settings: HeadSettings) -> Iterator[dict[str, Any]]:
    """One dictionary a head, with all banks it was joined with."""
    backbone = load_backbone("resnet18", args.weights)
    watcher = load_backbone(args.saliency_backbone, args.saliency_weights)
    recipe = hashlib.sha256(json.dumps(settings.to_dict()).encode()).hexdigest()[:8]
    drawn = f"{settings.grid}-{settings.draws}-{settings.held_out}"
    for name in args.categories:
        data = look(args.data, name, backbone, settings, args.cache)
        patches = torch.from_numpy(data.train.astype(np.float32))
        grid = (patches.shape[1], patches.shape[2])
        banks = {
            (whiten, ratio, seed): bank_side(
                MemoryBank.choose(
                    backbone,
                    patches.flatten(0, 2),
                    grid,
                    PatchCoreSettings(
                        layers=settings.layers, image_size=SIZE, coreset=ratio, whiten=whiten
                    ),
                    seed=seed,
                ),
                data,
            )
            for whiten in args.whiten
            for ratio, seeds in zip(args.ratios, args.bank_seeds, strict=True)
            for seed in range(seeds)
        }
        del patches
        for seed in range(args.seeds):
            for method in args.methods:
                if (name, method, seed, recipe) in args.done:
                    continue
                source = args.cache / f"{name}-{method}-{drawn}-{seed}.npz"
                began = time.process_time()
                features = features_of(data, backbone, watcher, method, settings, seed, source)
                embedding, began = time.process_time() - began, time.process_time()
                origin = HeadOrigin(
                    backbone.name,
                    backbone.fingerprint,
                    SIZE,
                    METHODS[method][0],
                    name,
                    seed,
                    tuple(int(i) for i in data.held_out),
                )
                head = trained(data, features, settings, origin, method)
                training = time.process_time() - began
                yield {
                    "category": name,
                    "method": method,
                    "seed": seed,
                    "recipe": recipe,
                    "settings": settings.to_dict(),
                    "embedding_cpu_seconds": round(embedding, 1),
                    "training_cpu_seconds": round(training, 1),
                    "validation": rounded(head.validation),
                    "banks": list(figures(data, head, banks)),
                }


def table(lines: list[dict[str, Any]]) -> str:
    """Test figures by recipe, category, method and bank: mean and deviation over all seeds."""
    cells: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        kind = line["settings"]["train"]
        for bank in line["banks"]:
            key = line["recipe"], line["category"], bank["whiten"], bank["ratio"], line["method"]
            cells[kind, *key].append({**bank, "seed": line["seed"]})
    text = [
        "| head | recipe | category | whiten | coreset | negatives | n | bank, made-up | bank"
        " | head | both | weight |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for key, rows in sorted(cells.items()):
        kind, recipe, category, whiten, ratio, method = key
        shown = []
        for name in SCORES:
            image, pixel = ([r[name][i] for r in rows if r[name][i] is not None] for i in (0, 1))
            at_pixels = f" / {np.mean(pixel):.3f}" if pixel else ""
            shown.append(f"{np.mean(image):.3f} ± {np.std(image):.3f}{at_pixels}")
        weight = np.mean([r["weight"] for r in rows])
        made_up = [r["made_up"]["0"] for r in rows]
        text.append(
            f"| {kind} | {recipe} | {category} | {whiten} | {ratio} | {method} | {len(rows)} |"
            f" {np.mean(made_up):.3f} ± {np.std(made_up):.3f} | {' | '.join(shown)} |"
            f" {weight:.2f} |"
        )
    return "\n".join([*text, "", *paired(cells)])


def paired(cells: dict[tuple[Any, ...], list[dict[str, Any]]]) -> list[str]:
    """CutSwap less another method on the same seeds: mean image AUROC and its 95% interval.

    A training seed and its banks' mean is one pair; the interval is Student's over pairs.
    """
    differences: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for (kind, recipe, category, whiten, ratio, method), rows in cells.items():
        own = cells.get((kind, recipe, category, whiten, ratio, "cutswap"))
        if method == "cutswap" or own is None:
            continue
        for score in ("head", "both"):
            for seed in {r["seed"] for r in rows} & {r["seed"] for r in own}:
                one, other = (
                    np.mean([r[score][0] for r in side if r["seed"] == seed])
                    for side in (own, rows)
                )
                key = kind, recipe, whiten, ratio, score, method
                differences[key].append(float(one - other))
    text = [
        "| head | recipe | whiten | coreset | score | CutSwap less | pairs | image AUROC, 95% |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (kind, recipe, whiten, ratio, score, method), values in sorted(differences.items()):
        n = len(values)
        half = student_half(values)
        spread = "" if half is None else f" ± {half:.4f}"
        text.append(
            f"| {kind} | {recipe} | {whiten} | {ratio} | {score} | {method} | {n} |"
            f" {np.mean(values):+.4f}{spread} |"
        )
    return text


def main() -> None:
    """Write one line a head; a second start goes on."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("categories", nargs="*")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path(".cache/heads"))
    parser.add_argument("--weights", default="embedded", help="of resnet18 [embedded]")
    parser.add_argument("--saliency-backbone", default="squeezenet1_0")
    parser.add_argument("--saliency-weights", default="imagenet")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--ratios", nargs="+", type=float, default=list(RATIOS))
    parser.add_argument("--whiten", nargs="+", default=["none", "pca", "both"], help="of the banks")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--bank-seeds", nargs="+", type=int, default=[3, 3], help="of each ratio")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=JSON", help="of HeadSettings")
    parser.add_argument("--table", action="store_true", help="print what is there, train nothing")
    args = parser.parse_args()
    lines = []
    if args.out.exists():
        lines = [json.loads(line) for line in args.out.read_text().splitlines()]
    if args.table:
        print(table(lines))
        return
    args.done = {(v["category"], v["method"], v["seed"], v["recipe"]) for v in lines}
    changes = {n: json.loads(v) for n, _, v in (pair.partition("=") for pair in args.set)}
    settings = HeadSettings.from_dict({"train": "projector", **changes})
    with args.out.open("a") as file:
        for line in runs(args, settings):
            print(json.dumps(line), file=file, flush=True)


if __name__ == "__main__":
    main()
