"""VisA and MVTec AD as their publishers give them out: where, under which licence, how many photos.

Counts are those of the published sets (`paper_tables.PUBLISHED_COUNTS`); a data set that differs is
usable all the same, but its figures are no longer about the published one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cutswap.data.archives import member_names
from cutswap.data.datasets import VISA_SPLIT, open_dataset
from cutswap.data.images import is_image_name
from cutswap.errors import CutSwapError

# (training, test) images of the published sets, by folder name: a smaller set is another task.
PUBLISHED_COUNTS: dict[str, dict[str, tuple[int, int]]] = {
    "MVTec AD": {
        "bottle": (209, 83), "cable": (224, 150), "capsule": (219, 132), "carpet": (280, 117),
        "grid": (264, 78), "hazelnut": (391, 110), "leather": (245, 124), "metal_nut": (220, 115),
        "pill": (267, 167), "screw": (320, 160), "tile": (230, 117), "toothbrush": (60, 42),
        "transistor": (213, 100), "wood": (247, 79), "zipper": (240, 151),
    },
    "VisA": {
        "candle": (900, 200), "capsules": (542, 160), "cashew": (450, 150),
        "chewinggum": (453, 150), "fryum": (450, 150), "macaroni1": (900, 200),
        "macaroni2": (900, 200), "pcb1": (904, 200), "pcb2": (901, 200), "pcb3": (905, 201),
        "pcb4": (904, 201), "pipe_fryum": (450, 150),
    },
}  # fmt: skip


VISA_URL = "https://amazon-visual-anomaly.s3.us-west-2.amazonaws.com/VisA_20220922.tar"
# As anomalib 2.7 pins it (its data module `visa.py`); this project has not fetched the archive.
VISA_SHA256 = "2eb8690c803ab37de0324772964100169ec8ba1fa3f7e94291c9ca673f40f362"
VISA_LICENCE = """\
VisA (Visual Anomaly dataset), Amazon. Licence: Creative Commons Attribution 4.0 (CC BY 4.0),
https://creativecommons.org/licenses/by/4.0/ : use, share and adapt it, also commercially, naming
its authors: Zou, Jeong, Pemula, Zhang, Dabeer: SPot-the-Difference Self-supervised Pre-training for
Anomaly Detection and Segmentation, ECCV 2022. https://github.com/amazon-science/spot-diff"""
MVTEC_INSTRUCTIONS = """\
MVTec asks everybody to fetch MVTec AD themselves, after reading its licence:
Creative Commons Attribution-NonCommercial-ShareAlike 4.0 (CC BY-NC-SA 4.0), so not for commercial
use. Cite Bergmann, Batzner, Fauser, Sattlegger, Steger: The MVTec Anomaly Detection Dataset, IJCV
2021, and Bergmann, Fauser, Sattlegger, Steger: MVTec AD, CVPR 2019.

1. Open https://www.mvtec.com/company/research/datasets/mvtec-ad and follow its download link.
2. Check what you have, archive or unpacked folder, the whole set or some categories:
     python -m cutswap download mvtec --archive mvtec_anomaly_detection.tar.xz
3. Or check and unpack at once:
     python -m cutswap download mvtec --archive mvtec_anomaly_detection.tar.xz --out data/mvtec"""


@dataclass(frozen=True)
class Count:
    """One category beside the published one.

    Attributes:
        name: folder name.
        train: good training photos; None where the category is missing.
        test: test photos.
        published: (train, test); None for a name the set does not have.
        unmarked: defective test photos without a mask.
    """

    name: str
    train: int | None
    test: int | None
    published: tuple[int, int] | None
    unmarked: int = 0

    @property
    def wrong(self) -> str:
        """What differs; empty where nothing does."""
        if self.published is None:
            return "not a category of the published set"
        if self.train is None:
            return "missing"
        if (self.train, self.test) != self.published:
            return "published: {} train, {} test".format(*self.published)
        return f"{self.unmarked} defects without a mask" if self.unmarked else ""

    def line(self) -> str:
        """For the screen."""
        shown = f"{self.name:<12} {self.train or 0:>5} train {self.test or 0:>5} test"
        return f"{shown}  {self.wrong or 'as published'}"


def data_root(folder: Path) -> Path:
    """The folder itself, or the only one in it that holds the data, as some archives nest it."""
    entries = [p for p in folder.iterdir() if not p.name.startswith(".")]
    inside = [p for p in entries if p.is_dir()]
    if (folder / VISA_SPLIT).is_file() or len(inside) != 1 or len(entries) > 3:
        return folder
    nested = (inside[0] / VISA_SPLIT).is_file()
    nested = nested or any((p / "train").is_dir() for p in inside[0].iterdir() if p.is_dir())
    return inside[0] if nested else folder


def count_folder(root: Path, data: str) -> tuple[Count, ...]:
    """Counts by this project's own reader.

    Args:
        root: the data set's folder.
        data: `VisA` or `MVTec AD`.

    Raises:
        CutSwapError: no such data set, or rows of VisA's split file name missing files.
    """
    dataset = open_dataset(root)
    wanted = "visa" if data == "VisA" else "mvtec"
    if dataset.layout not in (wanted, "mvtec", "category"):
        raise CutSwapError(
            root,
            expected=f"{data}'s folders",
            found=f"the layout {dataset.layout}",
            fix="pass the folder that holds the categories",
        )
    counts = {}
    for name in dataset.categories:
        category = dataset.category(name)
        bare = sum(r.mask is None for r in category.test if not r.is_good)
        counts[name] = (len(category.train), len(category.test), bare)
    return _beside(counts, data)


def count_archive(archive: Path) -> tuple[Count, ...]:
    """Counts of an MVTec AD archive by its members' names; nothing is unpacked.

    Raises:
        CutSwapError: not a sound archive.
    """
    return _beside(_count_names(member_names(archive)), "MVTec AD")


def _count_names(paths: Iterable[PurePosixPath]) -> dict[str, tuple[int, int, int]]:
    train: Counter[str] = Counter()
    test: Counter[str] = Counter()
    bad: set[tuple[str, str, str]] = set()
    marked: set[tuple[str, str, str]] = set()
    for path in paths:
        if len(path.parts) < 4 or not is_image_name(Path(path.name)):
            continue
        category, split, kind = path.parts[-4:-1]
        if (split, kind) == ("train", "good"):
            train[category] += 1
        elif split == "test":
            test[category] += 1
            if kind != "good":
                bad.add((category, kind, path.stem))
        elif split == "ground_truth":
            marked.add((category, kind, path.stem.removesuffix("_mask")))
    bare = Counter(category for category, _, _ in bad - marked)
    return {n: (train[n], test[n], bare[n]) for n in {*train, *test}}


def _beside(own: dict[str, tuple[int, int, int]], data: str) -> tuple[Count, ...]:
    published = PUBLISHED_COUNTS[data]
    counts = [
        Count(name, *own[name][:2], pair, own[name][2])
        if name in own
        else Count(name, None, None, pair)
        for name, pair in published.items()
    ]
    others = [Count(n, v[0], v[1], None, v[2]) for n, v in own.items() if n not in published]
    return (*counts, *sorted(others, key=lambda c: c.name))
