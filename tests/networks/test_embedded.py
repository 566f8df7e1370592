"""The embedded weights: there, whole, small, and looking at the part rather than the board."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from cutswap.data.datasets import open_dataset
from cutswap.data.images import to_image
from cutswap.data.loading import load_photos
from cutswap.errors import CutSwapError
from cutswap.networks.backbone import load_backbone
from cutswap.networks.weights import EMBEDDED_FOLDER
from cutswap.saliency.clusters import cluster_saliency
from cutswap.saliency.layercam import explain
from cutswap.utils.files import sha256_of
from tests.shared_figures import SHARED

STUDENTS = ("resnet18", "vgg16")
DEEP = ("16", "23", "30")


@pytest.mark.parametrize("name", STUDENTS)
def test_loads_complete_and_as_its_card_says(name):
    backbone = load_backbone(name)
    assert backbone.report.source == "embedded"
    assert backbone.report.not_loaded == ()
    card = json.loads((EMBEDDED_FOLDER / f"{name}.json").read_text())
    assert card["sha256"] == sha256_of(EMBEDDED_FOLDER / f"{name}.safetensors")
    for key in ("photos", "settings", "loss_curve", "date"):
        assert card[key], key
    assert card["teacher"] or card["class_teacher"]


def test_both_files_together_stay_under_30_megabytes():
    files = [EMBEDDED_FOLDER / f"{name}.safetensors" for name in STUDENTS]
    assert sum(f.stat().st_size for f in files) < 30e6


def test_a_network_that_is_not_embedded_names_those_that_are():
    with pytest.raises(CutSwapError, match=r"resnet18, vgg16"):
        load_backbone("squeezenet1_0", "embedded")


def part_of(photo: np.ndarray) -> np.ndarray:
    """(H, W) bool, the transistor's body and bare leads, by threshold.

    The body is the largest dark blob that survives a 25-pixel opening (the board's lines and holes
    do not); leads are grey, bright pixels just below it. Checked by eye on 13 of the 50 photos: in
    those whose body has a lit flank the flank is missed, so only photos with over 16.5% of part
    are used.
    """
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    saturation = cv2.cvtColor(photo, cv2.COLOR_RGB2HSV)[..., 1]
    dark = cv2.morphologyEx((grey < 60).astype(np.uint8), cv2.MORPH_OPEN, np.ones((25, 25)))
    _, blobs, stats, _ = cv2.connectedComponentsWithStats(dark)
    body = (blobs == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()).astype(np.uint8)
    body = cv2.morphologyEx(body, cv2.MORPH_CLOSE, np.ones((15, 15)))
    rows, columns = np.nonzero(body)
    lead = (saturation < 70) & (grey > 70)
    lead[: rows.max() - 12] = lead[rows.max() + 100 :] = False
    lead[:, : max(0, columns.min() - 20)] = lead[:, columns.max() + 20 :] = False
    return (body > 0) | lead


@pytest.fixture(scope="module")
def transistors() -> tuple[np.ndarray, np.ndarray]:
    """Photos (N, 256, 256, 3) and part masks (N, 256, 256) whose threshold worked."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared: real transistors")
    photos = load_photos(open_dataset(SHARED / "data/transistor").category().train, 256)
    masks = np.stack([part_of(p) for p in photos])
    good = masks.mean(axis=(1, 2)) > 0.165
    assert good.sum() >= 30
    return photos[good], masks[good]


def share_on_part(weights: str, transistors: tuple[np.ndarray, np.ndarray], seed: int = 0) -> float:
    """Mean share of the max cluster (K = 4, layers 16, 23, 30) that lies on the part."""
    photos, masks = transistors
    backbone = load_backbone("vgg16", weights, seed=seed)
    shares = []
    for start in range(0, len(photos), 4):
        chunk = slice(start, start + 4)
        maps = explain(backbone, to_image(photos[chunk]), DEEP).upsampled((256, 256)).numpy()
        for levels, mask in zip(maps, masks[chunk], strict=True):
            for level in levels:
                if np.ptp(level) == 0:
                    continue
                region = cluster_saliency(level, 4).regions(level) == 3
                shares.append(float(mask[region].mean()))
    return float(np.mean(shares))


@pytest.mark.shared
@pytest.mark.journey
def test_saliency_finds_the_part_better_than_random_weights(transistors):
    few = tuple(part[::4] for part in transistors)
    untrained = np.mean([share_on_part("random", few, seed) for seed in range(2)])
    assert share_on_part("embedded", few) > 1.5 * untrained


@pytest.mark.shared
def test_saliency_finds_the_part_better_than_chance(transistors):
    # Chance is the part's share of the image, 0.18; the saliency's was 0.71 when it was trained.
    few = tuple(part[1::2] for part in transistors)
    assert share_on_part("embedded", few) > 3 * float(few[1].mean())


@pytest.mark.shared
def test_maps_go_from_fine_to_coarse(transistors):
    backbone = load_backbone("vgg16")
    maps = explain(backbone, to_image(transistors[0][:6])).upsampled((256, 256)).numpy()
    # Mean step between neighbouring pixels, as a share of the map's own spread.
    steps = np.abs(np.diff(maps, axis=-1)).mean(axis=(0, 2, 3)) / maps.std(axis=(2, 3)).mean(axis=0)
    assert (np.diff(steps) < 0).all(), steps
