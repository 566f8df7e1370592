"""Data sets by folder: MVTec AD, VisA, one category or just photos, recognised by themselves."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from cutswap.data.layouts import LayoutReader, is_folder, is_there, means_good, part_of
from cutswap.data.reading import read_reading
from cutswap.data.records import GOOD, Category, Problem
from cutswap.data.regions.region_of_interest import category_region
from cutswap.data.visa_split import parse_visa_split
from cutswap.errors import CutSwapError

LAYOUTS = ("mvtec", "visa", "category", "images")
HINTED = 100  # folders that a hint looks at: someone may pass / or a home with thousands
VISA_SPLIT = Path("split_csv") / "1cls.csv"
TREES = """
  MVTec AD, converted VisA   FOLDER/<category>/train/good/*.png
                             FOLDER/<category>/test/<good or a defect>/*.png
                             FOLDER/<category>/ground_truth/<a defect>/*_mask.png
  MVTec LOCO                 the same, with ground_truth/<a defect>/<photo>/*.png
  MVTec AD 2                 the same, with test_public/<good or bad>, test_public/ground_truth
  BTAD                       the same, with train/ok, test/ok and test/ko
  VisA as published          FOLDER/split_csv/1cls.csv
                             FOLDER/<category>/Data/Images/<Normal or Anomaly>/*.JPG
  one category               FOLDER/train/good/*.png, perhaps test and ground_truth as above
  photos only                FOLDER/*.png"""


@dataclass(frozen=True)
class Dataset:
    """A recognised data set; photos are listed when a category is asked for.

    Attributes:
        root: its folder, absolute.
        layout: one of `LAYOUTS`.
        categories: their names in natural order, at least one.
        noticed: what was odd about the folder itself.
    """

    root: Path
    layout: str
    categories: tuple[str, ...]
    noticed: tuple[Problem, ...] = ()

    def category(self, name: str | None = None) -> Category:
        """List one category; the name may be left out where there is just one.

        Raises:
            CutSwapError: no such category, several and none named, no good training photos, a
                wrong setting in its `cutswap.json`, or a row of VisA's split file that is wrong or
                names a missing file.
        """
        category = self.listing(name)
        if not category.train:
            odd = [f"{p.path.name}: {p.message}" for p in category.noticed[:1]]
            raise CutSwapError(
                category.root,
                expected="good photos to learn from (train/good, or train,normal in VisA's CSV)",
                found=" because of ".join(["none", *odd]),
                fix="add png, jpg, bmp, tif or webp files of good parts",
            )
        return category

    def listing(self, name: str | None = None) -> Category:
        """As `category`, but one without a good training photo is listed too.

        Raises:
            CutSwapError: as `category`, but for that.
        """
        if name is None and len(self.categories) == 1:
            (name,) = self.categories
        if name is None or name not in self.categories:
            raise CutSwapError(
                f"category of {self.root}",
                expected=f"one of {', '.join(self.categories)}",
                found=name or "none",
                fix="pass one of these names",
            )
        return self._read(name)

    def _read(self, name: str) -> Category:
        folder = self.root / name if self.layout in ("mvtec", "visa") else self.root
        reader = LayoutReader(self.root, read_reading(folder))
        if self.layout == "visa":
            split_file = self.root / VISA_SPLIT
            rows = [row for row in parse_visa_split(split_file) if row.category == name]
            category = reader.read_visa(name, rows, split_file)
            return replace(category, region=category_region(folder))
        if self.layout == "images":
            return reader.read_photos(name)
        return replace(reader.read_folders(name, folder), region=category_region(folder))


def open_dataset(root: Path) -> Dataset:
    """Recognise the layout of a folder.

    Args:
        root: the folder of MVTec AD or VisA, of one category, or of photos; `~` is expanded.

    Raises:
        CutSwapError: no such folder, a file, no known layout, or VisA's split file is wrong.
    """
    root = _existing_folder(root)
    _need_listing(root)
    reader = LayoutReader(root)
    folders = reader.subfolders(root)
    own_name = root.name or "photos"
    if is_there(root / VISA_SPLIT):
        listed = {row.category for row in parse_visa_split(root / VISA_SPLIT)}
        layout, names = "visa", [name for name in folders if name in listed]
    elif _is_category(root):
        layout, names = "category", [own_name]
    elif named := [name for name, folder in folders.items() if _is_category(folder)]:
        layout, names = "mvtec", named
    else:
        layout, names = "images", [own_name] if reader.photos(root) else []
    if not names:
        ignored = [f"{p.path.name} ({p.message})" for p in reader.noticed[:1]]
        raise CutSwapError(
            root,
            expected="MVTec AD, VisA, one category in MVTec AD's layout, or photos",
            found=", ".join([*list(folders)[:6], *ignored]) or "neither folders nor images",
            fix=f"{_suggest(root, folders)}; the known layouts are{TREES}",
        )
    return Dataset(root, layout, tuple(names), tuple(reader.noticed))


def _existing_folder(root: Path) -> Path:
    try:
        root = Path(root).expanduser().absolute()
        if ".." in root.parts:  # "..", or it would be the name of the category
            root = root.resolve()
        if root.is_dir():
            return root
        found = "a file" if root.is_file() else "no such folder"
    except (OSError, RuntimeError, ValueError) as error:  # ~nobody, too long, not permitted
        found = str(error).rstrip(".")
    raise CutSwapError(
        root, expected="the folder of a data set", found=found, fix="pass the folder of the images"
    )


def _need_listing(root: Path) -> None:
    try:
        os.scandir(root).close()
    except OSError as error:
        raise CutSwapError(
            root,
            expected="a folder that can be listed",
            found=error.strerror or error,
            fix="check its permissions",
        ) from error


def _is_category(folder: Path) -> bool:
    """Whether there is a train/good, or another folder in train whose name means good.

    A folder that may not be entered is none: `find_problems` says so, and it blocks no other.
    """
    if is_folder(folder / "train" / GOOD):
        return True
    reader = LayoutReader(folder)
    return any(map(means_good, reader.subfolders(part_of(reader.subfolders(folder), "train"))))


def _suggest(root: Path, folders: dict[str, Path]) -> str:
    """Where the user may have meant: people pass the folder one too high or one too low."""
    if is_folder(root.parent / "train" / GOOD):
        return f"pass {root.parent}"
    left = HINTED
    for folder in folders.values():
        below = list(LayoutReader(folder).subfolders(folder).values())[:left]
        left -= len(below)
        if is_there(folder / VISA_SPLIT) or any(map(_is_category, below)):
            return f"pass {folder}"
    if any(is_folder(folder / "Data" / "Images") for folder in folders.values()):
        return f"add VisA's {VISA_SPLIT.as_posix()}"
    for folder in (root, *folders.values()):
        reader = LayoutReader(folder)
        train = part_of(reader.subfolders(folder), "train")
        if train is not None:
            return f"put the good photos into {train / GOOD}"
    return "arrange the files in a known layout"
