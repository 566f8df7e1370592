"""Parts shared by commands: flags, number parsers, printing.

Figures go to standard output, remarks to standard error. No package is needed to read this module.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cutswap.config import PATCHCORE, FalseAlarmSettings, PatchCoreSettings
from cutswap.data.reading import ReadingSettings
from cutswap.errors import CutSwapError, first_names
from cutswap.flags import FlagNames, add_flags, settings_from, split_names

if TYPE_CHECKING:  # --help needs no package
    from cutswap.data.loading import CheckedCategory
    from cutswap.data.records import Problem
    from cutswap.utils.progress import Bars

ONE_PHOTO = FlagNames(skip=("good", "defects"))  # of `ReadingSettings`: a photo has no folders
STOPPED = 130  # exit status of work that was asked to stop, as shells count Ctrl-C


def add_common(parser: argparse.ArgumentParser, default: Any) -> None:
    """Flags of every command; an action's default is suppressed: a flag before it counts."""
    switch = default or False
    parser.add_argument(
        "--json", type=Path, default=default, metavar="FILE", help="write the results as JSON"
    )
    parser.add_argument("--debug", action="store_true", default=switch, help="show tracebacks")
    parser.add_argument("--quiet", action="store_true", default=switch, help="no progress bars")


def add_data(parser: argparse.ArgumentParser) -> None:
    """`--data` and `--category`."""
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="ROOT",
        help="MVTec AD or VisA folder, one category's folder, or a folder of images",
    )
    parser.add_argument("--category", metavar="C", help="category; may be left out if just one")


def add_looks(parser: argparse.ArgumentParser) -> None:
    """`--region` and `--resize`: what of each photo is looked at, and in which shape."""
    add_region(parser)
    add_flags(parser, ReadingSettings, FlagNames(skip=("bits", "good", "defects")))


OWN_REGION = "region.png in the category's folder, if there is one"


def add_region(parser: argparse.ArgumentParser, default: str = OWN_REGION) -> None:
    """`--region`, with where is looked without it."""
    parser.add_argument(
        "--region",
        metavar="PATH",
        help="picture of where to look, white inside and black outside; none: everywhere"
        f" [{default}]",
    )


def asked_resize(options: argparse.Namespace) -> str | None:
    """The `--resize` of `add_looks`; None: as the category's folder says."""
    text: str | None = getattr(options, "ReadingSettings.resize")
    return text


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


def finite(text: str) -> float:
    """A number that is neither infinite nor NaN."""
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number, found {text}")
    return value


