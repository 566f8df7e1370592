"""`python -m cutswap feedback`: photos that are fine teach the bank; shown first, then accepted."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cutswap.commands.common import describe, finite, say
from cutswap.commands.own_outputs import claim
from cutswap.errors import CutSwapError
from cutswap.utils.files import need_out
from cutswap.utils.folder_names import DECISION, RESULT
from cutswap.utils.progress import Bars

GROWN = "; by the bank before feedback, whose scores were as high or higher"

if TYPE_CHECKING:
    from cutswap.data.loading import CheckedCategory
    from cutswap.data.records import Record
    from cutswap.decision.decision import Decision
    from cutswap.decision.feedback import Change, FeedbackEntry
    from cutswap.evaluation.evaluate import Evaluation
    from cutswap.evaluation.scored_set import ScoredSet
    from cutswap.patchcore.memory_bank import MemoryBank


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
    from cutswap.decision.feedback import history_of, in_force
    from cutswap.evaluation.scored_set import read_scored
    from cutswap.patchcore.memory_bank import MemoryBank
    from cutswap.utils.devices import choose_device

    _need_one_wish(options)
    if options.out:
        need_out(options.out)
    scored = read_scored(options.evaluation)
    _need_bank_of_squares(scored)
    history = history_of(scored.summary, options.evaluation / RESULT)
    threshold = _threshold(options, scored, history)
    with Bars(options.quiet) as bars:
        checked = _category_of(scored, bars)
        bank = MemoryBank.load(scored.bank_file, device=str(choose_device(options.device)))
        change, entry = _change(options, checked, bank, history, threshold, bars)
    for line in change.lines():
        print(line)
    result = {**entry.to_dict(), "accepted": options.out is not None}
    if options.out is None:
        say("nothing was written; to accept it, pass --out with a new folder")
        return result
    history = (*history, entry)
    used = {name for one in in_force(history) for name in (*one.fine, *one.defects)}
    test = [record for record in checked.category.test if record.name not in used]
    return {**result, **_accept(options, change, checked, test, history)}


def _need_one_wish(options: argparse.Namespace) -> None:
    wishes = bool(options.fine or options.defect), options.undo
    if sum(wishes) != 1:
        raise CutSwapError(
            "--fine, --defect and --undo",
            expected="photos that are fine or show a defect, or --undo alone",
            found="both" if all(wishes) else "none",
            fix="name photos, or pass --undo",
        )


def _need_bank_of_squares(scored: ScoredSet) -> None:
    """Refuse detectors that cannot learn so yet.

    Raises:
        CutSwapError: PaDiM, a head, or photos that were cut into tiles.
    """
    found = ""
    if scored.is_padim:
        found = "gaussians (PaDiM)"
    elif "score" in scored.summary:
        found = "a bank with a head, which would have to be weighed again"
    elif scored.is_tiled:
        found = "a bank of tiles"
    if found:
        raise CutSwapError(
            scored.folder,
            expected="an evaluation by a bank alone, of photos that become squares",
            found=found,
            fix="evaluate with a bank alone first",
        )


def _threshold(
    options: argparse.Namespace, scored: ScoredSet, history: tuple[FeedbackEntry, ...]
) -> float:
    """Given, that of the last feedback, that of the good photos alone, or the evaluation's."""
    if options.threshold is not None:
        return float(options.threshold)
    if history:
        return history[-1].threshold
    told = scored.summary.get("false_alarms")
    promised = told.get("threshold") if isinstance(told, dict) else None
    return float(promised if promised is not None else scored.summary["threshold"])


def _category_of(scored: ScoredSet, bars: Bars) -> CheckedCategory:
    """The category with all its test photos, read as it was.

    Raises:
        CutSwapError: it has vanished or changed.
    """
    from cutswap.data.loading import check_category
    from cutswap.training.flags import recorded_data, recorded_looks
    from cutswap.utils.progress import tick

    scored.need_records()
    root, name, left_out = recorded_data(scored.summary, scored.folder)
    region, resize = recorded_looks(scored.summary)
    return check_category(
        root,
        name,
        skip_bad=left_out,
        region=region,
        resize=resize,
        progress=tick(bars, "checking images"),
    )


