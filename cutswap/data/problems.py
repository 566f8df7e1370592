"""Everything that is wrong with a category's files, all at once, and the category without it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cutswap.data.images import (
    is_constant,
    mask_files,
    photo_size,
    read_depth,
    read_mask_levels,
)
from cutswap.data.layouts import means_unknown
from cutswap.data.mask_doubts import doubt_of
from cutswap.data.reading import READING_FILE, unused_bits
from cutswap.data.records import Category, Problem, Record
from cutswap.data.regions.frame import framed_photo
from cutswap.data.regions.region_of_interest import region_of
from cutswap.data.unused import unused_in
from cutswap.errors import CutSwapError

KINDS = {
    "unreadable": "the photo or mask is missing, damaged, cut short, huge or no image",
    "constant": "(nearly) all pixels of the photo are alike; fatal among the training photos",
    "no-mask": "a defective photo without a mask, in a data set that has masks",
    "mask-size": "the mask has another size than its photo",
    "empty-mask": "the mask of a defective photo marks nothing",
    "mask-doubt": "the mask marks most of the photo, or is no picture of two values",
    "same-name": "two photos of a folder differ by their suffix only; the first is used",
    "no-good": "no sound training photo is left",
    "few-good": "a single sound training photo",
    "train-in-test": "a test photo is also a training photo, pixel by pixel",
    "twin": "one picture as two kinds of test photo, pixel by pixel: one of the two is wrong",
    "good-mask": "a mask for a good photo",
    "loose-mask": "a mask that belongs to no photo",
    "no-masks": "the data set marks no defects: no pixel metrics",
    "one-sided-test": "test photos are all good or all defective: no AUROC",
    "mixed-sizes": "photos of several sizes; each is brought to the working size",
    "outside-link": "a link that leads out of the data set; not followed",
    "broken-link": "a link to nothing",
    "odd-name": "a file or folder whose name is no text; not read",
    "not-trained-on": "a folder in train besides good",
    "read-as-good": "a folder of train whose name means good, where there is no train/good",
    "means-good": "a folder beside good whose name means good, too: good, or a type of defect?",
    "means-unknown": "a folder of test whose name says that nobody knows what its photos show",
    "unreadable-folder": "a folder that cannot be listed",
    "unused": "photos that lie where none are looked for",
    "no-category": "a folder of the data set that is no category",
    "other-files": "files that are no photos",
    "unread": "a category that cannot be listed",
    "no-folder": "a folder that the category's settings name and that is not there",
    "region": "the region of where to look cannot be used",
    "unused-bits": "grey photos of more than 8 bits that do not use their highest bits",
}
# Files that can be used, and may make results wrong: commands that use them say so.
DOUBTS = ("mask-doubt", "twin", "train-in-test", "unused-bits", "unused", "no-folder")
_SHOWN = 3  # problems quoted in a refusal; check-data shows all


@dataclass
class _Findings:
    """What one pass over the photos has seen so far.

    Attributes:
        problems: found.
        sizes: of the photos.
        seen: the first photo of each picture, by the hash of its pixels.
        deep: grey photos of more than 8 bits.
        top: the largest number in these.
    """

    problems: list[Problem] = field(default_factory=list)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    seen: dict[bytes, Record] = field(default_factory=dict)
    deep: int = 0
    top: int = 0

    def add(self, path: Path, kind: str, message: str, *, fatal: bool = False) -> None:
        self.problems.append(Problem(path, kind, message, fatal))


def find_problems(
    category: Category,
    *,
    deep: bool = True,
    train_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Problem, ...]:
    """Look at every file of a category and list all that is wrong or odd.

    Args:
        category: from `Dataset.category`.
        deep: decode every file; otherwise headers only, which misses damaged bodies, constant
            photos, empty and doubtful masks, unused bits and pictures in two sets.
        train_size: side of the square that training photos become, pixels, where it is
            known; photos that are constant only then (a fine pattern) are found too.
        progress: called with (photos done, photos in all) after each photo; what it raises ends
            the search.

    Returns:
        Problems of the kinds in `KINDS`, fatal ones first, otherwise in the category's order.
    """
    findings = _Findings(list(category.noticed))
    records = category.train + category.test
    for done, record in enumerate(records, start=1):
        size = _check_photo(record, findings, deep, train_size)
        if not record.is_good and category.has_masks:
            _check_mask(record, size, findings, deep)
        if progress is not None:
            progress(done, len(records))
    _check_whole(category, findings)
    try:
        region_of(category)
    except CutSwapError as error:
        findings.add(category.region or category.root, "region", _reason(error), fatal=True)
    findings.problems += unused_in(category)
    return tuple(sorted(findings.problems, key=lambda problem: not problem.fatal))


def usable(
    category: Category, problems: Sequence[Problem], skip_bad: bool
) -> tuple[Category, tuple[Problem, ...]]:
    """The category that can be worked with.

    Args:
        category: the one the problems were found in.
        problems: from `find_problems`.
        skip_bad: leave out records whose photo or mask has a fatal problem instead of refusing.

    Returns:
        The category without those records, and the fatal problems that cost them.

    Raises:
        CutSwapError: fatal problems without `skip_bad`, counted and the first few quoted; no good
            training photo is left; or a region that cannot be used.
    """
    fatal = tuple(p for p in problems if p.fatal)
    bad = {p.path for p in fatal}
    train = tuple(r for r in category.train if not _is_hit(r, bad))
    test = tuple(r for r in category.test if not _is_hit(r, bad))
    if not train:
        raise CutSwapError(
            category.root,
            expected="at least one sound good photo to learn from",
            found=f"none among {len(category.train)}: {_quote(category, fatal)}",
            fix="replace the training photos",
        )
    region_of(category)  # without it another part of the photos would be looked at
    if fatal and not skip_bad:
        noun = "problem" if len(fatal) == 1 else "problems"
        raise CutSwapError(
            category.root,
            expected="sound photos and masks",
            found=f"{len(fatal)} {noun}: {_quote(category, fatal)}",
            fix="run check-data to see all and repair them, or pass --skip-bad to leave them out",
        )
    return replace(category, train=train, test=test), fatal


def _check_photo(
    record: Record, findings: _Findings, deep: bool, train_size: int | None
) -> tuple[int, int] | None:
    """Size of the photo, None where it cannot be read."""
    try:
        if not deep:
            size = photo_size(record.image)
            findings.sizes[size] += 1
            return size
        photo, top = read_depth(record.image, record.bits)
    except CutSwapError as error:
        findings.add(record.image, "unreadable", _reason(error), fatal=True)
        return None
    height, width = photo.shape[:2]
    findings.sizes[height, width] += 1
    findings.deep += bool(top)
    findings.top = max(findings.top, top)
    is_trained = record.split == "train"
    if is_constant(photo):
        # A failed shot. In training there is nothing to swap, so the negative would equal the
        # positive; a test photo can still be scored.
        used = unused_bits(top)
        why = f", as it uses {used[0]} of 16 bits (see unused bits)" if used else ""
        message = f"(nearly) all pixels are alike{why}"
        findings.add(record.image, "constant", message, fatal=is_trained)
    elif is_trained and train_size and is_constant(framed_photo(photo, train_size, record.resize)):
        message = f"(nearly) all pixels are alike at {train_size} x {train_size} (--image-size)"
        findings.add(record.image, "constant", message, fatal=True)
    # Pixels instead of bytes: a photo saved again in another format is still the same.
    pixels = hashlib.sha256(f"{height}x{width}:".encode())
    pixels.update(photo.data)
    digest = pixels.digest()
    twin = findings.seen.setdefault(digest, record)
    if (twin.split, twin.defect) != (record.split, record.defect):
        kind = "train-in-test" if twin.split == "train" else "twin"
        findings.add(record.image, kind, f"the same picture as {twin.name}")
    return height, width


def _check_mask(
    record: Record, size: tuple[int, int] | None, findings: _Findings, deep: bool
) -> None:
    if record.mask is None:
        findings.add(record.image, "no-mask", f"no mask marks {record.name}", fatal=True)
        return
    is_marking = not deep
    for file in mask_files(record.mask) or (record.mask,):
        inside = "" if file == record.mask else f"{file.name}: "
        try:
            mask, counts = read_mask_levels(file) if deep else (None, None)
            mask_size = photo_size(file) if mask is None else mask.shape
        except CutSwapError as error:
            findings.add(record.mask, "unreadable", inside + _reason(error), fatal=True)
            return
        if size is not None and mask_size != size:
            message = f"{_by(mask_size)} where the photo has {_by(size)} (height x width)"
            findings.add(record.mask, "mask-size", inside + message, fatal=True)
        if mask is not None and counts is not None and mask.any():
            is_marking = True
            if doubt := doubt_of(mask, counts):
                findings.add(record.mask, "mask-doubt", inside + doubt)
    if not is_marking:
        findings.add(record.mask, "empty-mask", f"marks nothing in {record.name}", fatal=True)


def _check_whole(category: Category, findings: _Findings) -> None:
    """What only shows once all photos have been seen."""
    bad = {p.path for p in findings.problems if p.fatal}
    sound = sum(not _is_hit(r, bad) for r in category.train)
    if sound == 0:
        findings.add(category.root, "no-good", "no sound training photo is left", fatal=True)
    elif sound == 1:
        findings.add(category.root, "few-good", "one sound training photo is very little")
    defective = sum(not r.is_good for r in category.test)
    is_claimed = not all(map(means_unknown, category.defects))
    if defective and is_claimed and not category.has_masks:
        message = f"no masks for {defective} defective photos: pixel metrics are left out"
        findings.add(category.root, "no-masks", message)
    if category.test and defective in (0, len(category.test)):
        kind = "defective" if defective else "good"
        message = f"all test photos are {kind}: no AUROC"
        if defective and not is_claimed:
            message = (
                "nobody says which of the test photos are good: they are scored, without AUROC"
            )
        findings.add(category.root, "one-sided-test", message)
    if (unused := unused_bits(findings.top)) is not None:
        used, camera = unused
        message = (
            f"the grey photos of 16 bits ({findings.deep}) use {used} of them (the largest value is"
            f" {findings.top:,} of 65,535), so they are read as levels 0 to"
            f" {round(findings.top / 257)} of 255, nearly black. If the camera gives {camera} bits,"
            f' write {{"bits": {camera}}} into {READING_FILE} in this folder'
        )
        findings.add(category.root, "unused-bits", message)
    if len(findings.sizes) > 1:
        common = findings.sizes.most_common(_SHOWN)
        listed = ", ".join(f"{_by(size)} ({count})" for size, count in common)
        more = ", ..." if len(findings.sizes) > _SHOWN else ""
        message = f"{len(findings.sizes)} sizes (height x width): {listed}{more}"
        findings.add(category.root, "mixed-sizes", message)


def _is_hit(record: Record, bad: Collection[Path]) -> bool:
    if not bad:  # hashing thousands of paths takes a while
        return False
    return record.image in bad or (record.mask is not None and record.mask in bad)


def _reason(error: CutSwapError) -> str:
    return f"expected {error.expected}, found {error.found}"


def _quote(category: Category, problems: Sequence[Problem]) -> str:
    quoted = "; ".join(f"{_short(category, p.path)}: {p.message}" for p in problems[:_SHOWN])
    more = len(problems) - _SHOWN
    return f"{quoted}; and {more} more" if more > 0 else quoted


def _short(category: Category, path: Path) -> str:
    inside = path != category.root and path.is_relative_to(category.root)
    return path.relative_to(category.root).as_posix() if inside else path.name


def _by(size: tuple[int, ...]) -> str:
    return f"{size[0]} x {size[1]}"
