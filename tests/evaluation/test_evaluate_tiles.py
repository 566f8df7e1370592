"""Large photos evaluated by tiles: files, figures at their own size, regions, scores, refusals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cutswap.commands.parser import main
from cutswap.config import PatchCoreSettings
from cutswap.data.images import read_mask, read_photo
from cutswap.data.reading import FIT
from cutswap.decision.decision import read_decision
from cutswap.decision.open_detector import read_evaluated
from cutswap.errors import CutSwapError
from cutswap.evaluation.metrics import summarise
from cutswap.evaluation.scored_set import read_scored
from cutswap.evaluation.tiled import evaluate_tiles
from cutswap.evaluation.tiled.evaluate_tiles import shown_heat
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.patchcore.tiled.tiled_bank import TiledBank
from cutswap.reports.inspection import inspection_report
from cutswap.reports.repeat import evaluate_again
from tests.helpers.datasets import build_category, write_image
from tests.helpers.small_photos import photo_of

SHAPE, SPOT = (100, 170), (60, 110)
EVALUATE = ["evaluate", "--weights", "random", "--image-size", "64", "--quiet"]
TILES = [*EVALUATE, "--tile-overlap", "32", "--coreset", "0.2", "--sigma", "1"]


@pytest.fixture(scope="module")
def hide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good photos 170 x 100 of one thing, and a spot of 8 pixels on two."""
    root = tmp_path_factory.mktemp("data") / "hide"
    build_category(root, train=5, test={"good": 2, "spot": 2})
    rng = np.random.default_rng(0)
    for path in sorted(root.rglob("*.png")):
        photo = photo_of(0, SHAPE)
        if "spot" in path.parts:
            photo[SPOT[0] : SPOT[0] + 8, SPOT[1] : SPOT[1] + 8] ^= 128
        write_image(path, np.clip(photo + rng.normal(0, 3, photo.shape), 0, 255).astype(np.uint8))
    mask = np.zeros(SHAPE, bool)
    mask[SPOT[0] : SPOT[0] + 8, SPOT[1] : SPOT[1] + 8] = True
    for number in range(2):
        write_image(root / f"ground_truth/spot/{number:03d}_mask.png", mask)
    return root


