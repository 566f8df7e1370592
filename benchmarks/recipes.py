"""Which fine-tuning recipe helps PatchCore: candidates by category and seed, one JSON line each.

    python benchmarks/recipes.py --data ../shared/data transistor magnetic_tile --out recipes.jsonl

For each candidate, category and seed: a fifth of the good training images is held out, phi is tuned
on the rest, and PatchCore banks (three coreset seeds) are fitted on the rest's features. Two kinds
of figures come out and are kept apart:

    chosen by   image AUROC of held-out good images against made-up defects of four families that
                the training did not draw, and drift: the relative change of a good patch's features
    told after  image and pixel AUROC on the test images, which take no part in the choice

`keep` is the share of phi's change that is kept: phi = start + keep * (tuned - start), by weight
(Wortsman et al. 2022, WiSE-FT); several are looked at per training, since a blend costs nothing.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recipe_pulls import Pull, PulledTuner
from sklearn.metrics import roc_auc_score
from torch import Tensor

from cutswap.config import (
    EARLY,
    PLAIN,
    ClusterSettings,
    NegativeSettings,
    PatchCoreSettings,
    SaliencySettings,
    TrainingSettings,
    WeakAugmentation,
)
from cutswap.data.images import to_image
from cutswap.data.loading import check_category, load_masks, load_photos
from cutswap.errors import CutSwapError
from cutswap.evaluation.metrics import summarise
from cutswap.negatives.samples import TrainingSamples, draw_sample
from cutswap.networks.backbone import Backbone, load_backbone
from cutswap.patchcore.embeddings import collect_patches, embed
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.saliency.cache import saliency_of
from cutswap.training.unit_gain import unit_gain

RATIOS = (0.001, 0.01)
BANK_SEEDS = (0, 1, 2)
UNSEEN = ("cutpaste", "smoothblend", "nsa", "perlin")  # families that judge a CutSwap training
# All layers trained at the gentle rates, what `gentle` was when this was measured.
DEEP, SHALLOW = ("23", "30"), ("4", "9")
BASE = TrainingSettings(epochs=1, steps_per_epoch=60, batch_size=8, frozen=())


@dataclass(frozen=True)
class Candidate:
    """A recipe and the shares of its change that are looked at."""

    settings: TrainingSettings
    keeps: tuple[float, ...] = (0.5, 1.0)
    pull: Pull = Pull()


CANDIDATES: dict[str, Candidate] = {
    "all layers": Candidate(BASE),
    "rate 1/10 before layer4": Candidate(replace(BASE, pretrained_factor=0.002)),
    "rate 1/100 before layer4": Candidate(replace(BASE, pretrained_factor=0.0002), (1.0,)),
    "frozen to layer2": Candidate(replace(BASE, frozen=EARLY)),
    "frozen to layer2, rate x5": Candidate(
        replace(BASE, frozen=EARLY, pretrained_factor=0.1), (1.0,)
    ),
    "frozen to layer2, 150 updates": Candidate(
        replace(BASE, frozen=EARLY, steps_per_epoch=150), (1.0,)
    ),
    "cutpaste, frozen to layer2": Candidate(
        replace(BASE, frozen=EARLY, augment="cutpaste"), (1.0,)
    ),
    "paper": Candidate(replace(BASE, pretrained_factor=1.0, freeze_batch_norm=False), (1.0,)),
    "cutpaste, all layers": Candidate(replace(BASE, augment="cutpaste"), (1.0,)),
    "cutpaste, rate 1/10 before layer4": Candidate(
        replace(BASE, augment="cutpaste", pretrained_factor=0.002), (1.0,)
    ),
    "all layers, 20 updates": Candidate(replace(BASE, steps_per_epoch=20), (1.0,)),
    "all layers, 150 updates": Candidate(replace(BASE, steps_per_epoch=150), (1.0,)),
    "rate falls by depth": Candidate(replace(BASE, depth_decay=0.3), (1.0,)),
    "statistics move": Candidate(replace(BASE, freeze_batch_norm=False), (1.0,)),
    "all layers, features pulled by 1": Candidate(BASE, (1.0,), Pull(features=1.0)),
    "all layers, features pulled by 10": Candidate(BASE, (1.0,), Pull(features=10.0)),
    "all layers, weights pulled by 0.1": Candidate(BASE, (1.0,), Pull(weights=0.1)),
    "all layers, weights pulled by 1": Candidate(BASE, (1.0,), Pull(weights=1.0)),
    "frozen to layer1": Candidate(replace(BASE, frozen=EARLY[:3]), (1.0,)),
    "frozen to layer2, rate x5, features pulled by 3": Candidate(
        replace(BASE, frozen=EARLY, pretrained_factor=0.1), (1.0,), Pull(features=3.0)
    ),
    "frozen to layer2, rate x5, 300 updates": Candidate(
        replace(BASE, frozen=EARLY, pretrained_factor=0.1, steps_per_epoch=300), (1.0,)
    ),
    "frozen to layer2, constant rate": Candidate(
        replace(BASE, frozen=EARLY), (1.0,), Pull(constant=True)
    ),
    "frozen to layer2, batch 32": Candidate(replace(BASE, frozen=EARLY, batch_size=32), (1.0,)),
    "frozen to layer2, deep levels": Candidate(replace(BASE, frozen=EARLY, levels=DEEP), (1.0,)),
    "frozen to layer2, shallow levels": Candidate(
        replace(BASE, frozen=EARLY, levels=SHALLOW), (1.0,)
    ),
}


@dataclass(frozen=True)
class Looks:
    """The images of one category, split."""

    train: np.ndarray
    held_out: np.ndarray
    made_up: np.ndarray
    test: np.ndarray
    labels: np.ndarray
    masks: np.ndarray | None


def look(root: Path, name: str, size: int) -> Looks:
    """Read a category, hold out every fifth good image, make four defects of each of those."""
    checked = check_category(root, name, skip_bad=True)
    photos = load_photos(checked.category.train, size)
    out = np.arange(len(photos)) % 5 == 0
    held = photos[out]
    methods = tuple(NegativeSettings(method=family) for family in UNSEEN)
    made = [
        negative.photo
        for number, photo in enumerate(held)
        for negative in draw_sample(
            photo, None, methods, ClusterSettings(), WeakAugmentation(), seed=9, number=number
        )[2]
    ]
    test = checked.category.test
    return Looks(
        photos[~out],
        held,
        np.stack(made),
        load_photos(test, size),
        np.array([not r.is_good for r in test]),
        load_masks(test, size),
    )


def features(backbone: Backbone, photos: np.ndarray, settings: PatchCoreSettings) -> Tensor:
    """(N, h, w, D) float32 of (N, H, W, 3) uint8."""
    parts = [
        embed(backbone, to_image(photos[i : i + 8]), settings.layers)
        for i in range(0, len(photos), 8)
    ]
    return torch.cat(parts)


def judge(backbone: Backbone, looks: Looks, start: Tensor | None) -> tuple[dict[str, Any], Tensor]:
    """All figures of one network; `start` holds the untuned features of the held-out images."""
    base = PatchCoreSettings(**PLAIN)
    size = looks.train.shape[1:3]
    batches = (to_image(looks.train[i : i + 8]) for i in range(0, len(looks.train), 8))
    patches, grid = collect_patches(backbone, batches, base.layers, len(looks.train), None)
    held, made, test = (
        features(backbone, photos, base) for photos in (looks.held_out, looks.made_up, looks.test)
    )
    figures: dict[str, Any] = {}
    if start is not None:
        figures["drift"] = float(((held - start).norm(dim=-1) / start.norm(dim=-1)).mean())
    for ratio in RATIOS:
        settings = replace(base, coreset=ratio)
        rows = []
        for seed in BANK_SEEDS:
            bank = MemoryBank.choose(backbone, patches, grid, settings, seed=seed)
            good, bad = (bank.score_patches(f, size).scores for f in (held, made))
            truth = np.r_[np.zeros(len(good)), np.ones(len(bad))]
            by_family = [
                roc_auc_score(
                    np.r_[np.zeros(len(good)), np.ones(len(bad[f :: len(UNSEEN)]))],
                    np.r_[good, bad[f :: len(UNSEEN)]],
                )
                for f in range(len(UNSEEN))
            ]
            found = bank.score_patches(test, size)
            metrics = summarise(found.scores, looks.labels, found.heatmaps, looks.masks).to_dict()
            rows.append(
                [
                    roc_auc_score(truth, np.r_[good, bad]),
                    metrics["image_auroc"],
                    metrics["pixel_auroc"],
                    *by_family,
                ]
            )
        mean, spread = np.mean(rows, axis=0), np.std(rows, axis=0)
        for place, what in enumerate(("made_up", "image", "pixel", *UNSEEN)):
            figures[f"{what}@{ratio}"] = [
                round(float(mean[place]), 4),
                round(float(spread[place]), 4),
            ]
    return figures, held


def blended(
    start: Backbone, tuned: dict[str, Tensor], keep: float, frozen: tuple[str, ...]
) -> Backbone:
    """Phi with a share of its change, from the start as the trainer wrote it."""
    written = copy.deepcopy(start.module)
    unit_gain(written, frozen)
    own = written.state_dict()
    mixed = {
        n: torch.lerp(own[n], v, keep) if v.is_floating_point() else v for n, v in tuned.items()
    }
    return Backbone.from_state(start.name, mixed)


def runs(
    root: Path,
    name: str,
    weights: str,
    candidates: list[str],
    seeds: int,
    done: set[tuple[str, str, int]],
) -> Iterator[dict[str, Any]]:
    """One dictionary a network, the untuned one first."""
    looks = look(root, name, BASE.image_size)
    start = load_backbone(BASE.backbone, weights)
    figures, untuned = judge(start, looks, None)
    if ("untuned", name, 0) not in done:
        yield {
            "recipe": "untuned",
            "category": name,
            "weights": weights,
            "seed": 0,
            "keep": 0.0,
            **figures,
        }
    watcher = load_backbone("vgg16", "embedded")
    saliency = saliency_of(watcher, looks.train, SaliencySettings().layers)
    for seed in range(seeds):
        for recipe in candidates:
            if (recipe, name, seed) in done:
                continue
            candidate = CANDIDATES[recipe]
            s = candidate.settings
            samples = TrainingSamples(
                looks.train,
                saliency if s.augment == "cutswap" else None,
                family=s.augment,
                ways=s.ways,
                negatives=NegativeSettings(),
                clusters=ClusterSettings(),
                weak=WeakAugmentation(),
                seed=seed,
                count=0,
                levels=s.levels,
            )
            tuner = PulledTuner(start, samples, s, seed, pull=candidate.pull)
            began = time.perf_counter()
            try:
                accuracy = [step.accuracy for step in tuner.run()]
            except CutSwapError as error:  # the loss is no number any more: a result as well
                yield {
                    "recipe": recipe,
                    "category": name,
                    "weights": weights,
                    "seed": seed,
                    "failed": str(error),
                }
                continue
            took = time.perf_counter() - began
            state = tuner.tuned()
            for keep in candidate.keeps:
                found, _ = judge(blended(start, state, keep, s.frozen), looks, untuned)
                yield {
                    "recipe": recipe,
                    "category": name,
                    "weights": weights,
                    "seed": seed,
                    "keep": keep,
                    "accuracy": round(float(np.mean(accuracy[-20:])), 3),
                    "training_seconds": round(took, 1),
                    **found,
                }


def main() -> None:
    """Write one line a network; a second start goes on."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("categories", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", default="embedded", help="where phi starts [embedded]")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipes", nargs="+", default=list(CANDIDATES), choices=list(CANDIDATES))
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args()
    done = set()
    if args.out.exists():
        lines = [json.loads(line) for line in args.out.read_text().splitlines()]
        done = {(line["recipe"], line["category"], line["seed"]) for line in lines}
    with args.out.open("a") as file:
        for name in args.categories:
            for line in runs(args.data, name, args.weights, args.recipes, args.seeds, done):
                print(json.dumps(line), file=file, flush=True)


if __name__ == "__main__":
    main()
