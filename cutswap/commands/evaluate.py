"""`python -m cutswap evaluate` and `evaluate-anomalib`: a category scored, by ours or another."""

from __future__ import annotations

import argparse
from typing import Any

from cutswap.commands.command_data import checked_category
from cutswap.commands.command_words import describe, say_missed, say_weights
from cutswap.config import BANKS, PatchCoreSettings
from cutswap.errors import CutSwapError
from cutswap.flags import settings_from
from cutswap.utils.files import need_out
from cutswap.utils.progress import Bars


def evaluate(options: argparse.Namespace) -> dict[str, Any]:
    """PatchCore on a category, with a network or a run's tuned one."""
    from cutswap.evaluation.evaluate import evaluate as run_evaluation
    from cutswap.evaluation.evaluate import write_evaluation
    from cutswap.networks.backbone import load_backbone
    from cutswap.runs.folder import RunFolder
    from cutswap.training.finetuning import tuned_backbone
    from cutswap.utils.devices import choose_device

    need_out(options.out)
    settings = settings_from(options, PatchCoreSettings, BANKS.get(options.preset, {}))
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
    from cutswap.evaluation.anomalib_models import need_anomalib
    from cutswap.evaluation.detector_settings import DetectorSettings
    from cutswap.evaluation.detectors import evaluate_detector, write_detector
    from cutswap.networks.backbone import load_backbone
    from cutswap.utils.devices import choose_device

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
