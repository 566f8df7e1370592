"""The embedded demo data set: four categories in MVTec AD's layout, rendered on first use.

No picture is shipped: `demo_scenes` paints them from a seed into the user's cache folder. A set is
made under a temporary name and renamed whole, so that it is complete or absent; a manifest lists
every file, by which a damaged set is recognised and made anew.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from cutswap.data.demo.categories import CATEGORIES
from cutswap.errors import CutSwapError
from cutswap.utils.files import cache_folder, read_json, write_json, write_text

DEMO_CATEGORIES: tuple[str, ...] = CATEGORIES

FORMAT = 1  # of the whole set; raise it whenever a pixel changes: the cache folder is named by it
MANIFEST = "manifest.json"
LICENSE = """CC0 1.0 Universal

The pictures and masks in this folder were rendered by the cutswap project. No photograph was
used. To the extent possible under law, their makers have waived all copyright and related or
neighbouring rights to them: https://creativecommons.org/publicdomain/zero/1.0/
"""
_STALE = 3600.0  # seconds after which a temporary folder is a dead run's
_making = threading.Lock()

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DemoCounts:
    """Pictures in every category: good ones to train, good ones to test, a defect type's."""

    train: int = 40
    good: int = 8
    defective: int = 5


@dataclass(frozen=True)
class _Plan:
    """One picture to make: what `render` needs, and where its files go inside the set."""

    category: str
    split: str
    index: int
    defect: str | None

    @property
    def photo(self) -> str:
        return f"{self.category}/{self.split}/{self.defect or 'good'}/{self.index:03d}.png"

    @property
    def mask(self) -> str:
        return f"{self.category}/ground_truth/{self.defect}/{self.index:03d}_mask.png"


def make_demo(
    root: Path,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    counts: DemoCounts | None = None,
) -> Path:
    """Render the whole demo set into a new folder.

    The layout is `root/<category>/{train/good, test/good, test/<defect>, ground_truth/<defect>}`
    with photos `000.png` (256 x 256 RGB) and masks `000_mask.png` (L, 0 or 255), beside a
    `license.txt` and a `manifest.json` (format, seed, counts, size and SHA-256 of every file).
    One seed gives the same bytes in every run on one machine.

    Args:
        root: the folder to make; it must not exist, or be empty.
        seed: of every draw, >= 0.
        progress: called as (done, total) after every picture, from the calling thread.
        counts: pictures in every category; default: 40 train, 8 good, 5 of each defect type.

    Returns:
        `root`.

    Raises:
        CutSwapError: `root` holds something, or cannot be written; nothing is left behind, as
            after any other error.
    """
    root = Path(root)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise CutSwapError(
            root,
            expected="a new or empty folder for the demo set",
            found="a folder with files" if root.is_dir() else "a file",
            fix="choose another folder or empty this one",
        )
    _make(root, seed, counts or DemoCounts(), progress)
    return root


def demo_root(
    *,
    cache: Path | None = None,
    progress: Progress | None = None,
    counts: DemoCounts | None = None,
) -> Path:
    """The default demo set in the user's cache, made if it is missing or damaged.

    Damage is a listed file that is missing or has another size; contents are not hashed. Several
    threads and processes may ask at once: threads wait for the first, processes may make it
    twice, and all get a complete set.

    Args:
        cache: folder to keep it under; default: `cache_folder()`.
        progress: called as (done, total) after every picture, if pictures must be made.
        counts: as for `make_demo`.

    Returns:
        The folder that holds the categories; its name carries the version of the format.

    Raises:
        CutSwapError: the cache cannot be written.
    """
    root = (cache or cache_folder()) / f"demo-v{FORMAT}"
    wanted = counts or DemoCounts()
    with _making:
        if not _is_whole(root, wanted):
            _sweep(root)
            _make(root, 0, wanted, progress)
    return root


