"""Data sets as people have them, folders nobody may enter, and names that mean good."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cutswap.commands.parser import main
from cutswap.data.datasets import open_dataset
from cutswap.data.images import read_mask
from cutswap.data.layouts import means_good
from cutswap.data.problems import find_problems
from cutswap.data.reading import READING_FILE
from cutswap.errors import CutSwapError
from tests.helpers.datasets import blob_mask, build_category, noise_photo, write_image
from tests.helpers.public_layouts import PUBLIC_LAYOUTS, build_loco, write_photos

# ---------------------------------------------------------------- data sets as they are published

VALIDATION = "move them into train/good to learn from them too, or into test/good to test on them"
PRIVATE = (
    "only test_public is scored; to score these too, sort them into test_public/good and"
    " test_public/<type of defect>"
)
OK = "read as the good photos to learn from: there is no train/good"
LABELS = (
    "all photos here count as good. If a list says which are defective, sort them into train/good,"
    " test/good and test/<type of defect>"
)
SAID = {  # data set -> every line of check-data, spaces apart; ROOT is its folder
    "MVTec AD": """
bottle: 3 good to learn from; to test: 2 good, 3 defective (bent, scratch),
  3 with a mask; no problems
metal_nut: 3 good to learn from; to test: 2 good, 4 defective (bent, scratch),
  4 with a mask; no problems
nothing stands in the way""",
    "MVTec AD 2": f"""
can: 3 good to learn from; to test: 2 good, 2 defective (bad), 2 with a mask; 0 bad, 3 to know
  note ROOT/can/test_private: 2 photos not used: {PRIVATE}
  note ROOT/can/test_private_mixed: 2 photos not used: {PRIVATE}
  note ROOT/can/validation/good: 2 photos not used: {VALIDATION}
nothing stands in the way""",
    "LOCO": f"""
breakfast_box: 3 good to learn from; to test: 2 good, 3 defective (logical_anomalies,
  structural_anomalies), 3 with a mask; 0 bad, 2 to know
  note ROOT/breakfast_box/validation/good: 2 photos not used: {VALIDATION}
  note ROOT/breakfast_box: other files, not read: defects_config.json
nothing stands in the way""",
    "VisA": """
candle: 3 good to learn from; to test: 2 good, 2 defective (bad), 2 with a mask; 0 bad, 1 to know
  note ROOT/candle: other files, not read: image_anno.csv
pcb1: 4 good to learn from; to test: 2 good, 2 defective (bad), 2 with a mask; 0 bad, 1 to know
  note ROOT/pcb1: other files, not read: image_anno.csv
nothing stands in the way""",
    "BTAD": f"""
01: 3 good to learn from; to test: 2 good, 2 defective (ko), 2 with a mask; 0 bad, 1 to know
  note ROOT/01/train/ok: {OK}
02: 3 good to learn from; to test: 2 good, 2 defective (ko), 2 with a mask; 0 bad, 1 to know
  note ROOT/02/train/ok: {OK}
nothing stands in the way""",
    "flat folder with a CSV": f"""
set: 4 good to learn from, none to test; 0 bad, 1 to know
  note ROOT: other files, not read: labels.csv; {LABELS}
