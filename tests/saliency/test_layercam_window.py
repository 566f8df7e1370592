"""The numbers of one window are those that the map is made of."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cutswap.errors import CutSwapError
from cutswap.saliency.layercam import explain, pass_through
from cutswap.saliency.layercam_window import layercam_window


@pytest.mark.parametrize("layer", ["layer1", "layer2", "layer3"])
@pytest.mark.parametrize("around", [None, (0.0, 0.0), (0.99, 0.5), (0.4, 0.999)])
def test_the_sum_is_the_map(resnet, image, layer, around):
    whole = explain(resnet, image[:1], (layer,)).maps[0][0].numpy()
    window = layercam_window(resnet, image[:1], layer, around=around)
    y, x = window.corner
    assert window.grid == whole.shape
    np.testing.assert_allclose(window.saliency, whole[y : y + 3, x : x + 3], rtol=1e-4, atol=1e-9)
    parts = window.most.products + window.against.products + window.others
    np.testing.assert_allclose(parts, window.total, atol=1e-12)
    for share in (window.most, window.against):
        np.testing.assert_array_equal(
            share.products, np.maximum(share.gradients, 0) * share.activations
        )
    assert window.most.products.sum() >= window.against.products.sum()
    passed = pass_through(resnet, image[:1], (layer,))
    both = (passed.activations, passed.gradients)
    a, g = (t[0][0, :, y : y + 3, x : x + 3].double().numpy() for t in both)
    stopped = (np.maximum(-g, 0) * a).sum(axis=(1, 2))
    stopped[window.most.channel] = -np.inf
    assert stopped[window.against.channel] == stopped.max() > 0


def test_without_a_place_it_is_round_the_most_salient_cell(resnet, image):
    whole = explain(resnet, image[:1], ("layer2",)).maps[0][0].numpy()
    window = layercam_window(resnet, image[:1], "layer2")
    assert window.saliency.max() == pytest.approx(whole.max(), rel=1e-4)


def test_a_grid_smaller_than_the_window_is_refused(resnet):
    small = torch.zeros(1, 3, 64, 64)
    with pytest.raises(CutSwapError, match="3 x 3 cells or more, found 2 x 2"):
        layercam_window(resnet, small, "layer4")
