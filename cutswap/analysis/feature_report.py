"""The features command: points, figures and the features themselves into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cutswap.analysis.feature_collection import collect_features, recorded_category
from cutswap.analysis.feature_projection import points_csv, project
from cutswap.analysis.feature_separation import SeparationMetrics, figures
from cutswap.analysis.feature_set import ABOUT, ARRAYS, write_features
from cutswap.analysis.feature_settings import FeatureSettings
from cutswap.data.loading import CheckedCategory, check_category
from cutswap.runs.folder import RunFolder
from cutswap.training.flags import recorded_looks
from cutswap.utils.files import write_json, write_text
from cutswap.utils.progress import Notify

POINTS, FIGURES = "points.csv", "figures.json"
REPORT_FILES = (ARRAYS, ABOUT, POINTS, FIGURES)


def write_feature_report(
    run: RunFolder,
    settings: FeatureSettings,
    out: Path,
    *,
    data: Path | None = None,
    seed: int = 0,
    notify: Notify | None = None,
) -> dict[str, Any]:
    """Look at a finished run's features and write points.csv, figures.json and the features.

    Args:
        run: a finished fine-tuning run.
        settings: draws, projection, folds and resamples.
        out: folder to write.
        data: where its data set lies now; default: where the run found it.
        seed: of folds, resamples and t-SNE; the draws have the run's own.
        notify: called with (stage, done, total).

    Returns:
        What figures.json holds.

    Raises:
        CutSwapError: anything about the run, its photos or the folder that stands in the way.
    """
    checked = category_of(run, data, notify)
    features = collect_features(run, checked, settings, notify)
    projection = project(features, settings, seed)
    metrics = figures(features, settings, seed)
    result = {
        "settings": settings.to_dict(),
        "seed": seed,
        "about": features.about,
        "points": {kind: int(features.where(kind).sum()) for kind in _kinds(features.points)},
        "fitted_on": projection.fitted_on,
        "axes": {"before": projection.axes_before, "after": projection.axes_after},
        "figures": metrics.to_dict(),
        "answer": metrics.answer(),
        "doubt": metrics.doubt,
    }
    write_features(features, out)
    write_text(out / POINTS, points_csv(features, projection))
    write_json(out / FIGURES, result)
    return {**result, "summary": summary(metrics)}


def category_of(
    run: RunFolder, data: Path | None = None, notify: Notify | None = None
) -> CheckedCategory:
    """The category that a run has learnt from.

    Args:
        run: the run folder.
        data: where its data set lies now; default: where the run found it.
        notify: called with (stage, done, total).

    Raises:
        CutSwapError: its folder is gone, or photos are unusable.
    """
    if data is None:
        return recorded_category(run, notify)
    name = run.settings().get("data", {}).get("name")
    resize = recorded_looks(run.settings())[1]
    return check_category(data, name, skip_bad=False, resize=resize)


def summary(metrics: SeparationMetrics) -> str:
    """One line of metrics for the screen; `-` where a metric is undefined."""

    def shown(name: str) -> str:
        value = getattr(metrics, name)
        return "-" if value is None else value.text()

    called = ", ".join(f"{name} {share.text()}" for name, share in metrics.called.items()) or "-"
    return (
        f"fakes told apart {shown('fakes_before')} before, {shown('fakes_after')} after;"
        f" real defects by that line, AUROC {shown('real_before')} before,"
        f" {shown('real_after')} after; by the head {shown('head')}; called defective: {called}"
    )


def _kinds(points: Any) -> list[str]:
    return list(dict.fromkeys(p.kind for p in points))
