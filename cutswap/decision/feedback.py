"""What people say of single photos: "this is fine" teaches the bank, "this is a defect" is kept.

A photo that is fine was called defective, or scores high; its patches join the bank within its
budget (`grown_bank`). What changes is computed first, on photos that are not used for it, and is
for people to accept. Accepted, the evaluation is written into another folder, with its history, and
the old one stays. Scores of a bank that has grown only fall, so false alarms do, and recall may.

What is told of photos that were used says nothing: they leave the test photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cutswap.data.images import to_image
from cutswap.data.loading import CheckedCategory, load_photos, need_test_images, seen_share
from cutswap.data.records import GOOD, Category, Record
from cutswap.decision.deciding import on_test_photos
from cutswap.decision.decision import Decision, read_decision, write_decision
from cutswap.errors import CutSwapError
from cutswap.evaluation.evaluate import (
    Evaluation,
    evaluation_by,
    evaluation_files,
    score_photos,
    write_evaluation,
)
from cutswap.evaluation.missed import Recall
from cutswap.evaluation.scored_set import ScoredSet
from cutswap.patchcore.embeddings import embed
from cutswap.patchcore.grown_bank import grown, shrunk
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.utils.folder_names import DECISION
from cutswap.utils.progress import Notify

GROWN = "; by the bank before feedback, whose scores were as high or higher"
FINE, UNDO = "fine", "undo"  # what an entry of the history did


@dataclass(frozen=True)
class FeedbackEntry:
    """One accepted change.

    Attributes:
        action: `FINE` or `UNDO`.
        fine: photos that are fine, by name or path; of an undo those that left the bank.
        defects: photos kept as examples of defects.
        joined: items that joined the bank, or left it.
        source: the evaluation's folder before.
        alarms: good photos not used, called defective before and after, and their number.
        found: defective photos called so before and after, and their number.
        threshold: scores at or above it are called defective.
    """

    action: str
    fine: tuple[str, ...]
    defects: tuple[str, ...]
    joined: int
    source: str
    alarms: tuple[int, int, int]
    found: tuple[int, int, int]
    threshold: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        lists = {n: list(v) if isinstance(v, tuple) else v for n, v in vars(self).items()}
        return dict(lists)

    @classmethod
    def of(cls, values: Any, path: Path) -> FeedbackEntry:
        """Rebuild from `to_dict`.

        Args:
            values: as read from JSON.
            path: the file, for the message.

        Raises:
            CutSwapError: other values than it writes.
        """
        try:
            names = [tuple(values[name]) for name in ("fine", "defects")]
            counts = [tuple(values[name]) for name in ("alarms", "found")]
            whole = [values["joined"], *counts[0], *counts[1]]
            texts = [values["action"], values["source"], *names[0], *names[1]]
            is_sound = (
                values["action"] in (FINE, UNDO)
                and all(type(number) is int and number >= 0 for number in whole)
                and [len(count) for count in counts] == [3, 3]
                and all(isinstance(text, str) for text in texts)
            )
            if not is_sound:
                raise ValueError("values of other kinds")
            return cls(
                texts[0],
                names[0],
                names[1],
                whole[0],
                texts[1],
                (whole[1], whole[2], whole[3]),
                (whole[4], whole[5], whole[6]),
                float(values["threshold"]),
            )
        except (LookupError, TypeError, ValueError) as error:
            raise CutSwapError(
                path,
                expected="the history that feedback wrote",
                found=error,
                fix="go on from the evaluation before it",
            ) from error


def history_of(summary: dict[str, Any], path: Path) -> tuple[FeedbackEntry, ...]:
    """What was accepted so far, oldest first.

    Args:
        summary: what an evaluation's result.json holds.
        path: of that, for the message.

    Raises:
        CutSwapError: see `FeedbackEntry.of`.
    """
    told = summary.get("feedback", [])
    return tuple(
        FeedbackEntry.of(one, path) for one in (told if isinstance(told, list) else [told])
    )


def in_force(history: Sequence[FeedbackEntry]) -> tuple[FeedbackEntry, ...]:
    """The entries that taught the bank and were not taken back."""
    kept: list[FeedbackEntry] = []
    for entry in history:
        if entry.action == FINE:
            kept.append(entry)
        elif kept:
            kept.pop()
    return tuple(kept)


def fed_back(summary: dict[str, Any], category: Category) -> tuple[Record, ...]:
    """Photos that a bank has learnt since it was fitted, in the order of its origins.

    Args:
        summary: what its evaluation's result.json holds.
        category: files outside its folder are not named: they have a record without a file.

    Raises:
        CutSwapError: see `FeedbackEntry.of`.
    """
    by_name = {record.name: record for record in category.test}
    words = [w for entry in in_force(history_of(summary, category.root)) for w in entry.fine]
    elsewhere = Record(category.root / "a photo outside the category", "feedback", GOOD)
    return tuple(by_name.get(word, elsewhere) for word in words)


@dataclass(frozen=True)
class Change:
    """What would change, by photo and in sum.

    Attributes:
        records: test photos that are not used, N of them.
        before: (N,) float32 scores by the bank as it is.
        after: (N,) float32 scores by the other one.
        examples: scores before and after of photos that were said to be defects.
        threshold: scores at or above it are called defective.
        bank: the other one.
        joined: items more, or fewer after an undo.
    """

    records: tuple[Record, ...]
    before: np.ndarray
    after: np.ndarray
    examples: tuple[tuple[str, float, float], ...]
    threshold: float
    bank: MemoryBank
    joined: int

    @property
    def alarms(self) -> tuple[int, int, int]:
        """Good photos called defective before and after, and how many there are."""
        return self._called([record.is_good for record in self.records])

    @property
    def found(self) -> tuple[int, int, int]:
        """Defective photos called defective before and after, examples too, and how many."""
        before, after, count = self._called([not record.is_good for record in self.records])
        told = [(b >= self.threshold, a >= self.threshold) for _, b, a in self.examples]
        return (
            before + sum(b for b, _ in told),
            after + sum(a for _, a in told),
            count + len(told),
        )

    def lines(self) -> list[str]:
        """What is shown before it is accepted: sums, then every photo whose verdict turns."""
        lines = [
            f"{abs(self.joined)} patches {'join' if self.joined >= 0 else 'leave'} the bank,"
            f" which has {self.bank.size} then"
        ]
        kinds = (("false alarms, good photos not used", self.alarms), ("defects found", self.found))
        for what, (before, after, count) in kinds:
            if count:
                texts = [Recall("", number, count).text() for number in (before, after)]
                lines.append(f"{what}: {texts[0]} before, {texts[1]} after")
            else:
                lines.append(f"{what}: no such photo, so nothing is known")
        if len(self.records):
            moved = np.abs(self.before - self.after)
            way = "fall" if self.joined >= 0 else "rise"
            lines.append(
                f"scores {way} by {moved.mean():.3g} on average, {moved.max():.3g} at most"
            )
        names = [record.name for record in self.records]
        rows = [*zip(names, self.before, self.after, strict=True), *self.examples]
        turned = [r for r in rows if (r[1] >= self.threshold) != (r[2] >= self.threshold)]
        for name, before, after in turned:
            says = "good" if after < self.threshold else "defective"
            lines.append(f"  {name}: {before:.4g} before, {after:.4g} after: {says} now")
        return lines

    def _called(self, chosen: list[bool]) -> tuple[int, int, int]:
        own = np.array(chosen, dtype=bool)
        called = [int((s[own] >= self.threshold).sum()) for s in (self.before, self.after)]
        return called[0], called[1], int(own.sum())


def named_photos(
    words: Sequence[str], category_test: Sequence[Record], bits: int | None, resize: str
) -> tuple[Record, ...]:
    """Photos by their names among the test photos, or by the paths of their files.

    Args:
        words: `test/good/003`, or a file.
        category_test: the category's test photos.
        bits: how a file is read, see `read_photo`.
        resize: how it becomes a square.

    Raises:
        CutSwapError: neither, or a word twice.
    """
    by_name = {record.name: record for record in category_test}
    found = []
    for word in words:
        path = Path(word)
        if word in by_name:
            found.append(by_name[word])
        elif path.is_file():
            found.append(Record(path.absolute(), "feedback", GOOD, bits=bits, resize=resize))
        else:
            raise CutSwapError(
                word,
                expected="a test photo's name, as in scores.csv, or a photo's file",
                found="neither",
                fix="copy it from the column image of scores.csv",
            )
    if len({record.image for record in found}) != len(found):
        raise CutSwapError(
            "photos", expected="each once", found="one of them twice", fix="name it once"
        )
    return tuple(found)


def name_of(record: Record) -> str:
    """How the history calls a photo: a test photo's name, or a file's path."""
    return str(record.image) if record.split == "feedback" else record.name


def taught(
    bank: MemoryBank,
    fine: Sequence[Record],
    defects: Sequence[Record],
    rest: Sequence[Record],
    threshold: float,
    first: int,
    notify: Notify | None = None,
) -> Change:
    """What changes if photos are fine.

    Args:
        bank: as it is.
        fine: photos that are; none: nothing joins.
        defects: photos that show defects although no label says so.
        rest: test photos that are not among them and were not used before.
        threshold: scores at or above it are called defective.
        first: number of the first photo in the origins of the new items.
        notify: called with (stage, done, total).

    Raises:
        CutSwapError: a photo whose label says defective, or one that is both; no photo at all.
    """
    for record in fine:
        if not record.is_good:
            raise CutSwapError(
                record.name,
                expected="a photo that no label calls defective",
                found=record.defect,
                fix="correct its folder in the data set first, if the label is wrong",
            )
    both = {record.image for record in fine} & {record.image for record in defects}
    if both or not (fine or defects):
        raise CutSwapError(
            "--fine and --defect",
            expected="photos, each in one of the two",
            found=f"{min(both)} in both" if both else "none",
            fix="name photos that are fine, or that show a defect",
        )
    other = bank
    if fine:
        settings = bank.settings
        parts = [
            embed(bank.backbone, to_image(load_photos([r], settings.image_size)), settings.layers)
            for r in fine
        ]
        other = grown(bank, torch.cat([part.cpu() for part in parts]), first)
    return changed(bank, other, defects, rest, threshold, notify)


def taken_back(
    bank: MemoryBank,
    last: FeedbackEntry,
    rest: Sequence[Record],
    threshold: float,
    notify: Notify | None = None,
) -> Change:
    """What changes if the last entry is taken back.

    Args:
        bank: as it is.
        last: of those in force.
        rest: test photos that are not used, and were not by the entry.
        threshold: scores at or above it are called defective.
        notify: called with (stage, done, total).

    Raises:
        CutSwapError: a bank that has not so many items.
    """
    return changed(bank, shrunk(bank, bank.size - last.joined), (), rest, threshold, notify)


def changed(
    bank: MemoryBank,
    other: MemoryBank,
    defects: Sequence[Record],
    rest: Sequence[Record],
    threshold: float,
    notify: Notify | None = None,
) -> Change:
    """Both banks on the same photos.

    Args:
        bank: as it is.
        other: as it would be.
        defects: photos that were said to show defects.
        rest: test photos that are not used.
        threshold: scores at or above it are called defective.
        notify: called with (stage, done, total).
    """
    records = (*rest, *defects)
    before = score_photos(records, bank.settings, bank, notify)[0]
    after = before if other is bank else score_photos(records, bank.settings, other, notify)[0]
    count = len(rest)
    examples = tuple(
        (name_of(record), float(b), float(a))
        for record, b, a in zip(defects, before[count:], after[count:], strict=True)
    )
    return Change(
        tuple(rest),
        before[:count],
        after[:count],
        examples,
        threshold,
        other,
        other.size - bank.size,
    )


@dataclass(frozen=True)
class Wish:
    """What somebody says of photos, or that the last word is taken back.

    Attributes:
        fine: photos that are, by name among the test photos or path.
        defects: photos that show a defect although no label says so.
        undo: whether the last feedback is taken back, instead of both.
    """

    fine: tuple[str, ...] = ()
    defects: tuple[str, ...] = ()
    undo: bool = False


def need_bank_of_squares(scored: ScoredSet) -> None:
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


def own_threshold(summary: dict[str, Any], history: Sequence[FeedbackEntry]) -> float:
    """That of the last feedback, that of the good photos alone, or the evaluation's best F1.

    Args:
        summary: what its result.json holds.
        history: of its feedback.
    """
    if history:
        return history[-1].threshold
    told = summary.get("false_alarms")
    promised = told.get("threshold") if isinstance(told, dict) else None
    return float(promised if promised is not None else summary["threshold"])


def used_in(history: Sequence[FeedbackEntry]) -> set[str]:
    """Photos that say nothing any more: what is in force has used them."""
    return {name for entry in in_force(history) for name in (*entry.fine, *entry.defects)}


def proposed(
    wish: Wish,
    checked: CheckedCategory,
    bank: MemoryBank,
    history: Sequence[FeedbackEntry],
    threshold: float,
    source: Path,
    notify: Notify | None = None,
) -> tuple[Change, FeedbackEntry]:
    """What a wish would change, and the entry that it would be.

    Args:
        wish: photos, or an undo.
        checked: the category, with all its test photos.
        bank: of the evaluation.
        history: of its feedback.
        threshold: scores at or above it are called defective.
        source: the evaluation's folder.
        notify: called with (stage, done, total).

    Raises:
        CutSwapError: nothing to take back, an unknown photo, or one that was used.
    """
    test, reading = checked.category.test, checked.category.reading
    kept, used = in_force(history), used_in(history)
    if wish.undo:
        if not kept:
            raise CutSwapError(
                source,
                expected="an evaluation with a feedback to take back",
                found="none",
                fix="leave --undo out",
            )
        last = kept[-1]
        rest = tuple(record for record in test if record.name not in used)
        change = taken_back(bank, last, rest, threshold, notify)
        action, fine, defects = UNDO, last.fine, last.defects
    else:
        told = [
            named_photos(names, test, reading.bits, reading.resize)
            for names in (wish.fine, wish.defects)
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
        change = taught(bank, told[0], told[1], rest, threshold, first, notify)
        action = FINE
    return change, FeedbackEntry(
        action,
        fine,
        defects,
        abs(change.joined),
        str(source.absolute()),
        change.alarms,
        change.found,
        threshold,
    )


def carried_over(source: Path, change: Change) -> Decision | None:
    """The threshold from good photos alone that still holds: scores of a bank that grew only fall.

    Args:
        source: folder of the evaluation before.
        change: that is accepted.

    Returns:
        None where there was none, or where re-weighted scores may rise.

    Raises:
        CutSwapError: a damaged decision.
    """
    decision = read_decision(source)
    if decision is None or change.bank.settings.reweight != 1:
        return None
    return replace(decision, how=decision.how.removesuffix(GROWN) + GROWN)


def accepted_files(
    change: Change, test: Sequence[Record], decision: Decision | None
) -> tuple[str, ...]:
    """Names of what `write_accepted` writes.

    Args:
        change: that is accepted.
        test: photos that are still test photos.
        decision: of `carried_over`.
    """
    names = evaluation_files(test, has_region=change.bank.region_pixels is not None)
    return names if decision is None else (*names, DECISION)


def write_accepted(
    found: Evaluation,
    checked: CheckedCategory,
    decision: Decision | None,
    out: Path,
    notify: Notify | None = None,
) -> None:
    """Write the evaluation by the other bank.

    Args:
        found: of `accepted`.
        checked: the category.
        decision: of `carried_over`.
        out: folder to write.
        notify: called with (stage, done, total).

    Raises:
        CutSwapError: the folder cannot be written.
    """
    if decision is not None:
        records, reading = found.records, checked.category.reading
        defects = [record.defect for record in records]
        told = on_test_photos(decision, defects, found.scores, found.masks, seen_share(records))
        found.summary["false_alarms"] = {**decision.to_dict(), **told.to_dict()}
        write_decision(decision, out, bits=reading.bits, resize=reading.resize, **told.to_dict())
    write_evaluation(found, out, notify=notify)


def accepted(
    change: Change,
    checked: CheckedCategory,
    test: Sequence[Record],
    history: Sequence[FeedbackEntry],
    notify: Notify | None = None,
) -> Evaluation:
    """The evaluation by the other bank, with its history.

    Args:
        change: what was shown.
        checked: the category, with all its test photos.
        test: those that the bank has not learnt and nobody called a defect.
        history: with the new entry.
        notify: called with (stage, done, total).

    Raises:
        CutSwapError: no good or no defective test photo is left.
    """
    category = replace(checked.category, test=tuple(test))
    need_test_images(category)
    found = evaluation_by(change.bank, replace(checked, category=category), notify=notify)
    found.summary["feedback"] = [entry.to_dict() for entry in history]
    return found
