"""Colours and marks that several pages' charts and tables share."""

from __future__ import annotations

# Blue and orange, told apart by all kinds of sight, thin enough for text on light and dark; the
# sign and the arrow say the same.
BETTER, WORSE = (
    "background-color: rgba(0, 114, 178, 0.22)",
    "background-color: rgba(213, 94, 0, 0.22)",
)
SAME = 0.0005  # below the third decimal nothing is shown, so nothing is shaded


# Okabe and Ito's colours; every column has a shape of its own too.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
