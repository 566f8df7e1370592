"""How well scores and heatmaps find defects. Every rate names its denominator; ties are exact."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import label as label_components
from scipy.stats import rankdata

from cutswap.errors import CutSwapError

if TYPE_CHECKING:
    import torch

FPR_LIMIT = 0.3
EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=int)


@dataclass(frozen=True)
class Metrics:
    """Figures of one scored test set; pixel figures are None where there are no masks.

    Attributes:
        image_auroc: chance that a random defective image scores above a random good one.
        pixel_auroc: the same for pixels, all test images pooled, good ones included.
        aupro: mean covered share of each defect region, integrated to a false positive rate of
            0.3 and divided by it.
        image_average_precision: step-wise area under the precision-recall curve of images.
        pixel_average_precision: the same for pixels.
        f1_max: best F1 of the image scores over all thresholds.
        threshold: image scores at or above it are called defective at that F1.
        pixel_f1_max: best F1 of the pixels over all thresholds.
        pixel_threshold: its threshold.
    """

    image_auroc: float | None
    pixel_auroc: float | None
    aupro: float | None
    image_average_precision: float | None
    pixel_average_precision: float | None
    f1_max: float
    threshold: float
    pixel_f1_max: float | None
    pixel_threshold: float | None

    def to_dict(self) -> dict[str, float | None]:
        """JSON-ready values."""
        return asdict(self)


def summarise(
    scores: np.ndarray,
    labels: np.ndarray,
    heatmaps: np.ndarray,
    masks: np.ndarray | None,
    device: torch.device | None = None,
    region: np.ndarray | None = None,
) -> Metrics:
    """All figures at once.

    Args:
        scores: (N,) float, higher is more anomalous.
        labels: (N,) bool, True for defective.
        heatmaps: (N, H, W) float.
        masks: (N, H, W) bool, True on defects, or None.
        device: where pixels are sorted and counted; default: here.
        region: (H, W) bool, where to look: pixels outside count nowhere, and of a defect only
            what lies inside; None: everywhere.

    Raises:
        CutSwapError: shapes differ, or numbers that are not finite.
    """
    best, threshold = f1_max(scores, labels)
    pixel_auroc = pixel_precision = region_overlap = pixel_f1 = pixel_threshold = None
    if masks is not None:
        heatmaps, masks = _checked_maps(heatmaps, masks)
        parts = None if region is None else _region_weights(masks & region)[:, region]
        if region is not None:  # (N, P) of its P pixels
            heatmaps, masks = heatmaps[:, region], masks[:, region]
    if masks is not None and masks.any() and not masks.all():
        if device is not None and device.type == "cuda":
            from cutswap.evaluation.device_curves import pixel_figures

            _need_finite(heatmaps)
            weights = _region_weights(masks) if parts is None else parts
            pixels = pixel_figures(heatmaps, masks, weights, FPR_LIMIT, device)
            pixel_auroc, pixel_precision = pixels.auroc, pixels.average_precision
            pixel_f1, pixel_threshold = pixels.f1_max, pixels.threshold
            region_overlap = pixels.aupro
        else:
            values, truth = heatmaps.reshape(-1), masks.reshape(-1)
            order = _falling(values)  # ten million pixels: sorted once for all figures
            curve = _Curve.of(values, truth, order)
            pixel_auroc, pixel_precision = curve.auroc(), curve.average_precision()
            pixel_f1, pixel_threshold = curve.f1_max()
            weights = _region_weights(masks) if parts is None else parts
            region_overlap = _aupro(curve, order, truth, weights, FPR_LIMIT)
    return Metrics(
        image_auroc=auroc(scores, labels),
        pixel_auroc=pixel_auroc,
        aupro=region_overlap,
        image_average_precision=average_precision(scores, labels),
        pixel_average_precision=pixel_precision,
        f1_max=best,
        threshold=threshold,
        pixel_f1_max=pixel_f1,
        pixel_threshold=pixel_threshold,
    )


def auroc(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """Area under the ROC curve, equal scores counting half (Mann-Whitney).

    Args:
        scores: (n,) float.
        labels: (n,) bool.

    Returns:
        In [0, 1]; None when one of the two classes is absent, for then it is not defined.

    Raises:
        CutSwapError: NaN or infinite scores.
    """
    scores, labels = _checked(scores, labels)
    positive = int(labels.sum())
    negative = len(labels) - positive
    if positive == 0 or negative == 0:
        return None
    ranks = rankdata(scores)
    return float((ranks[labels].sum() - positive * (positive + 1) / 2) / (positive * negative))


def pixel_auroc(heatmaps: np.ndarray, masks: np.ndarray) -> float | None:
    """AUROC over all pixels of all test images pooled: (N, H, W) float and bool."""
    heatmaps, masks = _checked_maps(heatmaps, masks)
    return auroc(heatmaps.reshape(-1), masks.reshape(-1))


def average_precision(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """Sum of precision times gained recall over falling thresholds; None without positives."""
    scores, labels = _checked(scores, labels)
    return _Curve.of(scores, labels).average_precision() if labels.any() else None


def f1_max(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Best F1 = 2TP / (2TP + FP + FN) of the rule `score >= threshold`, and that threshold.

    The highest threshold wins among equals. Without positives F1 is 0 everywhere.
    """
    scores, labels = _checked(scores, labels)
    return _Curve.of(scores, labels).f1_max()


