from __future__ import annotations

import csv
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutswap.data import datasets
from cutswap.data.datasets import Dataset, open_dataset
from cutswap.data.records import Category, Record, natural_order
from cutswap.data.visa_split import VisaRow, parse_visa_split
from cutswap.errors import CutSwapError
from tests.helpers.datasets import (
    blob_mask,
    build_category,
    build_visa,
    noise_photo,
    visa_rows,
    write_image,
    write_visa_split,
)

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the real data is not in ../shared")


def names(records: tuple[Record, ...]) -> list[str]:
    return [r.name for r in records]


def kinds(category: Category) -> list[tuple[str, str]]:
    return [(p.path.relative_to(category.root).as_posix(), p.kind) for p in category.noticed]


# ---------------------------------------------------------------- order


@pytest.mark.parametrize(
    ("mixed", "ordered"),
    [
        ([], []),
        (["10", "9", "1"], ["1", "9", "10"]),
        (["a10b", "a9b", "a9a"], ["a9a", "a9b", "a10b"]),
        (["B", "a", "C"], ["a", "B", "C"]),
        (["a", "A"], ["A", "a"]),
        (["1", "01", "001"], ["001", "01", "1"]),
        (["x", "1", ""], ["", "1", "x"]),
    ],
)
def test_natural_order(mixed, ordered):
    assert natural_order(mixed) == ordered


@given(st.permutations(["0", "00", "a1", "A1", "a01", "a", "7b", "b7", "٣", "-1", "10a", "9a9"]))
def test_order_does_not_depend_on_the_order_of_listing(mixed):
    assert natural_order(mixed) == natural_order(sorted(mixed))


# ---------------------------------------------------------------- layouts


def test_mvtec_layout(tmp_path):
    for name in ("screw10", "screw9"):
        build_category(tmp_path / name)
    (tmp_path / "notes").mkdir()  # a folder that is no category
    (tmp_path / "license.txt").write_text("free")
    dataset = open_dataset(tmp_path)
    assert dataset == Dataset(tmp_path, "mvtec", ("screw9", "screw10"))
    category = dataset.category("screw10")
    root = tmp_path / "screw10"
    assert (category.name, category.root, category.has_masks) == ("screw10", root, True)
    assert names(category.train) == ["train/good/000", "train/good/001", "train/good/002"]
    assert category.test == (
        Record(
            root / "test/crack/000.png", "test", "crack", root / "ground_truth/crack/000_mask.png"
        ),
        Record(
            root / "test/crack/001.png", "test", "crack", root / "ground_truth/crack/001_mask.png"
        ),
        Record(root / "test/dent/000.png", "test", "dent", root / "ground_truth/dent/000_mask.png"),
        Record(root / "test/good/000.png", "test", "good"),
        Record(root / "test/good/001.png", "test", "good"),
    )
    assert [r.is_good for r in category.test] == [False, False, False, True, True]
    assert category.defects == ("crack", "dent")
    assert category.noticed == ()


def test_one_category_folder_is_named_after_itself(tmp_path):
    dataset = open_dataset(build_category(tmp_path / "bolt", masks=False))
    assert (dataset.layout, dataset.categories) == ("category", ("bolt",))
    category = dataset.category()
    assert category == dataset.category("bolt")
    assert category.root == tmp_path / "bolt"
    assert not category.has_masks
    assert len(category.train) == 3
    assert len(category.test) == 5


def test_category_without_test_photos(tmp_path):
    category = open_dataset(build_category(tmp_path / "bolt", test={})).category()
    assert (len(category.train), category.test, category.defects) == (3, (), ())


