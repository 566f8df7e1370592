"""`python -m cutswap check-data`: every problem of a data set at once."""

from __future__ import annotations

import argparse
from typing import Any

from cutswap.commands.common import add_data, record_of, say_problem, tick
from cutswap.utils.progress import Bars


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `check-data`."""
    add_data(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """List every problem of every category, or of one; exit status 1 when any is fatal."""
    from cutswap.data.datasets import open_dataset
    from cutswap.data.problems import find_problems

    data = open_dataset(options.data)
    names = [options.category] if options.category else list(data.categories)
    report: dict[str, Any] = {
        "root": str(data.root),
        "layout": data.layout,
        "problems": [record_of(p) for p in data.noticed],
        "categories": {},
    }
    fatal = sum(p.fatal for p in data.noticed)
    for problem in data.noticed:
        say_problem(problem)
    with Bars(options.quiet) as bars:
        for name in names:
            category = data.category(name)
            problems = find_problems(category, progress=tick(bars, f"checking {name}"))
            bars.close()
            print(
                f"{name}: {len(category.train)} train, {len(category.test)} test,"
                f" {', '.join(category.defects) or 'no'} defects; {len(problems)} problems"
            )
            for problem in problems:
                say_problem(problem)
            fatal += sum(p.fatal for p in problems)
            report["categories"][name] = {
                "n_train": len(category.train),
                "n_test": len(category.test),
                "defects": list(category.defects),
                "problems": [record_of(p) for p in problems],
            }
    report["exit_status"] = 1 if fatal else 0
    print(f"{fatal} files must be repaired or left out" if fatal else "nothing stands in the way")
    return report
