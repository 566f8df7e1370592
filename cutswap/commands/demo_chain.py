"""The whole chain on the built-in data, sized for a laptop's two cores, with a report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.commands.demo_report import FIGURES, report_files, write_report
from cutswap.commands.own_outputs import claim
from cutswap.config import (
    SCORES,
    FineTuningSettings,
    HeadSettings,
    PatchCoreSettings,
    SaliencySettings,
)
from cutswap.data.demo.render import DEMO_CATEGORIES, demo_root
from cutswap.data.loading import CheckedCategory, check_category, load_photos
from cutswap.errors import CutSwapError
from cutswap.evaluation.evaluate import Evaluation
from cutswap.evaluation.evaluate_head import (
    HeadEvaluation,
    evaluate_head_banks,
    head_evaluation_files,
    write_head_evaluation,
)
from cutswap.heads.patch_head import PatchHead
from cutswap.negatives.samples import TrainingSamples
from cutswap.networks.backbone import load_backbone
from cutswap.runs.folder import RunFolder
from cutswap.saliency.clusters import cluster_saliency
from cutswap.training.finetuning import build_samples, tuned_backbone
from cutswap.training.head_finetuning import finetune_head
from cutswap.utils.devices import choose_device, describe_device
from cutswap.utils.files import read_json, write_json
from cutswap.utils.overlays import blend, colour_regions, colourise, outline, sheet
from cutswap.utils.progress import Notify

RESULT, PICTURES = "demo.json", ("saliency", "clusters", "negatives", "heatmaps")
SCORED = "scores"  # folder of what `evaluate` would write
SHOWN = 6  # pictures a row of the report
# A projector, because its effect is the same on every machine; 30 updates of the backbone are a
# toss of a coin (docs/heads.md).
DEMO_HEAD = HeadSettings(train="projector", updates=60)
# The small bank of the paper's tables: 0.01 leaves nothing to gain on four rendered categories.
DEMO_PATCHCORE = PatchCoreSettings(coreset=0.001, whiten="both")  # as by default
BANKS = 3  # coreset seeds: which 40 patches a bank keeps is luck, and its spread is told


def run_demo(
    out: Path,
    *,
    category: str | None = None,
    seed: int = 0,
    notify: Notify | None = None,
    json: Path | None = None,
) -> dict[str, Any]:
    """Make the data, train a head on negatives, score with and without it, write a report.

    Args:
        out: folder; `run/` and `scores/` inside hold what `finetune` and `evaluate` would write.
        category: one of the demo's; default: the last one, the hex nut.
        seed: of every draw, and of the first of `BANKS` memory banks.
        notify: called with (stage, done, total).
        json: where the command's `--json` goes.

    Raises:
        CutSwapError: an unknown category, an `out` that holds another run, or a file there that
            the demo did not write.
    """
    began = time.perf_counter()
    name = category or DEMO_CATEGORIES[-1]
    if name not in DEMO_CATEGORIES:
        raise CutSwapError(
            "--category",
            expected=f"one of {', '.join(DEMO_CATEGORIES)}",
            found=name,
            fix="leave it out or pick one",
        )
    root = demo_root(progress=(lambda d, t: notify("rendering data", d, t)) if notify else None)
    checked = check_category(root, name, skip_bad=False)
    settings = FineTuningSettings(head=DEMO_HEAD, saliency=SaliencySettings())
    phi = load_backbone(settings.training.backbone, settings.training.weights, seed=seed)
    own = claim(
        out,
        "demo",
        (
            *(f"{SCORED}/{file}" for file in head_evaluation_files(checked.category.test)),
            *report_files(PICTURES),
            RESULT,
        ),
        json,
    )
    for step in finetune_head(checked, settings, out / "run", seed=seed, notify=notify):
        if notify:
            notify("training the projector", step.step, step.steps)
    run = RunFolder(out / "run")
    head = PatchHead.load(run.head_file)
    backbone = tuned_backbone(run)
    seeds = [seed + n for n in range(BANKS)]
    scored = evaluate_head_banks(checked, backbone, head, DEMO_PATCHCORE, seeds, notify=notify)
    samples, watcher = build_samples(checked, settings, seed)
    first = scored[0]
    result: dict[str, Any] = {
        "category": name,
        "seed": seed,
        "device": describe_device(choose_device()),
        "n_train": len(checked.category.train),
        "n_test": len(checked.category.test),
        "n_defective": first.result.summary["n_defective"],
        "scores": figures_of(scored),
        "weights": [one.detector.join.weight for one in scored],
        "training": read_json(run.result_file),
        "curve": run.metrics()[-DEMO_HEAD.updates :],  # the head on trial came before
        "layers": list(samples.saliency.layers) if samples.saliency else [],
        "saliency_backbone": settings.saliency.backbone,
        "k": settings.clusters.k,
        "coreset": DEMO_PATCHCORE.coreset,
        "bank_size": first.detector.bank.size,
        "banks": BANKS,
        "patchcore_layers": list(DEMO_PATCHCORE.layers),
        "phi_weights": phi.report.sentence(),
        "saliency_weights": watcher.report.sentence() if watcher else "none",
        "command": f"python -m cutswap demo --category {name} --seed {seed} --out {out}",
        "seconds": round(time.perf_counter() - began),
    }
    pictures = {
        **_saliency_pictures(samples, settings),
        "negatives": _negatives_picture(samples),
        "heatmaps": _heatmaps_picture(checked, [first.by_score[n] for n in SCORES]),
    }
    with own.writing():
        write_head_evaluation(first, out / SCORED, notify)
        result["report"] = str(write_report(out, result, pictures))
        write_json(out / RESULT, result)
    return result


def figures_of(scored: Sequence[HeadEvaluation]) -> dict[str, dict[str, dict[str, float | None]]]:
    """Mean and standard deviation over memory banks, by score and figure.

    Args:
        scored: one evaluation a bank.

    Returns:
        Score to figure to `mean` and `spread`; None for what the data cannot tell.
    """
    figures: dict[str, dict[str, dict[str, float | None]]] = {}
    for score in SCORES:
        figures[score] = {}
        for figure, _, _ in FIGURES:
            values = [one.by_score[score].summary[figure] for one in scored]
            known = all(value is not None for value in values)
            figures[score][figure] = {
                "mean": float(np.mean(values)) if known else None,
                "spread": float(np.std(values)) if known else None,
            }
    return figures


def _saliency_pictures(
    samples: TrainingSamples, settings: FineTuningSettings
) -> dict[str, np.ndarray]:
    """The first training photo with its maps, and the clusters of each map below."""
    photo = samples.photos[0]
    maps = samples.saliency
    if maps is None:
        return {}
    levels = [maps.at(0, level) for level in range(len(maps.layers))]
    regions = []
    for level in levels:
        try:
            clustered = cluster_saliency(level, settings.clusters.k).regions(level)
        except CutSwapError:  # a blank level has no clusters: shown as one
            clustered = np.zeros(level.shape, dtype=np.int64)
        regions.append(colour_regions(clustered))
    return {
        "saliency": sheet([photo, *(blend(photo, colourise(m), 0.6) for m in levels)], SHOWN),
        "clusters": sheet([photo, *(blend(photo, r, 0.6) for r in regions)], SHOWN),
    }


def _negatives_picture(samples: TrainingSamples) -> np.ndarray:
    drawn = [samples.sample(number) for number in range(SHOWN)]
    rows = [s.negatives[way].photo for way in range(len(samples.methods)) for s in drawn]
    return sheet(rows, SHOWN)


def _heatmaps_picture(checked: CheckedCategory, rows_of: Sequence[Evaluation]) -> np.ndarray:
    """One good and several defective test photos, with a row of heatmaps below for each score."""
    test = checked.category.test
    good = [i for i, r in enumerate(test) if r.is_good][:1]
    by_type: dict[str, int] = {}
    for index, record in enumerate(test):
        if not record.is_good:
            by_type.setdefault(record.defect, index)
    rest = [i for i, r in enumerate(test) if not r.is_good and i not in by_type.values()]
    chosen = [*good, *by_type.values(), *rest][:SHOWN]
    photos = load_photos([test[i] for i in chosen], rows_of[0].heatmaps.shape[1])
    masks = rows_of[0].masks
    marked = [
        outline(p, masks[i]) if masks is not None else p
        for p, i in zip(photos, chosen, strict=True)
    ]
    rows = [*marked]
    for scored in rows_of:
        low, high = float(scored.heatmaps.min()), float(scored.heatmaps.max())
        rows += [
            blend(p, colourise(scored.heatmaps[i], low, high), 0.65)
            for p, i in zip(photos, chosen, strict=True)
        ]
    return sheet(rows, len(chosen))
