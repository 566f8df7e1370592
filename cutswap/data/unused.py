"""What lies in the folder of a data set and is not used, with what would make it used."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cutswap.data.datasets import VISA_SPLIT, Dataset
from cutswap.data.images import IMAGE_SUFFIXES
from cutswap.data.layouts import MASK_FOLDER, TEST_FOLDERS, is_folder, means_good
from cutswap.data.reading import READING_FILE
from cutswap.data.records import Category, Problem, natural_key

MOST_ENTRIES = 200_000  # a second; who passes a home folder need not wait for all of it
# Beside the photos in every published set, and written by systems; nobody means them to be read.
_COMPANIONS = ("license", "licence", "readme", "copying", "citation", "thumbs", "desktop", "index")
# Pictures of other formats than ours.
_FOREIGN = (
    *(".gif", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".jfif", ".tga", ".ppm", ".pgm", ".pbm"),
    *(".dng", ".raw", ".cr2", ".cr3", ".nef", ".arw", ".exr", ".hdr", ".npy", ".npz", ".mat"),
    *(".dcm", ".ply", ".pcd"),
)
_VALIDATION = ("validation", "valid", "val")
_MASKS = (MASK_FOLDER, "groundtruth", "gt", "mask", "masks", "label", "labels", "annotations")


@dataclass
class _Left:
    """What is not used of one part of the folder.

    Attributes:
        photos: image files.
        folders: how many folders these lie in.
        others: other files by suffix.
        names: one of them for each suffix.
        unreadable: folders that cannot be listed, with the reason.
    """

    photos: int = 0
    folders: int = 0
    others: Counter[str] = field(default_factory=Counter)
    names: dict[str, str] = field(default_factory=dict)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)


def unused_in(category: Category) -> list[Problem]:
    """Everything in a category's folder that no record uses and nothing has been said of.

    Returns:
        A problem for each part of the folder (at most two levels deep) that has unused photos,
        one for all other files, and one for each folder that cannot be listed; none is fatal.
    """
    told = {_real(p.path) for p in category.noticed if p.kind != "read-as-good"}
    used = [p for r in (*category.train, *category.test) for p in (r.image, r.mask) if p]
    used += [category.region] if category.region else []
    known = told | _real_files(used)
    parts = _parts(category, known)
    if any(left.photos for left in parts.values()):
        # Rare enough to ask each used file only now whether it is a link to one of those.
        linked = {_real(path) for path in used if path.is_symlink()}
        parts = _parts(category, known | linked) if linked - known else parts
    tested = {r.image.parent.parent.name for r in category.test} or {TEST_FOLDERS[0]}
    problems = [
        Problem(
            category.root.joinpath(*part),
            "unused",
            f"{_photos(left.photos)}{_spread(left.folders)} not used: "
            + _advice(category, part, tested),
            fatal=False,
        )
        for part, left in sorted(parts.items(), key=lambda item: list(map(natural_key, item[0])))
        if left.photos
    ]
    whole = _Left()
    for left in parts.values():
        whole.others += left.others
        whole.names |= left.names
        problems += [_unreadable(path, reason) for path, reason in left.unreadable]
    return problems + _other_files(category.root, whole, is_flat=category.layout == "images")


def unused_beside(dataset: Dataset) -> list[Problem]:
    """What lies in a data set's folder outside its categories.

    Returns:
        A problem for each folder that is no category, fatal where it seems meant as one; one for
        photos directly in the data set's folder; one for all other files.
    """
    if dataset.layout not in ("mvtec", "visa"):
        return []  # the folder is the category's own
    is_visa = dataset.layout == "visa"
    told = {p.path for p in dataset.noticed}
    apart = {dataset.root / name for name in dataset.categories} | told
    apart |= {dataset.root / VISA_SPLIT.parent} if is_visa else set()
    known = {_real(path) for path in apart}
    lacks = f"{VISA_SPLIT.as_posix()} has no row for it" if is_visa else "it has no train/good"
    problems: list[Problem] = []
    beside = _Left()
    top = _real(dataset.root)
    parts: dict[str, int] = {}
    for folder, seen in _walk(top, known):
        (name, *_) = *Path(folder).relative_to(top).parts, ""
        parts[name] = parts.get(name, 0) + seen.photos
        if not name:
            beside = seen
        problems += [_unreadable(path, reason) for path, reason in seen.unreadable]
    unread = {problem.path for problem in problems}
    for name, photos in sorted(parts.items(), key=lambda item: natural_key(item[0])):
        path = dataset.root / name
        if not name and photos:
            message = f"{_photos(photos)} not used: only photos in a category's folders are read"
            problems.append(Problem(path, "unused", message, fatal=False))
        elif name and path not in unread:
            is_meant = any(is_folder(path / part) for part in ("train", *TEST_FOLDERS))
            inside = _photos(photos) if photos else "no photos"
            message = f"no category, for {lacks}; {inside} in it"
            problems.append(Problem(path, "no-category", message, fatal=is_meant))
    return problems + _other_files(dataset.root, beside, is_flat=False)


def _parts(category: Category, known: set[str]) -> dict[tuple[str, ...], _Left]:
    """What is not known, by the first two names of where it lies in the category's folder."""
    top = _real(category.root)
    parts: dict[tuple[str, ...], _Left] = defaultdict(_Left)
    for folder, seen in _walk(top, known):
        left = parts[Path(folder).relative_to(top).parts[:2]]
        left.photos += seen.photos
        left.folders += bool(seen.photos)
        left.others += seen.others
        left.names |= seen.names
        left.unreadable += seen.unreadable
    return parts


