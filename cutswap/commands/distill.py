"""`python -m cutswap distill`: a small network learnt from a large one, on any photographs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cutswap.flags import add_flags, settings_from
from cutswap.utils.progress import Bars


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `distill`."""
    parser.add_argument(
        "--photos",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of photographs, searched to the bottom",
    )
    parser.add_argument("--student", required=True, help="resnet18, or vgg16 (slim)")
    parser.add_argument(
        "--teacher", metavar="NAME|PATH", help="network of its kind whose activations are matched"
    )
    parser.add_argument(
        "--class-teacher", metavar="NAME|PATH", help="network whose class probabilities are matched"
    )
    parser.add_argument(
        "--start", type=Path, metavar="FILE", help="weights to go on from [a random start]"
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="safetensors file to write; its card goes beside it",
    )
    from cutswap.networks.distill_settings import DistillSettings

    add_flags(parser, DistillSettings)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """A student's weights and card."""
    from cutswap.networks.distill_settings import DistillSettings
    from cutswap.networks.distill_student import distill_student

    with Bars(options.quiet) as bars:
        card = distill_student(
            photos=options.photos,
            student=options.student,
            teacher=options.teacher,
            class_teacher=options.class_teacher,
            out=options.out,
            settings=settings_from(options, DistillSettings),
            start=options.start,
            notify=bars,
        )
    print(f"{options.out} and its card {options.out.with_suffix('.json')}")
    return card
