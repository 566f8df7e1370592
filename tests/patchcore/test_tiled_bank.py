"""One bank for all tiles: distances of whole photos, regions, bounded memory, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from cutswap.config import PatchCoreSettings
from cutswap.data.images import to_image
from cutswap.errors import CutSwapError
from cutswap.networks.backbone import Backbone
from cutswap.patchcore.image_score import mean_of_highest
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.patchcore.tiled import tiled_bank
from cutswap.patchcore.tiled.tiled_bank import TiledBank
from tests.helpers.small_photos import noise_photo, photo_of
from tests.helpers.tiny_networks import tiny_backbone

SIZE = (150, 250)
TILED = PatchCoreSettings(image_size=96, tile_overlap=32, coreset=1.0, sigma=2.0)


@pytest.fixture(scope="module")
def network() -> Backbone:
    return tiny_backbone()


def fit(network: Backbone, photos: list[np.ndarray], settings=TILED, **more) -> TiledBank:
    sizes = [(photo.shape[0], photo.shape[1]) for photo in photos]
    return TiledBank.fit(network, iter(photos), sizes, settings, **more)


@pytest.fixture(scope="module")
def bank(network) -> TiledBank:
    return fit(network, [photo_of(n, SIZE) for n in range(2)])


def test_what_was_learnt_is_at_no_distance_from_itself(bank):
    said = bank.score(photo_of(1, SIZE))
    assert said.score < 1e-3
    assert said.distances.max() < 1e-3
    assert said.heatmap.shape == SIZE
    assert said.heatmap.dtype == np.float32


def test_the_score_is_of_the_highest_patches_of_the_whole_photo(bank):
    said = bank.score(photo_of(7, SIZE))
    looked_at = said.distances[said.distances > 0]
    assert said.score == pytest.approx(mean_of_highest(looked_at, TILED.image_patches))


def test_a_small_strange_spot_is_the_hottest_place(bank):
    photo = photo_of(1, SIZE)
    photo[100:108, 120:128] = 255 - photo[100:108, 120:128]
    y, x = np.unravel_index(bank.score(photo).heatmap.argmax(), SIZE)
    assert abs(y - 104) < 12
    assert abs(x - 124) < 12


def test_a_photo_of_one_tile_is_scored_as_a_square_is(network):
    photos = [photo_of(n, (96, 96)) for n in range(3)]
    tiled = fit(network, photos[:2])
    square = MemoryBank(
        network, TILED.replace(tile_overlap=None), tiled.bank.items, tiled.bank.origin, 0
    )
    said, wanted = tiled.score(photos[2]), square.score(to_image(photos[2][None]))
    np.testing.assert_allclose(said.distances, wanted.distances[0], atol=1e-5)
    np.testing.assert_allclose(said.heatmap, wanted.heatmaps[0], atol=1e-5)
    assert said.score == pytest.approx(float(wanted.scores[0]), abs=1e-5)


def test_what_is_beside_a_photo_is_neither_learnt_nor_scored(network):
    """Photos of 60 x 70 in a tile of 96: patches of 4 pixels, those beside it never picked."""
    bank = fit(network, [noise_photo(n, (60, 70)) for n in range(2)])
    _, rows, columns = bank.bank.origin.T
    assert len(rows) == 2 * 15 * 18  # the last column of patches lies half in the photo
    assert rows.max() == 14
    assert columns.max() == 17
    said = bank.score(noise_photo(5, (60, 70)))
    assert said.heatmap.shape == (60, 70)
    assert (said.distances[15:] == 0).all()
    assert (said.distances[:, 18:] == 0).all()
    assert (said.distances[:15, :18] > 0).all()


def test_only_the_region_is_learnt_and_scored(network):
    region = np.zeros(SIZE, bool)
    region[40:120, 60:200] = True
    photos = [photo_of(n, SIZE) for n in range(2)]
    bank = fit(network, photos, region_at=lambda _: region)
    _, rows, columns = bank.bank.origin.T
    assert 10 <= rows.min() <= rows.max() <= 29
    assert 15 <= columns.min() <= columns.max() <= 49
    said = bank.score(photo_of(9, SIZE), region)
    assert (said.heatmap[~region] == 0).all()
    assert (said.heatmap[region] > 0).all()
    changed = photo_of(9, SIZE)
    changed[:, 240:] = 0  # farther from the region than the network sees
    again = bank.score(changed, region)
    np.testing.assert_array_equal(again.heatmap, said.heatmap)
    assert again.score == said.score


def test_a_region_that_hides_everything_is_refused(network):
    nothing = np.zeros(SIZE, bool)
    with pytest.raises(CutSwapError, match="hides everything"):
        fit(network, [photo_of(0, SIZE)], region_at=lambda _: nothing)


def test_candidates_are_drawn_evenly_and_are_no_more_than_there_is_room_for(network, monkeypatch):
    monkeypatch.setattr(tiled_bank, "CANDIDATES", 1000)
    photos = [noise_photo(n, SIZE) for n in range(8)]  # 8 x 38 x 63 patches
    bank = fit(network, photos)
    image = bank.bank.origin[:, 0]
    assert 850 < len(image) < 1150
    assert np.bincount(image, minlength=8).min() > 70
    assert len(np.unique(bank.bank.origin, axis=0)) == len(image)
    again, other = fit(network, photos), fit(network, photos, seed=1)
    np.testing.assert_array_equal(again.bank.items, bank.bank.items)
    assert not np.array_equal(other.bank.origin, bank.bank.origin)


def test_items_are_the_patches_where_they_are_said_to_come_from(network):
    photos = [photo_of(n, SIZE) for n in range(2)]
    bank = fit(network, photos, TILED.replace(coreset=0.05))
    photo, row, column = bank.bank.origin[3]
    assert bank.score(photos[photo]).distances[row, column] < 1e-3
    changed = photos[photo].copy()
    y, x = int(row) * 4, int(column) * 4
    changed[max(0, y - 4) : y + 8, max(0, x - 4) : x + 8] ^= 255
    assert bank.score(changed).distances[row, column] > 0.01


def test_whitened_tiles_are_compared_whitened(network):
    settings = TILED.replace(whiten="pca", coreset=0.5)
    photos = [noise_photo(n, SIZE) for n in range(2)]
    bank = fit(network, photos, settings)
    assert bank.bank.whitening is not None
    image, row, column = bank.bank.origin[0]
    assert bank.score(photos[image]).distances[row, column] < 1e-2


def test_a_bank_of_tiles_is_read_back_and_scores_no_squares(bank, tmp_path):
    bank.save(tmp_path / "bank.safetensors")
    read = MemoryBank.load(tmp_path / "bank.safetensors", bank.bank.backbone)
    said = TiledBank(read).score(photo_of(7, SIZE))
    np.testing.assert_array_equal(said.heatmap, bank.score(photo_of(7, SIZE)).heatmap)
    with pytest.raises(CutSwapError, match="photos that become squares"):
        read.score(to_image(photo_of(7, (96, 96))[None]))


def test_a_bank_of_squares_scores_no_tiles(network):
    images = [to_image(photo_of(0, (96, 96))[None])]
    square = MemoryBank.fit(network, images, TILED.replace(tile_overlap=None))
    with pytest.raises(CutSwapError, match="cut into tiles"):
        TiledBank(square)
    with pytest.raises(CutSwapError, match="photos that become squares"):
        MemoryBank.fit(network, images, TILED)


def test_no_photo_and_photos_that_changed_are_refused(network):
    with pytest.raises(CutSwapError, match="at least one"):
        fit(network, [])
    with pytest.raises(CutSwapError, match="150 x 250"):
        TiledBank.fit(network, iter([photo_of(0, (100, 100))]), [SIZE], TILED)
