"""`python -m cutswap distill`: a small network learnt from a large one, on any photographs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cutswap.errors import CutSwapError
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

    _need_own_outputs(options)
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


def _need_own_outputs(options: argparse.Namespace) -> None:
    """Refuse to replace a network that is read, or files that `distill` did not write.

    Raises:
        CutSwapError: one that is in the way.
    """
    from cutswap.commands.own_outputs import need_no_input
    from cutswap.utils.files import need_out, need_short_names, read_json, sha256_of

    out = options.out
    card = out.with_suffix(".json")
    need_out(out.absolute().parent)
    need_short_names(out, ())
    given = [Path(name) for name in (options.teacher, options.class_teacher) if name]
    need_no_input(out, [options.start, *given])
    try:
        told = read_json(card)
    except CutSwapError:  # none, or none of ours
        told = None
    is_card = isinstance(told, dict) and {"student", "sha256"} <= told.keys()
    for path, is_ours in (
        (card, is_card),
        (out, is_card and out.is_file() and told["sha256"] == sha256_of(out)),
    ):
        if path.exists() and not is_ours:
            raise CutSwapError(
                path,
                expected="no file of this name, or one that distill wrote, with its card",
                found="a file of another origin",
                fix="choose another --out, or move the file away; nothing was changed",
            )
