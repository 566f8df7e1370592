"""Photos that keep their shape, or are cropped: evaluated, scored, exported, refused by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cutswap.commands.parser import main
from cutswap.config import FineTuningSettings, PatchCoreSettings, TrainingSettings
from cutswap.data.datasets import open_dataset
from cutswap.data.loading import CheckedCategory, check_category, load_photos
from cutswap.data.reading import CROP, FIT, RESIZES, SQUASH
from cutswap.data.regions.frame import Frame, framed_photo
from cutswap.decision.exported import open_detector
from cutswap.errors import CutSwapError
from cutswap.evaluation.scored_set import evaluation_key, read_scored
from cutswap.negatives.samples import TrainingSamples
from cutswap.reports.repeat import evaluate_again
from cutswap.sweeps.identity import data_identity
from cutswap.training.finetuning import build_samples
from tests.helpers.datasets import build_category, noise_photo, write_image

SIDE, SHAPE = 64, (60, 120)  # of photos twice as wide as high
EVALUATE = ["evaluate", "--weights", "random", "--image-size", str(SIDE), "--quiet"]
INSIDE = np.zeros((SIDE, SIDE), bool)
INSIDE[16:48] = True


@pytest.fixture(scope="module")
def bolt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good photos 120 x 60, and a defect in the middle of two."""
    root = tmp_path_factory.mktemp("data") / "bolt"
    build_category(root, train=6, test={"good": 2, "crack": 2})
    for place, path in enumerate(sorted(root.rglob("*.png"))):
        write_image(path, noise_photo(place, SHAPE))
    for number in range(2):
        mask = np.zeros(SHAPE, bool)
        mask[20:40, 54:66] = True
        write_image(root / f"ground_truth/crack/{number:03d}_mask.png", mask)
    return root