def test_folder_of_photos(tmp_path):
    for i in (10, 9):
        write_image(tmp_path / f"{i}.PNG", noise_photo(i))
    write_image(tmp_path / ".hidden.png", noise_photo(0))
    write_image(tmp_path / "deeper" / "3.png", noise_photo(3))
    write_image(tmp_path / ".hidden" / "train" / "good" / "3.png", noise_photo(3))
    (tmp_path / "list.csv").write_text("9,10")
    (tmp_path / "folder.png").mkdir()
    dataset = open_dataset(tmp_path)
    assert (dataset.layout, dataset.categories) == ("images", (tmp_path.name,))
    category = dataset.category()
    assert category.train == tuple(
        Record(tmp_path / name, "train", "good") for name in ("9.PNG", "10.PNG")
    )
    assert category.test == ()


def test_suffixes_count_in_any_case_and_the_rest_is_ignored(tmp_path):
    root = build_category(tmp_path / "bolt", test={"good": 1})
    for name in ("a.JPG", "b.jpeg", "c.Bmp", "d.TIF", "e.tiff", "f.WebP"):
        write_image(root / "train/good" / name, noise_photo(1))
    for name in ("Thumbs.db", "._a.jpg", ".DS_Store", "readme.txt", "g.gif"):
        (root / "train/good" / name).write_text("x")
    found = [r.image.name for r in open_dataset(root).category().train]
    assert found == [
        *("000.png", "001.png", "002.png"),
        *("a.JPG", "b.jpeg", "c.Bmp", "d.TIF", "e.tiff", "f.WebP"),
    ]


def test_relative_and_home_paths_are_understood(tmp_path, monkeypatch):
    build_category(tmp_path / "bolt")
    monkeypatch.chdir(tmp_path / "bolt" / "test")
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in (Path(".."), Path("~/bolt"), "../../bolt", "../test/.."):
        dataset = open_dataset(path)
        assert dataset.categories == ("bolt",), path
        assert dataset.root.is_absolute()


# ---------------------------------------------------------------- masks


@pytest.mark.parametrize(
    ("photo", "masks", "used", "noticed"),
    [
        ("000.png", [], None, []),
        ("000.png", ["000_mask.png"], "000_mask.png", []),
        ("000.png", ["000.png"], "000.png", []),
        ("000.JPG", ["000.png"], "000.png", []),
        ("000.jpg", ["000.BMP"], "000.BMP", []),
        ("000.jpg", ["000_mask.tif"], "000_mask.tif", []),
        ("000.png", ["000.png", "000_mask.png"], "000_mask.png", ["000.png"]),
        ("000.png", ["001_mask.png"], None, ["001_mask.png"]),  # pairs by stem, not by order
        ("000.png", ["0000.png", "00.png"], None, ["00.png", "0000.png"]),
        ("a_mask.png", ["a_mask.png"], "a_mask.png", []),
        ("000.png", ["000.txt"], None, []),
    ],
)
def test_masks_pair_by_stem(photo, masks, used, noticed, tmp_path):
    root = build_category(tmp_path / "bolt", test={"good": 1})
    write_image(root / "test/crack" / photo, noise_photo(1))
    (root / "ground_truth/crack").mkdir(parents=True)
    for name in masks:
        if name.endswith(".txt"):
            (root / "ground_truth/crack" / name).write_text("x")
        else:
            write_image(root / "ground_truth/crack" / name, blob_mask())
    category = open_dataset(root).category()
    expected = root / "ground_truth/crack" / used if used else None
    assert category.test[0] == Record(root / "test/crack" / photo, "test", "crack", expected)
    assert category.has_masks
    assert kinds(category) == [(f"ground_truth/crack/{name}", "loose-mask") for name in noticed]


def test_masks_of_good_and_of_absent_types_are_noticed(tmp_path):
    root = build_category(tmp_path / "bolt")
    write_image(root / "ground_truth/good/000.png", blob_mask())
    write_image(root / "ground_truth/scratch/000_mask.png", blob_mask())
    (root / "train/bad").mkdir()
    category = open_dataset(root).category()
    assert kinds(category) == [
        ("train/bad", "not-trained-on"),
        ("ground_truth/good/000.png", "good-mask"),
        ("ground_truth/scratch/000_mask.png", "loose-mask"),
    ]
    assert all(r.mask is None for r in category.test if r.is_good)
    assert not any(p.fatal for p in category.noticed)