def _make(root: Path, seed: int, counts: DemoCounts, progress: Progress | None) -> None:
    """Make the set under a temporary name, then put it in the place of whatever is there."""
    temporary: Path | None = None
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{root.name}.", suffix=".tmp", dir=root.parent))
        _fill(temporary, seed, counts, progress)
        temporary.chmod(0o755)  # mkdtemp's is for its owner only
        _put_in_place(temporary, root, counts)
    except OSError as error:
        raise CutSwapError(
            root,
            expected="to be able to write the demo set (35 MB)",
            found=error.strerror or str(error),
            fix="free disk space, or set CUTSWAP_CACHE to a folder that you can write",
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _fill(folder: Path, seed: int, counts: DemoCounts, progress: Progress | None) -> None:
    """Paint every picture, a few at a time: numpy and OpenCV let threads run side by side."""
    plans = list(_plans(counts))
    files: dict[str, dict[str, int | str]] = {}
    workers = ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1))
    try:
        made = workers.map(lambda plan: _paint(folder, plan, seed), plans)
        for done, entries in enumerate(made, start=1):
            files.update(entries)
            if progress is not None:
                progress(done, len(plans))
    finally:
        workers.shutdown(cancel_futures=True)
    write_text(folder / "license.txt", LICENSE)
    files["license.txt"] = _entry(LICENSE.encode())
    manifest = {"format": FORMAT, "seed": seed, "counts": asdict(counts), "files": files}
    write_json(folder / MANIFEST, manifest)


def _plans(counts: DemoCounts) -> Iterator[_Plan]:
    from cutswap.data.demo import rendering

    for category in DEMO_CATEGORIES:
        for split, count in (("train", counts.train), ("test", counts.good)):
            for index in range(count):
                yield _Plan(category, split, index, None)
        for defect in rendering.defects_of(category):
            for index in range(counts.defective):
                yield _Plan(category, "test", index, defect)


def _paint(folder: Path, plan: _Plan, seed: int) -> dict[str, dict[str, int | str]]:
    """Write one picture's files; their manifest entries by path inside the set."""
    import cv2

    from cutswap.data.demo import rendering

    picture = rendering.render(
        plan.category, seed=seed, split=plan.split, index=plan.index, defect=plan.defect
    )
    pixels = {plan.photo: picture.photo[..., ::-1]}  # OpenCV writes BGR
    if plan.defect is not None:
        pixels[plan.mask] = picture.mask
    entries = {}
    for name, array in pixels.items():
        _, encoded = cv2.imencode(".png", array, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        data = encoded.tobytes()
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        entries[name] = _entry(data)
    return entries


def _entry(data: bytes) -> dict[str, int | str]:
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _is_whole(root: Path, counts: DemoCounts) -> bool:
    """Whether this is a set of the present format and these counts with every file in place."""
    try:
        manifest = read_json(root / MANIFEST)
        if (manifest["format"], manifest["counts"]) != (FORMAT, asdict(counts)):
            return False
        return bool(manifest["files"]) and all(
            (root / name).stat().st_size == entry["bytes"]
            for name, entry in manifest["files"].items()
        )
    except (CutSwapError, OSError, LookupError, TypeError, AttributeError):
        return False


def _put_in_place(temporary: Path, root: Path, counts: DemoCounts) -> None:
    """Rename a finished set to its name, moving a damaged one aside.

    If another process was first and its set is whole, that one stays.
    """
    for last_try in (False, False, False, True):
        try:
            temporary.rename(root)
            return
        except OSError:
            if _is_whole(root, counts):
                return
            if last_try or not root.exists():
                raise
        aside = Path(tempfile.mkdtemp(prefix=f".{root.name}.", suffix=".tmp", dir=root.parent))
        try:
            root.rename(aside / root.name)
        except FileNotFoundError:  # another process moved it aside at the same moment
            pass
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _sweep(root: Path) -> None:
    """Remove what killed runs left beside `root`; a live run's folder is younger than that."""
    for left in root.parent.glob(f".{root.name}.*.tmp"):
        try:
            if time.time() - left.stat().st_mtime > _STALE:
                shutil.rmtree(left, ignore_errors=True)
        except OSError:  # another process was first
            continue
