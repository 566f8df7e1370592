"""What lies in a folder and is not used is told, with what would make it used."""

from __future__ import annotations

from pathlib import Path

import pytest

from cutswap.data import unused
from cutswap.data.datasets import open_dataset
from cutswap.data.unused import unused_beside, unused_in
from tests.helpers.datasets import (
    blob_mask,
    build_category,
    build_visa,
    noise_photo,
    visa_rows,
    write_image,
)
from tests.helpers.public_layouts import write_photos


def said(root: Path) -> dict[str, str]:
    category = open_dataset(root).category()
    return {p.path.relative_to(category.root).as_posix(): p.message for p in unused_in(category)}


MASKS = (
    "masks are ground_truth/<type>/NAME_mask.png or NAME.png for the photo test/<type>/NAME, or"
    " ground_truth/<type>/NAME/*.png where it has several"
)
LYING = {  # a photo's place -> the part that is named, and what to do
    "train/good/batch2/7.png": (
        "train/good",
        "only photos directly in train/good are learnt from; move them there",
    ),
    "train/7.png": ("train", "only photos directly in train/good are learnt from; move them there"),
    "test/crack/deep/deeper/7.png": (
        "test/crack",
        "test photos lie directly in a folder for each type; move them into test/crack",
    ),
    "test/7.png": (
        "test",
        "test photos lie directly in a folder for each type; move them into test/good or"
        " test/<type of defect>",
    ),
    "test_public/good/7.png": (
        "test_public/good",
        "only test is scored; to score these too, sort them into test/good and"
        " test/<type of defect>",
    ),
    "Validation/7.png": (
        "Validation",
        "move them into train/good to learn from them too, or into test/good to test on them",
    ),
    "masks/crack/7.png": (
        "masks/crack",
        f"if these are masks, call the folder ground_truth. {MASKS}",
    ),
    "ground_truth/7.png": ("ground_truth", MASKS),
    "ground_truth/crack/7/7.png": ("ground_truth/crack", MASKS),
    "7.png": (".", "move them into train/good, test/good or test/<type of defect>"),
    "new/7.png": ("new", "move them into train/good, test/good or test/<type of defect>"),
}


@pytest.mark.parametrize("place", LYING)
def test_photos_that_lie_elsewhere_are_told(place, tmp_path):
    root = build_category(tmp_path / "bolt")
    write_image(root / place, noise_photo(7))
    part, advice = LYING[place]
    assert said(root) == {part: f"1 photo not used: {advice}"}


def test_what_is_used_or_told_already_is_not_told(tmp_path):
    root = build_category(tmp_path / "bolt")
    write_image(root / "ground_truth/crack/7_mask.png", blob_mask())  # a loose mask
    write_image(root / "train/bad/0.png", noise_photo(7))
    write_image(root / "train/good/000.webp", noise_photo(8))  # the same name twice
    (root / "pool").mkdir()
    (root / "train/good/001.png").rename(root / "pool/1.png")
    (root / "train/good/001.png").symlink_to(root / "pool/1.png")
    (root / ".trash").mkdir()
    write_image(root / ".trash/0.png", noise_photo(9))
    for name in ("license.txt", "README.md", "Thumbs.db"):
        (root / name).write_text("x")
    assert said(root) == {}


def test_a_linked_folder_of_photos_is_used(tmp_path):
    root = build_category(tmp_path / "bolt")
    (root / "train/good").rename(root / "pool")
    (root / "train/good").symlink_to(root / "pool")
    assert said(root) == {}


def test_photos_are_counted_a_line_a_part(tmp_path):
    root = build_category(tmp_path / "bolt")
    for batch in range(4):
        write_photos(root / f"train/good/batch{batch}", 3, 100)
    (message,) = said(root).values()
    assert message.startswith("12 photos in 4 folders below not used: ")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a.csv"], "other files, not read: a.csv"),
        (["a.csv", "b.csv", "c.json"], "other files, not read: 2 such as ?.csv, c.json"),
        (["a.gif"], "other files, not read: a.gif; photos must be .png, .jpg, "),
        (["a.HEIC", "b.txt"], "other files, not read: a.HEIC, b.txt; photos must be .png, .jpg, "),
        (["noext"], "other files, not read: noext"),
    ],
)
def test_files_that_are_no_photos_are_told_by_suffix(names, words, tmp_path):
    root = build_category(tmp_path / "bolt")
    for name in names:
        (root / "test" / name).write_text("x")
    (message,) = said(root).values()
    for part in words.split("?"):
        assert part in message


def test_a_flat_folder_says_that_all_is_good_and_what_lies_deeper(tmp_path):
    write_photos(tmp_path / "set", 3, 0)
    write_photos(tmp_path / "set/more", 2, 10)
    (tmp_path / "set/labels.csv").write_text("0,ok")
    assert said(tmp_path / "set") == {
        "more": "2 photos not used: only photos directly in set are; move them, or pass that"
        " folder",
        ".": "other files, not read: labels.csv; all photos here count as good. If a list says"
        " which are defective, sort them into train/good, test/good and test/<type of defect>",
    }


def test_photos_that_visas_list_lacks(tmp_path):
    rows = visa_rows()
    build_visa(tmp_path, rows)
    write_image(tmp_path / "candle/Data/Images/Normal/9999.JPG", noise_photo(9))
    assert said(tmp_path) == {
        "Data/Images": "1 photo not used: split_csv/1cls.csv does not list them; add a row for each"
    }


def test_what_lies_beside_the_categories(tmp_path):
    root = tmp_path / "set"
    build_category(root / "bolt")
    build_category(root / "nut", train=0)  # no train at all
    write_photos(root / "pool/raw", 3, 0)
    write_image(root / "0.png", noise_photo(0))
    (root / "empty").mkdir()
    (root / "list.csv").write_text("x")
    found = unused_beside(open_dataset(root))
    assert [(p.path.relative_to(root).as_posix(), p.kind, p.fatal) for p in found] == [
        (".", "unused", False),
        ("empty", "no-category", False),
        ("nut", "no-category", True),
        ("pool", "no-category", False),
        (".", "other-files", False),
    ]
    assert [p.message for p in found][2] == (
        "no category, for it has no train/good; 8 photos in it"
    )


def test_a_folder_that_visas_list_lacks_is_no_category(tmp_path):
    build_visa(tmp_path, visa_rows())
    write_photos(tmp_path / "pcb9/Data/Images/Normal", 2, 0)
    (found,) = unused_beside(open_dataset(tmp_path))
    assert found.message == (
        "no category, for split_csv/1cls.csv has no row for it; 2 photos in it"
    )


def test_a_look_that_ends_early_says_so(tmp_path, monkeypatch):
    root = build_category(tmp_path / "bolt")
    write_photos(root / "a/b/c", 3, 0)
    monkeypatch.setattr(unused, "MOST_ENTRIES", 3)
    assert "3 other files and folders come before it" in " ".join(said(root).values())