def _change(
    options: argparse.Namespace,
    checked: CheckedCategory,
    bank: MemoryBank,
    history: tuple[FeedbackEntry, ...],
    threshold: float,
    bars: Bars,
) -> tuple[Change, FeedbackEntry]:
    from cutswap.decision.feedback import (
        FINE,
        UNDO,
        FeedbackEntry,
        in_force,
        name_of,
        named_photos,
        taken_back,
        taught,
    )

    test, reading = checked.category.test, checked.category.reading
    kept = in_force(history)
    used = {name for entry in kept for name in (*entry.fine, *entry.defects)}
    if options.undo:
        if not kept:
            raise CutSwapError(
                options.evaluation,
                expected="an evaluation with a feedback to take back",
                found="none",
                fix="leave --undo out",
            )
        last = kept[-1]
        rest = tuple(record for record in test if record.name not in used)
        change = taken_back(bank, last, rest, threshold, bars)
        action, fine, defects = UNDO, last.fine, last.defects
    else:
        told = [
            named_photos(words, test, reading.bits, reading.resize)
            for words in (options.fine, options.defect)
        ]
        fine, defects = (tuple(name_of(record) for record in records) for records in told)
        if again := used & {*fine, *defects}:
            raise CutSwapError(
                min(again),
                expected="a photo that was not used yet",
                found="one of an earlier feedback",
                fix="leave it out",
            )
        rest = tuple(r for r in test if r.name not in {*used, *fine, *defects})
        first = len(checked.category.train) + sum(len(entry.fine) for entry in kept)
        change = taught(bank, told[0], told[1], rest, threshold, first, bars)
        action = FINE
    return change, FeedbackEntry(
        action,
        fine,
        defects,
        abs(change.joined),
        str(options.evaluation.absolute()),
        change.alarms,
        change.found,
        threshold,
    )


def _accept(
    options: argparse.Namespace,
    change: Change,
    checked: CheckedCategory,
    test: list[Record],
    history: tuple[FeedbackEntry, ...],
) -> dict[str, Any]:
    from cutswap.decision.decision import read_decision
    from cutswap.decision.feedback import accepted
    from cutswap.evaluation.evaluate import evaluation_files, write_evaluation

    decision = read_decision(options.evaluation)
    if decision is not None and change.bank.settings.reweight != 1:
        say("the threshold from good photos alone is left out: re-weighted scores may rise")
        decision = None
    has_region = change.bank.region_pixels is not None
    names = evaluation_files(test, has_region=has_region)
    names += () if decision is None else (DECISION,)
    own = claim(options.out, options.command, names, options.json)
    with Bars(options.quiet) as bars:
        found = accepted(change, checked, test, history, bars)
        with own.writing():
            if decision is not None:
                _carry_over(decision, options.out, found, checked)
            write_evaluation(found, options.out, notify=bars)
    print(f"{describe(found.summary)}, of the {len(test)} test photos not used")
    return {**found.summary, "out": str(options.out)}


def _carry_over(decision: Decision, out: Path, found: Evaluation, checked: CheckedCategory) -> None:
    """The threshold from good photos alone: scores of a bank that grew only fall, so it holds."""
    from cutswap.data.loading import seen_share
    from cutswap.decision.deciding import on_test_photos
    from cutswap.decision.decision import write_decision

    held = replace(decision, how=decision.how.removesuffix(GROWN) + GROWN)
    records, reading = found.records, checked.category.reading
    defects = [record.defect for record in records]
    told = on_test_photos(held, defects, found.scores, found.masks, seen_share(records))
    found.summary["false_alarms"] = {**held.to_dict(), **told.to_dict()}
    write_decision(held, out, bits=reading.bits, resize=reading.resize, **told.to_dict())
