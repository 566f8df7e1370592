"""A run on disk: settings, environment, metrics, checkpoint, result. The folder is the truth.

settings.json           everything that decides the result, seed included
environment.json        versions, device, where each network's weights came from, their hashes
photos.json             hashes of the training photos (see `provenance`)
heartbeat.json          who is at work on it, or how that ended (see `heartbeat`)
metrics.jsonl           one line an update
validation.jsonl        one line a checkpoint, of a run with --validate
seen.png, seen.json     the last batch as the network saw it (see `seen`)
snapshot_N.safetensors  phi after update N, of a run with --snapshots (see `training.snapshots`)
over_time.npz, .json    what `features --over-time` makes of them (see `analysis.over_time`)
checkpoint.safetensors  phi, psi, momentum and step: what a resumed run needs
backbone.safetensors    the tuned phi, exact; of a head's run phi as it was
head.safetensors        the head, where the run trained one
result.json             written last: a run without it is not finished
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from cutswap.config import TrainingSettings
from cutswap.data.reading import ReadingSettings
from cutswap.errors import CutSwapError, first_names
from cutswap.runs.provenance import (
    ANEW,
    note_start,
    refuse_other_photos,
    refuse_other_weights,
)
from cutswap.runs.states import need_update, read_validation
from cutswap.utils.files import append_json_line, read_json, read_json_lines, write_json, write_text
from cutswap.utils.folder_names import (
    CHECKPOINT,
    ENVIRONMENT,
    HEAD,
    HEARTBEAT,
    LOCK,
    METRICS,
    PHOTOS,
    RESULT,
    SETTINGS,
    SNAPSHOT,
    VALIDATION,
    WEIGHTS,
)
from cutswap.utils.tensor_files import read_tensors, write_tensors

# What a process that was killed early leaves before its settings, known by what is in it: a file of
# somebody else may have such a name, too.
_OF_A_BEAT, _OF_AN_ENVIRONMENT = {"pid", "marker", "host", "how"}, {"python", "versions"}
START_AGAIN = "delete the run folder and start the run again"


@dataclass(frozen=True)
class RunFolder:
    """Paths and readers of one run folder.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def settings_file(self) -> Path:
        """What the run was asked to do."""
        return self.path / SETTINGS

    @property
    def metrics_file(self) -> Path:
        """One JSON line an update."""
        return self.path / METRICS

    @property
    def validation_file(self) -> Path:
        """One JSON line a checkpoint that was measured."""
        return self.path / VALIDATION

    @property
    def checkpoint_file(self) -> Path:
        """State to resume from."""
        return self.path / CHECKPOINT

    @property
    def backbone_file(self) -> Path:
        """The tuned phi."""
        return self.path / WEIGHTS

    @property
    def head_file(self) -> Path:
        """The head, of a run that trained one."""
        return self.path / HEAD

    def snapshot_file(self, step: int) -> Path:
        """What training had moved of phi after an update."""
        return self.path / SNAPSHOT.format(step)

    @property
    def result_file(self) -> Path:
        """Written when the run is finished."""
        return self.path / RESULT

    def forget_other(self, settings: dict[str, Any]) -> None:
        """Begin anew where the folder holds a run with other settings.

        For folders named by a hash of all that decides the run: other settings are then other
        places of the same weights or photos, and what lies there was never finished.
        """
        if self.settings_file.exists() and _differences(read_json(self.settings_file), settings):
            shutil.rmtree(self.path)

    def refuse_other(self, settings: dict[str, Any]) -> None:
        """Nothing where the folder is new, or holds a run with the very same settings.

        Raises:
            CutSwapError: the folder holds a run with other settings, or other files.
        """
        if self.settings_file.exists():
            differing = _differences(_deciding(read_json(self.settings_file)), _deciding(settings))
            if differing:
                raise CutSwapError(
                    self.path,
                    expected="an empty folder, or a run with the same settings to resume",
                    found=f"a run that differs in {', '.join(differing[:6])}",
                    fix=f"repeat the settings in its settings.json to go on, or {ANEW}",
                )
        else:
            self.refuse_foreign()

    def refuse_foreign(self) -> None:
        """Nothing where the folder is new, a run's, or holds what a run left that was killed early.

        Asked before anything is written, the lock and the heartbeat included.

        Raises:
            CutSwapError: it holds files of another origin, or is a file.
        """
        if not self.path.exists():
            return
        if not self.path.is_dir():
            found = "a file"
        elif self.settings_file.exists():
            values = read_json(self.settings_file)
            found = "" if _has(values, {"training"}) else f"a {SETTINGS} of another origin"
        else:
            foreign = sorted(p.name for p in self.path.iterdir() if _is_foreign(p))
            found = f"a folder with other files ({first_names(foreign)})" if foreign else ""
        if found:
            raise CutSwapError(
                self.path,
                expected="an empty or new folder for the run",
                found=found,
                fix="choose another --out",
            )

    def refuse_other_start(
        self, settings: dict[str, Any], photos: dict[str, str], weights: dict[str, Any]
    ) -> None:
        """Nothing where the folder is new, or its run began from just these.

        Args:
            settings: everything that decides the result.
            photos: hashes of the training photos, see `provenance.hashes_of`.
            weights: see `provenance.refuse_other_weights`.

        Raises:
            CutSwapError: the folder holds a run of others, or other files.
        """
        self.refuse_other(settings)
        refuse_other_photos(self.path, photos)
        refuse_other_weights(self.path, weights)

    def begin(
        self, settings: dict[str, Any], environment: dict[str, Any], photos: dict[str, str]
    ) -> str:
        """Start the folder, or find it started from the very same settings, photos and weights.

        Args:
            settings: everything that decides the result.
            environment: versions, device and, as `weights`, the starting weights.
            photos: hashes of the training photos, see `provenance.hashes_of`.

        Returns:
            What an older run had not noted, for people, see `provenance.note_start`.

        Raises:
            CutSwapError: see `refuse_other_start`.
        """
        self.refuse_other_start(settings, photos, environment["weights"])
        gap = note_start(self.path, photos, environment["weights"])
        if not self.settings_file.exists():  # last: settings say that all is there
            write_json(self.path / ENVIRONMENT, environment)
            write_json(self.settings_file, settings)
        return gap

    def settings(self) -> dict[str, Any]:
        """The stored settings.

        Raises:
            CutSwapError: this is not a run folder, or its settings are damaged.
        """
        if not self.settings_file.is_file():
            raise CutSwapError(
                self.path,
                expected="a run folder with settings.json",
                found="none" if not self.path.is_dir() else "a folder without one",
                fix="pass the folder that finetune --out wrote",
            )
        values = read_json(self.settings_file)
        if not isinstance(values, dict):
            raise CutSwapError(
                self.settings_file,
                expected="a JSON object",
                found=type(values).__name__,
                fix="restore the file",
            )
        return values

    def metrics(self) -> list[dict[str, Any]]:
        """All complete metric lines."""
        return read_json_lines(self.metrics_file)

    def add_metrics(self, values: dict[str, Any]) -> None:
        """Append one line."""
        append_json_line(self.metrics_file, values)

    def add_validation(self, step: int, auroc: float) -> None:
        """Append what was measured after an update."""
        append_json_line(self.validation_file, {"step": step, "auroc": round(auroc, 6)})

    def rewind_metrics(self, step: int) -> None:
        """Drop the lines after `step`: a resumed run writes them again.

        Raises:
            CutSwapError: lines that are no updates.
        """
        import json

        lines = self.metrics()
        for number, line in enumerate(lines, start=1):
            need_update(self.metrics_file, number, line)
        kept = [line for line in lines if line["step"] <= step]
        write_text(self.metrics_file, "".join(json.dumps(line) + "\n" for line in kept))
        if self.validation_file.is_file():
            measured = [line for line in read_validation(self.path) if line["step"] <= step]
            text = "".join(json.dumps(line) + "\n" for line in measured)
            write_text(self.validation_file, text)

    def write_checkpoint(self, tensors: dict[str, Tensor]) -> None:
        """Replace the checkpoint whole."""
        write_tensors(self.checkpoint_file, tensors, {})

    def read_checkpoint(self) -> dict[str, Tensor]:
        """The last checkpoint.

        Raises:
            CutSwapError: it is damaged.
        """
        return read_tensors(self.checkpoint_file, fix=START_AGAIN)[0]

    def write_backbone(self, tensors: dict[str, Tensor], name: str) -> None:
        """Store the tuned phi, exact."""
        write_tensors(self.backbone_file, tensors, {"backbone": name})

    def read_backbone(self) -> dict[str, Tensor]:
        """The tuned phi.

        Raises:
            CutSwapError: the run has not finished, or the file is damaged.
        """
        if not self.backbone_file.is_file():
            raise CutSwapError(
                self.backbone_file,
                expected="the tuned weights of a finished run",
                found="no such file: the run has not finished",
                fix="resume it with the same finetune command",
            )
        return read_tensors(self.backbone_file, fix=START_AGAIN)[0]


