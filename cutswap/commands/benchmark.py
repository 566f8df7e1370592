"""`python -m cutswap benchmark`: every step timed beside a plain way of doing it."""

from __future__ import annotations

import argparse
from typing import Any

from cutswap.commands.common import count
from cutswap.utils.progress import Bars


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `benchmark`."""
    parser.add_argument("--quick", action="store_true", help="smaller sizes, under two minutes")
    parser.add_argument("--parts", metavar="NAME,NAME", help="some of them [all]")
    parser.add_argument(
        "--device", metavar="NAME", help="instead: one device from end to end, cuda, cpu, ..."
    )
    parser.add_argument("--threads", type=count, metavar="N", help="of torch [all cores]")
    parser.add_argument(
        "--clock", default="wall", help="wall or processor, for busy machines [wall]"
    )
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Times beside plain baselines, as a table."""
    from cutswap.benchmark.sizes import FULL, QUICK
    from cutswap.benchmark.suite import PARTS, run_benchmark
    from cutswap.benchmark.table import markdown, table

    parts = options.parts.split(",") if options.parts else tuple(PARTS)
    sizes = (QUICK if options.quick else FULL).replace(clock=options.clock)
    with Bars(options.quiet) as bars:
        if options.device:
            from cutswap.benchmark.device import run_device_benchmark

            result, measurements = run_device_benchmark(options.device, sizes, notify=bars)
            print(result["machine"]["device"])
        else:
            result, measurements = run_benchmark(sizes, parts, threads=options.threads, notify=bars)
    machine = result["machine"]
    print(
        f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads,"
        f" torch {machine['torch']},"
        f" load {machine['load_before']} before; {result['seconds']:.0f} s"
    )
    print(markdown(measurements) if options.markdown else table(measurements))
    if options.quick:
        print("targets are set for the full sizes; small ones cannot reach all of them")
    return result
