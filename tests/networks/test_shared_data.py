"""Real images and real ImageNet weights, where `../shared` is there; all figures in README."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cutswap.commands.check_data import run as check_data
from cutswap.data.loading import check_category
from cutswap.networks.backbone import load_backbone
from tests.shared_figures import SHARED, figures

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared: real data and weights"),
]

RESNET = str(SHARED / "weights/resnet18_imagenet_layer1-3.pth")


@pytest.mark.journey
def test_transistor_agrees_with_an_independent_implementation():
    """1.000 / 0.914 there (mean of three coreset seeds, ratio 0.01)."""
    network = load_backbone("resnet18", RESNET)
    image, pixel = figures(network, SHARED / "data/transistor", [0.01], [0, 1, 2])[0.01]
    assert np.mean(image) == pytest.approx(1.000, abs=0.02)
    assert np.mean(pixel) == pytest.approx(0.914, abs=0.02)


@pytest.mark.parametrize(
    ("name", "train", "test", "defects"),
    [
        ("transistor", 50, 10, {"bent_lead", "cut_lead", "damaged_case", "misplaced"}),
        ("magnetic_tile", 240, 179, {"blowhole", "break", "crack", "fray", "uneven"}),
    ],
)
def test_real_folders_are_read_whole(name, train, test, defects):
    checked = check_category(SHARED / "data" / name, None, skip_bad=False)
    category = checked.category
    assert checked.left_out == ()
    assert (len(category.train), len(category.test)) == (train, test)
    assert set(category.defects) - {"good"} == defects
    assert all(r.mask is not None for r in category.test if not r.is_good)


def test_check_data_finds_nothing_fatal(capsys):
    import argparse

    for name in ("transistor", "magnetic_tile"):
        options = argparse.Namespace(data=SHARED / "data" / name, category=None, quiet=True)
        assert check_data(options)["exit_status"] == 0
    assert "BAD" not in capsys.readouterr().out


def test_squeezenet_knows_a_photograph_s_class():
    """The complete weights are read as torchvision means them: a real photo, a confident class."""
    from cutswap.data.images import read_photo, resize_photo, to_image

    network = load_backbone("squeezenet1_0", str(SHARED / "weights/squeezenet1_0_imagenet.pth"))
    assert network.report.not_loaded == ()
    photos = sorted(Path(SHARED / "data/photos").glob("*.jpg"))[::50]
    image = to_image(np.stack([resize_photo(read_photo(p), (224, 224)) for p in photos]))
    confidence = network.module(image).softmax(dim=1).max(dim=1).values
    # Random weights give about 0.002 everywhere.
    assert float(confidence.median()) > 0.3