def _walk(top: str, known: set[str]) -> Iterator[tuple[str, _Left]]:
    """Every folder below, with what is not known in it; links and hidden names are passed over."""
    waiting = [top]
    entries = 0
    while waiting and entries < MOST_ENTRIES:
        folder = waiting.pop()
        left = _Left()
        try:
            with os.scandir(folder) as listed:
                for entry in listed:
                    entries += 1
                    if entry.name.startswith(".") or entry.path in known:
                        continue
                    if not entry.name.isascii() and _shown(entry.path) in known:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif not entry.is_symlink():
                        _count(entry.name, left)
        except OSError as error:
            left.unreadable.append((Path(folder), error.strerror or str(error)))
        yield folder, left
    if waiting:
        reason = f"{MOST_ENTRIES:,} other files and folders come before it"
        yield waiting[-1], _Left(unreadable=[(Path(waiting[-1]), reason)])


def _shown(path: str) -> str:
    """A name that is no UTF-8 as `LayoutReader` tells it."""
    return path.encode("utf-8", "backslashreplace").decode()


def _count(name: str, left: _Left) -> None:
    stem, dot, end = name.rpartition(".")  # `Path` takes as long as all the rest of the walk
    suffix = f".{end.lower()}" if dot else ""
    if suffix in IMAGE_SUFFIXES:
        left.photos += 1
    elif (stem or end).lower() not in _COMPANIONS and name != READING_FILE:
        left.others[suffix] += 1
        left.names.setdefault(suffix, name)


def _real_files(paths: list[Path]) -> set[str]:
    """Paths in their real folders, which are resolved once, as thousands share them."""
    parents: dict[str, str] = {}
    names = set()
    for path in paths:
        folder, _, name = str(path).rpartition(os.sep)
        if folder not in parents:
            parents[folder] = os.path.realpath(folder)
        names.add(f"{parents[folder]}{os.sep}{name}")
    return names


def _advice(category: Category, part: tuple[str, ...], tested: set[str]) -> str:
    """What to do with the photos of a part of the folder, given by at most two names."""
    if category.layout == "images":
        return f"only photos directly in {category.root.name} are; move them, or pass that folder"
    if category.layout == "visa":
        return f"{VISA_SPLIT.as_posix()} does not list them; add a row for each"
    first, second = (*part, "", "")[:2]
    plain = first.casefold()
    if plain == "train":
        below = second if means_good(second) else "good"
        return f"only photos directly in train/{below} are learnt from; move them there"
    if first in tested or plain in TEST_FOLDERS[:1]:
        if second.casefold() == MASK_FOLDER:
            return _MASK_ADVICE
        where = f"{first}/{second}" if second else f"{first}/good or {first}/<type of defect>"
        return f"test photos lie directly in a folder for each type; move them into {where}"
    if plain in _VALIDATION:
        return "move them into train/good to learn from them too, or into test/good to test on them"
    if plain.startswith("test"):
        name = min(tested)
        return (
            f"only {name} is scored; to score these too, sort them into {name}/good and"
            f" {name}/<type of defect>"
        )
    if plain == MASK_FOLDER:
        return _MASK_ADVICE
    if plain in _MASKS:
        return f"if these are masks, call the folder {MASK_FOLDER}. {_MASK_ADVICE}"
    return "move them into train/good, test/good or test/<type of defect>"


_MASK_ADVICE = (
    f"masks are {MASK_FOLDER}/<type>/NAME_mask.png or NAME.png for the photo test/<type>/NAME, or"
    f" {MASK_FOLDER}/<type>/NAME/*.png where it has several"
)


def _other_files(root: Path, left: _Left, *, is_flat: bool) -> list[Problem]:
    if not left.others:
        return []
    listed = ", ".join(
        left.names[suffix] if count == 1 else f"{count:,} such as {left.names[suffix]}"
        for suffix, count in sorted(left.others.items())
    )
    message = f"other files, not read: {listed}"
    if any(suffix in _FOREIGN for suffix in left.others):
        message += f"; photos must be {', '.join(IMAGE_SUFFIXES)}: convert those of another format"
    if is_flat:
        message += (
            "; all photos here count as good. If a list says which are defective, sort them into"
            " train/good, test/good and test/<type of defect>"
        )
    return [Problem(root, "other-files", message, fatal=False)]


def _unreadable(path: Path, reason: str) -> Problem:
    message = f"it cannot be listed ({reason}), so nothing in it is used; check its permissions"
    return Problem(path, "unreadable-folder", message, fatal=False)


def _photos(count: int) -> str:
    return "1 photo" if count == 1 else f"{count:,} photos"


def _spread(folders: int) -> str:
    return f" in {folders:,} folders below" if folders > 1 else ""


def _real(path: Path) -> str:
    return os.path.realpath(path)
