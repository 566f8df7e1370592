"""Flags of commands whose cells go to processes or a cluster; torch is not needed to read them."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_sweep_flags(parser: argparse.ArgumentParser) -> None:
    """What `sweep` has beside the recipe's flags."""
    parser.add_argument(
        "--grid",
        nargs="*",
        default=[],
        metavar="NAME=VALUES",
        help="axes, for example k=1..6 layers=4,16+30 augment=cutswap,nsa;"
        " several values of one setting are joined by +",
    )
    parser.add_argument(
        "--coreset",
        type=float,
        default=0.01,
        metavar="SHARE",
        help="share of patches kept in the bank, where the grid does not say [0.01]",
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="STORE",
        help="folder or URL (s3://bucket/name) of the results; the same command"
        " goes on where it ended",
    )
    parser.add_argument(
        "--keep-runs",
        type=Path,
        metavar="DIR",
        help="keep tuned networks here, a folder all workers see [none is kept]",
    )
    add_engine_flags(parser)


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
        default=1,
        metavar="N",
        help="torch's, a worker; results agree to the last bit only for equal numbers [1]",
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