training needs no more; evaluate, sweep and reproduce need good and defective test photos too:
add them to test/good and test/<defect> of set (0 good and 0 defective)""",
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLIC_LAYOUTS)
def test_check_data_on_data_sets_that_people_have(name, tmp_path, capsys):
    root = PUBLIC_LAYOUTS[name](tmp_path / "set")
    assert main(["check-data", "--data", str(root), "--quiet"]) == 0
    said = capsys.readouterr().out.replace(str(root), "ROOT")
    assert said.split() == SAID[name].split()


@pytest.mark.parametrize("name", PUBLIC_LAYOUTS)
def test_every_photo_of_a_published_set_is_used_or_told(name, tmp_path):
    root = PUBLIC_LAYOUTS[name](tmp_path / "set")
    dataset = open_dataset(root)
    used: set[Path] = set()
    told = 0
    for one in dataset.categories:
        category = dataset.category(one)
        for record in category.train + category.test:
            used.add(record.image)
            if record.mask is not None:
                used |= set(record.mask.iterdir()) if record.mask.is_dir() else {record.mask}
        for problem in find_problems(category):
            if problem.kind == "unused":
                told += int(re.match(r"(\d+)", problem.message).group())
    suffixes = (".png", ".jpg", ".bmp", ".JPG")
    lying = [p for p in root.rglob("*") if p.suffix in suffixes]
    assert len(lying) == len(used) + told


def test_several_masks_of_a_photo_mark_what_any_of_them_marks(tmp_path):
    category = open_dataset(build_loco(tmp_path / "set")).category()
    two, one, other = (r.mask for r in category.test if not r.is_good)
    assert two == category.root / "ground_truth/logical_anomalies/000"
    assert one is not None
    assert one.name == other.name == "000.png"  # a single one is the file
    np.testing.assert_array_equal(read_mask(two), blob_mask() | np.roll(blob_mask(), 8, axis=1))


def test_masks_of_one_photo_must_have_its_size(tmp_path):
    root = build_loco(tmp_path / "set")
    folder = root / "breakfast_box/ground_truth/logical_anomalies/000"
    write_image(folder / "001.png", blob_mask((20, 20)))
    with pytest.raises(CutSwapError, match=r"12 x 16 pixels, as 000.png has, found 20 x 20"):
        read_mask(folder)
    (problem,) = [p for p in find_problems(open_dataset(root).category()) if p.fatal]
    assert (problem.path, problem.kind) == (folder, "mask-size")
    assert problem.message.startswith("001.png: 20 x 20")


def test_links_in_a_folder_of_masks_are_not_followed(tmp_path):
    root = build_loco(tmp_path / "set")
    outside = write_image(tmp_path / "outside.png", ~blob_mask())
    folder = root / "breakfast_box/ground_truth/logical_anomalies/000"
    (folder / "002.png").symlink_to(outside)
    (folder / "003.png").symlink_to(folder / "000.png")
    category = open_dataset(root).category()
    assert read_mask(folder).sum() == 2 * blob_mask().sum()
    told = {p.path.name: p.kind for p in category.noticed}
    assert told == {"002.png": "outside-link", "003.png": "loose-mask"}


@pytest.mark.parametrize(
    ("was", "now"),
    [("ground_truth", "Ground_Truth"), ("test", "Test"), ("train", "TRAIN")],
)
def test_the_case_of_the_three_folders_does_not_matter(was, now, tmp_path):
    root = build_category(tmp_path / "bolt")
    (root / was).rename(root / now)
    category = open_dataset(root).category()
    assert (len(category.train), len(category.test)) == (3, 5)
    assert sum(r.mask is not None for r in category.test) == 3
    assert find_problems(category) == ()


# ---------------------------------------------------------------- names that mean good


@pytest.mark.parametrize(
    "name",
    [
        "good",
        "OK",
        "Normal",
        "o.k.",
        "_good",
        "NORMAL ",
        "good_2",
        "ok 01",
        "Defect-free",
        "No defect",
    ],
)
def test_names_that_mean_good(name):
    assert means_good(name)


@pytest.mark.parametrize(
    "name", ["goods_damaged", "not_ok", "ko", "abnormal", "bad", "", "01", "defect"]
)
def test_names_that_do_not(name):
    assert not means_good(name)


@pytest.mark.parametrize("name", ["ok", "Good", "NORMAL", "O.K.", "good_2", "passed", "No defect"])
def test_a_second_good_folder_is_asked_about_and_neither_good_nor_a_defect(name, tmp_path, capsys):
    root = build_category(tmp_path / "bolt")
    write_photos(root / "test" / name, 2, 900)
    category = open_dataset(root).category()
    assert category.defects == ("crack", "dent")
    assert sum(r.is_good for r in category.test) == 2
    (problem,) = find_problems(category)
    assert (problem.path, problem.kind, problem.fatal) == (root / "test" / name, "means-good", True)
    assert "Good: move its photos into test/good, or write" in problem.message
    assert main(["check-data", "--data", str(root), "--quiet"]) == 1
    assert f"BAD  {root / 'test' / name}: good photos, or a type of defect?" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize("name", ["Good", "ok", "normal"])
def test_a_lonely_test_folder_that_train_calls_otherwise_is_asked_about(name, tmp_path):
    root = build_category(tmp_path / "bolt")
    (root / "test/good").rename(root / "test" / name)
    category = open_dataset(root).category()
    assert category.defects == ("crack", "dent")
    asked = [p for p in find_problems(category) if p.fatal]
    assert [p.kind for p in asked] == ["means-good"]
    assert "where train calls it good" in asked[0].message


@pytest.mark.parametrize("name", ["ok", "Good", "Normal"])
def test_one_word_for_good_in_train_and_test_is_understood_and_said(name, tmp_path):
    root = build_category(tmp_path / "bolt")
    for split in ("train", "test"):
        (root / split / "good").rename(root / split / name)
    category = open_dataset(root).category()
    assert (len(category.train), category.defects) == (3, ("crack", "dent"))
    assert [r.name for r in category.test if r.is_good] == ["test/good/000", "test/good/001"]
    assert [(p.kind, p.fatal) for p in find_problems(category)] == [("read-as-good", False)]


def test_two_words_for_good_in_train_are_asked_about(tmp_path):
    root = build_category(tmp_path / "bolt")
    (root / "train/good").rename(root / "train/ok")
    write_photos(root / "train/Normal", 2, 900)
    with pytest.raises(CutSwapError, match="which of Normal, ok holds the good photos"):
        open_dataset(root).category()


# ---------------------------------------------------------------- names that say nothing


@pytest.mark.parametrize(
    "name", ["unlabelled", "Unlabeled", "un-sorted", "unknown 2", "TODO", "tbd_1"]
)
def test_a_folder_of_which_nobody_knows_is_asked_about_and_no_type_of_defect(
    name, tmp_path, capsys
):
    root = build_category(tmp_path / "bolt")
    write_photos(root / "test" / name, 2, 900)
    write_photos(root / "ground_truth" / name, 1, 950)
    category = open_dataset(root).category()
    assert category.defects == ("crack", "dent")
    asked = [p for p in find_problems(category) if p.fatal]
    assert [(p.path, p.kind) for p in asked] == [(root / "test" / name, "means-unknown")]
    assert main(["check-data", "--data", str(root), "--quiet"]) == 1
    assert "nobody knows" in capsys.readouterr().out


@pytest.mark.parametrize("key", ["good", "defects"])
def test_what_nobody_knew_may_be_said(key, tmp_path):
    root = build_category(tmp_path / "bolt")
    for seed in (900, 901):
        write_image(root / f"test/unlabelled/{seed}.png", noise_photo(seed))
    (root / READING_FILE).write_text(f'{{"{key}": ["unlabelled"]}}')
    category = open_dataset(root).category()
    assert not [p for p in category.noticed if p.fatal]
    assert ("unlabelled" in category.defects) == (key == "defects")
    assert sum(r.is_good for r in category.test) == (4 if key == "good" else 2)


def test_photos_that_nobody_sorted_are_scored_and_not_called_defective(tmp_path):
    root = build_category(tmp_path / "bolt", test={"unlabelled": 3}, masks=False)
    category = open_dataset(root).category()
    assert len(category.test) == 3
    (told,) = find_problems(category)
    assert told.message.startswith("nobody says which of the test photos are good")


# ---------------------------------------------------------------- folders nobody may enter


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Folders that may not be listed or entered, also for root, who may everything."""
    locked: list[str] = []
    stat = os.stat

    def need(path: object) -> None:
        if any(str(path) == place or str(path).startswith(f"{place}/") for place in locked):
            raise PermissionError(13, "Permission denied")

    def guarded(call: Callable) -> Callable:
        def called(path=".", *args, **named):
            need(path)
            return call(path, *args, **named)

        return called

    def stat_of(path, *args, **named):
        if isinstance(path, (str, Path)):
            need(Path(path).parent)
        return stat(path, *args, **named)

    monkeypatch.setattr(os, "scandir", guarded(os.scandir))
    monkeypatch.setattr(os, "listdir", guarded(os.listdir))
    monkeypatch.setattr(os, "stat", stat_of)  # Path.is_dir and Path.is_file ask it
    return lambda path: locked.append(str(path))


