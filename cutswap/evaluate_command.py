"""`python -m cutswap evaluate` and `evaluate-anomalib`: a category scored, by ours or another."""

from __future__ import annotations

import argparse
from typing import Any

from cutswap.bars import Bars
from cutswap.command_data import checked_category
from cutswap.command_words import describe, say_missed, say_weights
from cutswap.config import PatchCoreSettings
from cutswap.errors import CutSwapError
from cutswap.files import need_out
from cutswap.flags import settings_from


def evaluate(options: argparse.Namespace) -> dict[str, Any]:
    """PatchCore on a category, with a network or a run's tuned one."""
    from cutswap.backbone import load_backbone
    from cutswap.devices import choose_device
    from cutswap.evaluation import evaluate as run_evaluation
    from cutswap.evaluation import write_evaluation
    from cutswap.finetuning import tuned_backbone
    from cutswap.run_folder import RunFolder

    need_out(options.out)
    settings = settings_from(options, PatchCoreSettings)
    if options.run_folder and options.weights:
        raise CutSwapError(
            "--run and --weights",
            expected="one of the two",
            found="both",
            fix="leave out --weights to evaluate the run's tuned network",
        )
    device = str(choose_device(options.device))
    if options.run_folder:
        backbone = tuned_backbone(RunFolder(options.run_folder), device)
    else:
        weights = options.weights or "embedded"
        backbone = load_backbone(options.backbone, weights, device=device, seed=options.seed)
    say_weights(backbone.report.sentence(), backbone.name)
    with Bars(options.quiet) as bars:
        checked = checked_category(options, bars)
        found = run_evaluation(checked, backbone, settings, seed=options.seed, notify=bars)
        write_evaluation(found, options.out, notify=bars)
    print(describe(found.summary))
    say_missed(found.summary["missed"])
    return {**found.summary, "out": str(options.out)}


def evaluate_anomalib(options: argparse.Namespace) -> dict[str, Any]:
    """Another detector on a category, by anomalib's networks and our figures."""
    from cutswap.anomalib_models import need_anomalib
    from cutswap.backbone import load_backbone
    from cutswap.detector_evaluation import evaluate_detector, write_detector
    from cutswap.detector_settings import DetectorSettings
    from cutswap.devices import choose_device

    need_out(options.out)
    need_anomalib()
    settings = settings_from(options, DetectorSettings)
    device = str(choose_device(options.device))
    backbone = load_backbone(options.backbone, options.weights, device=device, seed=options.seed)
    say_weights(backbone.report.sentence(), backbone.name)
    with Bars(options.quiet) as bars:
        checked = checked_category(options, bars)
        found = evaluate_detector(
            checked, options.detector, backbone, settings, seed=options.seed, notify=bars
        )
        write_detector(found, options.out)
    print(describe(found.summary))
    say_missed(found.summary["missed"])
    return {**found.summary, "out": str(options.out)}
