"""Knobs of looking at the features before and after fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass

from cutswap.settings import Settings, setting

PROJECTIONS = ("pca", "tsne", "lda")


@dataclass(frozen=True)
class FeatureSettings(Settings):
    """Settings of the feature plot: samples, projection to two dimensions, bootstrap."""

    samples: int = setting(
        60,
        "unseen draws of training photos; each gives a positive and one negative a kind",
        low=4,
        high=2000,
    )
    projection: str = setting(
        "pca",
        "pca and lda are fitted on the synthetic samples alone, tsne on all points (it cannot"
        " place new ones)",
        choices=PROJECTIONS,
    )
    perplexity: float = setting(
        30.0,
        "neighbours tsne keeps together; capped at a third of all points",
        low=2,
        high=500,
    )
    folds: int = setting(5, "parts of the cross-validation; a photo is in just one", low=2, high=50)
    resamples: int = setting(
        1000, "bootstrap resamples behind each 95% interval", low=100, high=100_000
    )
    batch_size: int = setting(16, "images a forward pass", low=1, high=1024)
    device: str = setting("auto", "auto, cpu, mps, cuda or cuda:N")
