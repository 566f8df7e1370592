"""Flags that several commands share, and the numbers they take; torch is not needed for them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_common(parser: argparse.ArgumentParser, default: Any) -> None:
    """Flags of every command; an action's default is suppressed, to keep what stands before it."""
    switch = default or False
    parser.add_argument("--json", type=Path, default=default, metavar="FILE",
                        help="write the results as JSON")  # fmt: skip
    parser.add_argument("--debug", action="store_true", default=switch, help="show tracebacks")
    parser.add_argument("--quiet", action="store_true", default=switch, help="no progress bars")


def add_data(parser: argparse.ArgumentParser) -> None:
    """`--data` and `--category`."""
    parser.add_argument(
        "--data", type=Path, required=True, metavar="ROOT",
        help="MVTec AD or VisA folder, one category's folder, or a folder of images",
    )  # fmt: skip
    parser.add_argument("--category", metavar="C", help="category; may be left out if just one")


def add_seed_and_out(parser: argparse.ArgumentParser, out: str) -> None:
    """`--seed` and `--out`, with what the latter is."""
    parser.add_argument("--seed", type=seed, default=0, help="seed of every draw [0]")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=out)


def seed(text: str) -> int:
    """A whole number from 0 on."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected a whole number >= 0, found {text}")
    return value


def count(text: str) -> int:
    """A whole number from 1 on."""
    value = int(text)
    if not 1 <= value <= 100_000:
        raise argparse.ArgumentTypeError(f"expected 1 to 100000, found {text}")
    return value


def add_skip_bad(parser: argparse.ArgumentParser) -> None:
    """`--skip-bad`."""
    parser.add_argument(
        "--skip-bad", action="store_true",
        help="go on without unusable files and record which (default: refuse)",
    )  # fmt: skip
