"""A run's history kept beside its weights, and as a table."""

from __future__ import annotations

import contextlib

from cutswap.analysis.feature_settings import FeatureSettings
from cutswap.analysis.over_time.collection import collect_history, history_key, is_kept
from cutswap.analysis.over_time.history import TrainingHistory, read_history, write_history
from cutswap.data.loading import CheckedCategory
from cutswap.errors import CutSwapError
from cutswap.runs.folder import RunFolder
from cutswap.utils.csv_text import CsvText, guarded
from cutswap.utils.progress import Notify

TABLE = "over_time.csv"


def kept_history(
    run: RunFolder,
    checked: CheckedCategory,
    settings: FeatureSettings,
    notify: Notify | None = None,
) -> TrainingHistory:
    """Read a run's history, or collect and keep it; anew where run, photos or draws have changed.

    Args:
        run: a finished run with snapshots.
        checked: the category it has learnt from.
        settings: how many draws, on which device.
        notify: called with (stage, done, total).

    Raises:
        CutSwapError: see `collect_history`, or files that cannot be written.
    """
    if is_kept(run, history_key(run, checked.category)):
        with contextlib.suppress(CutSwapError):  # damaged: it can be made anew
            history = read_history(run.path)
            if history.about["samples"] == settings.samples:
                return history
    history = collect_history(run, checked, settings, notify)
    write_history(history, run.path)
    return history


def history_csv(history: TrainingHistory) -> str:
    """CSV, one line a state: update, accuracy by class, the detector's AUROC and its interval."""
    table = CsvText()
    ways = max((len(values) for _, values in history.accuracy), default=0)
    names = ("positive", "patch", "scar")[:ways] if history.about["has_classes"] else ("nearer",)
    columns = ["update", *(f"accuracy_{n}" for n in names), "image_auroc", "low", "high"]
    table.row([guarded(column) for column in columns])
    for state, update in enumerate(history.updates):
        accuracy = history.accuracy_at(int(update)) or [None] * len(names)
        auroc = history.aurocs and history.aurocs[state]
        figures = (auroc.value, auroc.low, auroc.high) if auroc else [None] * 3
        cells = ["" if v is None else f"{v:.6g}" for v in (*accuracy, *figures)]
        table.row([int(update), *cells])
    return table.text()
