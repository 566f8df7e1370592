"""The whole chain on the built-in data, sized for a laptop's two cores, with a report."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.commands.demo_report import report_files, write_report
from cutswap.commands.own_outputs import claim
from cutswap.config import (
    PLAIN,
    FineTuningSettings,
    PatchCoreSettings,
    SaliencySettings,
    TrainingSettings,
)
from cutswap.data.demo.render import DEMO_CATEGORIES, demo_root
from cutswap.data.loading import CheckedCategory, check_category, load_photos
from cutswap.errors import CutSwapError
from cutswap.evaluation.evaluate import Evaluation, evaluate, evaluation_files, write_evaluation
from cutswap.negatives.samples import TrainingSamples
from cutswap.networks.backbone import load_backbone
from cutswap.runs.folder import RunFolder
from cutswap.saliency.clusters import cluster_saliency
from cutswap.training.finetuning import build_samples, finetune, tuned_backbone
from cutswap.utils.devices import choose_device, describe_device
from cutswap.utils.files import read_json, write_json
from cutswap.utils.overlays import blend, colour_regions, colourise, outline, sheet
from cutswap.utils.progress import Notify

RESULT, PICTURES = "demo.json", ("saliency", "clusters", "negatives", "heatmaps")
SHOWN = 6  # pictures a row of the report
# Measured on two cores: one update of 6 x 3 images of 256 pixels takes 1.5 to 2 seconds.
DEMO_TRAINING = TrainingSettings(epochs=1, steps_per_epoch=30, batch_size=6)
# Plain, so that its figures stay comparable with those told of it so far.
DEMO_PATCHCORE = PatchCoreSettings(coreset=0.01, **PLAIN)


def run_demo(
    out: Path,
    *,
    category: str | None = None,
    seed: int = 0,
    notify: Notify | None = None,
    json: Path | None = None,
) -> dict[str, Any]:
    """Make the data, evaluate, fine-tune, evaluate again, and write a report into `out`.

    Args:
        out: folder; `run/`, `before/` and `after/` inside hold what the commands would write.
        category: one of the demo's; default: the last one, the hex nut.
        seed: of every draw.
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
    settings = FineTuningSettings(training=DEMO_TRAINING, saliency=SaliencySettings())
    phi = load_backbone(settings.training.backbone, settings.training.weights, seed=seed)
    files = evaluation_files(checked.category.test)
    own = claim(
        out,
        "demo",
        (
            *(f"{stage}/{name}" for stage in ("before", "after") for name in files),
            *report_files(PICTURES),
            RESULT,
        ),
        json,
    )
    before = evaluate(checked, phi, DEMO_PATCHCORE, seed=seed, notify=notify)
    for step in finetune(checked, settings, out / "run", seed=seed, notify=notify):
        if notify:
            notify("fine-tuning", step.step, step.steps)
    run = RunFolder(out / "run")
    after = evaluate(checked, tuned_backbone(run), DEMO_PATCHCORE, seed=seed, notify=notify)

    samples, watcher = build_samples(checked, settings, seed)
    result: dict[str, Any] = {
        "category": name,
        "seed": seed,
        "device": describe_device(choose_device()),
        "n_train": len(checked.category.train),
        "n_test": len(checked.category.test),
        "n_defective": before.summary["n_defective"],
        "before": before.summary,
        "after": after.summary,
        "training": read_json(run.result_file),
        "curve": run.metrics(),
        "layers": list(samples.saliency.layers) if samples.saliency else [],
        "saliency_backbone": settings.saliency.backbone,
        "k": settings.clusters.k,
        "coreset": DEMO_PATCHCORE.coreset,
        "patchcore_layers": list(DEMO_PATCHCORE.layers),
        "phi_weights": phi.report.sentence(),
        "saliency_weights": watcher.report.sentence() if watcher else "none",
        "command": f"python -m cutswap demo --category {name} --seed {seed} --out {out}",
        "seconds": round(time.perf_counter() - began),
    }
    pictures = {
        **_saliency_pictures(samples, settings),
        "negatives": _negatives_picture(samples),
        "heatmaps": _heatmaps_picture(checked, before, after),
    }
    with own.writing():
        write_evaluation(before, out / "before", notify)
        write_evaluation(after, out / "after", notify)
        result["report"] = str(write_report(out, result, pictures))
        write_json(out / RESULT, result)
    return result


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


def _heatmaps_picture(
    checked: CheckedCategory, before: Evaluation, after: Evaluation
) -> np.ndarray:
    """One good and several defective test photos, with heatmaps before and after below."""
    test = checked.category.test
    good = [i for i, r in enumerate(test) if r.is_good][:1]
    by_type: dict[str, int] = {}
    for index, record in enumerate(test):
        if not record.is_good:
            by_type.setdefault(record.defect, index)
    rest = [i for i, r in enumerate(test) if not r.is_good and i not in by_type.values()]
    chosen = [*good, *by_type.values(), *rest][:SHOWN]
    photos = load_photos([test[i] for i in chosen], before.heatmaps.shape[1])
    masks = before.masks
    marked = [
        outline(p, masks[i]) if masks is not None else p
        for p, i in zip(photos, chosen, strict=True)
    ]
    rows = [*marked]
    for scored in (before, after):
        low, high = float(scored.heatmaps.min()), float(scored.heatmaps.max())
        rows += [
            blend(p, colourise(scored.heatmaps[i], low, high), 0.65)
            for p, i in zip(photos, chosen, strict=True)
        ]
    return sheet(rows, len(chosen))
