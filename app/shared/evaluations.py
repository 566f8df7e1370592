"""Evaluations for the Inspect page: found on disk, or computed once a process in a thread.

A page's script ends whenever the visitor touches a control; an evaluation takes seconds to
minutes. So it runs in a thread of its own and leaves its result in the cache folder, whole or not
at all, under a key of everything it depends on. Any number of sessions may ask for one at the same
time; it is computed once, and one after another, for two at once would only share the cores.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from app.shared import caches, public
from app.shared.background import ONE_AT_A_TIME, Work
from app.shared.heads import HeadOfRun
from app.shared.selection import Selection
from app.uploads.store import uploads_folder
from cutswap.config import PatchCoreSettings
from cutswap.data.records import Category
from cutswap.errors import CutSwapError
from cutswap.evaluation.scored_set import evaluation_key
from cutswap.evaluation.unlabelled import is_labelled
from cutswap.networks.backbone import Backbone
from cutswap.utils.files import cache_folder, read_json
from cutswap.utils.folder_names import HEATMAPS, RESULT, SETTINGS, UNLABELLED

SMALL = 120  # images of a category that is evaluated without asking: under half a minute
KEPT = 12  # evaluations in the cache folder; each is 50 to 100 MB with its network
SECONDS_AN_IMAGE = 0.1  # 256 pixels, ResNet18, one core; replaced by what was last measured
PICKS_A_SECOND = 5e9  # coreset: distances times dimensions, measured on the same core

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """A requested evaluation.

    Attributes:
        category: what is scored.
        network: torchvision's name of the feature extractor.
        weights: embedded, imagenet, random, or a run's path.
        settings: PatchCore's.
        seed: of the coreset.
        head: scores beside the bank's, on its own features; None for the bank alone.
    """

    category: Category
    network: str
    weights: str
    settings: PatchCoreSettings
    seed: int = 0
    head: HeadOfRun | None = None

    @property
    def backbone(self) -> Backbone:
        """The feature extractor.

        Raises:
            CutSwapError: its weights are missing, damaged, or cannot be downloaded.
        """
        return caches.network(self.network, self.weights)

    @property
    def key(self) -> str:
        """Hex name of the evaluation; another one whenever anything it depends on changes."""
        parts = self.backbone.fingerprint
        if self.head is not None:  # its own judgement weighs it, so the file is all that decides
            parts = f"{parts} with {self.head.mark}"
        return evaluation_key(self.category, parts, self.settings, self.seed)

    @property
    def folder(self) -> Path:
        """Where it is, or will be."""
        kind = "evaluations" if is_labelled(self.category) else "unlabelled"
        return cache_folder() / kind / self.key

    @property
    def is_done(self) -> bool:
        """Whether it is there, as far as its last file tells."""
        if is_labelled(self.category):
            return (self.folder / RESULT).is_file()
        # Earlier versions kept no heatmaps beside these scores: such a folder is made anew.
        return all((self.folder / name).is_file() for name in (UNLABELLED, HEATMAPS))

    @property
    def count(self) -> int:
        """Photos to look at."""
        return len(self.category.train) + len(self.category.test)


def network_of(selected: Selection) -> str:
    """Name of the network that the selected weights belong to: a run says which it tuned."""
    if selected.weights == selected.run:  # embedded, imagenet or random
        return "resnet18"
    try:
        training = read_json(Path(selected.weights) / SETTINGS)["training"]
        return str(training["backbone"])
    except (CutSwapError, LookupError, TypeError):  # loading the weights will say what is wrong
        return "resnet18"


def _is_upload(category: Category) -> bool:
    return category.root.is_relative_to(uploads_folder())


class Workshop:
    """All evaluations of this process by key; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._works: dict[str, Work] = {}
        self.seconds_an_image = SECONDS_AN_IMAGE

    def of(self, key: str) -> Work | None:
        """The work on a key, running, done or failed; who asks is waiting for it."""
        work = self._works.get(key)
        if work is not None:
            work.asked = time.monotonic()
        return work

    def ahead(self, key: str) -> int:
        """Evaluations that were asked for before this one and have not ended."""
        before = list(self._works)
        before = before[: before.index(key)] if key in before else before
        return sum(self._works[other].is_running for other in before)

    def start(self, wanted: Wanted) -> None:
        """Start computing unless the result exists or a thread is at it.

        Raises:
            CutSwapError: the weights cannot be loaded, or in public mode it is not the demo.
        """
        if not wanted.category.root.is_relative_to(cache_folder()) or _is_upload(wanted.category):
            public.need_private("scoring")
        if public.is_public() and (refused := self._no_room(wanted)) is not None:
            with self._lock:
                self._works[wanted.key] = Work(error=refused)
            return
        key, folder, backbone = wanted.key, wanted.folder, wanted.backbone
        with self._lock:
            work = self._works.get(key)
            if work is None or not work.is_running:
                work = Work()
                work.thread = threading.Thread(
                    target=self._run,
                    args=(work, wanted, backbone, folder),
                    daemon=True,
                    name=f"evaluation {key[:8]}",
                )
                self._works.pop(key, None)  # to the end of the line
                self._works[key] = work
                work.thread.start()

    def _no_room(self, wanted: Wanted) -> CutSwapError | None:
        """Of strangers' wishes small ones, and few at a time: the machine is everybody's."""
        asked = wanted.settings
        if asked.image_size > public.LARGEST or asked.coreset > public.MOST_KEPT:
            return CutSwapError(
                "the public demo",
                expected=f"images of at most {public.LARGEST} pixels and a bank of at most"
                f" {public.MOST_KEPT} of all patches",
                found=f"{asked.image_size} pixels, {asked.coreset}",
                fix="choose smaller ones, or run the app yourself: cutswap app",
            )
        with self._lock:
            running = [key for key, work in self._works.items() if work.is_running]
        if wanted.key not in running and len(running) >= public.MOST_WAITING:
            return CutSwapError(
                "the public demo",
                expected=f"at most {public.MOST_WAITING} evaluations at a time, of all visitors",
                found=f"{len(running)}",
                fix="try again in a minute",
            )
        return None

    def _run(self, work: Work, wanted: Wanted, backbone: Backbone, folder: Path) -> None:
        def notify(stage: str, done: int, total: int) -> None:
            _need_somebody(work)
            work.notify(stage, done, total)

        with ONE_AT_A_TIME:
            began = time.monotonic()
            try:
                _need_somebody(work)
                if not wanted.is_done:
                    shutil.rmtree(folder, ignore_errors=True)  # half of it may be left
                    _write_whole(folder, lambda out: _compute(wanted, backbone, out, notify))
                    took = time.monotonic() - began - _coreset_seconds(wanted)
                    self.seconds_an_image = max(took / wanted.count, 0.01) / _weight(wanted)
            except CutSwapError as error:
                work.error = error
            except Exception as error:  # the thread's own last words; the page shows the sentence
                _log.exception("evaluation failed")
                work.error = CutSwapError(
                    "the evaluation",
                    expected="to finish",
                    found=type(error).__name__,
                    fix="see the app's log, then try again or choose other settings",
                )


