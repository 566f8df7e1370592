"""`python -m cutswap check-data`: every problem of a data set at once."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cutswap.commands.common import add_data, record_of, say_problem
from cutswap.data.reading import SQUASH
from cutswap.errors import CutSwapError, first_names
from cutswap.utils.progress import Bars, tick

if TYPE_CHECKING:  # --help needs no package
    from cutswap.data.records import Category, Problem


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `check-data`."""
    add_data(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """List every problem of every category, or of one; exit status 1 when any is fatal."""
    from cutswap.data.datasets import open_dataset
    from cutswap.data.loading import lacking_test_images
    from cutswap.data.problems import find_problems, usable
    from cutswap.data.records import Problem
    from cutswap.data.unused import unused_beside

    data = open_dataset(options.data)
    names = [options.category] if options.category else list(data.categories)
    around = [*data.noticed, *unused_beside(data)]
    report: dict[str, Any] = {
        "root": str(data.root),
        "layout": data.layout,
        "problems": [record_of(p) for p in around],
        "categories": {},
    }
    fatal = sum(p.fatal for p in around)
    trainable: list[Category] = []
    for problem in around:
        say_problem(problem)
    with Bars(options.quiet) as bars:
        for name in names:
            try:
                category = data.listing(name)
            except CutSwapError as error:
                if name not in data.categories:
                    raise
                # One category that cannot be listed hides no problem of another.
                said = f"expected {error.expected}, found {error.found}. To fix it: {error.fix}"
                unread = Problem(data.root / name, "unread", said, fatal=True)
                print(f"{name}: not read; {_verdict([unread])}")
                say_problem(unread)
                fatal += 1
                report["categories"][name] = {
                    "n_train": 0,
                    "n_test": 0,
                    "defects": [],
                    "problems": [record_of(unread)],
                }
                continue
            problems = find_problems(category, progress=tick(bars, f"checking {name}"))
            bars.close()
            print(f"{name}: {_counts(category)}; {_verdict(problems)}")
            for problem in problems:
                say_problem(problem)
            fatal += sum(p.fatal for p in problems)
            with contextlib.suppress(CutSwapError):  # no sound training photo: told as BAD
                trainable.append(usable(category, problems, skip_bad=True)[0])
            report["categories"][name] = {
                "n_train": len(category.train),
                "n_test": len(category.test),
                "defects": list(category.defects),
                "reading": category.reading.to_dict(),
                "problems": [record_of(p) for p in problems],
            }
    report["exit_status"] = 1 if fatal else 0
    report["lacking_test_photos"] = lacking = lacking_test_images(trainable)
    if fatal:
        print(f"{fatal} marked BAD must be mended, or left out with --skip-bad")
    if lacking:
        print(_unscored(lacking))
    elif not fatal:
        print("nothing stands in the way")
    return report


def _unscored(lacking: Mapping[str, str]) -> str:
    """What can be done without good, or without defective, test photos, and what cannot."""
    listed = [f"{name} ({found})" for name, found in lacking.items()]
    return (
        "training needs no more; evaluate, sweep and reproduce need good and defective test photos"
        f" too: add them to test/good and test/<defect> of {first_names(listed, 5)}"
    )


def _counts(category: Category) -> str:
    """`12 good to learn from; to test: 4 good, 6 defective (crack, dent), 6 with a mask`."""
    defective = [r for r in category.test if not r.is_good]
    text = f"{len(category.train)} good to learn from"
    if category.reading.bits is not None:
        text += f", read with {category.reading.bits} bits"
    if category.reading.resize != SQUASH:
        text += f", brought to squares by {category.reading.resize}"
    if not category.test:
        return f"{text}, none to test"
    text += f"; to test: {len(category.test) - len(defective)} good, {len(defective)} defective"
    if defective:
        text += f" ({', '.join(category.defects)}), {sum(r.mask is not None for r in defective)}"
        text += " with a mask"
    return text


def _verdict(problems: Sequence[Problem]) -> str:
    """`2 bad, 1 to know`, or `no problems`."""
    bad = sum(p.fatal for p in problems)
    return f"{bad} bad, {len(problems) - bad} to know" if problems else "no problems"
