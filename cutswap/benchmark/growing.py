"""How time and memory grow with the number of images, and what approximate search gives and costs.

Patches are the demo's, repeated and shaken; the network's part is left out of the fit, since it
is a constant an image.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np
import torch

from cutswap.benchmark.measurement import CLOCKS, Measurement, extra_memory, seconds, times_faster
from cutswap.benchmark.pictures import LAYERS, demo_patches, demo_photos, more_patches
from cutswap.benchmark.sizes import Sizes
from cutswap.evaluation.metrics import auroc
from cutswap.networks.backbone import load_backbone
from cutswap.patchcore.coreset import greedy_k_center
from cutswap.patchcore.index import BankIndex

IMAGES = 40  # real ones, behind all that are repeated
QUERIES = 4  # images searched for


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Slope of log(value) over log(size) by least squares: 1 is linear, 2 is quadratic."""
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(values, 1e-9)), 1)[0])


def measure_growth(sizes: Sizes) -> list[Measurement]:
    """Fit and inference for every number of images and bank ratio, an exponent each."""
    backbone = load_backbone("resnet18")
    photos = demo_photos(min(IMAGES, max(sizes.growth)), sizes.side)
    real = demo_patches(backbone, photos, LAYERS)
    a_photo = len(real) // len(photos)
    queries = real[: QUERIES * a_photo].numpy()
    greedy_k_center(real, 2, projection=128, seed=0)  # the first call of all is slow
    measurements: list[Measurement] = []
    for ratio in sizes.ratios:
        fit, search, memory, rows = [], [], [], []
        for images in sizes.growth:
            patches = more_patches(real, images * a_photo)
            keep = max(2, int(ratio * len(patches)))
            picks: list[torch.Tensor] = []

            def choose(points: torch.Tensor = patches, count: int = keep) -> None:
                picks.append(greedy_k_center(points, count, projection=128, seed=0))  # noqa: B023

            began = CLOCKS[sizes.clock]()
            extra = extra_memory(choose)
            fit.append(CLOCKS[sizes.clock]() - began)
            index = BankIndex(patches[picks[0]].numpy())
            times = [seconds(lambda: index.search(queries, 1), sizes.clock) for _ in range(2)]  # noqa: B023
            search.append(min(times))
            memory.append(math.nan if extra is None else extra / 1e6)
            rows.append(
                {
                    "images": images,
                    "patches": len(patches),
                    "bank": keep,
                    "fit_s": fit[-1],
                    "search_s": search[-1] / QUERIES,
                    "extra_mb": memory[-1],
                    "patches_mb": patches.numel() * 4 / 1e6,
                }
            )
            del patches
        measurements += _exponents(sizes, ratio, fit, search, memory, rows)
    return measurements


def _exponents(
    sizes: Sizes,
    ratio: float,
    fit: list[float],
    search: list[float],
    memory: list[float],
    rows: list[dict[str, float]],
) -> list[Measurement]:
    """Picks times patches is quadratic in images, a search is linear in the bank, so in images."""
    lines = [("fit", fit, 2.0), ("search", search, 1.0), ("memory", memory, 1.0)]
    what = {
        "fit": "seconds to choose the bank",
        "search": "seconds to search an image's patches",
        "memory": "memory to choose the bank, beyond the patches",
    }
    span = f"{sizes.growth[0]} to {sizes.growth[-1]} images, bank ratio {ratio:g}"
    return [
        Measurement(
            f"growth, {name} {ratio:g}",
            f"{what[name]}, {span}: exponent",
            figure=exponent(sizes.growth, values),
            unit="exponent",
            target=limit + 0.1,
            repetitions=len(values),
            more={"rows": rows} if name == "fit" else {},
        )
        for name, values, limit in lines
        if not any(math.isnan(v) for v in values)
    ]


def measure_search(sizes: Sizes) -> list[Measurement]:
    """Approximate search of a large bank: speed, recall, and the change of AUROC.

    The queries' photos are not in the bank. AUROC tells patches of unseen photos from the same ones
    with noise of half their spread added, which stands for a defect.
    """
    backbone = load_backbone("resnet18")
    photos = demo_photos(2 * QUERIES + IMAGES, sizes.side)
    real = demo_patches(backbone, photos, LAYERS)
    a_photo = len(real) // len(photos)
    bank = more_patches(real[2 * QUERIES * a_photo :], sizes.searched).numpy()
    good, other = real[: QUERIES * a_photo], real[QUERIES * a_photo : 2 * QUERIES * a_photo]
    generator = torch.Generator().manual_seed(0)
    spread = real.std(dim=0)
    bad = other + 0.5 * spread * torch.randn(other.shape, generator=generator)
    queries = torch.cat([good, bad]).numpy()
    labels = np.repeat([False, True], [len(good), len(bad)])
    exact = BankIndex(bank)
    truth = exact.search(queries, 1)[:, 0]
    right = _auroc(queries, bank, truth, labels)
    measurements = []
    for kind in ("ivf", "hnsw"):
        began = time.perf_counter()
        index = BankIndex(bank, kind)
        built = time.perf_counter() - began
        answer = index.search(queries, 1)[:, 0]
        times: tuple[list[float], list[float]] = ([], [])
        for turn in range(sizes.turns):
            for side in (0, 1) if turn % 2 else (1, 0):
                asked = exact if side else index
                times[side].append(seconds(lambda: asked.search(queries, 1), sizes.clock))  # noqa: B023
        measurements.append(
            times_faster(
                f"search, {kind}",
                f"{len(queries)} patches in a bank of {len(bank)}, {kind} beside exact",
                *times,
                target=None,
                recall=float((answer == truth).mean()),
                auroc_change=_auroc(queries, bank, answer, labels) - right,
                auroc_exact=right,
                seconds_to_build=built,
            )
        )
    return measurements


def _auroc(
    queries: np.ndarray, bank: np.ndarray, neighbours: np.ndarray, labels: np.ndarray
) -> float:
    scores = np.linalg.norm(queries - bank[neighbours], axis=1)
    return auroc(scores, labels) or 0.0
