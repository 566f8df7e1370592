"""Run a study of the paper's tables, cell by cell.

A finished cell is a file written whole, so the study may be killed at any moment: started again,
it computes what is missing and nothing else. A cell that fails is written down with its error, the
others go on, and the next start tries it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cutswap.config import FineTuningSettings
from cutswap.data.datasets import open_dataset
from cutswap.data.loading import CheckedCategory, check_category, need_all_test_images
from cutswap.errors import CutSwapError
from cutswap.evaluation.detector_settings import ANOMALIB, DETECTORS
from cutswap.runs.heartbeat import STOPPED, Heart, beating, exclusive_lock
from cutswap.studies.cells import (
    detector_name,
    detector_of,
    finetuning_of,
    padim_of,
    patchcore_of,
    planned_cells,
)
from cutswap.studies.folder import (
    DONE,
    FAILED,
    PlannedCell,
    Study,
    read_cell,
    read_study,
    write_cell,
    write_study,
)
from cutswap.studies.plan import Cell, StudySettings, plan
from cutswap.sweeps.cell import CellSpec, compute_cell
from cutswap.sweeps.engines import Engine, settle, tasks_of, words_of
from cutswap.sweeps.identity import Weights, data_identity, photos_root, weights_of
from cutswap.sweeps.store import FolderStore
from cutswap.utils.folder_names import RUNS, STUDY
from cutswap.utils.progress import Notify


@dataclass(frozen=True)
class Prepared:
    """A study ready to be computed.

    Attributes:
        study: the whole of its folder, cells of earlier calls included.
        asked: the cells of this call, by identity, in their order.
        settings: common to all cells.
        weights: by content.
    """

    study: Study
    asked: dict[str, tuple[Cell, PlannedCell]]
    settings: StudySettings
    weights: Weights

    def left(self) -> list[str]:
        """Identities of the asked cells that are not done, the failed ones included."""
        return [i for i in self.asked if read_cell(self.study.path, i).state != DONE]

    def spec(self, identity: str) -> CellSpec:
        """A cell with all settings its computation needs."""
        cell, place = self.asked[identity]
        if place.run:
            tuning = finetuning_of(cell, self.settings, self.weights)
        else:
            tuning = FineTuningSettings(self.settings.training, self.settings.saliency)
        return CellSpec(
            id=identity,
            label=place.label,
            root=self.study.root,
            category=cell.category,
            tuning=tuning,
            patchcore=patchcore_of(cell, self.settings),
            padim=padim_of(cell, self.settings),
            seed=cell.seed,
            run=place.run,
            skip_bad=self.study.skip_bad,
            detector=detector_name(cell),
            detector_settings=detector_of(detector_name(cell), self.settings),
        )


def prepare(
    out: Path,
    data: Path,
    tables: Sequence[str],
    settings: StudySettings,
    *,
    categories: Sequence[str] = (),
    seeds: int = 3,
    skip_bad: bool = False,
    others: Sequence[str] = (),
    notify: Notify | None = None,
) -> Prepared:
    """Lay out a study; nothing is written.

    A folder that holds a study of the same settings and weights keeps its other cells.

    Args:
        out: the study's folder.
        data: the data set's folder.
        tables: roman numbers.
        settings: common to all cells.
        categories: folder names; none: all there are.
        seeds: how many, from 0 on.
        skip_bad: leave out unusable files.
        others: beside the paper's methods in tables of categories, of `DETECTORS` or
            `OTHER_METHODS`.
        notify: called with (stage, done, total).

    Raises:
        CutSwapError: no such data, category, weights or number of seeds, categories that cannot be
            scored, or a study.json that is damaged.
    """
    dataset = open_dataset(data)
    names = tuple(categories) or dataset.categories
    cells = plan(tables, names, seeds, others)
    _need_detectors([name for name in others if name in DETECTORS])
    weights = weights_of(settings.training, settings.saliency)
    by_name = {name: dataset.category(name) for name in names}
    need_all_test_images(list(by_name.values()))
    known: dict[str, Any] = {}
    for done, name in enumerate(names):
        if notify:
            notify("hashing the data", done, len(names))
        known[name] = data_identity(by_name[name])
    planned = planned_cells(cells, settings, weights, known)
    study = Study(
        path=out,
        name=out.name,
        settings=settings.to_dict(),
        root=str(photos_root(data)),
        data=known,
        weights={"phi": weights.phi, "saliency": weights.saliency},
        skip_bad=skip_bad,
        cells=planned,
    )
    asked: dict[str, tuple[Cell, PlannedCell]] = {}
    for cell, place in zip(cells, planned, strict=True):
        asked.setdefault(place.id, (cell, place))
    return Prepared(_merged(study), asked, settings, weights)


def _need_detectors(detectors: Sequence[str]) -> None:
    """Refuse before the first cell what every one of them would fail by."""
    if set(detectors) & set(ANOMALIB):
        from cutswap.evaluation.anomalib_models import need_anomalib

        need_anomalib()


def _merged(study: Study) -> Study:
    """With the cells and results that the folder has already."""
    if (study.path / STUDY).exists():
        old = read_study(study.path)
        if old.reason:
            raise CutSwapError(
                study.path / STUDY,
                expected="a study to go on with",
                found=old.reason,
                fix="choose another --out; or, if it is a damaged study, delete study.json:"
                " finished cells in cells/ are found again",
            )
        same = (old.settings, old.weights) == (study.settings, study.weights)
        if same and old.root == study.root:
            cells = {cell.key: cell for cell in (*old.cells, *study.cells)}
            data = {**old.data, **study.data}
            study = replace(study, cells=tuple(cells.values()), data=data)
    stored = {cell.id: read_cell(study.path, cell.id) for cell in study.distinct}
    return replace(study, results={i: r for i, r in stored.items() if r.state in (DONE, FAILED)})


def run_study(
    prepared: Prepared,
    *,
    notify: Notify | None = None,
    say: Callable[[str], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[PlannedCell, str]]:
    """Compute missing cells, one by one.

    Args:
        prepared: of `prepare`.
        notify: called with (stage, done, total) of the cell at work.
        say: called with a line on each network's weights.
        stop: asked after every update and cell; on yes the study ends there.

    Yields:
        Each cell with `done`, or `failed` and why is in its file.

    Raises:
        CutSwapError: somebody is at work in the folder, or it cannot be written.
    """
    out = prepared.study.path
    with exclusive_lock(out), beating(out) as heart:
        write_study(prepared.study)
        worker = _Worker(prepared, heart, notify, say, stop)
        left = prepared.left()
        for number, identity in enumerate(left):
            cell, place = prepared.asked[identity]
            worker.doing = f"cell {number + 1} of {len(left)}: {place.label}"
            heart.beat(worker.doing, number, len(left))
            if stop() or not worker.compute(cell, place):
                heart.end(STOPPED, f"after cell {number} of {len(left)}")
                return
            yield place, read_cell(out, identity).state


def run_study_on(
    engine: Engine,
    prepared: Prepared,
    *,
    threads: int = 1,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[PlannedCell, str]]:
    """The same on several processes or machines, which all see the study's folder.

    Args:
        engine: who computes.
        prepared: of `prepare`.
        threads: of torch, a process.
        stop: asked often; on yes the study ends there.

    Yields:
        Each cell with `done` or `failed`, as the tasks end.

    Raises:
        CutSwapError: somebody is at work in the folder, or it cannot be written.
    """
    out = prepared.study.path
    with exclusive_lock(out), beating(out) as heart:
        write_study(prepared.study)
        store = FolderStore(out)
        left = prepared.left()
        specs = [prepared.spec(identity) for identity in left]
        tasks = tasks_of(specs, store.url, runs=str(out / RUNS), threads=threads)
        done = 0
        heart.beat(f"{len(left)} cells on several processes", 0, len(left))
        for outcome in engine.run(tasks, stop):
            for identity, record in settle(store, outcome).items():
                done += 1
                heart.beat(f"{len(left)} cells on several processes", done, len(left))
                yield prepared.asked[identity][1], record["state"]
        if done < len(left):
            heart.end(STOPPED, f"after cell {done} of {len(left)}")


class _Worker:
    """Computes cells; keeps what the next one may use again.

    Args:
        prepared: the study.
        heart: of its folder.
        notify: see `run_study`.
        say: see `run_study`.
        stop: see `run_study`.
    """

    def __init__(
        self,
        prepared: Prepared,
        heart: Heart,
        notify: Notify | None,
        say: Callable[[str], None] | None,
        stop: Callable[[], bool],
    ) -> None:
        self.doing = ""
        self._prepared, self._heart = prepared, heart
        self._notify, self._say, self._stop = notify, say, stop
        self._checked: dict[str, CheckedCategory | CutSwapError] = {}
        self._said: set[str] = set()

    def compute(self, cell: Cell, place: PlannedCell) -> bool:
        """Write one cell, done or failed; whether it was not stopped half way."""
        out = self._prepared.study.path
        record: dict[str, Any] = {"id": place.id, "label": place.label}
        try:
            metrics = self._figures(cell, place)
        except Exception as error:  # whatever it is, the other cells are not to wait for a person
            write_cell(out, place.id, {**record, "state": FAILED, "error": words_of(error)})
            return True
        if metrics is None:
            return False
        write_cell(out, place.id, {**record, "state": DONE, **metrics})
        return True

    def _figures(self, cell: Cell, place: PlannedCell) -> dict[str, Any] | None:
        return compute_cell(
            self._prepared.spec(place.id),
            self._category(cell.category),
            self._prepared.study.path / RUNS,
            notify=self._tick,
            say=self._tell,
            stop=self._stop,
        )

    def _category(self, name: str) -> CheckedCategory:
        if name not in self._checked:
            study = self._prepared.study
            try:
                self._checked[name] = check_category(
                    Path(study.root),
                    name,
                    skip_bad=study.skip_bad,
                    train_size=self._prepared.settings.training.image_size,
                    progress=lambda done, total: self._tick(f"checking {name}", done, total),
                )
            except CutSwapError as error:  # every cell of it would read all photos to say the same
                self._checked[name] = error
        category = self._checked[name]
        if isinstance(category, CutSwapError):
            raise category
        return category

    def _tick(self, stage: str, done: int, total: int) -> None:
        self._heart.beat(f"{self.doing}; {stage}", done, total)
        if self._notify:
            self._notify(stage, done, total)

    def _tell(self, text: str) -> None:
        if self._say and text not in self._said:
            self._said.add(text)
            self._say(text)