def _need_somebody(work: Work) -> None:
    """End what strangers have asked for and left; the user of an app of one's own comes back."""
    if public.is_public() and time.monotonic() - work.asked > public.LEFT:
        raise CutSwapError(
            "the evaluation",
            expected="a page that waits for it",
            found="none: its tab was closed",
            fix="open the page again",
        )


@st.cache_resource(show_spinner=False)
def workshop() -> Workshop:
    """The process's one."""
    return Workshop()


def estimate(wanted: Wanted) -> float:
    """Seconds an evaluation will take, from what the last one took here."""
    reading = workshop().seconds_an_image * wanted.count * _weight(wanted)
    return reading + _coreset_seconds(wanted)


def shown_seconds(seconds: float) -> str:
    """`about 7 s`, `about 3 min`."""
    return f"about {max(1, round(seconds))} s" if seconds < 90 else f"about {seconds / 60:.0f} min"


def _coreset_seconds(wanted: Wanted) -> float:
    settings = wanted.settings
    stride = {"layer1": 4, "layer2": 8, "layer3": 16, "layer4": 32}.get(settings.layers[0], 8)
    patches = (settings.image_size / stride) ** 2 * len(wanted.category.train)
    return settings.coreset * patches**2 * (settings.projection or 384) / PICKS_A_SECOND


def _weight(wanted: Wanted) -> float:
    """How much longer a photo takes than one of 256 pixels."""
    return (wanted.settings.image_size / 256) ** 2


def _compute(
    wanted: Wanted, backbone: Backbone, out: Path, notify: Callable[[str, int, int], None]
) -> None:
    from cutswap.data.loading import CheckedCategory
    from cutswap.data.problems import find_problems, usable
    from cutswap.evaluation.evaluate import evaluate, write_evaluation
    from cutswap.evaluation.unlabelled import score_unlabelled

    problems = find_problems(
        wanted.category, progress=lambda done, total: notify("checking photos", done, total)
    )
    kept, left_out = usable(wanted.category, problems, skip_bad=True)
    if wanted.head is not None:
        from cutswap.evaluation.evaluate_head import evaluate_head, write_head_evaluation
        from cutswap.heads.patch_head import PatchHead

        joined = evaluate_head(
            CheckedCategory(kept, left_out),
            backbone,
            PatchHead.load(wanted.head.file),
            wanted.settings,
            seed=wanted.seed,
            notify=notify,
        )
        write_head_evaluation(joined, out, notify)
    elif is_labelled(wanted.category):
        evaluation = evaluate(
            CheckedCategory(kept, left_out),
            backbone,
            wanted.settings,
            seed=wanted.seed,
            notify=notify,
        )
        write_evaluation(evaluation, out, notify)
    else:
        score_unlabelled(kept, backbone, wanted.settings, out, seed=wanted.seed, notify=notify)


def _write_whole(folder: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary folder and give it its name when it is complete."""
    temporary: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _prune(folder.parent)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        write(temporary)
        with contextlib.suppress(FileExistsError):  # another process was first: the same content
            temporary.rename(folder)
    except OSError as error:
        if folder.is_dir():
            return
        raise CutSwapError(
            folder,
            expected="to be able to write the evaluation (50 to 100 MB)",
            found=error.strerror or error,
            fix="free disk space, or set CUTSWAP_CACHE to a folder that you can write",
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _prune(folder: Path) -> None:
    """Remove the oldest evaluations beyond `KEPT`, and what killed processes left an hour ago."""
    aged = []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            age = time.time() - path.stat().st_mtime
            if not path.name.startswith("."):
                aged.append((age, path))
            elif age > 3600:
                shutil.rmtree(path, ignore_errors=True)
    for _, path in sorted(aged)[KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)