def _is_foreign(path: Path) -> bool:
    """Whether the file is not ours: neither left by a killed process nor half-written."""
    if path.name.startswith(".") and path.name.endswith(".tmp"):
        return False
    if path.is_symlink() or not path.is_file():
        return True
    if path.name == LOCK:
        return path.stat().st_size > 0
    if path.name not in (HEARTBEAT, ENVIRONMENT, PHOTOS):
        return True
    try:
        values = read_json(path)
    except CutSwapError:
        return True
    if path.name == PHOTOS:
        return not (isinstance(values, dict) and all(map(_is_hash, values.values())))
    return not _has(values, _OF_A_BEAT if path.name == HEARTBEAT else _OF_AN_ENVIRONMENT)


def _has(values: Any, keys: set[str]) -> bool:
    return isinstance(values, dict) and keys <= values.keys()


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _deciding(settings: Any) -> Any:
    """A record without what changes no answer, and with what older records do not have."""
    training = settings.get("training") if isinstance(settings, dict) else None
    if not isinstance(training, dict):
        return settings
    try:
        return {
            **settings,
            "data": _with_reading(settings.get("data")),
            "training": {**TrainingSettings.from_dict(training).deciding(), "workers": 0},
        }
    except (CutSwapError, TypeError):
        return settings


def _with_reading(data: Any) -> Any:
    """The record of the data with the reading settings that older versions did not have."""
    reading = data.get("reading") if isinstance(data, dict) else None
    if not isinstance(reading, dict):
        return data
    return {**data, "reading": {**ReadingSettings().to_dict(), **reading}}


def _differences(old: Any, new: Any, prefix: str = "") -> list[str]:
    """Dotted names of the leaves in which two nested dicts differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted(set(old) | set(new))
        return [
            d
            for name in names
            for d in _differences(old.get(name), new.get(name), f"{prefix}{name}.")
        ]
    return [] if old == new else [prefix.rstrip(".")]