def aupro(heatmaps: np.ndarray, masks: np.ndarray, fpr_limit: float = FPR_LIMIT) -> float | None:
    """Area under the per-region overlap curve up to a false positive rate, divided by it.

    1. Regions are the 8-connected components of each mask; PRO is the mean over all regions of
       the share of the region at or above the threshold.
    2. FPR is the share of all non-defective pixels of all images at or above the threshold.
    3. Thresholds are all distinct values, no bins; equal values are one step.
    4. The curve is integrated by trapezoids to `fpr_limit`, its end interpolated.

    Args:
        heatmaps: (N, H, W) float.
        masks: (N, H, W) bool.
        fpr_limit: in (0, 1].

    Returns:
        In [0, 1]; None without a defect region or without background.

    Raises:
        CutSwapError: shapes differ, numbers that are not finite, or a limit out of range.

    Source: MVTec AD (Bergmann et al. 2021); the same curve as anomalib's AUPRO.
    """
    if not 0 < fpr_limit <= 1:
        raise CutSwapError(
            "fpr_limit", expected="a rate > 0 and <= 1", found=fpr_limit, fix="pass 0.3"
        )
    heatmaps, masks = _checked_maps(heatmaps, masks)
    if not masks.any() or masks.all():
        return None
    values = heatmaps.reshape(-1)
    order = _falling(values)
    truth = masks.reshape(-1)
    return _aupro(_Curve.of(values, truth, order), order, truth, _region_weights(masks), fpr_limit)


def _aupro(
    curve: _Curve, order: np.ndarray, truth: np.ndarray, weights: np.ndarray, fpr_limit: float
) -> float:
    # The mean coverage once the k highest defect pixels are found, for every k.
    covered = np.append(0.0, np.cumsum(weights.reshape(-1)[order[truth[order]]]))
    # Points up to the limit and one beyond, which becomes the one on the limit.
    kept = 1 + int(
        np.searchsorted(curve.false_positives, fpr_limit * curve.negatives, side="right")
    )
    fpr = np.append(0.0, curve.false_positives[:kept] / curve.negatives)
    pro = np.append(0.0, covered[curve.true_positives[:kept]])
    if fpr[-1] > fpr_limit:
        pro[-1] = np.interp(fpr_limit, fpr[-2:], pro[-2:])
        fpr[-1] = fpr_limit
    return float(np.trapezoid(pro, fpr) / fpr[-1])


def _region_weights(masks: np.ndarray) -> np.ndarray:
    """(N, H, W) float64: a defect pixel's share of the mean coverage; 0 on background."""
    weight = np.zeros(masks.shape)
    regions = 0
    for index, mask in enumerate(masks):
        if mask.any():
            components, count = label_components(mask, structure=EIGHT_NEIGHBOURS)
            sizes = np.bincount(components.reshape(-1))
            weight[index][mask] = 1.0 / sizes[components[mask]]
            regions += count
    return weight / max(regions, 1)


@dataclass(frozen=True)
class _Curve:
    """Counts at every distinct threshold, from the highest down."""

    thresholds: np.ndarray
    true_positives: np.ndarray
    false_positives: np.ndarray
    positives: int
    negatives: int

    @classmethod
    def of(cls, scores: np.ndarray, labels: np.ndarray, order: np.ndarray | None = None) -> _Curve:
        scores, labels = _checked(scores, labels)
        order = _falling(scores) if order is None else order
        ranked, hits = scores[order], labels[order]
        ends = np.flatnonzero(np.append(np.diff(ranked) != 0, True))
        true_positives = np.cumsum(hits)[ends]
        positives = int(hits.sum())
        return cls(
            ranked[ends],
            true_positives,
            ends + 1 - true_positives,
            positives,
            len(hits) - positives,
        )

    def auroc(self) -> float:
        tpr = np.concatenate([[0.0], self.true_positives / self.positives])
        fpr = np.concatenate([[0.0], self.false_positives / self.negatives])
        return float(np.trapezoid(tpr, fpr))

    def average_precision(self) -> float:
        precision = self.true_positives / (self.true_positives + self.false_positives)
        gained = np.diff(self.true_positives, prepend=0) / self.positives
        return float((precision * gained).sum())

    def f1_max(self) -> tuple[float, float]:
        called = self.true_positives + self.false_positives
        f1 = 2 * self.true_positives / (called + self.positives)
        best = int(f1.argmax())
        return float(f1[best]), float(self.thresholds[best])


def _falling(scores: np.ndarray) -> np.ndarray:
    """Indices from the highest score to the lowest; the order of equals is of no account."""
    return np.argsort(scores)[::-1]


def _checked_maps(heatmaps: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    heatmaps, masks = np.asarray(heatmaps), np.asarray(masks).astype(bool, copy=False)
    if heatmaps.shape != masks.shape or heatmaps.ndim != 3 or heatmaps.size == 0:
        raise CutSwapError(
            "heatmaps and masks",
            expected="one shape (N, H, W)",
            found=f"shapes {heatmaps.shape} and {masks.shape}",
            fix="give every heatmap a mask of its size",
        )
    return heatmaps, masks


def _checked(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, labels = np.asarray(scores), np.asarray(labels).astype(bool)
    if scores.shape != labels.shape or scores.ndim != 1 or len(scores) == 0:
        raise CutSwapError(
            "scores and labels",
            expected="two lists of one length",
            found=f"shapes {scores.shape} and {labels.shape}",
            fix="give one label a score",
        )
    _need_finite(scores)
    return scores, labels


def _need_finite(scores: np.ndarray) -> None:
    if not np.isfinite(scores).all():
        raise CutSwapError(
            "scores", expected="finite numbers", found="NaN or infinity", fix="check the weights"
        )
