"""Painted defects scored: what is stored, what follows at any threshold, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from cutswap.config import DetectableSettings, PatchCoreSettings
from cutswap.data.images import read_photo, to_image
from cutswap.data.loading import check_category
from cutswap.data.regions.frame import Frame
from cutswap.decision.detectable.blind_spots import blind_spots, in_square, map_picture
from cutswap.decision.detectable.examples import example_sheet, examples
from cutswap.decision.detectable.limits import BY_MASKS, BY_PEAKS, limits_of, threshold_of
from cutswap.decision.detectable.measured import (
    BY_PHOTO,
    BY_PLACE,
    FILE,
    Limits,
    Measured,
    mark_of,
    read_measured,
    write_measured,
)
from cutswap.decision.detectable.measuring import good_photos, measure
from cutswap.decision.detectable.painted_defect import paint_defect
from cutswap.decision.detectable.plan import GRID, plan
from cutswap.decision.detectable.wording import alarms_text, learnt_text, lines, rows
from cutswap.errors import CutSwapError
from cutswap.evaluation.evaluate import evaluate, write_evaluation
from cutswap.networks.backbone import load_backbone
from cutswap.patchcore.memory_bank import MemoryBank
from tests.helpers.datasets import write_image
from tests.helpers.scored import Scored, build_parts

BANK = PatchCoreSettings(image_size=64, coreset=0.2, projection=None, sigma=1.0)
SETTINGS = DetectableSettings(sizes=(2, 4, 8, 16), contrasts=(0, 30, 100), places=6)


def score_parts(root: Path, out: Path, name: str = "bolt") -> Scored:
    """An evaluation whose bank can be read back: of a network that the program ships with."""
    checked = check_category(root, name, skip_bad=False)
    backbone = load_backbone("resnet18", "embedded")
    found = evaluate(checked, backbone, BANK)
    write_evaluation(found, out)
    return Scored(root, out, checked, backbone, found)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    root = tmp_path_factory.mktemp("parts")
    return score_parts(build_parts(root / "data"), root / "out")


@pytest.fixture(scope="module")
def measured(parts: Scored) -> Measured:
    return measure(parts.folder, SETTINGS, seed=3)


def limits(parts: Scored, measured: Measured) -> Limits:
    summary = parts.evaluation.summary
    return limits_of(threshold_of(parts.folder, summary)[0], summary, measured)[0]


def test_scores_are_the_detectors_own(parts: Scored, measured: Measured):
    """Every defect painted again by hand and scored by the bank."""
    records = good_photos(parts.folder).records
    assert measured.names == tuple(r.name for r in records) == tuple(measured.names)
    planned = plan(SETTINGS, [(64, 64)] * len(records), None, 64, "squash", 3)
    assert len(planned) == len(measured.kinds) == 3 * 4 * 3 * 6
    assert [measured.defect(place) for place in range(len(planned))] == list(planned)
    bank = MemoryBank.load(parts.folder / "bank.safetensors")
    for place in range(0, len(planned), 17):
        one = planned[place]
        photo = read_photo(records[one.photo].image)
        painted = paint_defect(photo, one)
        said = bank.score(to_image(painted.photo[None]))
        numbers = {name: values[place] for name, values in measured.numbers.items()}
        assert (one.kind, one.size, one.contrast) == (
            measured.kinds[place],
            numbers["size"],
            numbers["contrast"],
        )
        assert numbers["score"] == pytest.approx(float(said.scores[0]), rel=1e-5)
        heat = said.heatmaps[0][painted.rows, painted.columns].max()
        assert numbers["heat"] == pytest.approx(float(heat), rel=1e-5)


def test_without_contrast_a_defect_is_found_as_often_as_there_are_false_alarms(measured: Measured):
    own = measured.numbers["contrast"] == 0
    photos = measured.numbers["photo"][own]
    assert measured.numbers["score"][own] == pytest.approx(measured.clean_scores[photos], rel=1e-5)
    assert measured.numbers["heat"][own] == pytest.approx(measured.numbers["clean_heat"][own])
    for image in (measured.clean_scores.min() - 0.1, np.median(measured.clean_scores) + 1e-3, 1e9):
        found = measured.found(Limits(float(image)))[own]
        assert found.mean() == (measured.clean_scores >= image)[photos].mean()
        assert measured.alarms(Limits(float(image))) == (measured.clean_scores >= image).sum()


def test_equal_by_seed_and_whole_in_its_file(parts: Scored, measured: Measured, tmp_path: Path):
    again = measure(parts.folder, SETTINGS, seed=3)
    assert np.array_equal(again.numbers["score"], measured.numbers["score"])
    other = measure(parts.folder, SETTINGS.replace(places=2), seed=4)
    assert other.numbers["y"].tolist() != measured.numbers["y"].tolist()[: len(other.kinds)]
    write_measured(measured, tmp_path)
    back = read_measured(tmp_path)
    assert back is not None
    assert back.to_dict() == measured.to_dict()
    assert measured.mark == mark_of(parts.folder, "bank")
    assert read_measured(parts.data) is None


def test_thresholds_and_where_they_come_from(parts: Scored, measured: Measured):
    summary = parts.evaluation.summary
    used, how = threshold_of(parts.folder, summary)
    assert (used, how) == (
        pytest.approx(summary["threshold"], rel=1e-6),
        "best F1 of the evaluation's test images",
    )
    assert threshold_of(parts.folder, summary, threshold=2.5)[0] == 2.5
    found, how = limits_of(used, summary, measured)
    assert (found.pixel, how) == (summary["pixel_threshold"], BY_MASKS)
    found, how = limits_of(used, None, measured)
    assert how == BY_PEAKS
    assert found.pixel > measured.clean_peaks.max()  # of three photos 95% are all
    with pytest.raises(CutSwapError, match="for a rate of false alarms"):
        threshold_of(parts.folder, summary, rate=0.01)
    # a lower threshold finds no fewer
    counts = [measured.found(Limits(t, t), BY_PLACE).sum() for t in (0.0, used, 1e9)]
    assert counts[0] == len(measured.kinds) >= counts[1] >= counts[2] == 0


def test_rows_and_lines(parts: Scored, measured: Measured):
    own = limits(parts, measured)
    found = rows(measured, own)
    assert [(row["kind"], row["contrast"]) for row in found] == [
        (kind, contrast) for kind in ("scratch", "spot", "swap") for contrast in (0, 30, 100)
    ]
    assert all(row["count"] == [6] * 4 and row["sizes"] == [2, 4, 8, 16] for row in found)
    for sense in (BY_PHOTO, BY_PLACE):
        total = sum(sum(row["found"]) for row in rows(measured, own, sense))
        assert total == measured.found(own, sense).sum()
    text = "\n".join(lines(measured, own, "by hand", "by masks", blind_spots(measured, own)))
    assert "216 defects painted on 3 photos (good test photos of the evaluation" in text
    assert "spot, contrast 100%" in text
    assert "of 3 good photos are called defective" in text
    many = Limits(-1.0, -1.0)
    assert "choose a higher threshold" in alarms_text(measured, many)
    assert learnt_text(measured) == ""
    assert "false alarms are too few" in learnt_text(replace(measured, learnt=True))
    table = measured.table(own).splitlines()
    assert len(table) == 1 + 216
    assert table[0].split(",")[:4] == ["kind", "size", "contrast", "photo"]
    assert table[0].split(",")[-2:] == ["found_photo", "found_place"]
    assert table[1].split(",")[3] == measured.names[0]


def test_a_blind_spot_is_found_and_only_that(measured: Measured):
    """Scores set by hand: everything is found but in the upper left ninth of the photo."""
    numbers = dict(measured.numbers)
    is_blind = (numbers["y"] < 22) & (numbers["x"] < 22)
    numbers["score"] = np.where(is_blind, 0.0, 1.0)
    spots = blind_spots(replace(measured, numbers=numbers), Limits(0.5))
    assert spots.count.sum() == 216
    assert spots.found.sum() == (~is_blind).sum()
    assert spots.expected.sum() == pytest.approx(spots.found.sum())
    assert spots.is_blind[:2, :2].sum() >= 3  # one has few defects, which prove little
    assert (spots.lost[:2, :2] == 1).all()
    assert not spots.is_blind[2:].any()
    assert not spots.is_blind[:, 2:].any()
    assert spots.lost[0, 0] == 1
    assert spots.lost[5, 5] == 0
    # by hand: of one place
    chance = binom.cdf(0, spots.count[0, 0], spots.expected[0, 0] / spots.count[0, 0])
    assert chance < 0.05 / GRID**2
    assert len(spots.lines(64, 64)) == spots.is_blind.sum()
    assert spots.lines(60, 120)[0].startswith("rows 0 to 9, columns 0 to 19: 0 of")
    photo = np.full((60, 60, 3), 128, np.uint8)
    picture = map_picture(photo, spots, "squash", 48, None)
    assert picture.shape == (48, 48, 3)
    assert picture[3, 3].tolist() != picture[45, 45].tolist()
    region = np.zeros((48, 48), bool)
    region[:, 24:] = True
    dimmed = map_picture(photo, spots, "squash", 48, region)
    assert dimmed[45, 3].tolist() == [64] * 3
    assert dimmed[45, 45].tolist() == picture[45, 45].tolist()
    wide = map_picture(np.full((30, 60, 3), 128, np.uint8), spots, "fit", 48, None)
    assert wide.shape == (24, 48, 3)
    # nothing found anywhere is no blind spot: no place is worse than another
    numbers["score"] = np.zeros(216)
    none = blind_spots(replace(measured, numbers=numbers), Limits(0.5))
    assert not none.is_blind.any()
    assert (none.lost == 0).all()


def test_examples_show_the_defects_that_were_scored(parts: Scored, measured: Measured):
    records = {record.name: record for record in good_photos(parts.folder).records}

    def photo_of(number: int) -> np.ndarray:
        return read_photo(records[measured.names[number]].image)

    shown = examples(measured, 100, photo_of)
    assert [(one.kind, one.size) for one in shown] == [
        (kind, size) for kind in ("scratch", "spot", "swap") for size in (2, 4, 8, 16)
    ]
    for one in shown:
        painted = paint_defect(
            photo_of(measured.defect(one.place).photo), measured.defect(one.place)
        )
        assert painted.share == measured.numbers["share"][one.place]
    spot = next(one for one in shown if (one.kind, one.size) == ("spot", 16))
    # a disc of a third of the example's side, all black or all white: pi / 36 = 8.7% of it, less
    # what its soft border takes once it is enlarged
    full = [(spot.picture == level).all(axis=2).mean() for level in (0, 255)]
    assert 0.05 < max(full) < 0.09
    found = np.zeros(len(measured.kinds), bool)
    plain = example_sheet(shown, found)
    assert plain.shape == (3 * 96 + 2 * 6, 4 * 96 + 3 * 6, 3)
    found[shown[1].place] = True
    framed = example_sheet(shown, found)
    changed = (framed != plain).any(axis=2)
    assert changed[:96, 102:198].any()
    changed[:96, 102:198] = False
    assert not changed.any()


def test_cells_in_the_square_of_a_photo():
    cells = np.arange(GRID**2).reshape(GRID, GRID)
    square = in_square(cells, Frame((60, 60), 60, "squash"))
    assert square[9, 9] == 0
    assert square[59, 59] == 35
    fitted = in_square(cells, Frame((50, 100), 60, "fit"), outside=-1)
    assert (fitted[14] == -1).all()
    assert fitted[15, 0] == 0
    assert fitted[44, 59] == 35
    assert (fitted[45] == -1).all()


def test_larger_and_stronger_defects_are_found_more_often(tmp_path: Path):
    """A rendered category, a network that was trained: within sampling error."""
    rng = np.random.default_rng(0)
    rows_, columns = np.mgrid[:64, :64]
    for split, names in (("train/good", range(8)), ("test/good", range(8, 14)), ("test/x", [20])):
        for index in names:
            ground = 120 + 30 * np.sin((rows_ + rng.integers(0, 8)) / 3) + 15 * (columns % 9 == 0)
            photo = np.clip(ground[..., None] + rng.normal(0, 4, (64, 64, 3)), 0, 255)
            if split == "test/x":
                photo[20:40, 20:40] = 255
            write_image(tmp_path / "data/weave" / split / f"{index}.png", photo.astype(np.uint8))
    score_parts(tmp_path / "data", tmp_path / "out", "weave")
    asked = DetectableSettings(kinds=("spot", "scratch"), sizes=(2, 6, 18), places=12)
    found = measure(tmp_path / "out", asked.replace(contrasts=(10, 80)))
    # at a threshold that calls no photo defective as it is
    own = Limits(float(found.clean_scores.max()) * 1.02, 1.0)
    for kind in asked.kinds:
        shares = {
            contrast: np.array(found.curve(kind, contrast, own).found) / 12 for contrast in (10, 80)
        }
        slack = 2 * np.sqrt(0.25 / 12)  # two standard errors of a share at its worst
        assert (np.diff(shares[80]) >= -slack).all()
        assert (np.diff(shares[10]) >= -slack).all()
        assert (shares[80] - shares[10] >= -slack).all()
        assert shares[80][-1] > 0.9
        assert shares[10][0] < 0.5


def test_a_region_is_all_that_is_painted(tmp_path: Path):
    root = build_parts(tmp_path / "data")
    region = np.zeros((64, 64), bool)
    region[:, 32:] = True
    write_image(root / "bolt/region.png", region)
    scored = score_parts(root, tmp_path / "out")
    found = measure(scored.folder, SETTINGS.replace(sizes=(2, 4), places=12))
    assert found.numbers["x"].min() >= 32
    spots = blind_spots(found, limits(scored, found))
    assert (spots.count[:, :2] == 0).all()
    assert np.isnan(spots.lost[:, :2]).all()
    assert (spots.count[:, 3:] > 0).all()


def test_photos_of_ones_own(parts: Scored, tmp_path: Path):
    with pytest.raises(CutSwapError, match="no such folder"):
        good_photos(parts.folder, tmp_path / "none")
    with pytest.raises(CutSwapError, match="found none"):
        good_photos(parts.folder, tmp_path)
    write_image(tmp_path / "a.png", np.full((64, 64, 3), 90, np.uint8))
    own = good_photos(parts.folder, tmp_path)
    found = measure(parts.folder, SETTINGS.replace(places=1), photos=own)
    assert found.names == (str(tmp_path / "a.png"),)
    assert found.source == f"good photos of {tmp_path}"
    assert not found.learnt
    assert good_photos(parts.folder, parts.data / "bolt/train").learnt


def test_what_ends_it_writes_nothing(parts: Scored):
    def notify(_stage: str, done: int, _total: int) -> None:
        if done:
            raise CutSwapError("it", expected="to go on", found="a stop", fix="start again")

    with pytest.raises(CutSwapError, match="found a stop"):
        measure(parts.folder, SETTINGS, notify=notify)
    assert not (parts.folder / FILE).exists()


def test_detectors_that_cannot_be_asked(parts: Scored, tmp_path: Path):
    with pytest.raises(CutSwapError, match="no such folder"):
        measure(tmp_path / "none", SETTINGS)
    with pytest.raises(CutSwapError, match="--score: expected one of bank"):
        measure(parts.folder, SETTINGS, score="head")
    only = tmp_path / "only"
    only.mkdir()
    (only / "bank.safetensors").write_bytes((parts.folder / "bank.safetensors").read_bytes())
    with pytest.raises(CutSwapError, match="pass --photos FOLDER with good photos"):
        measure(only, SETTINGS)
    (only / "padim.safetensors").write_bytes(b"")
    (only / "bank.safetensors").unlink()
    with pytest.raises(CutSwapError, match="PaDiM"):
        measure(only, SETTINGS, photos=good_photos(parts.folder))
    with pytest.raises(CutSwapError, match="found none"):
        mark_of(only, "bank")


@pytest.mark.parametrize(
    "change",
    [
        {"format": "cutswap detectable 9"},
        {"score": "x"},
        {"defects": {"size": [1.5] * 3}},
        {"defects": {"size": [4]}},
        {"defects": {"heat": ["x"] * 3}},
        {"defects": {"heat": [float("inf")] * 3}},
        {"defects": {"kind": ["dent"] * 3}},
        {"defects": {"photo": [7] * 3}},
        {"defects": []},
        {"photos": []},
        {"learnt": 1},
        {"seed": "0"},
        {"settings": []},
        {"resize": "bend"},
    ],
)
def test_a_damaged_file_is_told(parts: Scored, tmp_path: Path, change):
    few = measure(parts.folder, SETTINGS.replace(sizes=(4,), contrasts=(50,), places=1))
    values = few.to_dict()
    for name, value in change.items():
        values[name] = {**values[name], **value} if isinstance(value, dict) else value
    (tmp_path / FILE).write_text(json.dumps(values))
    with pytest.raises(CutSwapError, match="delete the file and run detectable again"):
        read_measured(tmp_path)
    (tmp_path / FILE).write_text(json.dumps(few.to_dict()))
    assert read_measured(tmp_path) is not None


def test_a_file_of_another_origin_is_never_replaced(measured: Measured, tmp_path: Path):
    (tmp_path / FILE).write_text("mine")
    with pytest.raises(CutSwapError, match="another origin"):
        write_measured(measured, tmp_path)
    assert (tmp_path / FILE).read_text() == "mine"
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CutSwapError, match="another origin"):
        write_measured(measured, tmp_path)
    assert not (tmp_path / "elsewhere").exists()