@pytest.fixture(scope="module")
def scored(hide: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "tiles"
    assert main([*TILES, "--data", str(hide), "--out", str(out)]) == 0
    return out


def test_the_spot_is_found_where_it_is(scored):
    found = read_scored(scored)
    assert found.is_tiled
    assert found.resize == FIT
    assert found.size == 170  # as large as the photos' longer side, as they are small
    assert found.scores[found.labels].min() > found.scores[~found.labels].max()
    masks = found.masks()
    for place in np.flatnonzero(found.labels):
        assert masks[place].sum() == 64
        hottest = np.unravel_index(found.heatmaps[place].argmax(), (170, 170))
        assert masks[place][max(0, hottest[0] - 8) :][:16, max(0, hottest[1] - 8) :][:, :16].any()
    assert (found.heatmaps[:, ~found.region] == 0).all()
    assert found.region.sum() == SHAPE[0] * SHAPE[1]
    picture = Image.open(scored / "heatmaps/spot_000.png")
    assert picture.size == (SHAPE[1], SHAPE[0])


def test_figures_are_of_pixels_at_the_photos_own_size(scored):
    found = read_scored(scored)
    bank = TiledBank(MemoryBank.load(scored / "bank.safetensors"))
    heat = np.stack([bank.score(read_photo(r.image)).heatmap for r in found.records])
    masks = np.stack(
        [np.zeros(SHAPE, bool) if r.mask is None else read_mask(r.mask) for r in found.records]
    )
    wanted = summarise(found.scores, found.labels, heat, masks)
    for name, value in wanted.to_dict().items():
        assert found.summary[name] == pytest.approx(value, rel=2e-3), name
    np.testing.assert_allclose(found.heatmaps[0], shown_heat(heat[0], 170), atol=1e-5)
    assert [band["name"] for band in found.summary["missed"]["by_area"]] == ["area under 0.5%"]
    assert found.summary["tiles"]["of_test_photos"] == 4 * 3 * 5


def test_maps_of_larger_photos_are_kept_smaller(hide, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate_tiles, "SHOWN", 80)
    assert main([*TILES, "--data", str(hide), "--out", str(tmp_path / "o")]) == 0
    found = read_scored(tmp_path / "o")
    assert found.heatmaps.shape == (4, 80, 80)
    bank = TiledBank(MemoryBank.load(tmp_path / "o/bank.safetensors"))
    place = int(np.flatnonzero(found.labels)[0])
    heat = bank.score(read_photo(found.records[place].image)).heatmap
    np.testing.assert_allclose(found.heatmaps[place], shown_heat(heat, 80), atol=1e-5)
    assert np.ptp(np.nonzero(found.region)[0]) + 1 == round(100 * 80 / 170)


def test_what_is_hot_between_kept_pixels_is_kept():
    """By areas: one hot pixel of nine is still there, a ninth as hot."""
    heat = np.zeros((90, 180), np.float32)
    heat[43, 61] = 9.0
    kept = shown_heat(heat, 60)
    assert kept.shape == (60, 60)
    assert kept[15 + 43 // 3, 61 // 3] == pytest.approx(1.0)
    assert np.count_nonzero(kept) == 1


def test_a_region_is_looked_at_alone(hide, tmp_path):
    root = shutil.copytree(hide, tmp_path / "hide")
    left = np.zeros(SHAPE, bool)
    left[:, :90] = True
    write_image(root / "region.png", left)
    out = tmp_path / "o"
    assert main([*TILES, "--data", str(root), "--out", str(out)]) == 0
    found = read_scored(out)
    assert found.region.sum() == pytest.approx(90 * 100, rel=0.02)
    assert (found.heatmaps[:, ~found.region] == 0).all()
    told = found.summary["region"]
    assert told["defects_outside"] == ["test/spot/000", "test/spot/001"]
    assert found.summary["pixel_auroc"] is None
    to = tmp_path / "s"
    line = ["score", str(root / "test"), "--detector", str(out), "--out", str(to), "--quiet"]
    assert main(line) == 0
    assert scores_of(to) == pytest.approx(told_of(out), rel=1e-5)
    write_image(root / "region.png", ~left)
    with pytest.raises(CutSwapError, match="the region that was evaluated"):
        read_evaluated(out)


def scores_of(folder: Path) -> dict[str, float]:
    rows = [row.split(",") for row in (folder / "scores.csv").read_text().splitlines()[1:]]
    return {f"test/{row[0].removesuffix('.png')}": float(row[1]) for row in rows}


def told_of(out: Path) -> dict[str, float]:
    found = read_scored(out)
    return dict(zip(found.names, map(float, found.scores), strict=True))


def test_score_gives_what_evaluate_gave(hide, scored, tmp_path):
    to = tmp_path / "s"
    line = ["score", str(hide / "test"), "--detector", str(scored), "--out", str(to), "--quiet"]
    assert main(line) == 0
    assert scores_of(to) == pytest.approx(told_of(scored), rel=1e-5)
    heat = [Image.open(f / "heatmaps/spot_000.png") for f in (scored,)]
    assert Image.open(to / "heatmaps/spot/000.png.png").size == heat[0].size


def test_good_photos_alone_give_a_threshold_and_p_values(hide, tmp_path, capsys):
    out, to = tmp_path / "o", tmp_path / "s"
    line = [*TILES, "--data", str(hide), "--false-alarms", "0.2", "--folds", "2"]
    assert main([*line, "--coreset", "1", "--out", str(out)]) == 0
    assert "5 good photos alone (4 needed)" in capsys.readouterr().out
    told = json.loads((out / "result.json").read_text())["false_alarms"]
    decision = read_decision(out)
    assert decision.promise.threshold == told["threshold"]
    assert (told["test_good"], told["missed"]["by_type"][0]["found"]) == (2, 2)
    # each photo by a bank without it: the detector's own has learnt every patch of all
    bank = TiledBank(MemoryBank.load(out / "bank.safetensors"))
    photo = read_photo(next((hide / "train/good").iterdir()))
    assert bank.score(photo).score < 1e-2 < decision.good.min()
    assert main(["score", str(hide / "test"), "--detector", str(out), "--out", str(to)]) == 0
    rows = [row.split(",") for row in (to / "scores.csv").read_text().splitlines()[1:]]
    assert {row[0].split("/")[0]: row[3] for row in rows}["spot"] == "defective"
    assert all(0 < float(row[2]) <= 1 for row in rows)
    assert "--false-alarms=0.2" in [str(word) for word in evaluate_again(told_summary(out))]


def told_summary(out: Path) -> dict[str, Any]:
    return read_scored(out).summary


def test_photos_of_several_sizes_share_a_bank(hide, tmp_path, capsys):
    root = shutil.copytree(hide, tmp_path / "hide")
    write_image(root / "test/good/000.png", photo_of(0, (40, 50)))
    write_image(root / "train/good/001.png", photo_of(0, (130, 90)))
    assert main([*TILES, "--data", str(root), "--out", str(tmp_path / "o")]) == 0
    assert "1 of 9 photos are smaller than a tile of 64 x 64" in capsys.readouterr().err
    found = read_scored(tmp_path / "o")
    small = found.heatmaps[found.names.index("test/good/000")]
    rows, columns = np.nonzero(small)
    assert np.ptp(rows) + 1 == round(170 * 40 / 50)
    assert np.ptp(columns) + 1 == 170


def test_the_record_repeats_it(scored, tmp_path):
    line = [str(word) for word in evaluate_again(read_scored(scored).summary)]
    assert "--tile-overlap=32" in line
    line[line.index("--out") + 1] = str(tmp_path / "again")
    assert main([*line, "--quiet"]) == 0
    assert told_of(tmp_path / "again") == told_of(scored)
    report = inspection_report(read_scored(scored))
    assert "in tiles of 64 pixels that overlap by 32" in report


def test_maps_are_exported_in_the_photos_shape(scored, tmp_path):
    line = ["export", "maps", "--evaluation", str(scored), "--out", str(tmp_path / "maps")]
    assert main([*line, "--quiet"]) == 0
    heat = np.asarray(Image.open(next((tmp_path / "maps").rglob("good/000.tiff"))))
    assert heat.shape == SHAPE


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--false-alarms", "0.05"], "19 good photos"),
        (["--false-alarms", "0.4"], "0.2"),
        (["--false-alarms", "0.2", "--calibration", "apart"], "found apart"),
        (["--folds", "3"], "found no rate"),
        (["--resize", "crop"], "photos that keep their shape"),
        (["--shards", "2"], "1 where photos are cut into tiles"),
        (["--reweight", "3"], "1 where photos are cut into tiles"),
        (["--tile-overlap", "40"], "0 to 32 pixels, in tiles of 64"),
        (["--image-size", "100"], "a multiple of 32 pixels"),
        (["--detector", "padim"], "--tile-overlap"),
    ],
)
def test_what_does_not_go_with_tiles_is_refused_in_a_line(hide, tmp_path, capsys, more, says):
    out = tmp_path / "o"
    assert main([*TILES, *more, "--data", str(hide), "--out", str(out)]) != 0
    said = capsys.readouterr().err.strip().splitlines()
    assert says in said[-1]
    assert not out.exists()


