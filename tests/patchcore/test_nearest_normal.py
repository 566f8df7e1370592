"""The nearest normal patch: found by brute force too, boxes by hand, impostors refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cutswap.data.images import to_image
from cutswap.data.loading import load_photos
from cutswap.errors import CutSwapError
from cutswap.patchcore.embeddings import embed
from cutswap.patchcore.nearest_normal import crop_patch, hottest_patch, nearest_normal, patch_at
from tests.helpers.scored import SETTINGS, SIZE, build_parts, score_parts
from tests.helpers.small_photos import noise_photo


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    base = tmp_path_factory.mktemp("nearest")
    return score_parts(build_parts(base / "parts"), base / "out")


@pytest.fixture
def looked_up(written):
    """The last defective photo and what the bank says about it."""
    photo = load_photos([written.evaluation.records[-1]], SIZE)
    bank = written.evaluation.bank
    return photo[0], bank.score(to_image(photo)), bank, written.checked.category.train


class TestNearestNormal:
    def test_the_hottest_patch_is_the_one_the_score_is_about(self, looked_up):
        photo, prediction, bank, train = looked_up
        found = nearest_normal(photo, prediction, bank, train)
        assert found.distance == pytest.approx(float(prediction.distances[0].max()))
        assert found.test.cell == hottest_patch(prediction)

    @pytest.mark.parametrize("cell", [None, (0, 0), (15, 3), (31, 31)])
    def test_no_patch_of_the_bank_is_nearer_and_it_lies_where_it_says(self, looked_up, cell):
        photo, prediction, bank, train = looked_up
        found = nearest_normal(photo, prediction, bank, train, cell=cell)
        patch = embed(bank.backbone, to_image(photo[None]), bank.settings.layers)[0]
        patch = patch[found.test.cell].numpy()
        gaps = np.linalg.norm(bank.items - patch, axis=1)
        assert gaps[found.item] == pytest.approx(gaps.min(), abs=1e-5)
        assert found.distance == pytest.approx(gaps.min(), abs=1e-4)
        normal = to_image(load_photos([found.record], SIZE))
        there = embed(bank.backbone, normal, bank.settings.layers)[0][found.normal.cell].numpy()
        assert np.allclose(there, bank.items[found.item], atol=1e-4)
        assert found.record.split == "train"

    def test_a_training_photo_is_its_own_neighbour(self, written):
        # With the whole bank kept, a normal photo's patch finds itself, at distance 0.
        from cutswap.evaluation.evaluate import batches
        from cutswap.patchcore.memory_bank import MemoryBank

        train = written.checked.category.train[:2]
        whole = SETTINGS.replace(coreset=1.0)
        bank = MemoryBank.fit(written.backbone, batches(train, whole), whole)
        photo = load_photos(train[1:], SIZE)
        found = nearest_normal(photo[0], bank.score(to_image(photo)), bank, train, cell=(9, 20))
        assert (found.record, found.normal.cell) == (train[1], (9, 20))
        assert found.distance == pytest.approx(0, abs=1e-3)
        assert np.array_equal(found.normal.photo, found.test.photo)

    def test_crops_are_the_same_in_size_and_show_the_photos(self, looked_up):
        photo, prediction, bank, train = looked_up
        found = nearest_normal(photo, prediction, bank, train, context=2)
        y, x, height, width = map(int, found.test.place)
        assert np.array_equal(found.test.photo, photo[y : y + height, x : x + width])
        normal = load_photos([found.record], SIZE)[0]
        y, x, height, width = map(int, found.normal.place)
        assert np.array_equal(found.normal.photo, normal[y : y + height, x : x + width])
        assert found.test.photo.shape == found.normal.photo.shape == (10, 10, 3)

    @pytest.mark.parametrize("cell", [(-1, 0), (0, 32), (32, 0)])
    def test_a_cell_outside_is_refused(self, looked_up, cell):
        with pytest.raises(CutSwapError, match="32 x 32"):
            nearest_normal(*looked_up, cell=cell)

    def test_other_training_photos_are_refused(self, looked_up):
        photo, prediction, bank, train = looked_up
        with pytest.raises(CutSwapError, match="training photos"):
            nearest_normal(photo, prediction, bank, train[:0])

    def test_a_training_photo_that_changed_or_vanished_is_refused(self, tmp_path):
        made = score_parts(build_parts(tmp_path / "parts"), tmp_path / "out")
        photo = load_photos([made.evaluation.records[-1]], SIZE)
        bank, train = made.evaluation.bank, made.checked.category.train
        prediction = bank.score(to_image(photo))
        path = nearest_normal(photo[0], prediction, bank, train).record.image
        Image.fromarray(noise_photo(1, (SIZE, SIZE))).save(path)
        with pytest.raises(CutSwapError, match="differs"):
            nearest_normal(photo[0], prediction, bank, train)
        path.unlink()
        with pytest.raises(CutSwapError, match="found no file"):
            nearest_normal(photo[0], prediction, bank, train)


class TestCrop:
    @pytest.mark.parametrize(
        ("cell", "box", "place", "inner"),
        [
            # a 64 x 32 photo of 8 x 4 cells, each 8 x 8; one cell around
            ((3, 2), (24, 16, 8, 8), (16, 8, 24, 24), (8, 8, 8, 8)),
            ((0, 0), (0, 0, 8, 8), (0, 0, 24, 24), (0, 0, 8, 8)),
            ((7, 3), (56, 24, 8, 8), (40, 8, 24, 24), (16, 16, 8, 8)),
        ],
    )
    def test_by_hand(self, cell, box, place, inner):
        photo = noise_photo(0, (64, 32))
        found = crop_patch(photo, cell, (8, 4), context=1)
        assert (found.box, found.place, found.inner) == (box, place, inner)
        assert np.array_equal(
            found.photo, photo[place[0] : place[0] + 24, place[1] : place[1] + 24]
        )

    @given(st.data())
    def test_laws(self, data):
        grid = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
        size = data.draw(st.tuples(st.integers(9, 70), st.integers(9, 70)))
        cell = tuple(data.draw(st.integers(0, count - 1)) for count in grid)
        found = crop_patch(noise_photo(0, size), cell, grid, data.draw(st.integers(0, 12)))
        y, x, height, width = found.place
        assert 0 <= y < y + height <= size[0]
        assert 0 <= x < x + width <= size[1]
        assert found.photo.shape == (height, width, 3)
        # the cell lies in the window but for rounding, and both boxes mean one place
        assert found.inner[0] >= -0.5
        assert found.inner[0] + found.inner[2] <= height + 0.5
        assert found.inner[0] + y == pytest.approx(found.box[0])
        assert found.inner[1] + x == pytest.approx(found.box[1])

    @given(st.integers(1, 40), st.integers(1, 40), st.data())
    def test_the_middle_of_a_cell_leads_back_to_it(self, h, w, data):
        cell = data.draw(st.integers(0, h - 1)), data.draw(st.integers(0, w - 1))
        place = (cell[0] + 0.5) / h, (cell[1] + 0.5) / w
        assert patch_at(place, (h, w)) == cell

    def test_places_outside_are_clipped(self):
        assert patch_at((-0.2, 1.0), (4, 5)) == (0, 4)


def test_the_hottest_patch_of_a_batch():
    from cutswap.patchcore.memory_bank import Prediction

    distances = torch.zeros(2, 3, 4).numpy()
    distances[1, 2, 1] = 5
    prediction = Prediction(np.zeros(2), np.zeros((2, 6, 8)), distances, distances.astype(int))
    assert hottest_patch(prediction, 1) == (2, 1)
