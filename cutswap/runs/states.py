"""Fine-tuning runs and evaluations on disk, each judged by the files in its own folder.

Both write result.json last. A run without it is unfinished, and the same command goes on with it;
an evaluation without it is of no use. What cannot be read is broken, with the reason. Whether a
process is at work on a run is not to be seen here.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cutswap.config import PATCHCORE, scoring_of
from cutswap.errors import CutSwapError
from cutswap.utils.files import (
    MAX_JSON,
    is_own_file,
    open_own,
    read_json,
    read_json_lines,
    unreadable,
)
from cutswap.utils.folder_names import (
    EVALUATION_FILES,
    LOG,
    METRICS,
    RESULT,
    RUN_FILES,
    SCORES,
    SETTINGS,
    VALIDATION,
    WEIGHTS,
)

_BYTES = 40_000  # of the log's end that are read: progress bars fill it


DONE, UNFINISHED, BROKEN = "done", "unfinished", "broken"
STATES = (DONE, UNFINISHED, BROKEN)
_MANY = 2**62  # no seed and no number of updates comes near; numpy's whole numbers end at 2**63
_TAIL = 65_536  # bytes of metrics.jsonl read for the last update; a line has 300
RESUME = "the same finetune command resumes it"
AGAIN = f"delete result.json, then {RESUME}"


@dataclass(frozen=True)
class FoundRun:
    """One fine-tuning run.

    Attributes:
        path: its folder.
        name: the same from the runs folder on, with forward slashes.
        state: one of `STATES`.
        reason: why it is broken or what would finish it; empty when done.
        settings: what it was asked to do; empty where unreadable.
        step: updates done.
        steps: updates in all; None before the first.
        result: of a finished run, else empty.
        changed: time of the last change of its files, seconds since 1970.
    """

    path: Path
    name: str
    state: str
    reason: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    step: int = 0
    steps: int | None = None
    result: dict[str, Any] = field(default_factory=dict)
    changed: float = 0.0

    @property
    def category(self) -> str:
        """The category it learns, or nothing."""
        return str(_dig(self.settings, "data", "name") or "")

    @property
    def root(self) -> str:
        """That category's folder, or nothing."""
        return str(_dig(self.settings, "data", "root") or "")


@dataclass(frozen=True)
class FoundEvaluation:
    """One evaluation.

    Attributes:
        path: its folder.
        name: the same from the runs folder on, with forward slashes.
        state: done or broken.
        reason: why it is broken.
        summary: what result.json holds; empty where unreadable.
        changed: time of the last change of its files, seconds since 1970.
    """

    path: Path
    name: str
    state: str
    reason: str = ""
    summary: dict[str, Any] = field(default_factory=dict)
    changed: float = 0.0

    @property
    def category(self) -> str:
        """The category it scored, or nothing."""
        return str(self.summary.get("category") or "")

    @property
    def root(self) -> str:
        """That category's folder, or nothing."""
        return str(_dig(self.summary, "data", "root") or "")


def read_run(path: Path, name: str | None = None) -> FoundRun:
    """Judge one run folder by its files; nothing is raised.

    Args:
        path: the folder, perhaps half deleted or edited by hand.
        name: what to call it; default: the folder's name.
    """
    name, changed = name or path.name, _changed(path)
    settings: dict[str, Any] = {}
    try:
        settings = _object(path / SETTINGS, "restore it, or delete the folder")
        if settings.get("kind") != "finetune" or not isinstance(settings.get("training"), dict):
            return FoundRun(
                path, name, BROKEN, "settings.json is not a fine-tuning run's", changed=changed
            )
        step, steps = _progress(path / METRICS)
    except CutSwapError as error:
        return FoundRun(
            path=path,
            name=name,
            state=BROKEN,
            reason=_reason(error),
            settings=settings,
            changed=changed,
        )
    run = FoundRun(
        path=path,
        name=name,
        state=UNFINISHED,
        reason=RESUME,
        settings=settings,
        step=step,
        steps=steps,
        changed=changed,
    )
    if not is_own_file(path / RESULT):
        return run
    try:
        result = _object(path / RESULT, RESUME)
    except CutSwapError as error:
        return replace(run, state=BROKEN, reason=f"{_reason(error)}; {AGAIN}")
    if not is_own_file(path / WEIGHTS):
        return replace(run, state=BROKEN, reason=f"its weights {WEIGHTS} are gone; {AGAIN}")
    return replace(run, state=DONE, reason="", result=result)


def read_evaluation(path: Path, name: str | None = None) -> FoundEvaluation:
    """Judge one evaluation's folder by its files; nothing is raised.

    Args:
        path: the folder, perhaps half deleted or edited by hand.
        name: what to call it; default: the folder's name.
    """
    name, changed = name or path.name, _changed(path)

    def broken(reason: str, summary: dict[str, Any] | None = None) -> FoundEvaluation:
        return FoundEvaluation(
            path=path,
            name=name,
            state=BROKEN,
            reason=reason,
            summary=summary or {},
            changed=changed,
        )

    if not is_own_file(path / RESULT):
        return broken("result.json is missing: still at work, or stopped half-way; evaluate again")
    try:
        summary = _object(path / RESULT, "evaluate again")
    except CutSwapError as error:
        return broken(_reason(error))
    if wrong := _wrong_in(summary):
        return broken(f"result.json: {wrong}; evaluate again")
    missing = [file for file in (SCORES,) if not is_own_file(path / file)]
    if missing:
        return broken(f"{', '.join(missing)} is gone; evaluate again", summary)
    return FoundEvaluation(
        path=path, name=name, state=DONE, reason="", summary=summary, changed=changed
    )