def test_a_tuned_network_has_learnt_from_squares(hide, tmp_path, capsys):
    line = ["evaluate", "--tile-overlap", "64", "--run", str(tmp_path), "--data", str(hide)]
    assert main([*line, "--out", str(tmp_path / "o"), "--quiet"]) != 0
    assert "--run: expected photos that become squares" in capsys.readouterr().err


def test_an_exported_detector_of_tiles_is_refused(scored, tmp_path, capsys):
    pytest.importorskip("onnx")
    line = ["export", "detector", "--evaluation", str(scored), "--out", str(tmp_path / "x")]
    assert main([*line, "--quiet"]) != 0
    said = capsys.readouterr().err
    assert "found one by tiles" in said
    assert "cutswap score FOLDER" in said


def test_a_damaged_record_of_tiles_is_refused(scored, tmp_path):
    out = shutil.copytree(scored, tmp_path / "o")
    summary = json.loads((out / "result.json").read_text())
    for wrong in ({}, {"heatmap_size": "170"}, {"heatmap_size": 0}, None):
        (out / "result.json").write_text(json.dumps({**summary, "tiles": wrong}))
        with pytest.raises(CutSwapError, match="a heatmap_size of its tiles"):
            read_scored(out)


def test_squares_say_nothing_of_tiles(hide, tmp_path):
    line = [*EVALUATE, "--data", str(hide), "--out", str(tmp_path / "o")]
    assert main(line) == 0
    found = read_scored(tmp_path / "o")
    assert not found.is_tiled
    assert "tiles" not in found.summary
    assert found.settings == PatchCoreSettings(image_size=64)
