"""What commands say on the screen: figures on standard output, remarks on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from cutswap.data.records import Problem
from cutswap.utils.progress import Bars


def describe(summary: dict[str, Any]) -> str:
    """One line of figures for the screen; `-` for what the data cannot tell."""

    def shown(name: str) -> str:
        value = summary[name]
        return "-" if value is None else f"{value:.3f}"

    return (
        f"image AUROC {shown('image_auroc')}, pixel AUROC {shown('pixel_auroc')},"
        f" AUPRO {shown('aupro')}, F1-max {shown('f1_max')} at {summary['threshold']:.4g};"
        + (f" bank {summary['bank_size']}," if "bank_size" in summary else "")
        + f" {summary['seconds']:.1f} s"
    )


def say_missed(missed: dict[str, Any]) -> None:
    """Recall by type and by area, below the figures."""
    from cutswap.evaluation.missed import over_seeds

    print("defects found at that threshold, 95% intervals:")
    kinds = [r for kind in ("by_type", "by_area", "alarms") for r in over_seeds([missed], kind)]
    width = max(len(r.name) for r in kinds)
    for one in kinds:
        print(f"  {one.name:<{width}}  {one.text()}")


def record_of(problem: Problem) -> dict[str, Any]:
    """A problem as JSON values."""
    return {
        "path": str(problem.path),
        "kind": problem.kind,
        "message": problem.message,
        "fatal": problem.fatal,
    }


def say_problem(problem: Problem) -> None:
    """One line of it."""
    print(f"  {'BAD ' if problem.fatal else 'note'} {problem.path}: {problem.message}")


def say(text: str) -> None:
    """A remark, beside the figures."""
    print(text, file=sys.stderr)


def say_weights(sentence: str, name: str) -> None:
    """Where a network's weights come from."""
    say(f"{name}: {sentence}")


def say_left_out(count: int) -> None:
    """How many files were not used, where there are any."""
    if count:
        print(f"left out {count} unusable files; the result lists them", file=sys.stderr)


def tick(bars: Bars, stage: str) -> Callable[[int, int], None]:
    """A progress callback that moves a stage's bar."""
    return lambda done, total: bars(stage, done, total)
