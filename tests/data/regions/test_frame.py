"""From photos of any shape to squares, and back: shapes, padding, what squash has always been."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutswap.data.images import resize_mask, resize_photo
from cutswap.data.reading import CROP, FIT, RESIZES, SQUASH
from cutswap.data.regions.frame import Frame, framed_mask, framed_photo
from tests.helpers.datasets import noise_photo

sides = st.integers(8, 300)


@given(sides, sides, st.integers(16, 128), st.sampled_from(RESIZES))
def test_every_photo_becomes_a_square(height, width, size, resize):
    photo = noise_photo(0, (height, width))
    frame = Frame((height, width), size, resize)
    assert frame.of_photo(photo).shape == (size, size, 3)
    assert frame.of_mask(photo[..., 0] > 127).shape == (size, size)
    assert not frame.of_mask(np.ones((height, width), bool))[~frame.inside].any()
    heat = frame.back(np.ones((size, size), np.float32))
    assert heat.shape == (height, width)
    top, left, h, w = frame.source
    np.testing.assert_allclose(heat[top : top + h, left : left + w], 1)
    assert heat.sum() == pytest.approx(h * w)


@pytest.mark.parametrize("resize", RESIZES)
def test_a_square_photo_is_the_same_by_all(resize):
    photo = noise_photo(1, (90, 90))
    np.testing.assert_array_equal(framed_photo(photo, 64, resize), resize_photo(photo, (64, 64)))
    mask = photo[..., 0] > 99
    np.testing.assert_array_equal(framed_mask(mask, 64, resize), resize_mask(mask, (64, 64)))
    assert Frame((90, 90), 64, resize).inside.all()


def test_squash_is_what_it_was():
    photo = noise_photo(1, (60, 100))
    np.testing.assert_array_equal(framed_photo(photo, 64, SQUASH), resize_photo(photo, (64, 64)))


@pytest.mark.parametrize(
    ("size", "target"), [((60, 120), (16, 0, 32, 64)), ((120, 60), (0, 16, 64, 32))]
)
def test_fit_keeps_the_shape_and_continues_the_edges(size, target):
    photo = noise_photo(2, size)
    frame = Frame(size, 64, FIT)
    assert frame.target == target
    square, small = frame.of_photo(photo), resize_photo(photo, target[2:])
    np.testing.assert_array_equal(square[frame.inside], small.reshape(-1, 3))
    np.testing.assert_array_equal(frame.shown(square), small)
    if target[0]:
        np.testing.assert_array_equal(square[:16], np.broadcast_to(small[0], (16, 64, 3)))
    else:
        np.testing.assert_array_equal(square[:, 48:], np.repeat(small[:, -1:], 16, axis=1))


@pytest.mark.parametrize("size", [(60, 121), (121, 60)])
def test_crop_takes_the_centre(size):
    photo = noise_photo(3, size)
    part = photo[:, 30:90] if size[1] > 60 else photo[30:90]
    square = Frame(size, 32, CROP).of_photo(photo)
    np.testing.assert_array_equal(square, resize_photo(part, (32, 32)))


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("size", [(40, 90), (90, 40)])
def test_heat_goes_back_to_where_it_came_from(resize, size):
    mask = np.zeros(size, bool)
    y, x = (n // 2 for n in size)
    mask[y - 6 : y + 6, x - 6 : x + 6] = True
    frame = Frame(size, 64, resize)
    heat = frame.back(frame.of_mask(mask).astype(np.float32))
    assert heat[mask].mean() > 0.8
    assert heat[~mask].mean() < 0.05


def test_a_picture_is_shown_in_the_photos_shape():
    for resize, shape in ((SQUASH, (32, 64)), (FIT, (32, 64)), (CROP, (64, 64))):
        frame = Frame((60, 120), 64, resize)
        assert frame.shown(noise_photo(0, (64, 64))).shape == (*shape, 3)
