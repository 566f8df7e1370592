"""PaDiM on a network: channels by seed, its grid, its map; a region; its file and damaged ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from safetensors.torch import load_file

from cutswap.config import PadimSettings
from cutswap.data.images import to_image
from cutswap.errors import CutSwapError
from cutswap.networks.backbone import load_backbone
from cutswap.networks.weights import state_fingerprint
from cutswap.padim.detector import PadimDetector, layers_of
from cutswap.patchcore.heatmaps import to_heatmap
from cutswap.utils.tensor_files import read_tensors, write_tensors
from tests.helpers.small_photos import photo_of
from tests.helpers.tiny_networks import slim_backbone, tiny_backbone

SIDE = 64
PHOTOS = np.stack([photo_of(seed, (SIDE, SIDE)) for seed in range(6)])
SETTINGS = PadimSettings(image_size=SIDE, channels=10, batch_size=4)


def fit(settings: PadimSettings = SETTINGS, *, backbone=None, photos=PHOTOS, **more):
    images = [to_image(photos[:4]), to_image(photos[4:])]
    start = tiny_backbone() if backbone is None else backbone
    return PadimDetector.fit(start, images, settings, count=len(photos), **more)


def test_its_vectors_are_the_layers_on_the_first_ones_grid_deeper_ones_repeated():
    detector = fit(SETTINGS.replace(channels=48))  # all there are
    image = to_image(PHOTOS[:1])
    features = tiny_backbone().features(image, ["layer1", "layer2", "layer3"])
    grid = features["layer1"].shape[-2:]
    assert detector.grid == tuple(grid) == (32, 32)
    whole = torch.cat([F.interpolate(v, size=grid, mode="nearest") for v in features.values()], 1)
    vectors = whole.permute(0, 2, 3, 1).flatten(1, 2)
    wanted = detector.gaussians.distances(vectors).reshape(1, 32, 32).numpy()
    said = detector.score(image)
    assert said.distances == pytest.approx(wanted, rel=1e-4)
    assert said.heatmaps == pytest.approx(to_heatmap(wanted, (SIDE, SIDE), 4.0), rel=1e-4)
    assert said.scores == pytest.approx(said.heatmaps.max(axis=(1, 2)))


def test_the_channels_are_the_seeds_and_their_order_rises():
    first, again, other = fit(seed=1), fit(seed=1), fit(seed=2)
    assert np.array_equal(first.channels, again.channels)
    assert not np.array_equal(first.channels, other.channels)
    assert (np.diff(first.channels) > 0).all()
    image = to_image(PHOTOS[:2])
    assert np.array_equal(first.score(image).scores, again.score(image).scores)


@pytest.mark.parametrize(
    ("name", "wanted", "kept"),
    [("resnet18", None, 100), ("resnet18", 30, 30)],
)
def test_as_many_channels_as_published_unless_told(name, wanted, kept):
    settings = PadimSettings(image_size=64, channels=wanted)
    images = [to_image(PHOTOS[:2])]
    detector = PadimDetector.fit(load_backbone(name, "random"), images, settings, count=2)
    assert len(detector.channels) == detector.settings.channels == kept
    assert detector.settings.layers == ("layer1", "layer2", "layer3")


def test_more_channels_than_there_are_is_all_of_them():
    assert fit(SETTINGS.replace(channels=4096)).channels.tolist() == list(range(48))


def test_a_network_that_is_no_resnet_has_layers_of_the_same_depth():
    backbone = slim_backbone()
    assert layers_of(backbone, PadimSettings()) == ("9", "16", "23")
    assert fit(backbone=backbone).score(to_image(PHOTOS[:1])).heatmaps.shape == (1, SIDE, SIDE)


def test_a_changed_place_is_the_hottest_and_good_photos_are_cool():
    detector = fit(
        photos=np.concatenate([PHOTOS[:1]] * 6) ^ np.arange(6, dtype=np.uint8)[:, None, None, None]
    )
    broken = PHOTOS[0].copy()
    broken[40:50, 10:20] = 255 - broken[40:50, 10:20]
    said = detector.score(to_image(np.stack([PHOTOS[0], broken])))
    assert said.scores[1] > 2 * said.scores[0]
    y, x = np.unravel_index(said.heatmaps[1].argmax(), (SIDE, SIDE))
    assert 36 <= y <= 54
    assert 6 <= x <= 24


def test_outside_a_region_there_is_no_heat():
    inside = np.zeros((SIDE, SIDE), dtype=bool)
    inside[:, :40] = True
    said = fit(region=inside).score(to_image(PHOTOS))
    assert not said.heatmaps[:, ~inside].any()
    assert said.scores == pytest.approx(said.heatmaps[:, inside].max(axis=1))
    assert fit(region=np.ones((SIDE, SIDE), dtype=bool)).region_pixels is None


def test_what_it_takes_is_said_before_it_is_taken():
    told = []
    fit(say=told.append)
    assert told == [
        "PaDiM: 1024 places, 10 of 48 channels: 0.00 GB while it is fitted, 0.00 GB afterwards"
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 7}, "expected 7 of them"),
        ({"settings": SETTINGS.replace(layers=("layer9",))}, "layer9"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change, message):
    about = {"settings": SETTINGS, "count": 6, **change}
    with pytest.raises(CutSwapError, match=message):
        PadimDetector.fit(
            tiny_backbone(), [to_image(PHOTOS)], about["settings"], count=about["count"]
        )


def test_photos_of_another_size_are_refused():
    with pytest.raises(CutSwapError, match="photos of 64 pixels"):
        fit().score(torch.zeros(1, 3, 96, 96))


def test_a_shortage_of_memory_is_told_with_the_way_out(monkeypatch):
    def short(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9")

    monkeypatch.setattr("cutswap.padim.detector.PlaceGaussians.fit", short)
    with pytest.raises(CutSwapError, match="--padim-channels"):
        fit()


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("padim") / "padim.safetensors"
    inside = np.ones((SIDE, SIDE), dtype=bool)
    inside[:, 60:] = False
    small = SETTINGS.replace(channels=5)
    fit(small, backbone=load_backbone("resnet18", "random", seed=3), region=inside, seed=4).save(
        path
    )
    return path


def test_a_file_gives_the_detector_again(saved):
    again = PadimDetector.load(saved)
    fresh = fit(
        SETTINGS.replace(channels=5),
        backbone=load_backbone("resnet18", "random", seed=3),
        region=again.region_pixels,
        seed=4,
    )
    image = to_image(PHOTOS[:3])
    for name in ("scores", "heatmaps", "distances"):
        assert np.array_equal(getattr(again.score(image), name), getattr(fresh.score(image), name))
    assert (again.settings, again.seed, again.grid) == (fresh.settings, 4, (16, 16))
    assert "whiten" in load_file(saved)


def _without(tensors, _):
    del tensors["mean"]


def _nan(tensors, _):
    tensors["mean"][0, 0] = float("nan")


def _flipped(tensors, _):
    tensors["mean"][0, 0] += 1


def _cut(tensors, _):
    tensors["whiten"] = tensors["whiten"][:, :-1]


def _beyond(tensors, about):
    tensors["channels"][-1] = 5000
    own = {n: v for n, v in tensors.items() if not n.startswith("backbone.")}
    about["content"] = state_fingerprint(own)


def _falling(tensors, _):
    tensors["channels"] = tensors["channels"].flip(0)


def _other_network(tensors, _):
    tensors["backbone.conv1.weight"] += 1


def _grid(_, about):
    about["grid"] = [16, "16"]


def _bank(_, about):
    about["format"] = "cutswap memory bank 1"


@pytest.mark.parametrize(
    "spoil",
    [_without, _nan, _flipped, _cut, _beyond, _falling, _other_network, _grid, _bank],
)
def test_a_spoiled_file_is_refused(saved, tmp_path, spoil):
    tensors, about = read_tensors(saved, fix="")
    spoil(tensors, about)
    write_tensors(tmp_path / "x", tensors, about)
    with pytest.raises(CutSwapError, match="fit it again with evaluate --detector padim"):
        PadimDetector.load(tmp_path / "x")
