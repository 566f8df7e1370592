"""The most similar normal patch of a large photo: what its heat is about, cut out as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cutswap.config import PatchCoreSettings
from cutswap.data.records import GOOD, Record
from cutswap.errors import CutSwapError
from cutswap.patchcore.tiled.nearest_in_tiles import nearest_in_tiles
from cutswap.patchcore.tiled.tiled_bank import TiledBank
from tests.helpers.datasets import write_image
from tests.helpers.small_photos import photo_of
from tests.helpers.tiny_networks import tiny_backbone

SIZE = (150, 250)
SETTINGS = PatchCoreSettings(image_size=96, tile_overlap=32, coreset=0.1, sigma=0.0)


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    folder = tmp_path_factory.mktemp("train")
    for number in range(2):
        write_image(folder / f"{number}.png", photo_of(number, SIZE))
    return [Record(folder / f"{number}.png", "train", GOOD) for number in range(2)]


@pytest.fixture(scope="module")
def bank() -> TiledBank:
    photos = [photo_of(number, SIZE) for number in range(2)]
    return TiledBank.fit(tiny_backbone(), photos, [SIZE] * 2, SETTINGS)


@pytest.mark.parametrize("place", [(0, 0), (70, 101.5), (149, 249), (75, 63), (10, 247), (-5, 900)])
def test_it_is_the_patch_that_the_heat_is_about(bank, train, place):
    photo = photo_of(7, SIZE)
    found = nearest_in_tiles(photo, place, bank, train)
    row, column = found.test.cell
    y, x = (min(max(at, 0), side - 1) for at, side in zip(place, SIZE, strict=True))
    assert (row, column) == (y // 4, x // 4)
    distances = bank.score(photo).distances
    if row < 37 and column < 62:  # the last ones lie half beside the photo: there is no heat
        assert found.distance == pytest.approx(float(distances[row, column]), abs=1e-4)
    image, *where = bank.bank.origin[found.item]
    assert found.record is train[image]
    assert list(found.normal.cell) == where


def test_both_are_cut_out_at_the_photo_s_own_resolution(bank, train):
    photo = photo_of(7, SIZE)
    for place in ((80, 120), (0, 0), (149, 249)):
        found = nearest_in_tiles(photo, place, bank, train)
        normal = photo_of(int(found.record.image.stem), SIZE)
        for crop, whole in ((found.test, photo), (found.normal, normal)):
            top, left, height, width = map(int, crop.place)
            assert (height, width) == (36, 36)
            np.testing.assert_array_equal(crop.photo, whole[top : top + 36, left : left + 36])
            assert crop.inner[0] + top == crop.box[0] == crop.cell[0] * 4
            assert crop.inner[1] + left == crop.box[1] == crop.cell[1] * 4


def test_a_photo_that_was_learnt_is_nearest_to_itself(bank, train):
    image, row, column = (int(value) for value in bank.bank.origin[5])
    found = nearest_in_tiles(photo_of(image, SIZE), (row * 4 + 2, column * 4 + 2), bank, train)
    assert (found.item, found.record) == (5, train[image])
    assert found.distance < 1e-3


def test_photos_that_are_others_now_are_refused(bank, tmp_path: Path):
    write_image(tmp_path / "0.png", photo_of(30, SIZE))
    other = [Record(tmp_path / "0.png", "train", GOOD)] * 2
    with pytest.raises(CutSwapError, match="a photo that differs"):
        nearest_in_tiles(photo_of(7, SIZE), (80, 120), bank, other)
    with pytest.raises(CutSwapError, match="0 training photos"):
        nearest_in_tiles(photo_of(7, SIZE), (80, 120), bank, [])
