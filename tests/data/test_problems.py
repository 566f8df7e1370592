from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cutswap.data.datasets import open_dataset
from cutswap.data.problems import KINDS, find_problems, usable
from cutswap.data.records import Category, Problem
from cutswap.errors import CutSwapError
from tests.helpers.datasets import (
    SIZE,
    blob_mask,
    build_category,
    build_visa,
    noise_photo,
    visa_rows,
)
from tests.helpers.datasets import write_image as write

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
GREY = np.full((*SIZE, 3), 90, np.uint8)


def load(root: Path) -> Category:
    return open_dataset(root).category()


def listed(category: Category, problems: tuple[Problem, ...]) -> list[tuple[str, str, bool]]:
    return [(p.path.relative_to(category.root).as_posix(), p.kind, p.fatal) for p in problems]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60])


def save_as(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.open(source).save(target)


def leave_one_training_photo(root: Path) -> None:
    (root / "train/good/001.png").unlink()
    (root / "train/good/002.png").unlink()


def drop_all(root: Path, *folders: str) -> None:
    for folder in folders:
        shutil.rmtree(root / folder)


ONE_PROBLEM = {  # what happens to a sound category -> what deep and shallow searches must list
    "nothing": (lambda _: None, [], []),
    "training photo truncated": (
        lambda r: truncate(r / "train/good/001.png"),
        [("train/good/001.png", "unreadable", True)],
        [],
    ),
    "test photo empty": (
        lambda r: (r / "test/dent/000.png").write_bytes(b""),
        [("test/dent/000.png", "unreadable", True)],
        [("test/dent/000.png", "unreadable", True)],
    ),
    "tiny photo": (
        lambda r: write(r / "test/good/000.png", noise_photo(0, (7, 9))),
        [("test/good/000.png", "unreadable", True)],
        [("test/good/000.png", "unreadable", True)],
    ),
    "constant training photo": (
        lambda r: write(r / "train/good/001.png", GREY),
        [("train/good/001.png", "constant", True)],
        [],
    ),
    "constant test photo": (
        lambda r: write(r / "test/crack/001.png", GREY),
        [("test/crack/001.png", "constant", False)],
        [],
    ),
    "mask missing": (
        lambda r: (r / "ground_truth/crack/001_mask.png").unlink(),
        [("test/crack/001.png", "no-mask", True)],
        [("test/crack/001.png", "no-mask", True)],
    ),
    "masks of one type missing": (
        lambda r: drop_all(r, "ground_truth/dent"),
        [("test/dent/000.png", "no-mask", True)],
        [("test/dent/000.png", "no-mask", True)],
    ),
    "no masks at all": (
        lambda r: drop_all(r, "ground_truth"),
        [("", "no-masks", False)],
        [("", "no-masks", False)],
    ),
    "mask truncated": (
        lambda r: (r / "ground_truth/dent/000_mask.png").write_bytes(b"\x89PNG\r\n\x1a\n"),
        [("ground_truth/dent/000_mask.png", "unreadable", True)],
        [("ground_truth/dent/000_mask.png", "unreadable", True)],
    ),
    "mask lying": (
        lambda r: write(r / "ground_truth/dent/000_mask.png", blob_mask(SIZE[::-1])),
        [("ground_truth/dent/000_mask.png", "mask-size", True)],
        [("ground_truth/dent/000_mask.png", "mask-size", True)],
    ),
    "mask empty": (
        lambda r: write(r / "ground_truth/dent/000_mask.png", blob_mask() & False),
        [("ground_truth/dent/000_mask.png", "empty-mask", True)],
        [],
    ),
    "mask without photo": (
        lambda r: write(r / "ground_truth/dent/007_mask.png", blob_mask()),
        [("ground_truth/dent/007_mask.png", "loose-mask", False)],
        [("ground_truth/dent/007_mask.png", "loose-mask", False)],
    ),
    "mask for a good photo": (
        lambda r: write(r / "ground_truth/good/000_mask.png", blob_mask()),
        [("ground_truth/good/000_mask.png", "good-mask", False)],
        [("ground_truth/good/000_mask.png", "good-mask", False)],
    ),
    "training photo again in test, saved otherwise": (
        lambda r: save_as(r / "train/good/002.png", r / "test/good/009.bmp"),
        [("test/good/009.bmp", "train-in-test", False)],
        [],
    ),
    "training photo twice": (  # a leak only counts between train and test
        lambda r: save_as(r / "train/good/002.png", r / "train/good/009.bmp"),
        [],
        [],
    ),
    "test photo twice": (
        lambda r: save_as(r / "test/good/000.png", r / "test/good/009.bmp"),
        [],
        [],
    ),
    "one picture as good and as defective": (
        lambda r: save_as(r / "test/good/000.png", r / "test/crack/001.png"),
        [("test/good/000.png", "twin", False)],
        [],
    ),
    "one picture as two defects, saved otherwise": (
        lambda r: save_as(r / "test/crack/000.png", r / "test/dent/000.png"),
        [("test/dent/000.png", "twin", False)],
        [],
    ),
    "a training photo as a defect": (
        lambda r: save_as(r / "train/good/000.png", r / "test/crack/000.png"),
        [("test/crack/000.png", "train-in-test", False)],
        [],
    ),
    "mask inverted": (
        lambda r: write(r / "ground_truth/dent/000_mask.png", ~blob_mask()),
        [("ground_truth/dent/000_mask.png", "mask-doubt", False)],
        [],
    ),
    "photos where none are looked for": (
        lambda r: write(r / "train/good/batch2/000.png", noise_photo(0)),
        [("train/good", "unused", False)],
        [("train/good", "unused", False)],
    ),
    "a list beside the photos": (
        lambda r: (r / "list.csv").write_text("a,b"),
        [("", "other-files", False)],
        [("", "other-files", False)],
    ),
    "a second folder of good photos": (
        lambda r: write(r / "test/OK/000.png", noise_photo(0)),
        [("test/OK", "means-good", True)],
        [("test/OK", "means-good", True)],
    ),
    "photos that nobody sorted": (
        lambda r: write(r / "test/unlabelled/000.png", noise_photo(0)),
        [("test/unlabelled", "means-unknown", True)],
        [("test/unlabelled", "means-unknown", True)],
    ),
    "good photos called ok": (
        lambda r: [(r / part / "good").rename(r / part / "ok") for part in ("train", "test")],
        [("train/ok", "read-as-good", False)],
        [("train/ok", "read-as-good", False)],
    ),
    "another size": (
        lambda r: write(r / "train/good/001.png", noise_photo(0, (20, 10))),
        [("", "mixed-sizes", False)],
        [("", "mixed-sizes", False)],
    ),
    "names differing by suffix": (
        lambda r: write(r / "train/good/001.webp", noise_photo(0)),
        [("train/good/001.webp", "same-name", True)],
        [("train/good/001.webp", "same-name", True)],
    ),
    "one training photo": (
        leave_one_training_photo,
        [("", "few-good", False)],
        [("", "few-good", False)],
    ),
    "no good test photos": (
        lambda r: drop_all(r, "test/good"),
        [("", "one-sided-test", False)],
        [("", "one-sided-test", False)],
    ),
    "no defective test photos": (
        lambda r: drop_all(r, "test/crack", "test/dent", "ground_truth"),
        [("", "one-sided-test", False)],
        [("", "one-sided-test", False)],
    ),
    "no test photos": (lambda r: drop_all(r, "test", "ground_truth"), [], []),
    "a folder of defects to train on": (
        lambda r: write(r / "train/bad/000.png", noise_photo(0)),
        [("train/bad", "not-trained-on", False)],
        [("train/bad", "not-trained-on", False)],
    ),
}


@pytest.mark.parametrize("case", ONE_PROBLEM)
def test_each_problem_is_found_and_nothing_else(case, tmp_path):
    spoil, deep, shallow = ONE_PROBLEM[case]
    root = build_category(tmp_path / "bolt")
    spoil(root)
    category = load(root)
    root_is_dot = [(path or ".", kind, fatal) for path, kind, fatal in deep]
    assert listed(category, find_problems(category)) == root_is_dot
    root_is_dot = [(path or ".", kind, fatal) for path, kind, fatal in shallow]
    assert listed(category, find_problems(category, deep=False)) == root_is_dot


def test_all_problems_are_listed_at_once_fatal_first(tmp_path):
    root = build_category(tmp_path / "bolt", train=4)
    truncate(root / "train/good/001.png")
    write(root / "train/good/002.png", GREY)
    save_as(root / "train/good/000.png", root / "test/good/008.bmp")
    truncate(root / "test/crack/000.png")
    (root / "ground_truth/crack/001_mask.png").unlink()
    write(root / "ground_truth/dent/000_mask.png", blob_mask((30, 40)) & False)
    write(root / "ground_truth/good/000.png", blob_mask())
    (root / "test/good/009.png").symlink_to(root / "nowhere.png")
    category = load(root)
    problems = find_problems(category)
    assert listed(category, problems) == [
        ("train/good/001.png", "unreadable", True),
        ("train/good/002.png", "constant", True),
        ("test/crack/000.png", "unreadable", True),
        ("test/crack/001.png", "no-mask", True),
        ("ground_truth/dent/000_mask.png", "mask-size", True),
        ("ground_truth/dent/000_mask.png", "empty-mask", True),
        ("test/good/009.png", "broken-link", False),
        ("ground_truth/good/000.png", "good-mask", False),
        ("test/good/008.bmp", "train-in-test", False),
    ]
    assert {p.kind for p in problems} <= set(KINDS)
    by_kind = {p.kind: p.message for p in problems}
    assert "truncated" in by_kind["unreadable"]
    assert by_kind["mask-size"] == "30 x 40 where the photo has 12 x 16 (height x width)"
    assert by_kind["train-in-test"] == "the same picture as train/good/000"
    left, left_out = usable(category, problems, skip_bad=True)
    assert [r.name for r in left.train] == ["train/good/000", "train/good/003"]
    assert [r.name for r in left.test] == ["test/good/000", "test/good/001", "test/good/008"]
    assert left_out == problems[:6]
    assert not [p for p in find_problems(left) if p.fatal and p.kind != "same-name"]


def test_every_kind_has_an_explanation_and_a_case():
    made = {kind for _, deep, _ in ONE_PROBLEM.values() for _, kind, _ in deep}
    elsewhere = {"no-good", "outside-link", "broken-link", "odd-name", "unreadable-folder"}
    elsewhere |= {"no-category", "unread"}  # of a data set
    elsewhere |= {"unused-bits", "no-folder", "region"}  # of deep pictures; of settings
    assert made | elsewhere == set(KINDS)
    assert all(KINDS.values())


def test_a_name_that_is_no_text_is_told_and_not_read(tmp_path):
    root = build_category(tmp_path / "bolt")
    odd = Path(os.fsdecode(os.fsencode(root / "train/good") + b"/\xff.png"))
    (root / "train/good/000.png").rename(odd)
    category = open_dataset(root).category()
    assert [r.name for r in category.train] == ["train/good/001", "train/good/002"]
    (problem,) = [p for p in find_problems(category) if p.kind == "odd-name"]
    assert problem.path.name == "\\udcff.png"


def test_masks_of_lying_photos_are_compared_upright(tmp_path):
    root = build_category(tmp_path / "bolt")
    exif = Image.Exif()
    exif[274] = 6
    photo = root / "test/crack/000.jpg"
    (root / "test/crack/000.png").unlink()
    Image.fromarray(noise_photo(1, SIZE[::-1])).save(photo, exif=exif)
    category = load(root)
    assert find_problems(category) == find_problems(category, deep=False) == ()


def test_a_photo_of_the_same_pixels_in_another_shape_is_another(tmp_path):
    root = build_category(tmp_path / "bolt")
    write(root / "test/good/007.png", noise_photo(1).reshape(16, 12, 3))
    write(root / "train/good/007.png", noise_photo(1))
    assert [p.kind for p in find_problems(load(root))] == ["mixed-sizes"]


def test_sizes_are_counted_most_common_first(tmp_path):
    root = build_category(tmp_path / "bolt")
    for i, size in enumerate([(9, 8), (10, 8), (11, 8), (9, 8)]):
        write(root / f"test/good/01{i}.png", noise_photo(i, size))
    (problem,) = find_problems(load(root))
    assert problem.message == "4 sizes (height x width): 12 x 16 (8), 9 x 8 (2), 10 x 8 (1), ..."


def test_visa_is_searched_alike(tmp_path):
    rows = visa_rows()
    rows[-1]["mask"] = ""
    build_visa(tmp_path, rows)
    (tmp_path / rows[0]["image"]).write_bytes(b"not a photo")
    category = load(tmp_path)
    assert [(p.path.name, p.kind) for p in find_problems(category)] == [
        ("0000.JPG", "unreadable"),
        ("001.JPG", "no-mask"),
    ]


def test_progress_counts_every_photo_and_may_stop_the_search(tmp_path):
    category = load(build_category(tmp_path / "bolt"))
    calls = []
    find_problems(category, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(i, 8) for i in range(1, 9)]

    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_problems(category, progress=stop)


# ---------------------------------------------------------------- what is left


def test_a_sound_category_passes_unchanged(tmp_path):
    category = load(build_category(tmp_path / "bolt"))
    for skip_bad in (False, True):
        assert usable(category, find_problems(category), skip_bad) == (category, ())


def test_warnings_cost_nothing(tmp_path):
    root = build_category(tmp_path / "bolt", masks=False)
    write(root / "test/good/000.png", GREY)
    category = load(root)
    problems = find_problems(category)
    assert [p.kind for p in problems] == ["constant", "no-masks"]
    assert usable(category, problems, skip_bad=False) == (category, ())


def test_refuses_bad_files_with_a_count_the_first_few_and_the_way_out(tmp_path):
    root = build_category(tmp_path / "bolt", train=9)
    truncate(root / "train/good/004.png")
    category = load(root)
    with pytest.raises(CutSwapError, match=r"1 problem: train/good/004.png: ") as caught:
        usable(category, find_problems(category), skip_bad=False)
    assert " more" not in str(caught.value)
    for i in range(5):
        truncate(root / f"train/good/00{i}.png")
    with pytest.raises(
        CutSwapError, match=r"5 problems: train/good/000.png: .*; and 2 more"
    ) as caught:
        usable(category, find_problems(category), skip_bad=False)
    assert "train/good/003.png" not in str(caught.value)
    assert "run check-data" in caught.value.fix
    assert "--skip-bad" in caught.value.fix


@pytest.mark.parametrize("skip_bad", [False, True])
def test_refuses_when_nothing_good_is_left(skip_bad, tmp_path):
    root = build_category(tmp_path / "bolt", train=2)
    for i in range(2):
        truncate(root / f"train/good/00{i}.png")
    category = load(root)
    problems = find_problems(category)
    assert [p.kind for p in problems] == ["unreadable", "unreadable", "no-good"]
    with pytest.raises(CutSwapError, match="none among 2: train/good/000.png"):
        usable(category, problems, skip_bad)


def test_a_bad_mask_costs_its_photo_and_no_other(tmp_path):
    root = build_category(tmp_path / "bolt")
    write(root / "ground_truth/crack/000_mask.png", blob_mask() & False)
    category = load(root)
    left, left_out = usable(category, find_problems(category), skip_bad=True)
    assert left.train == category.train
    assert left.test == category.test[1:]
    assert [p.path.name for p in left_out] == ["000_mask.png"]


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the real data is not in ../shared")
def test_the_real_transistor_is_sound():
    category = open_dataset(SHARED).category("transistor")
    assert find_problems(category) == ()
