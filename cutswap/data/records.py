"""Records, categories and the problems of a data set."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cutswap.data.reading import SQUASH, ReadingSettings

GOOD = "good"


@dataclass(frozen=True)
class Problem:
    """Something about a data set that a person should know.

    Attributes:
        path: the file or folder it is about.
        kind: a short fixed word; `problems` lists them all.
        message: what is the matter, one line.
        fatal: whether the file must be repaired or left out before any work.
    """

    path: Path
    kind: str
    message: str
    fatal: bool


@dataclass(frozen=True)
class Record:
    """One photo of a category.

    Attributes:
        image: the photo's file.
        split: train or test.
        defect: type of defect, `good` for none.
        mask: the defect's mask file, or a folder of them that together mark it (LOCO); None where
            there is none, and always for good photos.
        bits: that the camera fills, of a grey photo of more than 8; None: all that the file has.
        resize: how it becomes a square, see `ReadingSettings.resize`.
    """

    image: Path
    split: str
    defect: str
    mask: Path | None = None
    bits: int | None = None
    resize: str = SQUASH

    @property
    def is_good(self) -> bool:
        """Whether the photo shows no defect."""
        return self.defect == GOOD

    @property
    def name(self) -> str:
        """Readable, unique in its category, independent of the data's folder: `test/crack/003`."""
        return f"{self.split}/{self.defect}/{self.image.stem}"


@dataclass(frozen=True)
class Category:
    """One kind of object: photos to learn from and to test on, in natural order.

    Attributes:
        name: for example transistor.
        root: the category's folder.
        train: good photos only, at least one.
        test: good and defective photos; may be empty.
        has_masks: whether the data set marks its defects at all.
        noticed: what was odd about the folders; `find_problems` reports it with the rest.
        layout: how its files were found: `folders` (MVTec AD's), `visa` (a split file) or `images`.
        reading: what the category's own file says of how to read it.
        region: picture of where to look (`cutswap.data.regions`); None: everywhere.
    """

    name: str
    root: Path
    train: tuple[Record, ...]
    test: tuple[Record, ...]
    has_masks: bool = False
    noticed: tuple[Problem, ...] = ()
    layout: str = "folders"
    reading: ReadingSettings = field(default_factory=ReadingSettings)
    region: Path | None = None

    @property
    def defects(self) -> tuple[str, ...]:
        """Types of defect among the test photos, without `good`, in natural order."""
        return tuple(natural_order({r.defect for r in self.test} - {GOOD}))


def natural_order(names: Iterable[str]) -> list[str]:
    """Sorted as people count: 2 before 10; case decides only between equals."""
    return sorted(names, key=natural_key)


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Key for `sorted`: runs of digits compare as numbers."""
    parts = re.split(r"(\d+)", name.casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name
