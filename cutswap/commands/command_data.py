"""The category that a command asks for, checked while a bar shows how far."""

from __future__ import annotations

import argparse

from cutswap.commands.command_words import say_left_out
from cutswap.data.loading import CheckedCategory, check_category
from cutswap.utils.progress import Bars


def checked_category(
    options: argparse.Namespace, bars: Bars, *, is_told: bool = True
) -> CheckedCategory:
    """Open and check it.

    Args:
        options: with data, category and skip_bad.
        bars: one of them moves.
        is_told: say how many files were left out; of several processes one does.

    Raises:
        CutSwapError: no such data, or unusable files.
    """
    checked = check_category(
        options.data, options.category, skip_bad=options.skip_bad,
        progress=lambda done, total: bars("checking images", done, total),
    )  # fmt: skip
    if is_told:
        say_left_out(len(checked.left_out))
    return checked
