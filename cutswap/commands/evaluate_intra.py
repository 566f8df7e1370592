"""`python -m cutswap evaluate-intra`: InTra on the same split and figures."""

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
)
from cutswap.commands.own_outputs import claim
from cutswap.flags import add_flags, settings_from
from cutswap.intra.settings import PAPER, IntraSettings
from cutswap.utils.files import need_out
from cutswap.utils.progress import Bars


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `evaluate-intra`."""
    add_data(parser)
    add_looks(parser)
    add_skip_bad(parser)
    parser.add_argument(
        "--preset",
        choices=("laptop", "paper"),
        default="laptop",
        help="laptop: a quarter of the width, 3000 updates; paper: its size and rate, 100000"
        " updates, hours on a card; the flags below change it [laptop]",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, mps, cuda or cuda:N [auto]")
    add_seed_and_out(parser, "folder to write")
    add_flags(parser, IntraSettings)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """An inpainting transformer learns a category's good photos and scores its test photos."""
    from cutswap.evaluation.detector_settings import INTRA
    from cutswap.evaluation.detectors import detector_files, evaluate_detector, write_detector
    from cutswap.utils.devices import choose_device

    need_out(options.out)
    base = PAPER if options.preset == "paper" else {}
    settings = settings_from(options, IntraSettings, base)
    device = str(choose_device(options.device))
    with Bars(options.quiet) as bars:
        checked = checked_category(options, bars)
        names = detector_files(checked.category.name, checked.category.test)
        own = claim(options.out, options.command, names, options.json)
        evaluation = evaluate_detector(
            checked, INTRA, None, settings, device=device, seed=options.seed, notify=bars
        )
        with own.writing():
            write_detector(evaluation, options.out)
    print(describe(evaluation.summary))
    say_missed(evaluation.summary["missed"])
    return {**evaluation.summary, "out": str(options.out)}
