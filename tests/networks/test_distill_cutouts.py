"""Cut-outs on grounds: the object is found, kept whole, and known where it lies."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cutswap.networks.distill import off_the_figure
from cutswap.networks.distill_cutouts import Cutout, compose, cut_out, ground
from tests.helpers.small_photos import disc, noise_photo, photo_of


def red_disc_photo() -> tuple[np.ndarray, np.ndarray]:
    """A red disc on a dark, slightly noisy ground, and where it is."""
    rng = np.random.default_rng(0)
    where = disc((120, 150), (60, 75), 30)
    photo = rng.normal(40, 3, (120, 150, 3))
    photo[where] = (210, 40, 30) + rng.normal(0, 3, (where.sum(), 3))
    return photo.clip(0, 255).astype(np.uint8), where


def test_the_object_in_the_middle_is_cut_out():
    photo, where = red_disc_photo()
    figure = cut_out(photo, 7)
    assert figure is not None
    assert figure.index == 7
    assert figure.photo.shape[:2] == figure.alpha.shape
    assert abs(figure.alpha.sum() - where.sum()) < 0.1 * where.sum()
    red = figure.photo[figure.alpha > 0.9].mean(axis=0)
    assert red[0] > 180
    assert red[2] < 80


def test_a_plain_photo_has_no_object():
    assert cut_out(np.full((80, 80, 3), 90, np.uint8), 0) is None


@given(st.integers(0, 10_000), st.sampled_from((64, 96)))
def test_a_figure_lies_whole_where_the_mask_says(seed, side):
    rng = np.random.default_rng(seed)
    figure = Cutout(np.full((20, 30, 3), (250, 0, 250), np.uint8), np.ones((20, 30), "f4"), 0)
    drawn = compose(figure, side, [photo_of(1, (64, 64))], rng)
    picture, share = drawn.picture, drawn.share
    assert picture.shape == (side, side, 3)
    assert picture.dtype == np.uint8
    rows, columns = np.nonzero(share)
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert 0.3 * side < max(height, width) <= 0.92 * side
    inner = share[rows.min() + 3 : rows.max() - 2, columns.min() + 3 : columns.max() - 2]
    assert (inner > 0.99).all()
    seen = picture[rows.min() + 3 : rows.max() - 2, columns.min() + 3 : columns.max() - 2]
    off = np.abs(seen.astype(int) - (250, 0, 250))
    if drawn.is_painted:
        assert np.ptp(seen, axis=(0, 1)).max() <= 2  # one colour, whichever
    else:
        assert off.max() <= 2


@given(st.integers(0, 10_000))
def test_a_ground_is_a_picture_of_any_kind(seed):
    canvas = ground(48, [noise_photo(0, (40, 50))], np.random.default_rng(seed))
    assert canvas.shape == (48, 48, 3)
    assert canvas.min() >= 0
    assert canvas.max() <= 255


def test_off_the_figure_by_hand():
    share = torch.zeros(1, 1, 4, 4)
    share[..., :2] = 1  # the left half is figure
    found = torch.zeros(1, 1, 2, 2)
    found[..., 0] = 3.0  # scaled to 1: as the figure
    assert float(off_the_figure(found, share)) == pytest.approx(0.0, abs=1e-6)
    found[..., 1] = 1.5  # 1 - 2 * 2 / (2 + 2 * 0.25 + 2)
    assert float(off_the_figure(found, share)) == pytest.approx(1 - 4 / 4.5, abs=1e-6)
    assert float(off_the_figure(1e-6 * found, share)) == pytest.approx(1 - 4 / 4.5, abs=1e-6)
    found[:] = 0
    found[..., 0, 0] = 1.0  # a peak on the figure that leaves half of it dark
    assert float(off_the_figure(found, share)) == pytest.approx(1 - 2 / 3, abs=1e-6)
    assert float(off_the_figure(torch.zeros(1, 1, 2, 2), share)) == 1


@given(st.integers(0, 10_000))
def test_descent_lights_the_figure_and_darkens_the_rest(seed):
    """On a free map, with no network between: from any start the map becomes the figure."""
    generator = torch.Generator().manual_seed(seed)
    share = torch.zeros(1, 1, 8, 8)
    top, left = (int(torch.randint(0, 4, (1,), generator=generator)) for _ in range(2))
    share[..., top : top + 4, left : left + 4] = 1
    found = 0.1 + torch.rand(1, 1, 8, 8, generator=generator)
    for _ in range(60):
        found.requires_grad_(True)
        (gradient,) = torch.autograd.grad(off_the_figure(found, share).sum(), found)
        found = (found.detach() - 4 * gradient).clamp_min(0)
    assert float(off_the_figure(found, share)) < 0.05
