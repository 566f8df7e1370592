"""A category with a region: evaluated, scored and exported by what lies inside."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cutswap.commands.parser import main
from cutswap.data.datasets import open_dataset
from cutswap.data.images import read_photo, resize_photo
from cutswap.decision.exported import open_detector
from cutswap.decision.held_out import held_out_by_folds
from cutswap.evaluation.photo_strips import photo_strip
from cutswap.evaluation.scored_set import read_scored
from cutswap.evaluation.thresholds import ThresholdCounts
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.reports.inspection import inspection_report
from cutswap.reports.page import inline
from tests.helpers.datasets import build_category, noise_photo, write_image

SIDE = 64
EVALUATE = ["evaluate", "--weights", "random", "--image-size", str(SIDE), "--quiet"]


def left(width: int = 32) -> np.ndarray:
    region = np.zeros((SIDE, SIDE), bool)
    region[:, :width] = True
    return region


@pytest.fixture(scope="module")
def bolt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of 64 pixels: crack/000 lies inside the left half, crack/001 outside."""
    root = tmp_path_factory.mktemp("data") / "bolt"
    build_category(root, train=6, test={"good": 2, "crack": 2})
    for place, path in enumerate(sorted(root.rglob("*.png"))):
        write_image(path, noise_photo(place, (SIDE, SIDE)))
    for number, column in enumerate((8, 48)):
        mask = np.zeros((SIDE, SIDE), bool)
        mask[20:30, column : column + 8] = True
        write_image(root / f"ground_truth/crack/{number:03d}_mask.png", mask)
    write_image(root / "region.png", left())
    return root


@pytest.fixture(scope="module")
def scored(bolt: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "scored"
    line = [*EVALUATE, "--data", str(bolt), "--coreset", "0.5", "--false-alarms", "0.2"]
    assert main([*line, "--out", str(out)]) == 0
    return out


def test_the_result_says_where_was_looked_and_what_lies_outside(scored):
    about = json.loads((scored / "result.json").read_text())
    assert about["region"]["defects_outside"] == ["test/crack/001"]
    assert about["region"]["share"] == 0.5
    assert about["data"]["region"]["sha256"] == about["region"]["sha256"]
    found = read_scored(scored)
    np.testing.assert_array_equal(found.region, left())
    assert (found.heatmaps[:, ~left()] == 0).all()
    assert found.range[0] > 0  # of the pixels that were looked at
    masks = found.masks()
    assert masks is not None
    assert masks.sum() == 80  # of both defects the one inside


def test_defects_outside_are_said(bolt, tmp_path, capsys):
    line = [*EVALUATE, "--data", str(bolt), "--out", str(tmp_path / "o")]
    assert main(line) == 0
    said = capsys.readouterr()
    assert "1 of 2 defective photos have their defect wholly outside the region" in said.out
    assert "looking at 50% of each photo" in said.err
    assert main([*line[:-1], str(tmp_path / "p"), "--region", "none"]) == 0
    said = capsys.readouterr()
    assert "outside the region" not in said.out
    assert not (tmp_path / "p/region.png").exists()


def test_the_hidden_part_is_seen_in_every_picture(bolt, scored):
    picture = np.asarray(Image.open(scored / "heatmaps/good_000.png"))
    photo = np.asarray(Image.open(bolt / "test/good/000.png"))
    np.testing.assert_array_equal(picture[:, 36:], photo[:, 36:] // 2)
    assert (picture[2:-2, 31] == 255).all()  # its outline


def test_good_photos_held_out_are_scored_inside(bolt, scored):
    bank = MemoryBank.load(scored / "bank.safetensors")
    train = open_dataset(bolt).category().train
    told = json.loads((scored / "decision.json").read_text())["good_scores"]
    inside = held_out_by_folds(train, bank.backbone, bank.settings, 5, region=left())
    np.testing.assert_allclose(sorted(inside), told, rtol=1e-5)
    everywhere = held_out_by_folds(train, bank.backbone, bank.settings, 5)
    assert not np.allclose(sorted(everywhere), told)


@pytest.mark.journey
def test_score_and_the_exported_detector_look_there_too(bolt, scored, tmp_path):
    pytest.importorskip("onnxruntime")
    exported = tmp_path / "x"
    line = ["export", "detector", "--evaluation", str(scored), "--out", str(exported), "--quiet"]
    assert main(line) == 0
    shutil.copytree(bolt / "test/good", tmp_path / "in")
    photo = np.asarray(Image.open(tmp_path / "in/000.png")).copy()
    photos = np.stack([photo, photo])
    photos[1, :, 62:] = 0  # behind a margin of 30 pixels
    found = []
    for folder in (scored, exported):
        detector = open_detector(folder)
        np.testing.assert_array_equal(detector.region, left())
        scores, heatmaps = detector.scores_of(photos)
        assert (heatmaps[:, ~left()] == 0).all()
        found.append(scores)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4)
    out = tmp_path / "out"
    line = ["score", str(tmp_path / "in"), "--detector", str(exported), "--out", str(out)]
    assert main([*line, "--quiet"]) == 0
    picture = np.asarray(Image.open(out / "heatmaps/000.png.png"))
    np.testing.assert_array_equal(picture[:, 36:], photo[:, 36:] // 2)


def test_photos_without_labels_are_scored_inside(bolt, tmp_path):
    root = tmp_path / "bolt"
    shutil.copytree(bolt, root)
    shutil.rmtree(root / "test/crack")
    line = [*EVALUATE, "--data", str(root), "--false-alarms", "0.2", "--coreset", "0.5"]
    assert main([*line, "--out", str(tmp_path / "o")]) == 0
    heat = np.load(tmp_path / "o/heatmaps.npy")
    assert (heat[:, ~left()] == 0).all()
    about = json.loads((tmp_path / "o/unlabelled.json").read_text())
    assert about["low"] > 0


def test_other_detectors_score_whole_photos(bolt):
    from cutswap.data.loading import check_category
    from cutswap.errors import CutSwapError
    from cutswap.evaluation.detector_settings import DetectorSettings
    from cutswap.evaluation.detectors import evaluate_detector
    from tests.helpers.tiny_networks import tiny_backbone

    checked = check_category(bolt, None, skip_bad=False)
    with pytest.raises(CutSwapError, match="pass --region none"):
        evaluate_detector(checked, "padim", tiny_backbone(), DetectorSettings())


def test_counts_of_pixels_are_of_those_inside(scored):
    found = read_scored(scored)
    masks = found.masks()
    inside = ThresholdCounts.of_pixels(found.heatmaps, masks, region=found.region)
    cropped = ThresholdCounts.of_pixels(found.heatmaps[:, :, :32], masks[:, :, :32])
    for threshold in (found.range[0], sum(found.range) / 2, found.range[1]):
        assert inside.at(threshold) == cropped.at(threshold)
    everywhere = ThresholdCounts.of_pixels(found.heatmaps, masks)
    assert everywhere.at(found.range[0]) != inside.at(found.range[0])


def test_the_report_shows_where_was_looked(scored):
    found = read_scored(scored)
    page = inspection_report(found, threshold=float(found.scores.min()))
    assert "Looked at: 50% of each photo" in page
    place = int(np.flatnonzero(~found.labels)[0])
    photo = resize_photo(read_photo(found.records[place].image), (128, 128))
    told = (photo, found.heatmaps[place], found.range, found.usual_heat(), found.masks()[place])
    assert inline(photo_strip(*told, found.region)) in page
    assert inline(photo_strip(*told)) not in page