def training_curve(path: Path) -> list[dict[str, Any]]:
    """All complete updates of a run, each with a whole `step` and finite `loss` and `accuracy`.

    Raises:
        CutSwapError: metrics.jsonl cannot be read, or was edited into something else.
    """
    file = path / METRICS
    lines = _lines(file)
    for number, line in enumerate(lines, start=1):
        need_update(file, number, line)
    return lines


def read_validation(path: Path) -> list[dict[str, Any]]:
    """What a run with --validate has measured: a whole `step` and `auroc` in 0..1 each, in order.

    Raises:
        CutSwapError: validation.jsonl cannot be read, or was edited into something else.
    """
    file = path / VALIDATION
    lines = _lines(file)
    for number, line in enumerate(lines, start=1):
        is_sound = isinstance(line, dict) and _is_count(line.get("step"))
        if not is_sound or not _is_number(line.get("auroc")) or not 0 <= line["auroc"] <= 1:
            raise CutSwapError(
                f"{file}, line {number}",
                expected="a step and an auroc from 0 to 1",
                found=json.dumps(line)[:80],
                fix="delete the file: the run does without it",
            )
    return lines


def _lines(file: Path) -> list[Any]:
    """The JSON lines of a file beside a run; none where there is none of its own."""
    if not is_own_file(file):
        return []
    try:
        return read_json_lines(file)
    except OSError as error:
        raise unreadable(file, error) from error


def _object(path: Path, fix: str) -> dict[str, Any]:
    """A JSON object from a file of sensible size."""
    if not is_own_file(path):
        raise CutSwapError(path, expected="a file", found="none", fix=fix)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise unreadable(path, error) from error
    if size > MAX_JSON:
        raise CutSwapError(path, expected="a small JSON file", found=f"{size:,} bytes", fix=fix)
    value = read_json(path)
    if not isinstance(value, dict):
        found = type(value).__name__
        raise CutSwapError(path, expected="a JSON object", found=found, fix=fix)
    return value


def _progress(path: Path) -> tuple[int, int | None]:
    """(updates done, updates in all) from the last complete line: a long file is not read whole."""
    if not is_own_file(path):
        return 0, None
    try:
        with open_own(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            lines = file.read().decode("utf-8", errors="replace").split("\n")
    except OSError as error:
        raise unreadable(path, error) from error
    whole = [text for text in lines[:-1] if text.strip()]  # the last piece is cut short or empty
    if not whole:
        return 0, None
    try:
        line = json.loads(whole[-1])
    except (ValueError, RecursionError):
        line = None
    need_update(path, None, line)
    steps = line.get("steps")
    return line["step"], steps if _is_count(steps) and steps > 0 else None


def need_update(path: Path, number: int | None, line: object) -> None:
    """Refuse a line that is no update of a run.

    Args:
        path: of metrics.jsonl, for the message.
        number: of the line, from 1; None for the last one.
        line: as parsed.

    Raises:
        CutSwapError: no object with a whole `step` and finite `loss` and `accuracy`.
    """
    sound = (
        isinstance(line, dict)
        and _is_count(line.get("step"))
        and all(_is_number(line.get(key)) for key in ("loss", "accuracy"))
    )
    if not sound:
        raise CutSwapError(
            f"{path}, line {number}" if number else f"{path}, last line",
            expected="an update with step, loss and accuracy",
            found=json.dumps(line)[:80],
            fix="delete metrics.jsonl and checkpoint.safetensors, then run the command again",
        )


def _wrong_in(summary: dict[str, Any]) -> str:
    """What keeps a result from being shown in a table, or nothing."""
    if not isinstance(summary.get("category"), str) or not summary["category"]:
        return "no category"
    try:
        scoring_of(summary)
    except CutSwapError as error:
        of = summary.get("detector", PATCHCORE)
        return f"{of} settings: {error.subject}: expected {error.expected}"
    if not _is_count(summary.get("seed")):
        return f"seed is {summary.get('seed')!r}"
    for key in ("image_auroc", "pixel_auroc", "aupro"):
        value = summary.get(key)
        if value is not None and not (_is_number(value) and 0 <= value <= 1):
            return f"{key} is {value!r}, not a number from 0 to 1"
    return ""


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MANY


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond the largest float
        return False


def _dig(values: dict[str, Any], outer: str, inner: str) -> Any:
    section = values.get(outer)
    return section.get(inner) if isinstance(section, dict) else None


def _changed(path: Path) -> float:
    """Newest time among the files a run or an evaluation writes; 0 where there are none."""
    newest = 0.0
    for name in (*RUN_FILES, *EVALUATION_FILES, RESULT):
        try:
            newest = max(newest, (path / name).lstat().st_mtime)
        except OSError:
            continue
    return newest


def _reason(error: CutSwapError) -> str:
    return f"{Path(error.subject).name}: expected {error.expected}, found {error.found}"


def log_file(run: Path) -> Path:
    """Path of the log of a run's process."""
    return run.with_name(run.name + LOG)


def log_tail(run: Path, lines: int = 20) -> list[str]:
    """The log's last lines; of a progress bar, drawn over itself, its last state. None: none.

    A link beside a run may lead to any file of its reader, a device has no end: none is followed.
    """
    try:
        with open_own(log_file(run)) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    kept = []
    for line in text.split("\n"):
        pieces = [piece for piece in line.split("\r") if piece.strip()]
        if pieces:
            kept.append("".join(c for c in pieces[-1] if c.isprintable()).rstrip())
    return kept[-lines:]
