"""What a visitor has said of single photos, and the works that show and accept what it changes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from app.inspect_heatmaps.caches import BankKey
from app.shared import public, workspace
from app.shared.background import Work, begin, tasks
from cutswap.data.loading import CheckedCategory
from cutswap.decision.feedback import (
    Change,
    FeedbackEntry,
    Wish,
    accepted,
    carried_over,
    history_of,
    proposed,
    used_in,
    write_accepted,
)
from cutswap.evaluation.scored_set import ScoredSet
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.reports.repeat import recorded_category
from cutswap.runs.new_folder import new_folder
from cutswap.utils.folder_names import RESULT
from cutswap.utils.progress import Notify

_SAID = "deciding.said"  # session: a wish by evaluation
_SUFFIX = "-feedback"


@dataclass(frozen=True)
class Shown:
    """What a wish would change, ready to be accepted."""

    change: Change
    entry: FeedbackEntry
    checked: CheckedCategory


@dataclass(frozen=True)
class Saying:
    """A wish about one evaluation, at one threshold.

    Attributes:
        scored: the evaluation.
        bank: its file.
        threshold: scores at or above it are called defective.
    """

    scored: ScoredSet
    bank: BankKey
    threshold: float

    @property
    def wish(self) -> Wish:
        """What was said so far in this session."""
        said: dict[str, Wish] = st.session_state.setdefault(_SAID, {})
        return said.get(str(self.scored.folder), Wish())

    def say(self, wish: Wish) -> None:
        """Say something else; a callback."""
        st.session_state.setdefault(_SAID, {})[str(self.scored.folder)] = wish

    @property
    def history(self) -> tuple[FeedbackEntry, ...]:
        """What was accepted before.

        Raises:
            CutSwapError: an edited one.
        """
        return history_of(self.scored.summary, self.scored.folder / RESULT)

    @property
    def key(self) -> str:
        """Hex name of the change."""
        parts = (self.scored.folder, self.bank, self.threshold, self.wish)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]

    def looking(self) -> Work | None:
        """What computes the change, running or ended."""
        return tasks().of(self.key)

    def accepting(self) -> Work | None:
        """What writes the new evaluation, running or ended; its result is the folder."""
        return tasks().of(f"{self.key} accepted")

    def look(self) -> None:
        """Compute what would change, in a thread; a callback."""
        wish, scored, bank, threshold = self.wish, self.scored, self.bank, self.threshold
        history = self.history

        def run(notify: Notify) -> Shown:
            checked = recorded_category(scored, notify)
            loaded = MemoryBank.load(bank.path)
            change, entry = proposed(
                wish, checked, loaded, history, threshold, scored.folder, notify
            )
            return Shown(change, entry, checked)

        begin(self.key, "comparing both banks", run)

    def accept(self, shown: Shown) -> None:
        """Write the evaluation by the changed bank into the runs folder; a callback.

        Raises:
            CutSwapError: in public mode.
        """
        public.need_private("feedback")
        scored, history = self.scored, (*self.history, shown.entry)
        runs = workspace.runs_folder()

        def run(notify: Notify) -> Path:
            return _written(scored, shown, history, runs, notify)

        begin(f"{self.key} accepted", "writing the new evaluation", run)

    def drop(self) -> None:
        """Take everything back that was said and not accepted; a callback."""
        tasks().forget(self.key)
        tasks().forget(f"{self.key} accepted")
        self.say(Wish())


def _written(
    scored: ScoredSet,
    shown: Shown,
    history: tuple[FeedbackEntry, ...],
    runs: Path,
    notify: Notify,
) -> Path:
    """The new folder, whole or not at all."""
    used = used_in(history)
    test = [record for record in shown.checked.category.test if record.name not in used]
    decision = carried_over(scored.folder, shown.change)
    found = accepted(shown.change, shown.checked, test, history, notify)

    def fill(folder: Path) -> None:
        write_accepted(found, shown.checked, decision, folder, notify)

    name = f"{scored.summary['category']}{_SUFFIX}"
    return new_folder(runs, name, "the new evaluation", fill)[0]
