"""One cell: a network tuned on a category, or left as it is, and scored with PatchCore.

A cell is told by plain values, so that it crosses process and machine borders as JSON, and its
figures do not depend on who computes it: the study in this process, a process beside it, a cluster.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cutswap.config import (
    PADIM,
    PATCHCORE,
    FineTuningSettings,
    PadimSettings,
    PatchCoreSettings,
)
from cutswap.data.loading import CheckedCategory, check_category, need_test_images
from cutswap.evaluation.detector_settings import INTRA, DetectorSettings
from cutswap.evaluation.evaluate import evaluate
from cutswap.evaluation.evaluate_head import evaluate_head
from cutswap.evaluation.evaluate_padim import evaluate_padim
from cutswap.intra.settings import IntraSettings
from cutswap.networks.backbone import load_backbone
from cutswap.runs.folder import RunFolder
from cutswap.training.finetuning import finetune, run_record, tuned_backbone
from cutswap.training.head_finetuning import finetune_head, trained_head
from cutswap.utils.devices import choose_device
from cutswap.utils.files import read_json
from cutswap.utils.progress import Notify
from cutswap.utils.signals import Stopped

METRICS = ("image_auroc", "pixel_auroc", "aupro", "f1_max")


@dataclass(frozen=True)
class CellSpec:
    """Everything that decides a cell's figures, and where its data lie.

    Attributes:
        id: hash of all that decides the result.
        label: for a line on the screen.
        root: the data set's folder.
        category: folder name.
        tuning: settings of fine-tuning, or of a head; of the untuned network only its backbone
            counts.
        patchcore: settings of scoring.
        seed: of every draw.
        run: folder name of its tuned network; empty for the untuned one.
        skip_bad: leave out unusable files.
        detector: another detector of `DETECTORS` in PatchCore's place; None: PatchCore.
        detector_settings: that one's.
        padim: settings of our own PaDiM, where it scores in PatchCore's place; else None.
    """

    id: str
    label: str
    root: str
    category: str
    tuning: FineTuningSettings
    patchcore: PatchCoreSettings
    seed: int
    run: str
    skip_bad: bool = False
    detector: str | None = None
    detector_settings: DetectorSettings | IntraSettings = DetectorSettings()
    padim: PadimSettings | None = None

    def to_json(self) -> str:
        """As one line."""
        parts = ("tuning", "patchcore", "detector_settings")
        own = {name: getattr(self, name).to_dict() for name in parts}
        padim = None if self.padim is None else self.padim.to_dict()
        return json.dumps({**vars(self), **own, "padim": padim})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Rebuild from `to_json`.

        Raises:
            CutSwapError: settings out of range.
        """
        values = json.loads(text)
        values["tuning"] = FineTuningSettings.from_dict(values["tuning"])
        values["patchcore"] = PatchCoreSettings.from_dict(values["patchcore"])
        if values["padim"] is not None:
            values["padim"] = PadimSettings.from_dict(values["padim"])
        kind = IntraSettings if values["detector"] == INTRA else DetectorSettings
        values["detector_settings"] = kind.from_dict(values["detector_settings"])
        return cls(**values)

    def check(self, progress: Callable[[int, int], None] | None = None) -> CheckedCategory:
        """Its category.

        Args:
            progress: called with (files done, total).

        Raises:
            CutSwapError: no such data, or unusable files.
        """
        return check_category(
            Path(self.root),
            self.category,
            skip_bad=self.skip_bad,
            train_size=self.tuning.training.image_size,  # untuned, too: one set for all
            progress=progress,
        )


