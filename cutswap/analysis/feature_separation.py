"""Separation metrics: does one straight line separate negatives, and real defects too?

A line is a logistic regression from positives to negatives on standardised features. It has never
seen a test photo, and its accuracy on the fakes is cross-validated with every photo in one fold:
positive, patch and scar of one photo never sit on both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cutswap.analysis.feature_set import DEFECT, GOOD_TEST, PATCH, SCAR, SYNTHETIC, FeatureSet
from cutswap.analysis.feature_settings import FeatureSettings
from cutswap.data.records import GOOD, natural_order
from cutswap.evaluation.metrics import auroc


@dataclass(frozen=True)
class Estimate:
    """A number and the 2.5th and 97.5th percentile of its bootstrap resamples.

    Attributes:
        value: on all images.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float

    def text(self, sign: str = "") -> str:
        """`0.82 (0.61 to 0.97)`; `sign` "+" for a difference."""
        return f"{self.value:{sign}.2f} ({self.low:{sign}.2f} to {self.high:{sign}.2f})"


@dataclass(frozen=True)
class Share:
    """So many of so many."""

    count: int
    total: int

    def text(self) -> str:
        """`3 of 4`."""
        return f"{self.count} of {self.total}"


@dataclass(frozen=True)
class SeparationMetrics:
    """Measured separations; None where the data or the head are missing.

    Attributes:
        fakes_before: balanced accuracy of the line on unseen draws, cross-validated by photo: the
            mean of the share of positives and the share of negatives that it gets right; 0.5 is
            chance. Its interval resamples photos.
        fakes_after: the same after tuning.
        real_before: AUROC of the line's score, real defects against good test photos; 0.5 is
            chance. Its interval resamples test photos of each kind; the line stays as it is.
        real_after: the same after tuning.
        real_change: real_after minus real_before, both on the same resamples.
        head: AUROC of 1 - p(positive) of the run's own head, real defects against good test photos.
        head_fakes: unseen draws by kind that the head gives their own class.
        called: test photos by type of defect, `good` among them, that the head calls defective:
            any class but positive is its largest.
        good: number of good test photos.
        defective: number of defective ones.
    """

    fakes_before: Estimate | None
    fakes_after: Estimate | None
    real_before: Estimate | None
    real_after: Estimate | None
    real_change: Estimate | None
    head: Estimate | None
    head_fakes: dict[str, Share]
    called: dict[str, Share]
    good: int
    defective: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)

    @property
    def doubt(self) -> str:
        """A sentence where the head knows unseen draws hardly better than chance, else nothing."""
        if not self.head_fakes:
            return ""
        known = float(np.mean([s.count / s.total for s in self.head_fakes.values()]))
        if known >= 1.5 / len(self.head_fakes):
            return ""
        return (
            f"The head classifies only {known:.0%} of the new samples correctly (chance"
            f" {1 / len(self.head_fakes):.0%}), so its decisions mean little. After few updates"
            " its stored batch statistics lag behind its weights, too; train longer."
        )

    def answer(self) -> str:
        """Whether the learned boundary separates real defects, and what tuning has changed."""
        interval, whose = (
            (self.head, "the head") if self.head else (self.real_after, "a linear classifier")
        )
        if interval is None or self.real_change is None:
            return "Cannot be answered: that takes good and defective test photos."
        said = f"AUROC {interval.text()}"
        if interval.low > 0.5:
            start = f"Yes: {said} is better than chance, 0.5."
        elif interval.high < 0.5:
            start = (
                f"No, the reverse: {said} is below chance, 0.5; defects look more like positives"
                " than good parts do."
            )
        else:
            start = f"Not proven: {said} could be chance, 0.5."
        change = self.real_change
        owed = (
            "raised"
            if change.low > 0
            else "lowered"
            if change.high < 0
            else "not been shown to change"
        )
        return (
            f"{start} Measured with {whose} on {self.good} good and {self.defective} defective"
            f" test photos. Fine-tuning has {owed} the AUROC of a linear classifier that learnt the"
            f" same negatives: {change.text('+')}."
        )


def figures(features: FeatureSet, settings: FeatureSettings, seed: int = 0) -> SeparationMetrics:
    """Everything at once.

    Args:
        features: of a run.
        settings: folds and resamples.
        seed: of the folds and the resamples.
    """
    defective = features.where(DEFECT)[features.where(GOOD_TEST, DEFECT)]
    before, after = _Line.of(features, features.before), _Line.of(features, features.after)
    real = [line.real_scores() for line in (before, after)]
    estimates = auroc_estimates([*real, _head_scores(features)], defective, settings, seed)
    return SeparationMetrics(
        fakes_before=before.on_fakes(settings, seed),
        fakes_after=after.on_fakes(settings, seed),
        real_before=estimates[0],
        real_after=estimates[1],
        real_change=estimates[2],
        head=estimates[3],
        head_fakes=_head_on_fakes(features),
        called=_called(features),
        good=int((~defective).sum()),
        defective=int(defective.sum()),
    )