def price(text: str) -> float:
    """A number from 0 on."""
    value = finite(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected a number >= 0, found {text}")
    return value


def add_threshold(parser: argparse.ArgumentParser, owner: str) -> None:
    """`--threshold` and `--false-alarms`, for another threshold than the detector's.

    Args:
        parser: of the command.
        owner: whose threshold it is without them, for the help.
    """
    parser.add_argument(
        "--threshold",
        type=finite,
        metavar="T",
        help=f"a score at or above it is called defective [the {owner}'s]",
    )
    add_flags(parser, FalseAlarmSettings, FlagNames(skip=("folds", "calibration")))


def asked_rate(options: argparse.Namespace) -> float | None:
    """The false-alarm rate of `add_threshold`; None where none was asked for.

    Raises:
        CutSwapError: a threshold was given too.
    """
    rate: float | None = settings_from(options, FalseAlarmSettings).false_alarms
    if rate is not None and options.threshold is not None:
        raise CutSwapError(
            "--threshold and --false-alarms",
            expected="one of the two",
            found="both",
            fix="leave one out",
        )
    return rate


def add_skip_bad(parser: argparse.ArgumentParser) -> None:
    """`--skip-bad`."""
    parser.add_argument(
        "--skip-bad",
        action="store_true",
        help="go on without unusable files and record which (default: refuse)",
    )


def add_recipe(
    parser: argparse.ArgumentParser, *, what: bool = False, without: tuple[str, ...] = ()
) -> None:
    """Fine-tuning settings of `reproduce`, `sweep` and `tune`; settings they vary have no flag.

    Args:
        parser: receives them.
        what: also `--train`: backbone or a head.
        without: sections that the command has no use for.
    """
    from cutswap.studies.flags import STUDY_FLAGS
    from cutswap.training.flags import FINETUNE_FLAGS

    flags = {**STUDY_FLAGS, "head": FINETUNE_FLAGS["head"]} if what else STUDY_FLAGS
    for section, (settings, naming) in flags.items():
        if section not in without:
            add_flags(parser, settings, naming)


CATEGORIES_HELP = r"categories, with commas; a comma inside a name is \, [all of ROOT]"


def chosen_categories(options: argparse.Namespace) -> list[str]:
    """What `--categories` names; none: all.

    Args:
        options: with data and categories.

    Raises:
        CutSwapError: no such data, or names that can be read in two ways.
    """
    if not options.categories:
        return []
    from cutswap.data.datasets import open_dataset

    known = open_dataset(options.data).categories
    return split_names("--categories", options.categories, known)


def checked_category(
    options: argparse.Namespace,
    bars: Bars,
    *,
    is_told: bool = True,
    train_size: int | None = None,
) -> CheckedCategory:
    """Open and check it.

    Args:
        options: with data, category, region, resize and skip_bad.
        bars: one of them moves.
        is_told: say how many files were left out; of several processes one does.
        train_size: working size of the training to come, see `find_problems`.

    Raises:
        CutSwapError: no such data, or unusable files.
    """
    from cutswap.data.loading import check_category
    from cutswap.utils.progress import tick

    checked = check_category(
        options.data,
        options.category,
        skip_bad=options.skip_bad,
        train_size=train_size,
        region=options.region,
        resize=asked_resize(options),
        progress=tick(bars, "checking images"),
    )
    if is_told and checked.region is not None:
        say(f"looking at {checked.region.share:.0%} of each photo: {checked.region.path}")
    if is_told:
        say_left_out(checked.left_out)
        say_doubts(checked.doubts)
    return checked


def describe(summary: dict[str, Any]) -> str:
    """One line of figures for the screen; `-` for what the data cannot tell."""

    def shown(name: str) -> str:
        value = summary[name]
        return "-" if value is None else f"{value:.3f}"

    return (
        f"image AUROC {shown('image_auroc')}, pixel AUROC {shown('pixel_auroc')},"
        f" AUPRO {shown('aupro')}, F1-max {shown('f1_max')} at {summary['threshold']:.4g};"
        + _bank_words(summary)
        + f" {summary['seconds']:.1f} s"
    )


def _bank_words(summary: dict[str, Any]) -> str:
    """How many patches the bank holds; nothing of a detector without one."""
    if "bank_size" not in summary:
        return ""
    is_paired = PatchCoreSettings.from_dict(summary[PATCHCORE]).whitening == "both"
    return f" bank {summary['bank_size']}{' and as many whitened' if is_paired else ''},"


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


def say_doubts(doubts: Sequence[Problem]) -> None:
    """The first of what may make results wrong although every file can be used."""
    if doubts:
        more = f"; {len(doubts) - 1} more: run check-data" if len(doubts) > 1 else ""
        say(f"doubtful, and used all the same: {doubts[0].path}: {doubts[0].message}{more}")


def say_left_out(problems: Sequence[Problem]) -> None:
    """Which files were not used, the first by name."""
    if problems:
        noun = "file" if len(problems) == 1 else "files"
        named = first_names([p.path.name for p in problems])
        say(f"left out {len(problems)} unusable {noun} ({named}); the result lists them")


def show_in_browser(address: str) -> bool:
    """Open an address in the user's browser, where there is a screen to show it on.

    Returns:
        Whether it was tried; without a screen `webbrowser` might start a browser in the terminal.
    """
    on_desktop = sys.platform in ("darwin", "win32")
    if not on_desktop and not any(os.environ.get(v) for v in ("DISPLAY", "WAYLAND_DISPLAY")):
        return False
    return webbrowser.open(address)
