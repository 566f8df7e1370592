"""What somebody has answered in a game, and what the network finds in the same pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cutswap.utils.csv_text import CsvText


@dataclass(frozen=True)
class SpottedPair:
    """One pair that was answered.

    Attributes:
        method: of the negative.
        by_eye: whether the visitor has chosen the negative.
        by_network: whether it has the higher score of the two.
    """

    method: str
    by_eye: bool
    by_network: bool


def by_method(answers: Sequence[SpottedPair], methods: Sequence[str]) -> list[dict[str, object]]:
    """A row a method: how often its negatives were found by eye and by the network.

    Args:
        answers: of one game.
        methods: in the order of the rows.
    """
    rows: list[dict[str, object]] = []
    for method in methods:
        own = [answer for answer in answers if answer.method == method]
        rows.append(
            {
                "method": method,
                "pairs": len(own),
                "found by you": sum(answer.by_eye for answer in own),
                "found by the network": sum(answer.by_network for answer in own),
            }
        )
    return rows


def answers_csv(answers: Sequence[SpottedPair]) -> str:
    """One line a pair, without a name or a time."""
    table = CsvText()
    table.row(["pair", "method", "found_by_eye", "found_by_network"])
    for number, answer in enumerate(answers, start=1):
        table.row([number, answer.method, int(answer.by_eye), int(answer.by_network)])
    return table.text()
