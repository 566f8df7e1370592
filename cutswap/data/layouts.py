"""Folders of a known layout to records; links that lead out of the data set are not followed."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cutswap.data.images import is_image_name
from cutswap.data.records import GOOD, Category, Problem, Record, natural_key, natural_order
from cutswap.data.visa_split import VisaRow
from cutswap.errors import CutSwapError

# Converted VisA trees call their only type of defect so; the published tree gets the same names.
VISA_DEFECT = "bad"


class LayoutReader:
    """Lists one data set and keeps what it notices on the way.

    Args:
        root: the data set's folder; nothing outside is read.

    Attributes:
        noticed: problems so far.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.noticed: list[Problem] = []
        self._real_root = os.path.realpath(root)

    def subfolders(self, folder: Path | None) -> dict[str, Path]:
        """Visible subfolders by name in natural order; none of no folder."""
        return {p.name: p for p in self._entries(folder) if p.is_dir()} if folder else {}

    def photos(self, folder: Path | None) -> list[Path]:
        """Image files directly in a folder, by suffix, in natural order; none of no folder."""
        return [p for p in self._entries(folder) if _is_image_file(p)] if folder else []

    def read_photos(self, name: str) -> Category:
        """A folder of photos: all of them are good and for training."""
        train = self._records(self.root, "train", GOOD)
        return Category(name, self.root, train, (), noticed=tuple(self.noticed))

    def read_folders(self, name: str, folder: Path) -> Category:
        """A category folder of MVTec AD: train/good, test/<type>, ground_truth/<type>."""
        parts = self.subfolders(folder)
        train_types = self.subfolders(parts.get("train"))
        test_types = self.subfolders(parts.get("test"))
        mask_types = self.subfolders(parts.get("ground_truth"))
        train = self._records(train_types.pop(GOOD, None), "train", GOOD)
        for other in train_types.values():
            self._notice(other, "not-trained-on", "only train/good is learnt from; ignored")
        test: list[Record] = []
        for defect, photos in test_types.items():
            records = self._records(photos, "test", defect)
            masks = self.photos(mask_types.pop(defect, None))
            if defect == GOOD:
                self._notice_good_masks(masks)
            else:
                records = self._with_masks(records, masks)
            test += records
        for masks_left in mask_types.values():
            for mask in self.photos(masks_left):
                self._notice(mask, "loose-mask", "a mask without a photo; ignored")
        has_masks = "ground_truth" in parts
        return Category(
            name=name,
            root=folder,
            train=train,
            test=tuple(test),
            has_masks=has_masks,
            noticed=tuple(self.noticed),
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
        missing = [(row, path) for row, path in files if not _is_there(self.root / path)]
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
            record = Record(image, row.split, GOOD if row.is_good else VISA_DEFECT, mask)
            if self._is_inside(image) and self._is_new(image, records.get(record.name)):
                records[record.name] = record
        return Category(
            name=name,
            root=self.root / name,
            train=tuple(r for r in records.values() if r.split == "train"),
            test=tuple(r for r in records.values() if r.split == "test"),
            has_masks=any(row.mask for row in rows),
            noticed=tuple(self.noticed),
        )

    def _entries(self, folder: Path) -> list[Path]:
        try:
            names = natural_order(path.name for path in folder.iterdir())
        except OSError as error:
            raise CutSwapError(
                folder,
                expected="a folder that can be listed",
                found=error.strerror or error,
                fix="check its permissions",
            ) from error
        paths = [folder / name for name in names if not name.startswith(".")]
        return [path for path in paths if self._has_text(path) and self._is_inside(path)]

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
        if path.is_symlink() and not path.exists():
            self._notice(path, "broken-link", "a link to nothing; ignored")
            return False
        real = os.path.realpath(path)
        if not Path(real).is_relative_to(self._real_root):
            self._notice(path, "outside-link", f"it leads out of the data set to {real}; ignored")
            return False
        return True

    def _records(self, folder: Path | None, split: str, defect: str) -> tuple[Record, ...]:
        records: dict[str, Record] = {}
        for photo in self.photos(folder):
            if self._is_new(photo, records.get(photo.stem)):
                records[photo.stem] = Record(photo, split, defect)
        return tuple(records.values())

    def _is_new(self, photo: Path, other: Record | None) -> bool:
        # Masks pair by stem and records are named by it, so a second one could be either.
        if other is not None:
            self._notice(
                photo,
                "same-name",
                f"differs from {other.image.name} by its suffix only",
                fatal=True,
            )
        return other is None

    def _with_masks(self, records: tuple[Record, ...], masks: Sequence[Path]) -> tuple[Record, ...]:
        """Pair by stem: 000_mask.png or 000.png, of any image suffix, marks 000.jpg."""
        by_stem: dict[str, list[Path]] = defaultdict(list)
        for mask in masks:
            by_stem[mask.stem].append(mask)
        paired = []
        for record in records:
            stem = record.image.stem
            found = by_stem.pop(f"{stem}_mask", []) + by_stem.pop(stem, [])
            paired.append(replace(record, mask=found[0]) if found else record)
            for mask in found[1:]:
                self._notice(mask, "loose-mask", f"{found[0].name} is used instead; ignored")
        for mask in (mask for left in by_stem.values() for mask in left):
            self._notice(mask, "loose-mask", "a mask without a photo; ignored")
        return tuple(paired)

    def _notice_good_masks(self, masks: Sequence[Path]) -> None:
        for mask in masks:
            self._notice(mask, "good-mask", "a mask for a good photo; ignored")

    def _notice(self, path: Path, kind: str, message: str, *, fatal: bool = False) -> None:
        self.noticed.append(Problem(path, kind, message, fatal))


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long, a folder that may not be entered
        return False


def _is_image_file(path: Path) -> bool:
    return is_image_name(path) and path.is_file()
