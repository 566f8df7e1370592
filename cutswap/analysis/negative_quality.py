"""How good are a category's negatives? Where they edit, whether one sees it, how real they look.

The paper argues (Fig. 1) that CutPaste often pastes background on background, or background where
it cannot belong. Here that is counted, for each method on the same photos by the trainer's draws,
without the colour jitter of its positives, which would be one more distance from normal.
The network that says what is foreground is not the one that guides CutSwap: by its guide's own map
CutSwap would edit foreground by definition.

Distances are between patch features, of changed cells alone (a cell counts by its changed pixels):
to the nearest patch of normal photos that no negative was made of, and to the nearest patch of real
defects. Real defects and good test photos are measured the same way, to compare with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cutswap.analysis.quality_distances import BATCH, Distances, Patches, RealPhotos
from cutswap.analysis.quality_measures import edit_shares, foreground, mean_change, similarity
from cutswap.analysis.quality_settings import RANDOM_SWAP, QualitySettings
from cutswap.analysis.quality_table import FIGURES, Row, figures_of
from cutswap.config import ClusterSettings, NegativeSettings, WeakAugmentation
from cutswap.data.loading import CheckedCategory, load_photos
from cutswap.errors import CutSwapError
from cutswap.negatives.samples import TrainingSamples
from cutswap.networks.backbone import Backbone, load_backbone
from cutswap.saliency.cache import SaliencyMaps, saliency_of
from cutswap.utils.progress import Notify, tick


@dataclass(frozen=True)
class Quality:
    """Quality metrics of a category's negatives.

    Attributes:
        rows: by method, then real defects and good test photos; a figure that does not apply is
            None.
        foreground_share: of the photos' area that counts as foreground, the share by chance.
        photos: that negatives were made of.
        draws: negatives a method.
    """

    rows: dict[str, Row]
    foreground_share: float | None
    photos: int
    draws: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        rows = {
            name: {figure: f.to_dict() if f else None for figure, f in row.items()}
            for name, row in self.rows.items()
        }
        share = self.foreground_share
        return {
            "rows": rows,
            "foreground_share": None if share is None else round(share, 6),
            "photos": self.photos,
            "draws": self.draws,
        }


def measure_quality(
    checked: CheckedCategory, settings: QualitySettings, notify: Notify | None = None
) -> Quality:
    """Draw negatives of every method and judge them.

    Args:
        checked: the category; test photos are used only as what real defects look like.
        settings: how many, and by which networks.
        notify: called with (stage, done, total).

    Raises:
        CutSwapError: fewer than four training photos, weights that are missing.
    """
    train = checked.category.train
    if len(train) < 4:
        raise CutSwapError(
            f"category {checked.category.name}",
            expected="at least 4 good training photos, half of them to compare with",
            found=len(train),
            fix="add photos to train/good",
        )
    # Every other photo, so that both halves are alike where a series drifts.
    made_of = train[::2][: settings.photos]
    others = train[1::2][: settings.bank_photos]
    photos = load_photos(made_of, settings.image_size, tick(notify, "reading photos"))
    judge = load_backbone(settings.judge, settings.judge_weights)
    fronts = _fronts(judge, photos, tick(notify, "foreground"))
    guide_maps = _guide_maps(photos, settings, tick(notify, "saliency"))
    patches = Patches(judge, settings.feature_layer)
    normal = patches.of(
        load_photos(others, settings.image_size), tick(notify, "normal patches")
    )  # (n, h, w, D)
    real = RealPhotos.of(
        checked, settings.image_size, patches, settings.test_photos, tick(notify, "real defects")
    )
    distances = Distances(normal, real)
    inside = checked.region_at(settings.image_size)
    rows: dict[str, Row] = {}
    total, done = len(settings.methods) * len(settings.seeds), 0
    for method in settings.methods:
        values = []
        for seed in settings.seeds:
            samples = _samples(method, photos, guide_maps, settings, seed, inside)
            values.append(_judged(samples, fronts, patches, distances, settings))
            done += 1
            tick(notify, "judging negatives")(done, total)
        rows[method] = figures_of(
            np.stack(values), settings.resamples
        )  # (seeds, P, draws, figures)
    for name, pairs in distances.references().items():
        table = np.full((1, len(pairs), 1, len(FIGURES)), np.nan)
        table[0, :, 0, -2:] = pairs
        rows[name] = figures_of(table, settings.resamples)
    known = [f.mean() for f in fronts if f is not None]
    return Quality(
        rows,
        float(np.mean(known)) if known else None,
        len(photos),
        len(photos) * settings.per_photo * len(settings.seeds),
    )


def _fronts(
    judge: Backbone, photos: np.ndarray, progress: Callable[[int, int], None]
) -> list[np.ndarray | None]:
    maps = saliency_of(judge, photos, progress=progress)
    fused = len(maps.layers)
    return [foreground(maps.at(i, fused)) for i in range(len(photos))]


def _guide_maps(
    photos: np.ndarray, settings: QualitySettings, progress: Callable[[int, int], None]
) -> SaliencyMaps | None:
    if not any(m.startswith(("cutswap", RANDOM_SWAP)) for m in settings.methods):
        return None
    guide = load_backbone(settings.guide, settings.guide_weights)
    return saliency_of(guide, photos, progress=progress)


def _samples(
    method: str,
    photos: np.ndarray,
    maps: SaliencyMaps | None,
    settings: QualitySettings,
    seed: int,
    inside: np.ndarray | None,
) -> TrainingSamples:
    """The samples of a run of this method on these photos, without the positives' jitter."""
    is_random = method == RANDOM_SWAP
    family = "cutswap" if is_random else method.split("-")[0]
    return TrainingSamples(
        photos,
        maps,
        family=family,
        ways=3 if method.endswith("-scar") else 2,
        negatives=NegativeSettings(),
        clusters=ClusterSettings(anchors="whole-image" if is_random else "max-cluster"),
        weak=WeakAugmentation(jitter=0.0),  # real defects have none to be compared with
        seed=seed,
        count=len(photos) * settings.per_photo,
        inside=inside,
    )


def _judged(
    samples: TrainingSamples,
    fronts: Sequence[np.ndarray | None],
    patches: Patches,
    distances: Distances,
    settings: QualitySettings,
) -> np.ndarray:
    """(P, draws, figures) float64 of one method and seed; NaN where a figure does not apply."""
    result = np.full((len(fronts), settings.per_photo, len(FIGURES)), np.nan)
    for first in range(0, len(samples), BATCH):
        numbers = range(first, min(first + BATCH, len(samples)))
        batch = [samples.sample(n) for n in numbers]
        negatives = [s.negatives[-1] for s in batch]  # the scar is the last, where there is one
        cells = patches.of(np.stack([n.photo for n in negatives]))  # (batch, h, w, D)
        for number, sample, negative, features in zip(
            numbers, batch, negatives, cells, strict=True
        ):
            front, mask = fronts[sample.index], negative.mask
            change = mean_change(sample.positive, negative.photo, mask)
            alike = float(similarity(sample.positive, negative.photo)[mask].mean())
            edits = (np.nan,) * 3 if front is None else edit_shares(negative.record, front)
            result[sample.index, number // len(fronts)] = (
                *edits,
                np.nan if front is None else front[mask].mean(),
                mask.mean(),
                change < settings.faint and alike > settings.similar,
                change,
                alike,
                *distances.of(features, mask),
            )
    return result
