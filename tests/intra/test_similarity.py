"""SSIM and gradients: equal pictures, hand-worked numbers, order."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it

from cutswap.intra.similarity import difference_map, gradient_similarity, ssim


def noise(seed: int, side: int = 32) -> torch.Tensor:
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed))


def test_equal_pictures_are_alike_everywhere():
    photo = noise(0)
    assert ssim(photo, photo).item() == pytest.approx(1, abs=1e-5)
    assert torch.allclose(gradient_similarity(photo, photo), torch.ones(1, 1, 32, 32))
    assert difference_map(photo, photo).abs().max() < 1e-6


def test_ssim_of_flat_pictures_by_hand():
    # Without variance only luminance counts: (2 a b + C1) / (a^2 + b^2 + C1) with C1 = 0.0001.
    dark, bright = torch.full((1, 1, 16, 16), 0.2), torch.full((1, 1, 16, 16), 0.6)
    assert ssim(dark, bright).item() == pytest.approx((0.24 + 1e-4) / (0.4 + 1e-4), rel=1e-4)


def test_gradient_similarity_of_a_ramp_and_a_flat_picture_by_hand():
    # Grey rises by 0.1 a column: Prewitt / 3 gives 0.2 inside; against 0 it is c / (0.04 + c).
    ramp = (torch.arange(8) * 0.1).expand(1, 3, 8, 8)
    found = gradient_similarity(ramp, torch.zeros(1, 3, 8, 8))
    assert found[0, 0, 4, 4].item() == pytest.approx(0.0026 / 0.0426, rel=1e-3)


def test_the_difference_is_where_the_pictures_differ():
    photo = torch.full((1, 3, 64, 64), 0.5)
    painted = photo.clone()
    painted[..., 40:48, 40:48] = noise(1, 8)
    found = difference_map(photo, painted)[0]
    y, x = divmod(int(found.argmax()), 64)
    assert 34 <= y < 54
    assert 34 <= x < 54
    assert found[:16, :16].max() < 1e-6


def test_three_scales_have_an_equal_say():
    photo, painted = noise(2, 64), noise(3, 64)
    wanted = torch.zeros(1, 1, 64, 64)
    for side in (1, 2, 4):
        same = gradient_similarity(F.avg_pool2d(photo, side), F.avg_pool2d(painted, side))
        assert (1 - same).mean() > 0.1
        wanted += (1 - F.interpolate(same, size=(64, 64), mode="bilinear")) / 3
    smooth = F.avg_pool2d(wanted, 21, stride=1, padding=10, count_include_pad=False)
    assert torch.allclose(difference_map(photo, painted), smooth[:, 0], atol=1e-5)
