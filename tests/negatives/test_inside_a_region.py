"""Negatives of a category with a region: anchors and all that changes lie inside."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cutswap.commands.parser import main
from cutswap.config import ClusterSettings, NegativeSettings
from cutswap.data.datasets import open_dataset
from cutswap.data.images import read_mask
from cutswap.data.loading import CheckedCategory
from cutswap.errors import CutSwapError
from cutswap.negatives.by_hand import hand_placing
from cutswap.negatives.draw import draw_negative, redraw
from cutswap.training.finetuning import build_samples
from tests.helpers.datasets import build_category, noise_photo, write_image

SIDE = 64
METHODS = ["cutswap", "cutswap-scar", "cutpaste", "cutpaste-scar", "nsa", "smoothblend"]


def region(share: float) -> np.ndarray:
    inside = np.zeros((SIDE, SIDE), bool)
    side = int(SIDE * share**0.5)
    inside[-side:, :side] = True
    return inside


def drawn(method: str, inside: np.ndarray | None, seed: int):
    rng = np.random.default_rng(seed)
    return draw_negative(
        noise_photo(seed, (SIDE, SIDE)),
        rng.random((SIDE, SIDE)),
        NegativeSettings(method=method),
        ClusterSettings(),
        seed=(seed,),
        inside=inside,
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("share", [0.5, 0.1])
def test_nothing_outside_changes(method, share):
    inside = region(share)
    for seed in range(4):
        negative = drawn(method, inside, seed)
        assert negative.mask.any()
        assert not negative.mask[~inside].any()
        if method.startswith("cutswap"):
            assert all(inside[anchor] for anchor in negative.record.anchors)
        positive = noise_photo(seed, (SIDE, SIDE))
        np.testing.assert_array_equal(redraw(positive, negative.record).photo, negative.photo)


@pytest.mark.parametrize("method", METHODS)
def test_a_region_of_all_ones_changes_no_draw(method):
    one, other = drawn(method, np.ones((SIDE, SIDE), bool), 3), drawn(method, None, 3)
    np.testing.assert_array_equal(one.photo, other.photo)
    assert one.record == other.record


@pytest.mark.parametrize("method", ["perlin", "cutswap"])
def test_where_nothing_fits_it_is_said(method):
    inside = region(0.001)
    if method == "cutswap":
        inside[:] = False
        inside[::8, ::8] = True  # dust
    with pytest.raises(CutSwapError, match="and no draw that stays there"):
        drawn(method, inside, 0)


def test_a_region_of_another_size_is_refused():
    with pytest.raises(CutSwapError, match="found 9x9"):
        drawn("cutswap", np.ones((9, 9), bool), 0)


def test_a_training_draws_inside(tmp_path):
    from cutswap.config import FineTuningSettings, TrainingSettings

    root = build_category(tmp_path / "bolt")
    write_image(root / "region.png", region(0.3))
    for index in range(3):
        write_image(root / f"train/good/{index:03d}.png", noise_photo(index, (SIDE, SIDE)))
    checked = CheckedCategory(open_dataset(root).category(), ())
    training = TrainingSettings(augment="cutpaste", image_size=SIDE)
    samples, _ = build_samples(checked, FineTuningSettings(training), 0)
    samples.count = 9
    for number in range(9):
        for negative in samples.sample(number).negatives:
            assert not negative.mask[~region(0.3)].any()


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_patches_placed_by_hand_stay_inside(share):
    inside, settings, clusters = region(share), NegativeSettings(), ClusterSettings()
    placed = 0
    for seed in range(4):
        negative = drawn("cutswap", inside, seed)
        saliency = np.random.default_rng(seed).random((SIDE, SIDE))
        placing = hand_placing(negative.record, saliency, settings, clusters, inside=inside)
        height, width = placing.room
        for y, x in np.argwhere(placing.places):
            if (y, x) not in negative.record.anchors:
                assert inside[y : y + height, x : x + width].all()
                assert y + height <= SIDE
                assert x + width <= SIDE
        positive = noise_photo(seed, (SIDE, SIDE))
        again = placing.swap(positive, *negative.record.anchors)
        np.testing.assert_array_equal(again.photo, negative.photo)
        for first in np.argwhere(placing.firsts)[:3].tolist():
            second = np.argwhere(placing.partners(tuple(first)))[-1]
            other = placing.swap(positive, tuple(first), tuple(second))
            assert not other.mask[~inside].any()
            placed += 1
    assert placed > 3


SWAP = ["--method", "cutswap", "--backbone", "squeezenet1_0", "--weights", "random", "--layer", "4"]


@pytest.mark.parametrize("how", [["--method", "nsa"], SWAP, [*SWAP, "--at"]])
def test_augment_draws_inside(how, tmp_path):
    photo, mask = tmp_path / "photo.png", tmp_path / "where.png"
    write_image(photo, noise_photo(3, (SIDE, SIDE)))
    write_image(mask, region(0.2))
    line = ["augment", str(photo), "--region", str(mask), "--image-size", str(SIDE), *how]
    if how[-1] == "--at":  # where a draw has them, which is inside
        assert main([*line[:-1], "--count", "1", "--out", str(tmp_path / "drawn")]) == 0
        drawn_at = json.loads((tmp_path / "drawn/record.json").read_text())["negatives"][0]
        line.append(",".join(str(n) for anchor in drawn_at["anchors"] for n in anchor))
    count = "1" if "--at" in line else "4"
    assert main([*line, "--count", count, "--out", str(tmp_path / "out")]) == 0
    masks = [read_mask(p) for p in sorted((tmp_path / "out").glob("mask_*.png"))]
    assert len(masks) == int(count)
    for changed in masks:
        assert changed.any()
        assert not changed[~region(0.2)].any()
    record = json.loads((tmp_path / "out/record.json").read_text())
    assert record["region"]["share"] == round(float(region(0.2).mean()), 6)


def test_augment_places_nothing_outside_by_hand(tmp_path, capsys):
    photo, mask = tmp_path / "photo.png", tmp_path / "where.png"
    write_image(photo, noise_photo(3, (SIDE, SIDE)))
    write_image(mask, region(0.2))
    refused = 0
    for seed in ("0", "1", "2"):
        line = ["augment", str(photo), "--image-size", str(SIDE), "--count", "1", "--seed", seed]
        everywhere = tmp_path / f"everywhere{seed}"
        assert main([*line, *SWAP, "--out", str(everywhere)]) == 0
        anchors = json.loads((everywhere / "record.json").read_text())["negatives"][0]["anchors"]
        if all(region(0.2)[tuple(anchor)] for anchor in anchors):
            continue
        at = ["--at", ",".join(str(n) for anchor in anchors for n in anchor)]
        looking = [*line, *SWAP, *at, "--region", str(mask), "--out", str(tmp_path / "no")]
        assert main(looking) != 0
        assert "anchor" in capsys.readouterr().err
        refused += 1
    assert refused


def test_augment_refuses_a_region_of_another_shape(tmp_path, capsys):
    photo, mask = tmp_path / "photo.png", tmp_path / "where.png"
    write_image(photo, noise_photo(3, (SIDE, 2 * SIDE)))
    write_image(mask, region(0.2))
    line = ["augment", str(photo), "--region", str(mask), "--method", "nsa", "--out"]
    assert main([*line, str(tmp_path / "out")]) != 0
    assert "a region of the photos' shape, 64 x 128" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("how", ["own", "named", "none"])
def test_exported_negatives_lie_inside_and_say_where_was_looked(how, tmp_path, capsys):
    root = build_category(tmp_path / "bolt")
    for index in range(3):
        write_image(root / f"train/good/{index:03d}.png", noise_photo(index, (SIDE, SIDE)))
    own, named = region(0.5)[::-1], region(0.2)
    write_image(root / "region.png", own)
    write_image(tmp_path / "where.png", named)
    flags = {"own": [], "named": ["--region", str(tmp_path / "where.png")], "none": ["--region"]}
    line = ["export", "negatives", "--data", str(root), "--method", "cutpaste", "--quiet"]
    line += ["--hold-out", "0", "--count", "6", "--image-size", str(SIDE), *flags[how]]
    line += ["none"] if how == "none" else []
    assert main([*line, "--out", str(tmp_path / "out")]) == 0
    out = tmp_path / "out/bolt"
    masks = [read_mask(p) for p in sorted(out.glob("ground_truth/cutpaste/*.png"))]
    assert len(masks) == 6
    looked_at = {"own": own, "named": named, "none": np.ones((SIDE, SIDE), bool)}[how]
    assert not np.any([changed[~looked_at] for changed in masks])
    assert (out / "region.png").exists() == (how != "none")
    if how == "none":
        assert np.any([changed[~own] for changed in masks])
        return
    assert "of each photo" in capsys.readouterr().err
    exported = CheckedCategory(open_dataset(out).category(), ())
    np.testing.assert_array_equal(exported.region_at(SIDE), looked_at)
    about = json.loads((out / "negatives.json").read_text())
    assert about["data"]["region"]["share"] == round(float(looked_at.mean()), 6)
