"""Two dimensions of many: where each point lies before and after tuning.

Before and after are different spaces, so each has a projection of its own; only distances within
one picture mean something.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.manifold import TSNE

from cutswap.analysis.feature_set import SYNTHETIC, FeatureSet
from cutswap.analysis.feature_settings import FeatureSettings
from cutswap.errors import CutSwapError
from cutswap.utils.csv_text import CsvText, guarded

FITTED_ON = {
    "pca": "Fitted on the synthetic samples alone; real test photos are placed by it.",
    "lda": "Fitted on the synthetic samples and their labels, which are therefore parted better"
    " here than new ones would be; real test photos are placed by it.",
    "tsne": "Fitted on all points, since t-SNE cannot place new ones; it keeps neighbours together,"
    " and sizes and gaps of its islands mean nothing.",
}


@dataclass(frozen=True)
class Projection:
    """Places of all points.

    Attributes:
        method: one of `feature_settings.PROJECTIONS`.
        before: (N, 2) float64, (x, y).
        after: (N, 2) float64, (x, y).
        axes_before: what x and y are.
        axes_after: the same after tuning.
    """

    method: str
    before: np.ndarray
    after: np.ndarray
    axes_before: tuple[str, str]
    axes_after: tuple[str, str]

    @property
    def fitted_on(self) -> str:
        """A sentence on the photos it was fitted on."""
        return FITTED_ON[self.method]


def project(features: FeatureSet, settings: FeatureSettings, seed: int = 0) -> Projection:
    """Flatten the features of both networks.

    Args:
        features: of at least four draws.
        settings: method and perplexity.
        seed: of t-SNE; the others draw nothing.

    Raises:
        CutSwapError: synthetic samples that all have the same features.
    """
    labels = np.array([SYNTHETIC.index(p.kind) if p.is_synthetic else -1 for p in features.points])
    before, axes_before = _flatten(features.before, labels, settings, seed)
    after, axes_after = _flatten(features.after, labels, settings, seed)
    return Projection(
        method=settings.projection,
        before=before,
        after=after,
        axes_before=axes_before,
        axes_after=axes_after,
    )


def points_csv(features: FeatureSet, projection: Projection) -> str:
    """CSV, one line a point: its group and image, its position, the head's score."""
    p_positive = features.p_positive()
    table = CsvText()
    places = ("before_x", "before_y", "after_x", "after_y")
    table.row(["kind", "photo", "defect", "draw", *places, "p_positive", "called_defective"])
    for index, point in enumerate(features.points):
        xy = [*projection.before[index], *projection.after[index]]
        head: list[Any] = ["", ""]
        if p_positive is not None and features.scores is not None:
            called = int(features.scores[index].argmax() != 0)
            head = [f"{p_positive[index]:.6g}", called]
        draw = "" if point.sample is None else point.sample
        names = guarded(point.name), guarded(point.defect)
        table.row([point.kind, *names, draw, *(f"{v:.6g}" for v in xy), *head])
    return table.text()


def _flatten(
    values: np.ndarray, labels: np.ndarray, settings: FeatureSettings, seed: int
) -> tuple[np.ndarray, tuple[str, str]]:
    values = values.astype(np.float64)
    drawn = labels >= 0
    if not np.ptp(values[drawn], axis=0).any():
        raise CutSwapError(
            "features of the synthetic samples",
            expected="different ones for different pictures",
            found="the same for all: the network answers nothing",
            fix="train again with a lower --learning-rate, or check the weights",
        )
    if settings.projection == "tsne":
        # It wants fewer neighbours than points, and a third of them is its authors' upper end.
        perplexity = min(settings.perplexity, max(2.0, (len(values) - 1) / 3))
        tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
        return tsne.fit_transform(values).astype(np.float64), ("t-SNE 1", "t-SNE 2")
    if settings.projection == "lda":
        return _discriminants(values, labels)
    pca = PCA(2, svd_solver="full").fit(values[drawn])
    one, two = pca.explained_variance_ratio_
    return pca.transform(values), (f"PC 1, {one:.0%} of variance", f"PC 2, {two:.0%} of variance")


def _discriminants(values: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, tuple[str, str]]:
    """The directions that part the classes best; two classes have one, then PCA gives the other."""
    drawn = labels >= 0
    # Shrinkage: with more dimensions than samples the plain covariance has no inverse.
    lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto")
    lda.fit(values[drawn], labels[drawn])
    projected = lda.transform(values)
    if projected.shape[1] > 1:
        return projected[:, :2], ("discriminant 1", "discriminant 2")
    direction = lda.scalings_[:, 0] / np.linalg.norm(lda.scalings_[:, 0])
    rest = values - np.outer(values @ direction, direction)
    other = PCA(1, svd_solver="full").fit(rest[drawn]).transform(rest)
    return np.hstack([projected, other]), ("discriminant", "PC 1 of what is left")