def test_same_stem_twice_keeps_the_first_and_names_stay_unique(tmp_path):
    root = build_category(tmp_path / "bolt")
    write_image(root / "test/crack/000.bmp", noise_photo(7))
    write_image(root / "train/good/001.webp", noise_photo(8))
    category = open_dataset(root).category()
    assert kinds(category) == [
        ("train/good/001.webp", "same-name"),
        ("test/crack/000.png", "same-name"),
    ]
    assert all(p.fatal for p in category.noticed)
    kept = {r.name: r.image.name for r in category.train + category.test}
    assert len(kept) == len(category.train + category.test) == 8
    assert (kept["train/good/001"], kept["test/crack/000"]) == ("001.png", "000.bmp")


# ---------------------------------------------------------------- links


def test_links_inside_are_followed_and_links_outside_are_not(tmp_path):
    outside = build_category(tmp_path / "outside", masks=False)
    root = build_category(tmp_path / "set" / "bolt")
    good = root / "train" / "good"
    (good / "003.png").symlink_to(good / "000.png")  # inside
    (good / "004.png").symlink_to(outside / "train/good/000.png")
    (good / "005.png").symlink_to(good / "nothing.png")
    (good / "006.png").symlink_to(good / "006.png")  # to itself
    (root / "test" / "hole").symlink_to(outside / "test" / "crack")
    (root / "ground_truth" / "good").symlink_to(outside / "test" / "good")
    category = open_dataset(root).category()
    assert [r.image.name for r in category.train] == ["000.png", "001.png", "002.png", "003.png"]
    assert category.defects == ("crack", "dent")
    assert sorted(kinds(category)) == [
        ("ground_truth/good", "outside-link"),
        ("test/hole", "outside-link"),
        ("train/good/004.png", "outside-link"),
        ("train/good/005.png", "broken-link"),
        ("train/good/006.png", "broken-link"),
    ]


def test_a_linked_category_is_left_out_and_said(tmp_path):
    build_category(tmp_path / "set" / "bolt")
    build_category(tmp_path / "nut")
    (tmp_path / "set" / "nut").symlink_to(tmp_path / "nut")
    dataset = open_dataset(tmp_path / "set")
    assert dataset.categories == ("bolt",)
    assert [(p.path.name, p.kind) for p in dataset.noticed] == [("nut", "outside-link")]


def test_the_data_set_itself_may_be_a_link(tmp_path):
    build_category(tmp_path / "set" / "bolt")
    (tmp_path / "link").symlink_to(tmp_path / "set")
    category = open_dataset(tmp_path / "link").category()
    assert (len(category.train), category.noticed) == (3, ())


def test_a_neighbour_with_the_same_beginning_is_outside(tmp_path):
    root = build_category(tmp_path / "bolt")
    write_image(tmp_path / "bolt2" / "000.png", noise_photo(1))
    (root / "train/good/009.png").symlink_to(tmp_path / "bolt2" / "000.png")
    assert kinds(open_dataset(root).category()) == [("train/good/009.png", "outside-link")]


# ---------------------------------------------------------------- VisA


def test_visa_layout(tmp_path):
    rows = visa_rows("pcb1") + visa_rows("candle", train=11) + visa_rows("absent")
    build_visa(tmp_path, rows)
    shutil.rmtree(tmp_path / "absent")  # only some categories unpacked
    dataset = open_dataset(tmp_path)
    assert (dataset.layout, dataset.categories) == ("visa", ("candle", "pcb1"))
    category = dataset.category("candle")
    photos = tmp_path / "candle/Data/Images"
    assert names(category.train) == [f"train/good/{i:04d}" for i in range(11)]
    assert category.test == (
        Record(
            photos / "Anomaly/000.JPG",
            "test",
            "bad",
            tmp_path / "candle/Data/Masks/Anomaly/000.png",
        ),
        Record(
            photos / "Anomaly/001.JPG",
            "test",
            "bad",
            tmp_path / "candle/Data/Masks/Anomaly/001.png",
        ),
        Record(photos / "Normal/0011.JPG", "test", "good"),
        Record(photos / "Normal/0012.JPG", "test", "good"),
    )
    assert category.root == tmp_path / "candle"
    assert (category.has_masks, category.noticed) == (True, ())


