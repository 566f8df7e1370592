"""The engine that a command's flags ask for."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line reads its flags without any package
    from cutswap.sweeps.engines import Engine


def engine_of(options: argparse.Namespace) -> Engine:
    """The engine a command asks for, ready to work.

    Args:
        options: with engine, processes, retries, address, cpus and gpus.

    Raises:
        CutSwapError: a cluster that cannot be reached.
    """
    if options.engine == "ray":
        from cutswap.sweeps.ray_engine import RayEngine

        return RayEngine(options.address, options.retries, options.cpus, options.gpus)
    from cutswap.sweeps.local_engine import LocalEngine

    return LocalEngine(options.processes, options.retries, getattr(options, "early", ()))


@contextlib.contextmanager
def early_start(options: argparse.Namespace) -> Iterator[None]:
    """Start the workers of a command that will want them, and let `engine_of` find them.

    Args:
        options: of any command; `early` is added.
    """
    if not _wants_workers(options):
        yield
        return
    from cutswap.sweeps.local_engine import early_workers

    with early_workers(min(options.processes, os.cpu_count() or 1)) as options.early:
        yield


def _wants_workers(options: argparse.Namespace) -> bool:
    """A study with one process computes in its own."""
    if getattr(options, "engine", None) != "local" or options.plan:
        return False
    return options.command == "sweep" or options.processes > 1


def add_engine_flags(parser: argparse.ArgumentParser) -> None:
    """Who computes: of `sweep` and `reproduce`."""
    group = parser.add_argument_group("engine")
    group.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="processes of this machine, or a Ray cluster (pip install 'cutswap[ray]') [local]",
    )
    group.add_argument(
        "--processes",
        type=int,
        choices=range(1, 257),
        default=1,
        metavar="N",
        help="processes of local at once, 1 to 256 [1]",
    )
    group.add_argument(
        "--threads",
        type=int,
        choices=range(1, 257),
        metavar="N",
        help="torch's, a process; results agree to the last bit only for equal numbers [1 of"
        " several; reproduce in one process takes what torch does]",
    )
    group.add_argument(
        "--retries",
        type=int,
        choices=range(11),
        default=2,
        metavar="N",
        help="further attempts of a failed cell, 0 to 10 [2]",
    )
    group.add_argument(
        "--address",
        default="auto",
        metavar="WHERE",
        help="of the Ray cluster: auto, host:port or ray://host:port [auto]",
    )
    group.add_argument("--cpus", type=float, default=1.0, help="cores a cell takes of Ray [1]")
    group.add_argument(
        "--gpus",
        type=float,
        default=0.0,
        help="GPUs a cell takes of Ray; 0.25 lets four share one [0]",
    )