def compute_cell(
    spec: CellSpec,
    checked: CheckedCategory,
    runs: Path,
    *,
    notify: Notify | None = None,
    say: Callable[[str], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any] | None:
    """The figures of one cell, as its file holds them; None when it was stopped half way.

    Of a head they are those of bank and head together; `scores` has those of bank, head and both.

    Args:
        spec: the cell.
        checked: its category.
        runs: folder of tuned networks; one that is finished there is not tuned again.
        notify: called with (stage, done, total).
        say: called with a line on each network's weights.
        stop: asked after every update.

    Raises:
        CutSwapError: anything the stages refuse.
    """
    need_test_images(checked.category)  # what --skip-bad left; hours of training come before scores
    training = spec.tuning.training
    device = str(choose_device(training.device))
    if spec.detector is not None:
        return _detector_figures(spec, checked, device, notify, say, stop)
    trained: dict[str, Any] = {}
    seconds = None
    if spec.run:
        run = RunFolder(runs / spec.run)
        began = time.perf_counter()
        if not run.result_file.exists():
            run.forget_other(run_record(checked, spec.tuning, spec.seed))
            train = finetune if spec.tuning.head.train == "backbone" else finetune_head
            for step in train(
                checked, spec.tuning, run.path, seed=spec.seed, notify=notify, say=say, stop=stop
            ):
                if notify:
                    notify("fine-tuning", step.step, step.steps)
            if not run.result_file.exists():
                return None
            seconds = round(time.perf_counter() - began, 2)
        # Of no more use, and twice as large as the network itself.
        run.checkpoint_file.unlink(missing_ok=True)
        backbone, head = tuned_backbone(run, device), trained_head(run)
        if head is not None:
            evaluation = evaluate_head(
                checked, backbone, head, spec.patchcore, seed=spec.seed, notify=notify
            )
            figures = _figures(spec, checked, device, evaluation.result.summary, seconds)
            scores = evaluation.result.summary["scores"]
            return {
                **figures,
                "updates": read_json(run.result_file)["updates"],
                "scores": {n: {m: v[m] for m in METRICS} for n, v in scores.items()},
                "weight": evaluation.detector.join.weight,
            }
        trained = read_json(run.result_file)
    else:
        backbone = load_backbone(training.backbone, training.weights, device=device, seed=spec.seed)
        if say:
            say(f"{backbone.name}: {backbone.report.sentence()}")
    if spec.padim is not None:
        summary = evaluate_padim(
            checked, backbone, spec.padim, seed=spec.seed, notify=notify, say=say
        ).summary
    else:
        summary = evaluate(checked, backbone, spec.patchcore, seed=spec.seed, notify=notify).summary
    return {
        **_figures(spec, checked, device, summary, seconds),
        "accuracy": trained.get("accuracy"),
        "updates": trained.get("updates"),
    }


def _figures(
    spec: CellSpec,
    checked: CheckedCategory,
    device: str,
    summary: dict[str, Any],
    seconds: float | None,
) -> dict[str, Any]:
    """What cells of ours have in common; `seconds` of training, where it was not there yet."""
    own = {"bank_size": summary.get("bank_size"), PATCHCORE: spec.patchcore.to_dict()}
    if spec.padim is not None:
        own = {"detector": PADIM, PADIM: summary[PADIM]}
    return {
        "metrics": {name: summary[name] for name in METRICS},
        "missed": summary["missed"],
        "seconds": summary["seconds"],
        "training_seconds": seconds,
        "accuracy": None,
        "run": spec.run or None,
        "seed": spec.seed,
        "n_train": summary["n_train"],
        "n_test": summary["n_test"],
        "left_out": len(checked.left_out),
        "device": device,
        **own,
        "weights": summary["weights"],
    }


def _detector_figures(
    spec: CellSpec,
    checked: CheckedCategory,
    device: str,
    notify: Notify | None,
    say: Callable[[str], None] | None,
    stop: Callable[[], bool],
) -> dict[str, Any] | None:
    """The same for another detector, which trains and scores in one."""
    from cutswap.evaluation.detectors import evaluate_detector

    training, backbone = spec.tuning.training, None
    if spec.detector != INTRA:
        backbone = load_backbone(training.backbone, training.weights, device=device, seed=spec.seed)
        if say:
            say(f"{backbone.name}: {backbone.report.sentence()}")
    try:
        summary = evaluate_detector(
            checked,
            str(spec.detector),
            backbone,
            spec.detector_settings,
            device=device,
            seed=spec.seed,
            notify=notify,
            stop=stop,
        ).summary
    except Stopped:
        return None
    kept = ("missed", "seconds", "seed", "n_train", "n_test", "settings", "weights", "detector")
    return {
        "metrics": {name: summary[name] for name in METRICS},
        **{name: summary[name] for name in kept},
        "training_seconds": None,  # in its seconds: there is no network that others share
        "accuracy": None,
        "run": None,
        "left_out": len(checked.left_out),
        "device": device,
    }
