"""Scored photos with their verdicts, labelled or not, as all parts of the review use them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cutswap.data.records import Record
from cutswap.evaluation.verdicts import Verdict, in_order, verdicts_of


@dataclass(frozen=True)
class Reviewed:
    """N scored photos.

    Attributes:
        category: key of the category, as in the sidebar.
        source: what tells these heatmaps from others: folder, time of change, score.
        names: of the photos.
        defects: type of defect of each, `good` for none; None where nobody knows.
        labels: (N,) bool, True for defective; None where nobody knows.
        scores: (N,) float.
        records: the photos; None where the data set is gone.
        threshold: scores at or above it are called defective; None where there is none.
        values: heatmap (S, S) float32 of a photo by its number.
        masks: (N, S, S) bool, True on defects; None where none are marked.
        span: heat shown black and bright yellow.
        usual: heat that good photos usually keep below; None where nobody knows.
        region: (S, S) bool, where was looked; None: everywhere.
    """

    category: str
    source: tuple[object, ...]
    names: tuple[str, ...]
    defects: tuple[str, ...] | None
    labels: np.ndarray | None
    scores: np.ndarray
    records: Sequence[Record] | None
    threshold: float | None
    values: Callable[[int], np.ndarray]
    masks: np.ndarray | None
    span: tuple[float, float]
    usual: float | None
    region: np.ndarray | None = None

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One a photo."""
        return verdicts_of(self.scores, self.labels, self.threshold)

    def most_wrong(self) -> list[str]:
        """Names, what most needs a look first; of photos without labels the most unusual."""
        return [self.names[i] for i in in_order(self.scores, self.labels, self.threshold)]
