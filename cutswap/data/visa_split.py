"""The CSV that says which VisA photo is for what: read and checked, apart from any image."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from cutswap.errors import CutSwapError

MAX_BYTES = 20_000_000  # VisA's own has 1 MB for 10,821 photos
COLUMNS = ("object", "split", "label", "image", "mask")


@dataclass(frozen=True)
class VisaRow:
    """One photo of the split.

    Attributes:
        line: line of the file, the header is 1.
        category: the CSV's `object`, for example candle.
        split: train or test.
        is_good: the CSV's `label` is normal.
        image: relative to the data set's root, never leading out of it.
        mask: likewise; None where the CSV has none.
    """

    line: int
    category: str
    split: str
    is_good: bool
    image: PurePosixPath
    mask: PurePosixPath | None


def parse_visa_split(path: Path) -> tuple[VisaRow, ...]:
    """Read a split file such as VisA's `split_csv/1cls.csv`; the photos need not be there.

    Args:
        path: CSV with the header object,split,label,image,mask in any order, UTF-8.

    Returns:
        Its rows in the file's order.

    Raises:
        CutSwapError: unreadable, a column missing, no rows, or a row that is wrong (the line is
            named): unknown split or label, a defect among the training rows, a path that leads out
            of the data set, a photo listed twice.
    """
    _need_plain(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            header = reader.fieldnames or []
            missing = [c for c in COLUMNS if c not in header]
            if missing:
                raise CutSwapError(
                    path,
                    expected=f"the columns {','.join(COLUMNS)}",
                    found=f"no {', '.join(missing)} among {','.join(header)[:80] or 'nothing'}",
                    fix="restore the header line of the original split file",
                )
            rows = tuple(_parse_row(path, reader.line_num, values) for values in reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CutSwapError(
            path, expected="a readable CSV file", found=error, fix="restore the original split file"
        ) from error
    if not rows:
        raise CutSwapError(
            path, expected="a row a photo", found="a header only", fix="restore the file"
        )
    seen: set[PurePosixPath] = set()
    for row in rows:
        if row.image in seen:
            raise _wrong(path, row.line, "each photo once", f"{row.image} again")
        seen.add(row.image)
    return rows


def _need_plain(path: Path) -> None:
    """Refuse a link out of the data set, for errors quote what they read, and what is no file.

    Raises:
        CutSwapError: a link that leads out, not a file, or over `MAX_BYTES`.
    """
    try:
        home = os.path.realpath(path.parent.parent)
        is_plain = path.is_file() and Path(os.path.realpath(path)).is_relative_to(home)
        found = f"{path.stat().st_size:,} bytes" if is_plain else "none, or a link that leads out"
        is_plain = is_plain and path.stat().st_size <= MAX_BYTES
    except OSError as error:
        is_plain, found = False, error.strerror or str(error)
    if not is_plain:
        raise CutSwapError(
            path,
            expected=f"a CSV file of at most {MAX_BYTES // 10**6} MB",
            found=found,
            fix="restore the original split file",
        )


def _parse_row(path: Path, line: int, values: dict[str | Any, str | Any]) -> VisaRow:
    fields = {c: (values[c] or "").strip() for c in COLUMNS}
    category = fields["object"]
    if None in values or values["label"] is None or values["image"] is None:
        raise _wrong(path, line, f"{len(COLUMNS)} values", "another number of them")
    if (
        "\0" in category
        or not category
        or category.startswith(".")
        or "/" in category
        or "\\" in category
    ):
        raise _wrong(path, line, "an object that is a folder's name", repr(category))
    if fields["split"] not in ("train", "test"):
        raise _wrong(path, line, "split train or test", repr(fields["split"]))
    if fields["label"] not in ("normal", "anomaly"):
        raise _wrong(path, line, "label normal or anomaly", repr(fields["label"]))
    is_good = fields["label"] == "normal"
    if fields["split"] == "train" and not is_good:
        raise _wrong(path, line, "only normal photos to train on", "an anomaly")
    image = _parse_path(path, line, fields["image"])
    mask = _parse_path(path, line, fields["mask"]) if fields["mask"] else None
    return VisaRow(
        line=line, category=category, split=fields["split"], is_good=is_good, image=image, mask=mask
    )


def _parse_path(path: Path, line: int, text: str) -> PurePosixPath:
    relative = PurePosixPath(text)
    # Windows' rules cover both systems: an anchor is a leading slash or a drive, and backslashes
    # would join there.
    is_foreign = bool(PureWindowsPath(text).anchor) or "\\" in text or "\0" in text
    if not text or ".." in relative.parts or is_foreign:
        raise _wrong(path, line, "a path inside the data set, parts joined by /", repr(text))
    return relative


def _wrong(path: Path, line: int, expected: str, found: str) -> CutSwapError:
    return CutSwapError(
        f"{path}, line {line}", expected=expected, found=found, fix="correct or remove the row"
    )