def test_converted_visa_gives_the_same_names(tmp_path):
    rows = visa_rows()
    build_visa(tmp_path / "raw", rows)
    for row in rows:
        label = {"normal": "good", "anomaly": "bad"}[row["label"]]
        target = tmp_path / "done/candle" / row["split"] / label / Path(row["image"]).name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / "raw" / row["image"], target)
        if row["mask"]:
            target = tmp_path / "done/candle/ground_truth/bad" / Path(row["mask"]).name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(tmp_path / "raw" / row["mask"], target)
    raw = open_dataset(tmp_path / "raw").category()
    done = open_dataset(tmp_path / "done").category()
    assert open_dataset(tmp_path / "done").layout == "mvtec"
    assert names(raw.train + raw.test) == names(done.train + done.test)
    for one, other in zip(raw.test, done.test, strict=True):
        assert (one.mask and one.mask.name) == (other.mask and other.mask.name)


def test_visa_rows_that_are_odd_but_harmless(tmp_path):
    rows = visa_rows()
    rows[3]["mask"] = "candle/Data/Masks/Normal/0003.png"  # of a good photo
    rows[5]["mask"] = ""
    build_visa(tmp_path, rows)
    outside = write_image(tmp_path.parent / f"{tmp_path.name}-outside.png", noise_photo(1))
    (tmp_path / rows[0]["image"]).unlink()
    (tmp_path / rows[0]["image"]).symlink_to(outside)
    (tmp_path / rows[6]["mask"]).unlink()
    (tmp_path / rows[6]["mask"]).symlink_to(outside)
    category = open_dataset(tmp_path).category()
    assert names(category.train) == ["train/good/0001", "train/good/0002"]
    assert [r.mask for r in category.test] == [None] * 4
    assert sorted(kind for _, kind in kinds(category)) == [
        "good-mask",
        "outside-link",
        "outside-link",
    ]


def test_visa_without_masks(tmp_path):
    build_visa(tmp_path, [row | {"mask": ""} for row in visa_rows()])
    assert not open_dataset(tmp_path).category().has_masks


def test_visa_rows_of_missing_files_are_counted(tmp_path):
    rows = visa_rows()
    build_visa(tmp_path, rows)
    for path in (rows[1]["image"], rows[5]["mask"]):
        (tmp_path / path).unlink()
    with pytest.raises(CutSwapError, match=r"1cls.csv, line 3: .*2 missing.*Normal/0001.JPG"):
        open_dataset(tmp_path).category("candle")


