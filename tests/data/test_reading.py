"""The bits a camera fills, and which folders are good: seen, offered, read and recorded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.shared.caches import PhotoKey
from cutswap.commands.parser import main
from cutswap.config import PatchCoreSettings
from cutswap.data.datasets import open_dataset
from cutswap.data.images import read_photo
from cutswap.data.loading import check_category, load_photos
from cutswap.data.problems import find_problems
from cutswap.data.reading import READING_FILE, ReadingSettings, read_reading
from cutswap.errors import CutSwapError
from cutswap.evaluation.scored_set import evaluation_key
from cutswap.sweeps.identity import data_identity
from tests.helpers.datasets import build_category, write_image
from tests.helpers.public_layouts import write_photos

SIZE = (16, 20)


def deep(bits: int, seed: int, shift: int = 0) -> np.ndarray:
    """(H, W) uint16 that fills its lowest bits, the highest value among them."""
    values = np.random.default_rng(seed).integers(0, 2**bits, SIZE).astype(np.uint16)
    values[0, 0] = 2**bits - 1
    return values << shift


def deep_category(folder: Path, bits: int, suffix: str = ".png", shift: int = 0) -> Path:
    for seed, place in enumerate(("train/good", "test/good", "test/dent")):
        for i in range(3):
            write_image(folder / place / f"{i}{suffix}", deep(bits, 10 * seed + i, shift))
    return folder


def say(root: Path, **settings: object) -> Path:
    (root / READING_FILE).write_text(json.dumps(settings))
    return root


def kinds(root: Path) -> list[str]:
    return [p.kind for p in find_problems(open_dataset(root).category())]


# ---------------------------------------------------------------- bits


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize(("used", "offered"), [(8, 8), (9, 10), (10, 10), (12, 12), (14, 14)])
def test_unused_bits_are_seen_and_the_cameras_bits_offered(used, offered, suffix, tmp_path):
    root = deep_category(tmp_path / "bolt", used, suffix)
    found = find_problems(open_dataset(root).category())
    black = [p for p in found if p.kind == "constant"]
    assert all(f"as it uses {used} of 16 bits" in p.message for p in black)
    because = (
        {"constant", "no-good"} if used <= 9 else set()
    )  # levels 0 to 2: nothing to learn from
    assert {p.kind for p in found} == {"no-masks", "unused-bits", *because}
    (problem,) = [p for p in found if p.kind == "unused-bits"]
    assert (problem.path, problem.kind, problem.fatal) == (root, "unused-bits", False)
    assert f"use {used} of them (the largest value is {2**used - 1:,} of 65,535)" in problem.message
    assert f'write {{"bits": {offered}}} into cutswap.json' in problem.message
    assert kinds(say(root, bits=offered)) == ["no-masks"]


def test_the_whole_category_counts(tmp_path):
    root = deep_category(tmp_path / "bolt", 12)
    write_image(root / "test/dent/9.png", deep(16, 5))
    assert kinds(root) == ["no-masks"]


@pytest.mark.parametrize(("used", "shift"), [(16, 0), (15, 0), (12, 4), (10, 6)])
def test_numbers_that_reach_the_highest_bits_are_as_they_should(used, shift, tmp_path):
    assert kinds(deep_category(tmp_path / "bolt", used, shift=shift)) == ["no-masks"]


def test_eight_bits_and_colours_have_none_unused(tmp_path):
    assert kinds(build_category(tmp_path / "bolt", masks=False)) == ["no-masks"]


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_photos_are_scaled_by_the_bits_that_are_said(bits, tmp_path):
    root = say(deep_category(tmp_path / "bolt", bits), bits=bits)
    category = open_dataset(root).category()
    record = category.train[0]
    values = np.asarray(Image.open(record.image)).astype(float)
    expected = np.rint(values * 255 / (2**bits - 1))
    np.testing.assert_allclose(read_photo(record.image, bits)[..., 0], expected, atol=1)
    assert load_photos([record], SIZE[0]).mean() == pytest.approx(expected.mean(), abs=3)


def test_a_number_above_the_bits_is_refused_by_name(tmp_path):
    root = say(deep_category(tmp_path / "bolt", 12), bits=10)
    bad = [p for p in find_problems(open_dataset(root).category()) if p.kind == "unreadable"]
    assert len(bad) == 9
    assert bad[0].message.startswith("expected grey values in 0..1023, found ")
    assert bad[0].message.endswith("..4095")


def test_bits_are_recorded_and_make_other_data_of_it(tmp_path, capsys):
    root = deep_category(tmp_path / "bolt", 12)
    plain = check_category(root, None, skip_bad=False)
    assert [p.kind for p in plain.doubts] == ["unused-bits"]
    assert plain.to_dict()["reading"]["bits"] is None
    say(root, bits=12)
    told = check_category(root, None, skip_bad=False)
    assert told.doubts == ()
    reading = {"bits": 12, "good": [], "defects": [], "resize": "squash"}
    assert told.to_dict()["reading"] == reading
    assert data_identity(plain.category) != data_identity(told.category)
    scoring = PatchCoreSettings()
    keys = {evaluation_key(c.category, "f", scoring, 0) for c in (plain, told)}
    assert len(keys) == 2
    record = told.category.train[0]
    assert PhotoKey.of(record.image, 8, record.bits) != PhotoKey.of(record.image, 8)
    out = tmp_path / "r.json"
    assert main(["check-data", "--data", str(root), "--quiet", "--json", str(out)]) == 0
    assert "bolt: 3 good to learn from, read with 12 bits; to test:" in capsys.readouterr().out
    assert json.loads(out.read_text())["categories"]["bolt"]["reading"]["bits"] == 12


def test_a_single_photo_is_read_by_a_flag(tmp_path):
    photo = write_image(tmp_path / "1.png", deep(12, 3))
    looks = ["--backbone", "squeezenet1_0", "--weights", "random", "--layers", "4"]
    common = ["saliency", str(photo), "--image-size", "64", *looks]
    for name, flags in (("dark", []), ("bright", ["--bits", "12"])):
        assert main([*common, *flags, "--out", str(tmp_path / name)]) == 0
    dark, bright = (read_photo(tmp_path / name / "input.png").mean() for name in ("dark", "bright"))
    assert bright == pytest.approx(16 * dark, rel=0.1)


# ---------------------------------------------------------------- good, or a type of defect


@pytest.mark.parametrize("name", ["ok", "Good", "NORMAL"])
def test_the_question_is_answered_good(name, tmp_path):
    root = say(build_category(tmp_path / "bolt"), good=[name])
    write_photos(root / "test" / name, 2, 900, "new_{}.png")
    category = open_dataset(root).category()
    assert category.defects == ("crack", "dent")
    assert sum(r.is_good for r in category.test) == 4
    assert find_problems(category) == ()


@pytest.mark.parametrize("name", ["ok", "Good", "NORMAL"])
def test_the_question_is_answered_a_defect(name, tmp_path):
    root = say(build_category(tmp_path / "bolt", masks=False), defects=[name])
    write_photos(root / "test" / name, 2, 900)
    category = open_dataset(root).category()
    assert set(category.defects) == {"crack", "dent", name}
    assert [p.kind for p in find_problems(category)] == ["no-masks"]


def test_more_good_photos_to_learn_from(tmp_path):
    root = say(build_category(tmp_path / "bolt"), good=["shift2"])
    write_photos(root / "train/shift2", 2, 900, "new_{}.png")
    category = open_dataset(root).category()
    assert len(category.train) == 5
    assert find_problems(category) == ()


def test_two_good_photos_of_one_name_are_told(tmp_path):
    root = say(build_category(tmp_path / "bolt"), good=["ok"])
    write_photos(root / "test/ok", 1, 900)
    (problem,) = find_problems(open_dataset(root).category())
    assert (problem.path, problem.kind) == (root / "test/ok/000.png", "same-name")
    assert problem.message == "has the name of good/000.png, which is good as well"


def test_a_folder_that_is_not_there_is_told(tmp_path):
    root = say(build_category(tmp_path / "bolt"), good=["okay"], defects=["Normal"])
    (problem,) = find_problems(open_dataset(root).category())
    assert (problem.path.name, problem.kind) == (READING_FILE, "no-folder")
    assert problem.message == "it names folders that are not there: Normal, okay"


# ---------------------------------------------------------------- the file


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "a readable JSON file"),
        ("[]", "settings by name"),
        ('{"bit": 12}', "cutswap.json: ReadingSettings: bit: expected settings among bits"),
        ('{"bits": 7}', "cutswap.json: bits: expected a whole number >= 8 and <= 16, found 7"),
        ('{"bits": "12"}', "cutswap.json: bits: expected a whole number"),
        ('{"good": "ok"}', "cutswap.json: good: expected several values"),
    ],
)
def test_a_wrong_file_is_refused_by_name(text, words, tmp_path, capsys):
    for name in ("bolt", "nut"):
        build_category(tmp_path / name)
    (tmp_path / "bolt" / READING_FILE).write_text(text)
    with pytest.raises(CutSwapError) as caught:
        open_dataset(tmp_path).category("bolt")
    assert words in str(caught.value)
    assert main(["check-data", "--data", str(tmp_path), "--quiet"]) == 1
    assert "bolt: not read; 1 bad" in capsys.readouterr().out


def test_a_link_is_not_read(tmp_path):
    root = build_category(tmp_path / "bolt")
    say(tmp_path, bits=12)
    (root / READING_FILE).symlink_to(tmp_path / READING_FILE)
    with pytest.raises(CutSwapError, match="a link or a folder"):
        open_dataset(root).category()


def test_without_a_file_nothing_is_said():
    assert read_reading(Path("/nowhere")) == ReadingSettings()
