"""Cached features: each photo and negative embedded once, cells of the exact masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cutswap.config import ClusterSettings, NegativeSettings, WeakAugmentation
from cutswap.data.images import to_image
from cutswap.errors import CutSwapError
from cutswap.heads.feature_cache import cache_features, changed_cells, to_places
from cutswap.negatives.samples import TrainingSamples
from cutswap.patchcore.embeddings import embed
from tests.helpers.small_photos import photo_of
from tests.helpers.tiny_networks import tiny_backbone

SIDE, LAYERS = 64, ("layer2", "layer3")


def samples_of(photos: np.ndarray, ways: int = 3, **changes: object) -> TrainingSamples:
    return TrainingSamples(
        photos,
        None,
        family="cutpaste",
        ways=ways,
        negatives=NegativeSettings(**{"area": (0.1, 0.3), **changes}),
        clusters=ClusterSettings(),
        weak=WeakAugmentation(jitter=0.0),
        seed=3,
        count=0,
    )


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    return np.stack([photo_of(seed, (SIDE, SIDE)) for seed in range(3)])


def test_cells_by_hand():
    # 4 x 4 pixels on 2 x 2 cells: upper left whole, upper right a quarter, lower left none
    mask = np.array([[[1, 1, 0, 0], [1, 1, 0, 1], [0, 0, 1, 1], [0, 0, 0, 0]]], dtype=bool)
    np.testing.assert_array_equal(changed_cells(mask, (2, 2)), [[[1.0, 0.25], [0.0, 0.5]]])


def test_places_are_means_of_patches_and_never_more_than_there_are():
    patches = torch.arange(16.0).reshape(1, 4, 4, 1)
    assert to_places(patches, 2)[0, :, :, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert torch.equal(to_places(patches, 4), patches)
    assert torch.equal(to_places(patches, 99), patches)


@pytest.mark.parametrize("ways", [2, 3])
@pytest.mark.parametrize("in_memory", [10**9, 0])
def test_the_cache_holds_what_embedding_gives(photos, tmp_path: Path, ways: int, in_memory: int):
    backbone, samples, draws = tiny_backbone(), samples_of(photos, ways), 2
    told: list[tuple[int, int]] = []
    found = cache_features(
        backbone,
        photos,
        samples.sample,
        layers=LAYERS,
        grid=8,
        draws=draws,
        ways=ways,
        file=tmp_path / "f.npy",
        in_memory=in_memory,
        progress=lambda d, t: told.append((d, t)),
    )
    assert (tmp_path / "f.npy").exists() == (in_memory == 0)
    assert told[-1] == (3 + 3 * draws * (ways - 1),) * 2
    assert found.clean.dtype == found.drawn.dtype == np.float16
    assert found.drawn.shape == (3, draws * (ways - 1), 8, 8, 32)

    def direct(photo: np.ndarray) -> np.ndarray:
        return to_places(embed(backbone, to_image(photo[None]), LAYERS), 8)[0].numpy()

    for index, photo in enumerate(photos):
        np.testing.assert_allclose(found.clean[index], direct(photo), rtol=1e-3, atol=1e-3)
    seen = set()
    for number in range(draws * 3):
        sample = samples.sample(number)
        for kind, negative in enumerate(sample.negatives):
            slot = (number // 3) * (ways - 1) + kind
            seen.add((sample.index, slot))
            own = found.drawn[sample.index, slot]
            np.testing.assert_allclose(own, direct(negative.photo), rtol=1e-3, atol=1e-3)
            cells = changed_cells(negative.mask[None], (8, 8))[0]
            np.testing.assert_array_equal(found.changed[sample.index, slot], cells)
    assert len(seen) == 3 * draws * (ways - 1)


def test_negatives_that_change_no_place_are_refused(photos):
    samples = samples_of(photos, 2, area=(0.0005, 0.0006))
    with pytest.raises(CutSwapError, match="change more than half of at least one") as refused:
        cache_features(
            tiny_backbone(), photos, samples.sample, layers=LAYERS, grid=2, draws=1, ways=2
        )
    assert "--area" in refused.value.fix
