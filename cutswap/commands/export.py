"""`python -m cutswap export`: maps, negatives and the network in formats that others read."""

from __future__ import annotations

import argparse
import json
import shlex
from typing import Any

from cutswap.config import ClusterSettings, NegativeSettings, SaliencySettings
from cutswap.errors import CutSwapError
from cutswap.flags import settings_from
from cutswap.utils.files import need_out
from cutswap.utils.progress import Bars


def export(options: argparse.Namespace) -> dict[str, Any]:
    """Do what was asked."""
    need_out(options.out)
    return {"maps": _maps, "negatives": _negatives, "model": _model}[options.what](options)


def _maps(options: argparse.Namespace) -> dict[str, Any]:
    from cutswap.evaluation.scored_set import read_scored
    from cutswap.evaluation.tiff_maps import export_maps

    with Bars(options.quiet) as bars:
        result = export_maps(
            read_scored(options.evaluation), options.out, photo_sized=not options.heatmap_size,
            progress=lambda done, total: bars("writing maps", done, total),
        )  # fmt: skip
    print(f"{result['maps']} maps in {result['folder']}; MVTec's script reads them with")
    print(f"  {shlex.join(result['script'])}")
    return result


def _negatives(options: argparse.Namespace) -> dict[str, Any]:
    from cutswap.data.loading import check_category
    from cutswap.negatives.export import export_negatives

    methods = [name.strip() for name in options.method.split(",") if name.strip()]
    with Bars(options.quiet) as bars:
        checked = check_category(options.data, options.category, skip_bad=options.skip_bad)
        result = export_negatives(
            checked, options.out, methods,
            negatives=settings_from(options, NegativeSettings),
            clusters=settings_from(options, ClusterSettings),
            saliency=settings_from(options, SaliencySettings),
            count=options.count, hold_out=options.hold_out, seed=options.seed, notify=bars,
        )  # fmt: skip
    print(
        f"{result['negatives_a_method']} negatives of each of {', '.join(methods)},"
        f" {result['train_good']} photos to train on, {result['test_good']} good ones to test on,"
        f" in {result['folder']}"
    )
    print(f"anomalib opens it with Folder(name='negatives', **{json.dumps(result['anomalib'])})")
    return result


def _model(options: argparse.Namespace) -> dict[str, Any]:
    from cutswap.networks.backbone import load_backbone
    from cutswap.networks.export import export_model
    from cutswap.runs.folder import RunFolder
    from cutswap.training.finetuning import tuned_backbone

    if options.run_folder and options.weights:
        raise CutSwapError(
            "--run and --weights", expected="one of the two", found="both",
            fix="leave out --weights to export the run's tuned network",
        )  # fmt: skip
    if options.run_folder:
        backbone = tuned_backbone(RunFolder(options.run_folder))
    else:
        backbone = load_backbone(options.backbone, options.weights or "embedded")
    result = export_model(
        backbone, options.out, layers=options.layers.split(","), image_size=options.image_size,
        formats=options.formats.split(","),
    )  # fmt: skip
    for name, file in result["files"].items():
        worst = max(file["max_abs_difference"].values())
        print(
            f"{name}: {options.out / file['file']}, {file['bytes'] / 1e6:.1f} MB; its outputs"
            f" differ by {worst:.2g} at most (largest value"
            f" {result['largest_output']:.3g})"
        )
    return result
