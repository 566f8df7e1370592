"""Does saliency guidance help, and where: CutSwap less what it is measured against, pair by pair.

A pair is one category and one seed: both sides are trained and scored with the same photos, seed
and size of the bank, so that what both share falls out of the difference. Random swap is CutSwap
without its saliency; a head's `gaussian` and the untuned network have seen no negative at all. The
interval is Student's over the pairs: over one category it tells of other seeds there, over all of
them of other categories and seeds as these are.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scipy import stats

from cutswap.config import LEARNT_HEADS
from cutswap.evaluation.missed import over_seeds
from cutswap.results.paper_tables import AVERAGE, UNTUNED
from cutswap.studies.folder import DONE, PlannedCell, Study
from cutswap.studies.methods import METHODS

_NEGATIVES = ("random-swap", "cutpaste", "smoothblend", "nsa", "perlin")


@dataclass(frozen=True)
class PairedDifference:
    """CutSwap less another method in one place.

    Attributes:
        trained: `backbone`, or the head that learnt from the negatives.
        coreset: share of patches kept in the bank.
        against: row of the other method.
        place: folder name of the category, `category: type of defect`, or `Average` for all pairs.
        values: one a pair, CutSwap's figure less the other's.
    """

    trained: str
    coreset: float
    against: str
    place: str
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the pairs."""
        return statistics.fmean(self.values)

    @property
    def half(self) -> float | None:
        """Half the width of the 95% interval; None for a single pair."""
        return student_half(self.values)

    @property
    def verdict(self) -> str:
        """What the interval says."""
        if self.half is None:
            return "one pair says nothing"
        if abs(self.mean) <= self.half:
            return "not shown"
        return "helps" if self.mean > 0 else "costs"

    def text(self) -> str:
        """`+0.012 ± 0.004`, or without an interval `+0.012`."""
        spread = "" if self.half is None else f" ± {self.half:.3f}"
        return f"{self.mean:+.3f}{spread}"


def student_half(values: Sequence[float]) -> float | None:
    """Half the width of Student's 95% interval of a mean.

    Args:
        values: one a pair.

    Returns:
        None for fewer than two values, whose spread is unknown.
    """
    n = len(values)
    if n < 2:
        return None
    return float(stats.t.ppf(0.975, n - 1)) * statistics.stdev(values) / math.sqrt(n)


def differences(study: Study, metric: str) -> tuple[PairedDifference, ...]:
    """Over all categories, then each: by what is trained, coreset, and what CutSwap stands against.

    Args:
        study: with its results; seeds that one side lacks are left out.
        metric: of an evaluation, `image_auroc` and the like.
    """
    figures = {
        key: value
        for key, cell in _cells(study).items()
        if (value := study.result(cell).metrics.get(metric)) is not None
    }
    return tuple(
        PairedDifference(trained, coreset, against, place, values)
        for trained, own, against in _opponents()
        for coreset in sorted({c.coreset for c in study.cells})
        for place in (AVERAGE, *study.categories)
        if (
            values := tuple(
                value - figures[other]
                for (category, row, ratio, seed), value in figures.items()
                if (row, ratio) == (own, coreset)
                and place in (AVERAGE, category)
                and (other := (category, against, coreset, seed)) in figures
            )
        )
    )


def differences_by_type(study: Study) -> tuple[PairedDifference, ...]:
    """Differences in recall, type of defect by type; a pair is a seed.

    Recall is at each evaluation's own threshold, the best F1 of these very images.

    Args:
        study: with its results; cells without counts are left out.
    """
    recalls = {
        (*key, kind.name): kind.recall
        for key, cell in _cells(study).items()
        for kind in over_seeds([study.result(cell).missed], "by_type")
    }
    found: dict[tuple[str, float, str, str], list[float]] = {}
    for trained, own, against in _opponents():
        for (category, row, coreset, seed, kind), recall in recalls.items():
            other = recalls.get((category, against, coreset, seed, kind))
            if row == own and other is not None:
                key = (trained, coreset, against, f"{category}: {kind}")
                found.setdefault(key, []).append(recall - other)
    return tuple(PairedDifference(*key, tuple(values)) for key, values in found.items())


def guidance_sentences(study: Study, metric: str = "image_auroc") -> tuple[str, ...]:
    """What random swap, the same without saliency, says over all categories, in plain sentences."""
    unguided = {METHODS[name].row for name in METHODS if name.startswith("random-swap")}
    words = {
        "helps": "guidance helps",
        "costs": "guidance costs",
        "not shown": "no effect is shown",
    }
    return tuple(
        f"Saliency guidance, {d.trained}, coreset {d.coreset:g}: CutSwap less random swap"
        f" {d.text()} image AUROC ({len(d.values)} pair{'' if len(d.values) == 1 else 's'} of"
        f" category and seed, 95%): {words.get(d.verdict, d.verdict)}."
        for d in differences(study, metric)
        if d.place == AVERAGE and d.against in unguided
    )


def _cells(study: Study) -> dict[tuple[str, str, float, int], PlannedCell]:
    """Finished cells of methods that learn from negatives or stand for none; tables share them."""
    rows = {row for _, own, against in _opponents() for row in (own, against)}
    return {
        (cell.category, cell.row, cell.coreset, cell.seed): cell
        for cell in study.cells
        if cell.row in rows and study.result(cell).state == DONE
    }


def _opponents() -> Iterable[tuple[str, str, str]]:
    """What is trained, CutSwap's row of it, and every row it can stand against."""
    for trained in ("backbone", *LEARNT_HEADS):
        end = "" if trained == "backbone" else f"-{trained}"
        own = METHODS[f"cutswap{end}"].row
        for name in _NEGATIVES:
            yield trained, own, METHODS[name + end].row
        yield trained, own, METHODS["gaussian"].row if end else UNTUNED
