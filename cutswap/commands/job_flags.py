"""Flags of `jobs`, whose queued commands are read like any."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path


def add_jobs(
    parser: argparse.ArgumentParser, parse: Callable[[list[str]], argparse.Namespace]
) -> None:
    """`list`, `add`, `follow`, `stop` and `resume`, each with its own.

    Args:
        parser: receives them.
        parse: reads a command to queue as if it had been typed.
    """
    # A command to queue brings flags of its own, which only REMAINDER leaves alone.
    actions = parser.add_subparsers(metavar="ACTION", dest="action")
    _runs(parser)
    parser.set_defaults(action="list", runs=None, parse=parse)
    listed = actions.add_parser("list", help="all runs and how they stand (the default)")
    add = actions.add_parser("add", help="queue a finetune, evaluate or reproduce command")
    add.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND ...")
    _runs(listed)
    for name, about in (
        ("follow", "say how a run goes until it is at rest"),
        ("stop", "take a run out of the queue, or end it after its update"),
        ("resume", "queue a stopped or interrupted run again"),
    ):
        action = actions.add_parser(name, help=about)
        action.add_argument("name", metavar="RUN", help="its name in the runs folder")
        _runs(action)
        if name == "stop":
            action.add_argument("--force", action="store_true", help="kill it at once")


def _runs(parser: argparse.ArgumentParser) -> None:
    # Suppressed: an action's default must not undo what stands before it.
    parser.add_argument("--runs", type=Path, metavar="DIR", default=argparse.SUPPRESS,
                        help="runs folder [$CUTSWAP_RUNS, or runs]")  # fmt: skip