GOOD_LINE = "candle,train,normal,candle/Data/Images/Normal/0.JPG,"
BAD_LINE = "candle,test,anomaly,candle/1.JPG,"
HEADER = "object,split,label,image,mask"
WRONG_SPLITS = {  # text of the file -> words of the refusal
    "empty": ("", "the columns object,split,label,image,mask"),
    "header only": (HEADER, "a header only"),
    "a column missing": ("object,split,label,image\na,train,normal,b", "no mask"),
    "too few values": (f"{HEADER}\n{GOOD_LINE}\ncandle,train", "line 3: expected 5 values"),
    "too many values": (f"{HEADER}\n{GOOD_LINE},,", "line 2: expected 5 values"),
    "unknown split": (f"{HEADER}\ncandle,val,normal,a.JPG,", "split train or test, found 'val'"),
    "unknown label": (f"{HEADER}\ncandle,test,odd,a.JPG,", "label normal or anomaly"),
    "defect to train on": (f"{HEADER}\ncandle,train,anomaly,a.JPG,", "only normal photos"),
    "no object": (f"{HEADER}\n,train,normal,a.JPG,", "an object that is a folder's name"),
    "object leads out": (f"{HEADER}\n../b,train,normal,a.JPG,", "an object that is a folder"),
    "object of two folders": (f"{HEADER}\na/b,train,normal,a.JPG,", "an object that is a folder"),
    "hidden object": (f"{HEADER}\n..,train,normal,a.JPG,", "an object that is a folder"),
    "no image": (f"{HEADER}\ncandle,train,normal,,", "a path inside the data set"),
    "image leads out": (f"{HEADER}\ncandle,train,normal,candle/../../a.JPG,", "a path inside"),
    "image is absolute": (f"{HEADER}\ncandle,train,normal,/etc/a.JPG,", "a path inside"),
    "image on a drive": (f"{HEADER}\ncandle,train,normal,C:/a.JPG,", "a path inside"),
    "image with backslashes": (f"{HEADER}\ncandle,train,normal,..\\a.JPG,", "a path inside"),
    "mask leads out": (f"{HEADER}\n{BAD_LINE}../m.png", "line 2: expected a path inside"),
    "twice": (
        f"{HEADER}\n{GOOD_LINE}\n{BAD_LINE}\n{GOOD_LINE}",
        "line 4: expected each photo once",
    ),
    "an open quote": (f'{HEADER}\ncandle,"train', "a readable CSV file"),
    "another encoding": (f"{HEADER}\n{GOOD_LINE}\nk\xe4se".encode("latin-1"), "a readable CSV"),
}


@pytest.mark.parametrize("case", WRONG_SPLITS)
def test_wrong_split_files_are_refused_by_line(case, tmp_path):
    content, words = WRONG_SPLITS[case]
    path = write_visa_split(tmp_path, [])
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CutSwapError, match="1cls.csv") as caught:
        parse_visa_split(path)
    assert words in str(caught.value)
    with pytest.raises(CutSwapError, match="1cls.csv"):
        open_dataset(tmp_path)


def test_split_file_with_mark_spaces_and_another_order_of_columns(tmp_path):
    path = tmp_path / "split.csv"
    path.write_text(
        "\ufeffmask,image,label,split,object,more\r\n m.png , a.JPG,anomaly,test,nut,7\r\n",
        encoding="utf-8",
    )
    (row,) = parse_visa_split(path)
    assert (row.line, row.category, row.split, row.is_good) == (2, "nut", "test", False)
    assert (row.image.as_posix(), row.mask and row.mask.as_posix()) == ("a.JPG", "m.png")


@needs_shared
@pytest.mark.shared
def test_the_published_split_has_the_published_counts():
    rows = parse_visa_split(SHARED / "visa_split" / "1cls.csv")

    def count(wanted: list[VisaRow]) -> tuple[int, int, int]:
        found = Counter((r.split, r.is_good) for r in wanted)
        return found["train", True], found["test", True], found["test", False]

    assert count(list(rows)) == (8659, 962, 1200)
    assert len({r.category for r in rows}) == 12
    assert count([r for r in rows if r.category == "capsules"]) == (542, 60, 100)
    assert all((r.mask is None) == r.is_good for r in rows)


@needs_shared
@pytest.mark.shared
def test_a_tree_of_published_rows_is_read(tmp_path):
    with (SHARED / "visa_split" / "1cls.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["object"] in ("cashew", "pcb3")]
    some = rows[::40]
    build_visa(tmp_path, some)
    dataset = open_dataset(tmp_path)
    assert dataset.categories == ("cashew", "pcb3")
    for name in dataset.categories:
        category = dataset.category(name)
        wanted = [row for row in some if row["object"] == name]
        paths = {r.image for r in category.train + category.test}
        assert paths == {tmp_path / row["image"] for row in wanted}
        assert len(category.train) == sum(row["split"] == "train" for row in wanted)
        assert {r.mask for r in category.test if not r.is_good} == {
            tmp_path / row["mask"] for row in wanted if row["mask"]
        }


@needs_shared
@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "train", "good", "defective", "types"),
    [("transistor", 50, 2, 8, 4), ("magnetic_tile", 240, 60, 119, 5)],
)
def test_real_categories_are_complete(name, train, good, defective, types):
    category = open_dataset(SHARED).category(name)
    assert len(category.train) == train
    assert sum(r.is_good for r in category.test) == good
    assert sum(r.mask is not None for r in category.test) == defective
    assert len(category.defects) == types
    assert category.noticed == ()
    every = names(category.train + category.test)
    assert len(set(every)) == len(every)
    assert open_dataset(SHARED / name).category().test == category.test


