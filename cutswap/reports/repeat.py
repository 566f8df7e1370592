"""An evaluation repeated: the command that gives its numbers again, and the photos it read."""

from __future__ import annotations

from typing import Any

from cutswap.config import FalseAlarmSettings, PadimSettings, PatchCoreSettings, scoring_of
from cutswap.data.loading import CheckedCategory, check_category
from cutswap.data.regions.region_of_interest import region_flags, resize_flags
from cutswap.errors import CutSwapError
from cutswap.evaluation.detector_settings import padim_arguments
from cutswap.evaluation.scored_set import ScoredSet
from cutswap.flags import flags_from
from cutswap.training.flags import recorded_data, recorded_looks
from cutswap.utils.progress import Notify, tick

PRETRAINED = ("embedded", "imagenet", "random")
_RUN = "fine-tuned run "  # before the folder, in an evaluation's record of its weights


def weights_flags(weights: str) -> list[object]:
    """`--weights imagenet` or `--run FOLDER`; the default weights need none.

    Args:
        weights: one of `PRETRAINED`, or a run's folder.
    """
    if weights == "embedded":
        return []
    return ["--weights", weights] if weights in PRETRAINED else ["--run", weights]


def settings_flags(settings: PatchCoreSettings | PadimSettings, seed: int) -> list[object]:
    """Flags of the settings that are not at their default, and of the seed.

    Args:
        settings: PatchCore's, or PaDiM's.
        seed: of the coreset, or of the choice of channels.
    """
    own = flags_from(settings)
    if isinstance(settings, PadimSettings):
        own = padim_arguments(settings)
    return [*own, *(["--seed", seed] if seed else [])]


def evaluate_again(summary: dict[str, Any]) -> list[object] | None:
    """The command behind an evaluation, or None where its record does not say, or people had a say.

    Args:
        summary: what its result.json holds; with a score chosen since, that one is asked for.
    """
    if summary.get("feedback"):  # evaluate knows nothing of it
        return None
    try:
        source = str(summary["weights"]["source"])
        if source.startswith(_RUN):
            weights: list[object] = ["--run", source.removeprefix(_RUN)]
        else:
            weights = [] if source == "embedded" else ["--weights", source]
            if summary.get("backbone", "resnet18") != "resnet18":
                weights += ["--backbone", str(summary["backbone"])]
        root = str(summary["data"]["root"])
        if summary["data"].get("left_out"):
            weights += ["--skip-bad"]
        weights += region_flags(summary["data"]) + resize_flags(summary["data"])
        # An older record lacks newer settings; they are at their default.
        settings = settings_flags(scoring_of(summary), int(summary["seed"]))
        if "false_alarms" in summary:  # photos kept apart are in no bank: the figures are others
            asked = FalseAlarmSettings.from_dict(summary["false_alarms"]["settings"])
            settings += flags_from(asked)
        if "score" in summary:
            weights += ["--score", str(summary["score"])]
    except (AttributeError, LookupError, TypeError, ValueError, CutSwapError):
        return None
    return ["evaluate", "--data", root, *weights, *settings, "--out", "runs/again"]


def recorded_category(scored: ScoredSet, notify: Notify | None = None) -> CheckedCategory:
    """The category of an evaluation with all its test photos, read as it was.

    Args:
        scored: the evaluation.
        notify: called with (stage, done, total).

    Raises:
        CutSwapError: it has vanished or changed.
    """
    scored.need_records()
    root, name, left_out = recorded_data(scored.summary, scored.folder)
    region, resize = recorded_looks(scored.summary)
    return check_category(
        root,
        name,
        skip_bad=left_out,
        region=region,
        resize=resize,
        progress=tick(notify, "checking images"),
    )