@pytest.mark.parametrize(
    ("folder", "is_fatal"),
    [
        ("lost+found", False),
        ("bolt/lost+found", False),
        ("bolt/train/lost+found", False),
        ("bolt/test/crack", True),
        ("bolt/ground_truth/crack", True),
    ],
)
def test_an_unreadable_folder_is_told_and_blocks_no_other(folder, is_fatal, tmp_path, lock, capsys):
    root = tmp_path / "set"
    for name in ("bolt", "nut"):
        build_category(root / name)
    (root / folder).mkdir(exist_ok=True)
    lock(root / folder)
    if folder == "bolt/train/lost+found":  # said already: only train/good is learnt from
        is_fatal, words = False, f"{root / folder}: only train/good is learnt from"
    else:
        words = f"{root / folder}: it cannot be listed (Permission denied)"
    assert main(["check-data", "--data", str(root), "--quiet"]) == int(is_fatal)
    said = capsys.readouterr().out
    assert words in said
    assert "bolt: 3 good to learn from" in said
    assert "nut: 3 good to learn from; to test: 2 good, 3 defective" in said
    assert said.count(str(root / folder)) == 1


def test_unreadable_good_photos_are_named(tmp_path, lock):
    root = build_category(tmp_path / "bolt")
    dataset = open_dataset(root)
    lock(root / "train/good")
    with pytest.raises(CutSwapError, match=r"good: it cannot be listed \(Permission denied\)"):
        dataset.category()


def test_a_data_set_that_may_not_be_listed_is_refused(tmp_path, lock):
    lock(build_category(tmp_path / "bolt"))
    with pytest.raises(CutSwapError, match="a folder that can be listed, found Permission denied"):
        open_dataset(tmp_path / "bolt")
