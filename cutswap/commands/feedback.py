"""`python -m cutswap feedback`: photos that are fine teach the bank; shown first, then accepted."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cutswap.commands.common import describe, finite, say
from cutswap.commands.own_outputs import claim
from cutswap.errors import CutSwapError
from cutswap.utils.files import need_out
from cutswap.utils.folder_names import DECISION, RESULT
from cutswap.utils.progress import Bars

if TYPE_CHECKING:
    from cutswap.data.loading import CheckedCategory
    from cutswap.decision.feedback import Change, FeedbackEntry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `feedback`."""
    parser.add_argument(
        "--evaluation",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder that evaluate or feedback wrote",
    )
    parser.add_argument(
        "--fine",
        nargs="+",
        default=[],
        metavar="PHOTO",
        help="photos that are fine: names as in scores.csv, or files; their patches join the bank",
    )
    parser.add_argument(
        "--defect",
        nargs="+",
        default=[],
        metavar="PHOTO",
        help="photos that show a defect although no label says so: kept as examples",
    )
    parser.add_argument("--undo", action="store_true", help="take the last feedback back")
    parser.add_argument(
        "--threshold",
        type=finite,
        metavar="T",
        help="a score at or above it is called defective [that of the last feedback, or the"
        " evaluation's]",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, mps, cuda or cuda:N [auto]")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="accept it: folder to write the evaluation by the changed bank into; without it,"
        " what would change is shown and nothing is written",
    )


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Show what a word on some photos changes, and write it where it is accepted."""
    from cutswap.decision.feedback import (
        Wish,
        history_of,
        need_bank_of_squares,
        own_threshold,
        proposed,
    )
    from cutswap.evaluation.scored_set import read_scored
    from cutswap.patchcore.memory_bank import MemoryBank
    from cutswap.reports.repeat import recorded_category
    from cutswap.utils.devices import choose_device

    _need_one_wish(options)
    if options.out:
        need_out(options.out)
    scored = read_scored(options.evaluation)
    need_bank_of_squares(scored)
    history = history_of(scored.summary, options.evaluation / RESULT)
    threshold = options.threshold
    if threshold is None:
        threshold = own_threshold(scored.summary, history)
    wish = Wish(tuple(options.fine), tuple(options.defect), options.undo)
    with Bars(options.quiet) as bars:
        checked = recorded_category(scored, bars)
        bank = MemoryBank.load(scored.bank_file, device=str(choose_device(options.device)))
        change, entry = proposed(wish, checked, bank, history, threshold, options.evaluation, bars)
    for line in change.lines():
        print(line)
    result = {**entry.to_dict(), "accepted": options.out is not None}
    if options.out is None:
        say("nothing was written; to accept it, pass --out with a new folder")
        return result
    return {**result, **_accept(options, change, checked, (*history, entry))}


def _need_one_wish(options: argparse.Namespace) -> None:
    wishes = bool(options.fine or options.defect), options.undo
    if sum(wishes) != 1:
        raise CutSwapError(
            "--fine, --defect and --undo",
            expected="photos that are fine or show a defect, or --undo alone",
            found="both" if all(wishes) else "none",
            fix="name photos, or pass --undo",
        )


def _accept(
    options: argparse.Namespace,
    change: Change,
    checked: CheckedCategory,
    history: tuple[FeedbackEntry, ...],
) -> dict[str, Any]:
    from cutswap.decision.feedback import (
        accepted,
        accepted_files,
        carried_over,
        used_in,
        write_accepted,
    )

    decision = carried_over(options.evaluation, change)
    if decision is None and (options.evaluation / DECISION).exists():
        say("the threshold from good photos alone is left out: re-weighted scores may rise")
    used = used_in(history)
    test = [record for record in checked.category.test if record.name not in used]
    names = accepted_files(change, test, decision)
    own = claim(options.out, options.command, names, options.json)
    with Bars(options.quiet) as bars:
        found = accepted(change, checked, test, history, bars)
        with own.writing():
            write_accepted(found, checked, decision, options.out, bars)
    print(f"{describe(found.summary)}, of the {len(test)} test photos not used")
    return {**found.summary, "out": str(options.out)}