# ---------------------------------------------------------------- refusals


def test_the_right_category_must_be_named(tmp_path):
    for name in ("bolt", "nut"):
        build_category(tmp_path / name)
    dataset = open_dataset(tmp_path)
    for wrong in (None, "screw", "", "../nut", "Bolt"):
        with pytest.raises(CutSwapError, match="one of bolt, nut"):
            dataset.category(wrong)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda _: None, ["no such folder"]),
        (lambda p: p.write_text("x"), ["a file"]),
        (lambda p: p.mkdir(), ["neither folders nor images", "FOLDER/split_csv/1cls.csv"]),
        (lambda p: (p / "odd" / "deep").mkdir(parents=True), ["found odd", "FOLDER/*.png"]),
        (lambda p: build_category(p / "up" / "bolt"), ["/set/up"]),
        (lambda p: build_visa(p / "up", visa_rows()), ["/set/up"]),
        (lambda p: (p / "pcb1/Data/Images/Normal").mkdir(parents=True), ["add VisA's split_csv"]),
        (lambda p: write_visa_split(p, visa_rows()), ["found split_csv"]),
    ],
)
def test_what_is_no_data_set_is_refused(make, words, tmp_path):
    make(tmp_path / "set")
    with pytest.raises(CutSwapError, match="set: ") as caught:
        open_dataset(tmp_path / "set")
    for part in words:
        assert part in str(caught.value)


def test_a_folder_inside_a_category_points_to_it(tmp_path):
    root = build_category(tmp_path / "bolt")
    with pytest.raises(CutSwapError, match=f"pass {root};"):
        open_dataset(root / "test")


def test_paths_no_system_knows_are_refused():
    for path in ("~nobody-has-this-name/x", "n" * 5000, "nul\0"):
        with pytest.raises(CutSwapError, match="the folder of a data set"):
            open_dataset(Path(path))


@pytest.mark.parametrize("spoil", ["empty", "text", "link"])
def test_no_good_training_photos(spoil, tmp_path):
    root = build_category(tmp_path / "bolt", train=0)
    good = root / "train" / "good"
    good.mkdir(parents=True)
    if spoil == "text":
        (good / "readme.txt").write_text("no photos yet")
    elif spoil == "link":
        (good / "0.png").symlink_to(write_image(tmp_path / "0.png", noise_photo(0)))
    words = "none because of 0.png: it leads out" if spoil == "link" else "found none. "
    with pytest.raises(CutSwapError, match=words):
        open_dataset(root).category()


def test_visa_category_without_training_rows(tmp_path):
    build_visa(tmp_path, visa_rows(train=0))
    with pytest.raises(CutSwapError, match="good photos to learn from"):
        open_dataset(tmp_path).category()


def test_a_hint_looks_at_a_bounded_number_of_folders(tmp_path: Path, monkeypatch):
    for index in range(30):
        (tmp_path / f"{index:02d}" / "a").mkdir(parents=True)
        (tmp_path / f"{index:02d}" / "b").mkdir()
    looked: list[Path] = []
    monkeypatch.setattr(datasets, "_is_category", lambda folder: bool(looked.append(folder)))
    monkeypatch.setattr(datasets, "HINTED", 7)
    with pytest.raises(CutSwapError, match="arrange the files in a known layout"):
        open_dataset(tmp_path)
    below = [folder for folder in looked if folder.parent.parent == tmp_path]
    assert len(below) == 7
