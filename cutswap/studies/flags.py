"""The reproduce command and a study's settings, each made from the other."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cutswap.config import (
    RECIPES,
    HeadSettings,
    PadimSettings,
    SaliencySettings,
    SpdSettings,
    TrainingSettings,
)
from cutswap.evaluation.detector_settings import DETECTORS, DetectorSettings
from cutswap.flags import FlagNames, flags_from, join_names, settings_from
from cutswap.intra.settings import IntraSettings
from cutswap.results.paper_tables import PAPER_TABLES
from cutswap.runs.states import BROKEN, DONE, UNFINISHED, FoundRun
from cutswap.settings import Settings
from cutswap.studies.folder import DONE as CELL_DONE
from cutswap.studies.folder import FINISHED, Study, read_study
from cutswap.studies.methods import METHODS
from cutswap.studies.plan import StudySettings, need_preset
from cutswap.training.flags import SALIENCY_FLAGS

# What the tables vary, or have no meaning in, has no flag; everything else of the recipe does.
STUDY_FLAGS: dict[str, tuple[type[Settings], FlagNames]] = {
    "training": (
        TrainingSettings,
        FlagNames(skip=("objective", "augment", "levels", "validate", "snapshots")),
    ),
    "saliency": (SaliencySettings, replace(SALIENCY_FLAGS, skip=("image_size", "fusion"))),
    "detector": (DetectorSettings, FlagNames(prefix="detector-", skip=("image_size",))),
    "head": (HeadSettings, FlagNames(prefix="head-", skip=("train",))),
    "spd": (SpdSettings, FlagNames(prefix="spd-")),
    "padim": (PadimSettings, FlagNames(prefix="padim-", skip=("image_size",))),
    "intra": (IntraSettings, FlagNames(prefix="intra-", skip=("image_size",))),
}
RESUME = "the same reproduce command goes on with it"


def study_settings(options: argparse.Namespace) -> StudySettings:
    """Settings of a reproduce command: flags over the preset."""
    preset = need_preset(options.preset)
    base = preset.training.to_dict()
    recipe = getattr(options, "TrainingSettings.recipe")
    if recipe is not None:  # a recipe named brings its own values
        base |= {"recipe": recipe, **RECIPES.get(recipe, {})}
    training = settings_from(options, TrainingSettings, base)
    looking = settings_from(options, SaliencySettings, {"image_size": training.image_size})
    # The queue starts the same command in another folder.
    return StudySettings(
        preset.name,
        training.replace(weights=_anywhere(training.weights)),
        looking.replace(weights=_anywhere(looking.weights)),
        _detector(options),
        settings_from(options, HeadSettings).replace(train=HeadSettings().train),
        settings_from(options, SpdSettings),
        settings_from(options, PadimSettings),
        settings_from(options, IntraSettings),
    )


def _detector(options: argparse.Namespace) -> DetectorSettings:
    settings = settings_from(options, DetectorSettings)
    return (
        settings.replace(textures=str(Path(settings.textures).absolute()))
        if settings.textures
        else settings
    )


def _anywhere(weights: str) -> str:
    """A path of weights that does not depend on the current folder; a name as it is."""
    is_path = weights not in ("embedded", "imagenet", "random") and not weights.startswith("~")
    return str(Path(weights).absolute()) if is_path else weights


def study_arguments(
    settings: StudySettings,
    data: Path,
    out: Path,
    *,
    tables: Sequence[str],
    categories: Sequence[str],
    seeds: int,
    skip_bad: bool = False,
    others: Sequence[str] = (),
) -> list[str]:
    """Everything after `python -m cutswap` that asks for these cells.

    Args:
        settings: common to all cells; only what differs from the preset is named.
        data: the data set's folder.
        out: the study's folder.
        tables: roman numbers.
        categories: folder names; none: all.
        seeds: how many.
        skip_bad: leave out unusable files.
        others: beside the paper's methods.
    """
    numbers = [str(list(PAPER_TABLES).index(table) + 1) for table in tables]
    words = ["reproduce", "--table", ",".join(numbers), "--data", str(data)]
    if categories:
        words += ["--categories", join_names(categories)]
    words += ["--seeds", str(seeds), "--preset", settings.preset, "--out", str(out)]
    if skip_bad:
        words.append("--skip-bad")
    base = need_preset(settings.preset).training.to_dict()
    if settings.training.recipe != base["recipe"]:
        base |= RECIPES[settings.training.recipe]
    words += flags_from(settings.training, base, STUDY_FLAGS["training"][1])
    words += flags_from(settings.saliency, None, STUDY_FLAGS["saliency"][1])
    methods = [name for name in others if name in METHODS]
    detectors = [name for name in others if name in DETECTORS]
    words += ["--methods", ",".join(methods)] if methods else []
    words += ["--detectors", ",".join(detectors)] if detectors else []
    words += flags_from(settings.detector, None, STUDY_FLAGS["detector"][1])
    words += flags_from(settings.head, None, STUDY_FLAGS["head"][1])
    words += flags_from(settings.spd, None, STUDY_FLAGS["spd"][1])
    words += flags_from(settings.padim, None, STUDY_FLAGS["padim"][1])
    words += flags_from(settings.intra, None, STUDY_FLAGS["intra"][1])
    return words


def repeat_study(study: Study) -> list[str]:
    """The command that finishes a study, from its folder.

    Raises:
        CutSwapError: its settings, perhaps edited by hand, would be refused.
    """
    return study_arguments(
        StudySettings.from_dict(study.settings),
        Path(study.root),
        study.path,
        tables=study.tables,
        categories=study.categories,
        seeds=study.seeds,
        skip_bad=study.skip_bad,
        others=study.others,
    )


def study_as_run(path: Path, name: str) -> FoundRun:
    """A study in the words of a run, its cells for updates; nothing is raised.

    Args:
        path: its folder, perhaps not there yet.
        name: what to call it.
    """
    study = read_study(path, name)
    if study.reason:
        return FoundRun(path, name, BROKEN, study.reason)
    state = DONE if study.state == FINISHED else UNFINISHED
    why = "" if state == DONE else RESUME
    return FoundRun(path, name, state, why, step=study.count(CELL_DONE), steps=len(study.distinct))


def resume_command(path: Path) -> tuple[list[str], str]:
    """What goes on with a study, after `python -m cutswap`, and its device.

    Raises:
        CutSwapError: its settings, perhaps edited by hand, would be refused.
    """
    study = read_study(path)
    training = study.settings.get("training")
    device = training.get("device", "auto") if isinstance(training, dict) else "auto"
    return repeat_study(study), str(device)
