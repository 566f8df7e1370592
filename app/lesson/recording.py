"""The short run that ships with the lesson: features of the demo's hex nut before, in, after it.

A run takes a minute and its weights 45 MB: too long for a class, too much for a package. So its
features ship, and what ten states of it say, two thirds of a megabyte; negatives are kept as their
draws and painted anew from the demo's photos. `python -m app.lesson.recording` (or `make
lesson-recording`) makes them anew.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import streamlit as st

from cutswap.analysis.feature_projection import Projection, project
from cutswap.analysis.feature_separation import SeparationMetrics, figures
from cutswap.analysis.feature_set import (
    FeaturePoint,
    FeatureSet,
    read_features,
    write_features,
)
from cutswap.analysis.feature_settings import FeatureSettings
from cutswap.analysis.over_time.history import TrainingHistory, read_history, write_history
from cutswap.errors import CutSwapError
from cutswap.installation.shipped import assets, how_to_restore

FOLDER = assets() / "lesson"
CATEGORY = "hex_nut"  # of the demo
EPOCHS, SIDE = 16, 128  # 48 updates of 16 photos, a minute on two cores
STATES = 10  # looked at over time
SAMPLES = 20  # unseen draws: a positive and a negative of either kind each


def recorded_features(demo: Path) -> FeatureSet:
    """The recorded features, their photos where the demo lies here.

    Args:
        demo: folder of the demo set.

    Raises:
        CutSwapError: files that are missing or damaged.
    """
    try:
        features = _read()
    except CutSwapError as error:
        raise _not_as_shipped(error) from error
    return replace(features, points=_lying_in(demo, features.points))


def recorded_history(demo: Path) -> TrainingHistory:
    """The recorded run's states, their photos where the demo lies here.

    Args:
        demo: folder of the demo set.

    Raises:
        CutSwapError: files that are missing or damaged.
    """
    try:
        history = _read_history()
    except CutSwapError as error:
        raise _not_as_shipped(error) from error
    return replace(history, points=_lying_in(demo, history.points))


def _lying_in(demo: Path, points: tuple[FeaturePoint, ...]) -> tuple[FeaturePoint, ...]:
    return tuple(
        replace(p, file=demo / p.file, mask=None if p.mask is None else demo / p.mask)
        for p in points
    )


def _not_as_shipped(error: CutSwapError) -> CutSwapError:
    return CutSwapError(
        "the recorded run",
        expected="assets/lesson as it shipped",
        found=error.found,
        fix=how_to_restore("assets/lesson"),
    )


@st.cache_resource(show_spinner=False)
def _read() -> FeatureSet:
    return read_features(FOLDER)


@st.cache_resource(show_spinner=False)
def _read_history() -> TrainingHistory:
    return read_history(FOLDER)


@st.cache_resource(max_entries=4, show_spinner="Flattening")
def projected(projection: str) -> Projection:
    """Places of all recorded points in two dimensions.

    Args:
        projection: one of `feature_settings.PROJECTIONS`.
    """
    return project(_read(), FeatureSettings(projection=projection), 0)


@st.cache_resource(show_spinner=False)
def separation() -> SeparationMetrics:
    """The figures of the recorded features, with their intervals."""
    return figures(_read(), FeatureSettings(), 0)


def make_recording() -> None:
    """Fine-tune, collect features, and write them without a path of this machine."""
    from cutswap.analysis.feature_collection import collect_features
    from cutswap.analysis.over_time.collection import collect_history
    from cutswap.config import FineTuningSettings, TrainingSettings
    from cutswap.data.demo.render import demo_root
    from cutswap.data.loading import check_category
    from cutswap.runs.folder import RunFolder
    from cutswap.training.finetuning import finetune

    root = demo_root()
    checked = check_category(root, CATEGORY, skip_bad=False)
    training = TrainingSettings(
        epochs=EPOCHS, image_size=SIDE, snapshots=STATES, workers=0, precision="float32"
    )
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder) / "run")
        for step in finetune(checked, FineTuningSettings(training=training), run.path):
            print(f"\rupdate {step.step} of {step.steps}", end="", flush=True)
        features = collect_features(run, checked, FeatureSettings(samples=SAMPLES))
        history = collect_history(run, checked, FeatureSettings(samples=SAMPLES))
    points = tuple(
        replace(
            p,
            file=p.file.relative_to(root),
            mask=None if p.mask is None else p.mask.relative_to(root),
        )
        for p in features.points
    )
    # Half precision: 0.05% of a feature, a thousandth of what tuning moves it by.
    small = replace(
        features,
        points=points,
        before=features.before.astype(np.float16),
        after=features.after.astype(np.float16),
        thumbnails=features.thumbnails[:, ::3, ::3],
        about={**features.about, "run": "recorded", "root": "demo"},
    )
    write_features(small, FOLDER)
    about = {**history.about, "run": "recorded", "key": ""}
    write_history(replace(history, points=points, about=about), FOLDER)
    print(f"\n{separation().answer()}\n{history.answer()}")


if __name__ == "__main__":
    make_recording()
