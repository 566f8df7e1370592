"""Folders of a known layout to records; links that lead out of the data set are not followed."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cutswap.data.images import IMAGE_SUFFIXES
from cutswap.data.reading import READING_FILE, ReadingSettings
from cutswap.data.records import GOOD, Category, Problem, Record, natural_key, natural_order
from cutswap.data.visa_split import VisaRow
from cutswap.errors import CutSwapError

# Words that people use for photos without a defect, in any case and with a number behind: BTAD says
# ok, VisA Normal.
GOOD_WORDS = (
    *(GOOD, "ok", "okay", "normal", "pass", "passed", "clean", "healthy", "intact", "undamaged"),
    *("flawless", "faultless", "nodefect", "nodefects", "nondefective", "defectfree"),
    *("noanomaly", "nonanomalous", "anomalyfree"),
)
# Words for photos of which nobody has said what they show.
UNKNOWN_WORDS = (
    *("unlabelled", "unlabeled", "unlabel", "nolabel", "unknown", "unsorted", "unclassified"),
    *("unannotated", "unchecked", "unreviewed", "uninspected", "todo", "tbd"),
)
# The test folders we know, the first that is there is used; the second is MVTec AD 2's.
TEST_FOLDERS = ("test", "test_public")
MASK_FOLDER = "ground_truth"
# Converted VisA trees call their only type of defect so; the published tree gets the same names.
VISA_DEFECT = "bad"


class LayoutReader:
    """Lists one data set and collects the problems it meets.

    Args:
        root: the data set's folder; nothing outside is read.
        reading: of the category to be read.

    Attributes:
        noticed: problems so far.
    """

    def __init__(self, root: Path, reading: ReadingSettings | None = None) -> None:
        self.root = root
        self.reading = reading or ReadingSettings()
        self.noticed: list[Problem] = []
        self._real_root = os.path.realpath(root)
        self._real_parents: dict[str, str] = {}
        self._listed: dict[Path, list[os.DirEntry[str]]] = {}

    def subfolders(self, folder: Path | None) -> dict[str, Path]:
        """Visible subfolders by name in natural order; none of no folder."""
        entries = self._entries(folder) if folder else []
        return {e.name: Path(e.path) for e in entries if e.is_dir()}

    def photos(self, folder: Path | None) -> list[Path]:
        """Image files directly in a folder, by suffix, in natural order; none of no folder."""
        entries = self._entries(folder) if folder else []
        return [Path(e.path) for e in entries if _is_image(e)]

    def read_photos(self, name: str) -> Category:
        """A folder of photos: all of them are good and for training."""
        train = self._records([self.root], "train", GOOD)
        return Category(
            name,
            self.root,
            train,
            (),
            noticed=tuple(self.noticed),
            layout="images",
            reading=self.reading,
        )

    def read_folders(self, name: str, folder: Path) -> Category:
        """A category folder of MVTec AD, MVTec AD 2, LOCO or BTAD.

        train/good, test/<type> (or test_public/<type>), ground_truth/<type>, which may lie in the
        test folder. train/ok or train/Normal does for train/good where that is missing; another
        name that means good is asked about.
        """
        parts = self.subfolders(folder)
        train_types = self.subfolders(part_of(parts, "train"))
        learnt = self._good_of_train(train_types)
        learnt_from = self._take_good(train_types, learnt)
        train = self._records(learnt_from, "train", GOOD)
        for other in train_types.values():
            self._notice(
                other,
                "not-trained-on",
                f"only train/{learnt} is learnt from; to learn from these too, move them there",
            )
        tested = next((f for name in TEST_FOLDERS if (f := part_of(parts, name))), None)
        test_types = self.subfolders(tested)
        masks_inside = test_types.pop(MASK_FOLDER, None)
        marked = part_of(parts, MASK_FOLDER) or masks_inside
        mask_types = self.subfolders(marked)
        good = self._good_of_test(test_types, mask_types, learnt)
        self._ask_unknown(test_types, mask_types)
        if unknown := {*self.reading.good, *self.reading.defects} - {
            *test_types,
            *(path.name for path in learnt_from),
        }:
            self._notice(
                folder / READING_FILE,
                "no-folder",
                f"it names folders that are not there: {', '.join(natural_order(unknown))}",
            )
        good_folders = self._take_good(test_types, good)
        by_type = {defect: self._records([f], "test", defect) for defect, f in test_types.items()}
        if good_folders:
            by_type[good] = self._records(good_folders, "test", GOOD)
            for path in good_folders:
                self._notice_good_masks(self.photos(mask_types.pop(path.name, None)))
        test: list[Record] = []
        for defect in natural_order(by_type):
            records = by_type[defect]
            if defect != good or not good_folders:
                records = self._with_masks(records, mask_types.pop(defect, None))
            test += records
        for name, masks_left in mask_types.items():
            for mask in self.photos(masks_left):
                self._notice(mask, "loose-mask", f"there are no photos in test/{name}; not used")
        return Category(
            name=name,
            root=folder,
            train=train,
            test=tuple(test),
            has_masks=marked is not None,
            noticed=tuple(self.noticed),
            reading=self.reading,
        )

    def _take_good(self, types: dict[str, Path], name: str) -> list[Path]:
        """Take the folders of good photos out of the types: the main one and those of `reading`."""
        names = [n for n in (name, *self.reading.good) if n in types]
        return [types.pop(n) for n in dict.fromkeys(names)]

    def _good_of_train(self, types: dict[str, Path]) -> str:
        """Which folder of train holds the good photos; what else might is taken out and asked."""
        meaning = [name for name in types if means_good(name)]
        if GOOD in meaning or not meaning:
            return GOOD
        if len(meaning) == 1:
            message = "read as the good photos to learn from: there is no train/good"
            self._notice(types[meaning[0]], "read-as-good", message)
            return meaning[0]
        for name in meaning:
            self._notice(
                types.pop(name),
                "means-good",
                f"which of {', '.join(meaning)} holds the good photos? Rename that one to good;"
                " none of them is used",
                fatal=True,
            )
        return GOOD

    def _good_of_test(
        self, types: dict[str, Path], mask_types: dict[str, Path], learnt: str
    ) -> str:
        """Which type of test photos is good; others whose names say so are taken out and asked."""
        meaning = [name for name in types if means_good(name)]
        good = next((name for name in (GOOD, learnt) if name in meaning), None)
        said = {good, *self.reading.good, *self.reading.defects}
        for name in meaning:
            if name in said:
                continue
            mask_types.pop(name, None)
            beside = f"beside {good}" if good else f"where train calls it {learnt}"
            self._notice(
                types.pop(name),
                "means-good",
                f"good photos, or a type of defect? Its name means good, {beside}. Good: move its"
                f' photos into test/good, or write {{"good": ["{name}"]}} into {READING_FILE}'
                f" beside test. A defect: rename it, for example to {name}_defect, or write"
                f' {{"defects": ["{name}"]}}. Until then none of them is used',
                fatal=True,
            )
        return good or GOOD

    def _ask_unknown(self, types: dict[str, Path], mask_types: dict[str, Path]) -> None:
        """Take test photos of which nobody knows what they show out, and ask; alone they stay."""
        said = {*self.reading.good, *self.reading.defects}
        unknown = [name for name in types if means_unknown(name) and name not in said]
        if len(unknown) == len(types):
            return  # nothing is claimed of any photo: they are scored without figures
        for name in unknown:
            mask_types.pop(name, None)
            self._notice(
                types.pop(name),
                "means-unknown",
                "good photos, or a type of defect? Its name says that nobody knows. Sort them into"
                " test/good and test/<type of defect>; or move the folder out of test and call them"
                " good or defective with the command score; or write"
                f' {{"good": ["{name}"]}} or {{"defects": ["{name}"]}} into {READING_FILE} beside'
                " test. Until then none of them is used",
                fatal=True,
            )

    def read_visa(self, name: str, rows: Sequence[VisaRow], split_file: Path) -> Category:
        """One category of the published VisA tree.

        Args:
            name: its folder.
            rows: its rows of the split file.
            split_file: what errors call it.

        Raises:
            CutSwapError: rows name files that are not there; all are counted, the first is shown.
        """
        files = [(row, path) for row in rows for path in (row.image, row.mask) if path]
        missing = [(row, path) for row, path in files if not is_there(self.root / path)]
        if missing:
            raise CutSwapError(
                f"{split_file}, line {missing[0][0].line}",
                expected=f"all {len(files)} files listed for {name}",
                found=f"{len(missing)} missing, the first is {missing[0][1]}",
                fix="unpack the archive again, or remove the rows",
            )
        records: dict[str, Record] = {}
        for row in sorted(rows, key=lambda row: natural_key(str(row.image))):
            image = self.root / row.image
            mask = self.root / row.mask if row.mask else None
            if mask and not self._is_inside(mask):
                mask = None
            elif mask and row.is_good:
                self._notice_good_masks([mask])
                mask = None
            defect = GOOD if row.is_good else VISA_DEFECT
            reading = self.reading
            record = Record(image, row.split, defect, mask, reading.bits, reading.resize)
            if self._is_inside(image) and self._is_new(image, records.get(record.name)):
                records[record.name] = record
        return Category(
            name=name,
            root=self.root / name,
            train=tuple(r for r in records.values() if r.split == "train"),
            test=tuple(r for r in records.values() if r.split == "test"),
            has_masks=any(row.mask for row in rows),
            noticed=tuple(self.noticed),
            layout="visa",
            reading=self.reading,
        )

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """What is visible in a folder, in natural order; one that cannot be listed is noticed."""
        if folder not in self._listed:
            self._listed[folder] = self._look(folder)
        return self._listed[folder]

    def _look(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as listed:
                entries = {entry.name: entry for entry in listed if not entry.name.startswith(".")}
        except OSError as error:
            self._notice(
                folder,
                "unreadable-folder",
                f"it cannot be listed ({error.strerror or error}), so nothing in it is used;"
                " check its permissions",
                fatal=True,
            )
            return []
        ordered = [entries[name] for name in natural_order(entries)]
        # What is no link lies where its folder lies, and that has been looked at.
        return [
            entry
            for entry in ordered
            if self._has_text(folder / entry.name)
            and (not entry.is_symlink() or self._is_inside(folder / entry.name))
        ]

    def _has_text(self, path: Path) -> bool:
        """Names that are no UTF-8 can neither be shown, nor linked to, nor written into results."""
        try:
            path.name.encode()
        except UnicodeEncodeError:
            shown = path.name.encode("utf-8", "backslashreplace").decode()
            self._notice(path.with_name(shown), "odd-name", "its name is no text (UTF-8); ignored")
            return False
        return True

    def _is_inside(self, path: Path) -> bool:
        if path.is_symlink():
            if not is_folder(path) and not is_there(path):
                self._notice(path, "broken-link", "a link to nothing; ignored")
                return False
            real = os.path.realpath(path)
        else:  # thousands of photos share a folder, which is looked up once
            folder = str(path.parent)
            if folder not in self._real_parents:
                self._real_parents[folder] = os.path.realpath(folder)
            real = f"{self._real_parents[folder]}{os.sep}{path.name}"
        if not Path(real).is_relative_to(self._real_root):
            self._notice(path, "outside-link", f"it leads out of the data set to {real}; ignored")
            return False
        return True

    def _records(self, folders: Sequence[Path], split: str, defect: str) -> tuple[Record, ...]:
        records: dict[str, Record] = {}
        for photo in (photo for folder in folders for photo in self.photos(folder)):
            if self._is_new(photo, records.get(photo.stem)):
                bits, resize = self.reading.bits, self.reading.resize
                records[photo.stem] = Record(photo, split, defect, bits=bits, resize=resize)
        return tuple(records.values())

    def _is_new(self, photo: Path, other: Record | None) -> bool:
        # Masks pair by stem and records are named by it, so a second one could be either.
        if other is not None:
            there = other.image
            if there.parent == photo.parent:
                message = f"differs from {there.name} by its suffix only"
            else:
                message = f"has the name of {there.parent.name}/{there.name}, which is good as well"
            self._notice(photo, "same-name", message, fatal=True)
        return other is None

    def _with_masks(self, records: tuple[Record, ...], folder: Path | None) -> tuple[Record, ...]:
        """Pair by stem: 000_mask.png or 000.png, of any image suffix, marks 000.jpg.

        So does a folder 000 with several masks, of which each marks a part (LOCO).
        """
        by_stem: dict[str, list[Path]] = defaultdict(list)
        for mask in self.photos(folder):
            by_stem[mask.stem].append(mask)
        several = self.subfolders(folder)
        paired = []
        for record in records:
            stem = record.image.stem
            candidates = by_stem.pop(f"{stem}_mask", []) + by_stem.pop(stem, [])
            if stem in several and (parts := self._masks_in(several[stem])):
                # One mask is that file; several are their folder, of which `read_mask` reads all.
                candidates.append(parts[0] if len(parts) == 1 else several[stem])
            paired.append(replace(record, mask=candidates[0]) if candidates else record)
            for mask in candidates[1:]:
                self._notice(mask, "loose-mask", f"{candidates[0].name} is used instead; ignored")
        for mask in (mask for left in by_stem.values() for mask in left):
            self._notice(mask, "loose-mask", "a mask without a photo; ignored")
        return tuple(paired)

    def _masks_in(self, folder: Path) -> list[Path]:
        """The masks of one photo; `read_mask` lists the folder anew, so links are left out."""
        masks = self.photos(folder)
        for mask in masks:
            if mask.is_symlink():
                self._notice(mask, "loose-mask", "a link in a folder of masks is not followed")
        return [mask for mask in masks if not mask.is_symlink()]

    def _notice_good_masks(self, masks: Sequence[Path]) -> None:
        for mask in masks:
            self._notice(mask, "good-mask", "a mask for a good photo; ignored")

    def _notice(self, path: Path, kind: str, message: str, *, fatal: bool = False) -> None:
        self.noticed.append(Problem(path, kind, message, fatal))


def is_there(path: Path) -> bool:
    """Whether it is a file; not where nobody may look."""
    try:
        return path.is_file()
    except OSError:  # a name too long, a folder that may not be entered
        return False


def is_folder(path: Path) -> bool:
    """Whether it is a folder; not where nobody may look."""
    try:
        return path.is_dir()
    except OSError:
        return False


def means_good(name: str) -> bool:
    """Whether a folder's name says that its photos show no defect: `OK`, `Normal`, `good_2`."""
    return _plain(name) in GOOD_WORDS


def means_unknown(name: str) -> bool:
    """Whether it says that nobody knows what its photos show: `unlabelled`, `To-do`."""
    return _plain(name) in UNKNOWN_WORDS


def _plain(name: str) -> str:
    return re.sub(r"[\W\d_]+", "", name).casefold()


def part_of(folders: Mapping[str, Path], name: str) -> Path | None:
    """The folder of that name; of another case where only one is there."""
    if name in folders:
        return folders[name]
    alike = [folder for other, folder in folders.items() if other.casefold() == name]
    return alike[0] if len(alike) == 1 else None


def _is_image(entry: os.DirEntry[str]) -> bool:
    """By suffix; `Path` would take as long as all the rest of the listing."""
    suffix = entry.name.rpartition(".")[2]
    return f".{suffix.lower()}" in IMAGE_SUFFIXES and entry.is_file()
