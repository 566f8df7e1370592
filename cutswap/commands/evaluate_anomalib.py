"""`python -m cutswap evaluate-anomalib`: another detector on the same split and figures."""

from __future__ import annotations

import argparse
from typing import Any

from cutswap.commands.common import (
    add_data,
    add_looks,
    add_seed_and_out,
    add_skip_bad,
    checked_category,
    describe,
    say_missed,
    say_weights,
)
from cutswap.commands.own_outputs import claim
from cutswap.flags import add_flags, settings_from
from cutswap.utils.files import need_out
from cutswap.utils.progress import Bars


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `evaluate-anomalib`."""
    from cutswap.evaluation.detector_settings import ANOMALIB, DetectorSettings

    add_data(parser)
    add_looks(parser)
    add_skip_bad(parser)
    parser.add_argument("--detector", required=True, choices=tuple(ANOMALIB), help="which one")
    parser.add_argument(
        "--backbone", default="resnet18", help="network of STFPM and PaDiM [resnet18]"
    )
    parser.add_argument(
        "--weights",
        default="embedded",
        help="its weights, as everywhere; never from a hub [embedded]",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, mps, cuda or cuda:N [auto]")
    add_seed_and_out(parser, "folder to write")
    add_flags(parser, DetectorSettings)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Another detector on a category, by anomalib's networks and our figures."""
    from cutswap.evaluation.anomalib_models import need_anomalib
    from cutswap.evaluation.detector_settings import DetectorSettings
    from cutswap.evaluation.detectors import detector_files, evaluate_detector, write_detector
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
        names = detector_files(checked.category.name, checked.category.test)
        own = claim(options.out, options.command, names, options.json)
        evaluation = evaluate_detector(
            checked, options.detector, backbone, settings, seed=options.seed, notify=bars
        )
        with own.writing():
            write_detector(evaluation, options.out)
    print(describe(evaluation.summary))
    say_missed(evaluation.summary["missed"])
    return {**evaluation.summary, "out": str(options.out)}