@pytest.fixture(scope="module", params=[FIT, CROP])
def scored(request, bolt: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    out = tmp_path_factory.mktemp("out") / request.param
    line = [*EVALUATE, "--data", str(bolt), "--coreset", "0.5", "--false-alarms", "0.2"]
    assert main([*line, "--resize", request.param, "--out", str(out)]) == 0
    return request.param, out


def test_what_is_beside_a_photo_counts_nowhere(scored):
    resize, out = scored
    found = read_scored(out)
    assert [record.resize for record in found.records] == [resize] * 4
    assert found.range[0] > 0
    masks = found.masks()
    if resize == CROP:
        assert found.region is None
        assert masks[1].sum() == pytest.approx(20 * 12 * (SIDE / 60) ** 2, rel=0.2)
        return
    np.testing.assert_array_equal(found.region, INSIDE)
    assert (found.heatmaps[:, ~INSIDE] == 0).all()
    assert not masks[:, ~INSIDE].any()
    assert masks[1].sum() == pytest.approx(20 * 12 * (SIDE / 120) ** 2, rel=0.2)


def test_a_defect_s_area_is_a_share_of_the_photo(scored):
    _, out = scored  # 3.3% of the photo; of the square of fit half of that
    summary = json.loads((out / "result.json").read_text())
    for missed in (summary["missed"], summary["false_alarms"]["missed"]):
        assert [band["name"] for band in missed["by_area"]] == ["area 2% to 10%"]
    assert read_scored(out).seen == (0.5 if scored[0] == FIT else 1.0)


def test_pictures_and_maps_have_the_photos_shape(scored, tmp_path):
    resize, out = scored
    picture = Image.open(out / "heatmaps/good_000.png")
    assert picture.size == ((SIDE, SIDE // 2) if resize == FIT else (SIDE, SIDE))
    line = ["export", "maps", "--evaluation", str(out), "--out", str(tmp_path / "maps")]
    assert main([*line, "--quiet"]) == 0
    heat = np.asarray(Image.open(next((tmp_path / "maps").rglob("good/000.tiff"))))
    assert heat.shape == SHAPE
    found = read_scored(out)
    place = found.names.index("test/good/000")
    np.testing.assert_allclose(heat, Frame(SHAPE, SIDE, resize).back(found.heatmaps[place]))


@pytest.mark.journey
def test_score_and_the_exported_detector_make_the_same_squares(scored, bolt, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    resize, out = scored
    exported = tmp_path / "x"
    line = ["export", "detector", "--evaluation", str(out), "--out", str(exported), "--quiet"]
    assert main(line) == 0
    found = read_scored(out)
    told = dict(zip(found.names, found.scores, strict=True))
    for detector in (out, exported):
        assert open_detector(detector).reading.resize == resize
        to = tmp_path / f"scores of {detector.name}"
        line = ["score", str(bolt / "test"), "--detector", str(detector), "--out", str(to)]
        assert main([*line, "--quiet"]) == 0
        rows = (to / "scores.csv").read_text().splitlines()[1:]
        assert len(rows) == 4
        for row in rows:
            name, score = row.split(",")[:2]
            assert float(score) == pytest.approx(told[f"test/{name[:-4]}"], rel=1e-4)
    capsys.readouterr()
    import runpy
    import sys

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["run_detector.py", str(bolt / "test")])
        with pytest.raises(SystemExit):
            runpy.run_path(str(exported / "run_detector.py"), run_name="__main__")
    rows = capsys.readouterr().out.splitlines()[1:]
    for row in rows:
        name, score = row.split(",")[:2]
        assert float(score) == pytest.approx(told[f"test/{name[:-4]}"], rel=1e-4)


def test_a_photo_of_another_shape_is_no_photo_of_a_fitted_detector(scored, tmp_path):
    resize, out = scored
    write_image(tmp_path / "in/a.png", noise_photo(0, SHAPE))
    write_image(tmp_path / "in/b.png", noise_photo(0, (120, 60)))
    line = ["score", str(tmp_path / "in"), "--detector", str(out), "--out", str(tmp_path / "o")]
    assert main([*line, "--quiet"]) == 0 or resize == FIT
    text = (tmp_path / "o/scores.csv").read_text()
    assert ("one of the shape of those it was fitted on" in text) == (resize == FIT)


@pytest.mark.parametrize("resize", RESIZES)
def test_the_category_s_own_file_says_it_for_all(bolt, tmp_path, resize):
    root = shutil.copytree(bolt, tmp_path / "bolt")
    (root / "cutswap.json").write_text(json.dumps({"resize": resize}))
    checked = check_category(root, None, skip_bad=False)
    (photo,) = load_photos(checked.category.train[:1], SIDE)
    whole = np.asarray(Image.open(checked.category.train[0].image).convert("RGB"))
    np.testing.assert_array_equal(photo, framed_photo(whole, SIDE, resize))
    assert checked.to_dict()["reading"]["resize"] == resize
    other = check_category(root, None, skip_bad=False, resize=SQUASH)
    assert other.category.train[0].resize == SQUASH
    keys = {evaluation_key(c.category, "f", PatchCoreSettings(), 0) for c in (checked, other)}
    cells = {str(data_identity(c.category)) for c in (checked, other)}
    assert len(keys) == len(cells) == (1 if resize == SQUASH else 2)


def test_a_region_is_looked_at_inside_the_photo(bolt, tmp_path):
    root = shutil.copytree(bolt, tmp_path / "bolt")
    left = np.zeros(SHAPE, bool)
    left[:, :60] = True
    write_image(root / "region.png", left)
    expected = INSIDE.copy()
    expected[:, 32:] = False
    fitted = check_category(root, None, skip_bad=False, resize=FIT)
    np.testing.assert_array_equal(fitted.region_at(SIDE), expected)
    cropped = check_category(root, None, skip_bad=False, resize=CROP)
    assert cropped.region_at(SIDE)[:, :31].all()
    assert not cropped.region_at(SIDE)[:, 33:].any()


def test_square_photos_lose_nothing_by_keeping_their_shape(bolt, tmp_path):
    root = shutil.copytree(bolt, tmp_path / "bolt")
    for path in root.rglob("*.png"):
        write_image(path, noise_photo(0, (60, 60)))
    assert check_category(root, None, skip_bad=True, resize=FIT).region_at(SIDE) is None


def test_photos_of_several_shapes_cannot_keep_them(bolt, tmp_path):
    root = shutil.copytree(bolt, tmp_path / "bolt")
    write_image(root / "test/good/000.png", noise_photo(0, (120, 60)))
    checked = check_category(root, None, skip_bad=False, resize=FIT)
    with pytest.raises(CutSwapError, match="photos of one shape for --resize fit"):
        checked.region_at(SIDE)
    assert check_category(root, None, skip_bad=False, resize=CROP).region_at(SIDE) is None


def test_negatives_stay_on_the_photo(bolt):
    checked = check_category(bolt, None, skip_bad=False, resize=FIT)
    training = TrainingSettings(augment="cutpaste", image_size=SIDE)
    samples, _ = build_samples(checked, FineTuningSettings(training), 0)
    assert isinstance(samples, TrainingSamples)
    samples.count = 6
    for number in range(6):
        for negative in samples.sample(number).negatives:
            assert negative.mask.any()
            assert not negative.mask[~INSIDE].any()


TUNE = ["--recipe", "gentle", "--epochs", "1", "--batch-size", "2", "--augment", "cutpaste"]


def test_a_run_of_other_squares_is_refused_by_name(bolt, tmp_path, capsys):
    run = tmp_path / "run"
    line = ["finetune", "--data", str(bolt), *TUNE, "--weights", "random", "--backbone", "resnet18"]
    line += ["--image-size", str(SIDE), "--quiet", "--out", str(run)]
    assert main([*line, "--resize", FIT]) == 0
    capsys.readouterr()
    assert main([*line, "--resize", CROP]) != 0
    assert "data.reading.resize" in capsys.readouterr().err
    asked = ["evaluate", "--data", str(bolt), "--run", str(run), "--image-size", str(SIDE)]
    assert main([*asked, "--out", str(tmp_path / "o"), "--quiet"]) != 0
    said = capsys.readouterr().err
    assert "brought to squares by --resize fit" in said
    assert "pass --resize fit" in said
    assert main([*asked, "--out", str(tmp_path / "p"), "--detector", "padim", "--quiet"]) != 0
    assert "pass --resize fit" in capsys.readouterr().err
    assert main([*asked, "--out", str(tmp_path / "o"), "--resize", FIT, "--quiet"]) == 0
    summary = json.loads((tmp_path / "o/result.json").read_text())
    again = [str(word) for word in evaluate_again(summary)]
    assert again[again.index("--resize") + 1] == FIT


def test_a_run_from_before_goes_on_as_squash(bolt, tmp_path):
    from cutswap.runs.folder import RunFolder

    checked = CheckedCategory(open_dataset(bolt).category(), ())
    record = {"training": TrainingSettings().to_dict(), "data": checked.to_dict()}
    old = json.loads(json.dumps(record))
    del old["data"]["reading"]["resize"]
    (tmp_path / "run").mkdir()
    (tmp_path / "run/settings.json").write_text(json.dumps(old))
    RunFolder(tmp_path / "run").refuse_other(record)
    record["data"]["reading"]["resize"] = FIT
    with pytest.raises(CutSwapError, match="data.reading.resize"):
        RunFolder(tmp_path / "run").refuse_other(record)


def test_other_detectors_take_photos_that_fill_the_square(bolt):
    from cutswap.evaluation.detector_settings import DetectorSettings
    from cutswap.evaluation.detectors import evaluate_detector
    from tests.helpers.tiny_networks import tiny_backbone

    checked = check_category(bolt, None, skip_bad=False, resize=FIT)
    with pytest.raises(CutSwapError, match="pass --resize squash or crop"):
        evaluate_detector(checked, "padim", tiny_backbone(), DetectorSettings())


@pytest.mark.parametrize("resize", RESIZES)
def test_single_photos_become_the_same_squares(bolt, tmp_path, resize):
    photo = bolt / "train/good/000.png"
    line = ["augment", str(photo), "--method", "nsa", "--image-size", str(SIDE), "--count", "3"]
    assert main([*line, "--resize", resize, "--out", str(tmp_path / "out")]) == 0
    positive = np.asarray(Image.open(tmp_path / "out/positive.png"))
    whole = np.asarray(Image.open(photo).convert("RGB"))
    np.testing.assert_array_equal(positive, framed_photo(whole, SIDE, resize))
    if resize == FIT:
        for path in (tmp_path / "out").glob("mask_*.png"):
            assert not (np.asarray(Image.open(path)) > 0)[~INSIDE].any()


@pytest.mark.parametrize("resize", RESIZES)
def test_maps_and_swaps_of_a_single_photo_are_of_its_square(bolt, tmp_path, resize):
    photo = str(bolt / "train/good/000.png")
    whole = np.asarray(Image.open(photo).convert("RGB"))
    network = ["--backbone", "squeezenet1_0", "--weights", "random", "--image-size", str(SIDE)]
    looks = [*network, "--resize", resize, "--quiet", "--out"]
    assert main(["saliency", photo, *looks, str(tmp_path / "maps")]) == 0
    shown = np.asarray(Image.open(tmp_path / "maps/input.png"))
    np.testing.assert_array_equal(shown, framed_photo(whole, SIDE, resize))
    line = ["augment", photo, "--method", "cutswap", "--count", "2", *looks]
    assert main([*line, str(tmp_path / "swaps")]) == 0
    positive = np.asarray(Image.open(tmp_path / "swaps/positive.png"))
    np.testing.assert_array_equal(positive, framed_photo(whole, SIDE, resize))
    record = json.loads((tmp_path / "swaps/record.json").read_text())
    assert record["resize"] == resize


def test_padim_too_looks_at_the_photo_alone(bolt, tmp_path):
    line = [*EVALUATE, "--data", str(bolt), "--detector", "padim", "--resize", FIT]
    assert main([*line, "--out", str(tmp_path / "o")]) == 0
    found = read_scored(tmp_path / "o")
    np.testing.assert_array_equal(found.region, INSIDE)
    assert (found.heatmaps[:, ~INSIDE] == 0).all()
    summary = json.loads((tmp_path / "o/result.json").read_text())
    assert [band["name"] for band in summary["missed"]["by_area"]] == ["area 2% to 10%"]


def test_scores_without_labels_and_their_pictures_keep_the_shape(bolt, tmp_path):
    root = shutil.copytree(bolt, tmp_path / "bolt")
    for folder in ("test/crack", "ground_truth"):
        shutil.rmtree(root / folder)
    line = [*EVALUATE, "--data", str(root), "--resize", FIT, "--coreset", "0.5"]
    assert main([*line, "--false-alarms", "0.2", "--out", str(tmp_path / "o")]) == 0
    detector = open_detector(tmp_path / "o")
    assert detector.reading.resize == FIT
    np.testing.assert_array_equal(detector.region, INSIDE)
    line = ["score", str(root / "test"), "--detector", str(tmp_path / "o"), "--quiet"]
    assert main([*line, "--out", str(tmp_path / "scores")]) == 0
    picture = Image.open(tmp_path / "scores/heatmaps/good/000.png.png")
    assert picture.size == (SIDE, SIDE // 2)