def photo_folds(photos: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """(n,) int in 0..folds-1: a fold for every point, one for all points of a photo.

    Args:
        photos: (n,) the photo each point was made from.
        folds: wanted; no more than photos are made.
        seed: of which photo goes where.
    """
    names, index = np.unique(photos, return_inverse=True)
    place = np.random.default_rng((seed, 0)).permutation(len(names))
    return np.asarray(place[index] % min(folds, len(names)))


@dataclass(frozen=True)
class _Line:
    """Features of one network and a linear classifier of positives against negatives."""

    drawn: np.ndarray  # (n, D) float64
    is_fake: np.ndarray  # (n,) bool
    photos: np.ndarray  # (n,) str
    real: np.ndarray  # (m, D) float64

    @classmethod
    def of(cls, features: FeatureSet, values: np.ndarray) -> _Line:
        synthetic = features.where(*SYNTHETIC)
        return cls(
            values[synthetic].astype(np.float64),
            features.where(PATCH, SCAR)[synthetic],
            np.array([p.name for p in features.points if p.is_synthetic]),
            values[features.where(GOOD_TEST, DEFECT)].astype(np.float64),
        )

    def model(self) -> Any:
        return make_pipeline(
            StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000)
        )

    def real_scores(self) -> np.ndarray | None:
        """(m,) float: how far each test photo lies on the side of the fakes."""
        if not len(self.real):
            return None
        return np.asarray(self.model().fit(self.drawn, self.is_fake).decision_function(self.real))

    def on_fakes(self, settings: FeatureSettings, seed: int) -> Estimate | None:
        names, photo = np.unique(self.photos, return_inverse=True)
        if len(names) < 2:
            return None
        folds = PredefinedSplit(photo_folds(self.photos, settings.folds, seed))
        right = cross_val_predict(self.model(), self.drawn, self.is_fake, cv=folds) == self.is_fake
        # By photo: right positives, positives, right negatives, negatives.
        counts = np.stack(
            [
                np.bincount(photo[chosen], weights, minlength=len(names))
                for chosen in (~self.is_fake, self.is_fake)
                for weights in (right[chosen].astype(float), None)
            ]
        )

        def accuracy(sums: np.ndarray) -> np.ndarray:
            return np.asarray((sums[0] / sums[1] + sums[2] / sums[3]) / 2)

        rng = np.random.default_rng((seed, 1))
        again = rng.integers(len(names), size=(settings.resamples, len(names)))
        return _estimate(float(accuracy(counts.sum(axis=1))), accuracy(counts[:, again].sum(2)))


def _head_scores(features: FeatureSet) -> np.ndarray | None:
    """(m,) float: log-odds against positive, which order as 1 - p does without ending at 1."""
    if features.scores is None or not features.where(GOOD_TEST, DEFECT).any():
        return None
    scores = features.scores[features.where(GOOD_TEST, DEFECT)].astype(np.float64)
    return np.asarray(np.logaddexp.reduce(scores[:, 1:], axis=1) - scores[:, 0])


def auroc_estimates(
    tables: list[np.ndarray | None], defective: np.ndarray, settings: FeatureSettings, seed: int
) -> list[Estimate | None]:
    """AUROC of two tables of scores, their difference, and a third; all on the same resamples.

    Args:
        tables: (m,) float each, or None: before, after, the head.
        defective: (m,) bool.
        settings: how many resamples.
        seed: of the resamples.

    Returns:
        Of before, after, after minus before, and the head; None where a kind of photo is missing.
    """
    good, bad = np.flatnonzero(~defective), np.flatnonzero(defective)
    if not len(good) or not len(bad):
        return [None] * 4
    rng = np.random.default_rng((seed, 2))
    again = np.hstack(
        [
            part[rng.integers(len(part), size=(settings.resamples, len(part)))]
            for part in (good, bad)
        ]
    )

    def both(scores: np.ndarray | None) -> tuple[float, np.ndarray] | None:
        if scores is None:
            return None
        return _rank(scores, defective), _ranks(scores[again], len(good))

    before, after, head = (both(scores) for scores in tables)
    change = None
    if before is not None and after is not None:
        change = (after[0] - before[0], after[1] - before[1])
    return [None if x is None else _estimate(*x) for x in (before, after, change, head)]


def _rank(scores: np.ndarray, labels: np.ndarray) -> float:
    value = auroc(scores, labels)
    assert value is not None  # noqa: S101 - both classes are there
    return value


def _ranks(scores: np.ndarray, good: int) -> np.ndarray:
    """AUROC of each row of (resamples, n) scores, whose first `good` are of good photos.

    As `auroc`, to the last bit: ranks are whole or half numbers, whose sums are exact.
    """
    bad = scores.shape[1] - good
    above = rankdata(scores, axis=1)[:, good:].sum(axis=1) - bad * (bad + 1) / 2
    return np.asarray(above / (good * bad))


def _estimate(value: float, resampled: np.ndarray) -> Estimate:
    low, high = np.percentile(resampled, (2.5, 97.5))
    return Estimate(value, float(low), float(high))


def _head_on_fakes(features: FeatureSet) -> dict[str, Share]:
    return _shares(
        features,
        lambda kind, chosen: chosen == SYNTHETIC.index(kind),
        {kind: features.where(kind) for kind in SYNTHETIC},
    )


def _called(features: FeatureSet) -> dict[str, Share]:
    types = np.array(
        [
            p.defect if p.kind == DEFECT else GOOD if p.kind == GOOD_TEST else ""
            for p in features.points
        ]
    )
    named = [GOOD, *natural_order(set(types.tolist()) - {GOOD, ""})]
    return _shares(features, lambda _, chosen: chosen != 0, {n: types == n for n in named})


def _shares(
    features: FeatureSet,
    is_counted: Callable[[str, np.ndarray], np.ndarray],
    groups: dict[str, np.ndarray],
) -> dict[str, Share]:
    """Share of each group for which `is_counted` holds; empty groups are left out."""
    if features.scores is None:
        return {}
    chosen = features.scores.argmax(axis=1)
    return {
        name: Share(int(is_counted(name, chosen[where]).sum()), int(where.sum()))
        for name, where in groups.items()
        if where.any()
    }
