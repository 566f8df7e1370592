"""The evaluate command that gives the numbers a page shows."""

from __future__ import annotations

from typing import Any

from app.shared.selection import PRETRAINED
from cutswap.config import PatchCoreSettings
from cutswap.errors import CutSwapError
from cutswap.flags import flags_from


def weights_flags(weights: str) -> list[object]:
    """`--weights imagenet` or `--run FOLDER`; the default weights need none."""
    if weights == "embedded":
        return []
    return ["--weights", weights] if weights in PRETRAINED else ["--run", weights]


def settings_flags(settings: PatchCoreSettings, seed: int) -> list[object]:
    """Flags of the settings that are not at their default, and of the seed."""
    return [*flags_from(settings), *(["--seed", seed] if seed else [])]


def saved_command(summary: dict[str, Any]) -> list[object] | None:
    """The command behind a saved evaluation, or None where it does not say."""
    try:
        source = str(summary["weights"]["source"])
        if source.startswith("fine-tuned run "):
            weights: list[object] = ["--run", source.removeprefix("fine-tuned run ")]
        else:
            weights = [] if source == "embedded" else ["--weights", source]
        root = str(summary["data"]["root"])
        # An older record lacks newer settings; they are at their default.
        patchcore = PatchCoreSettings.from_dict(summary["patchcore"])
        settings = settings_flags(patchcore, int(summary["seed"]))
        if "score" in summary:
            weights += ["--score", str(summary["score"])]
    except (LookupError, TypeError, ValueError, CutSwapError):
        return None
    return ["evaluate", "--data", root, *weights, *settings, "--out", "runs/again"]
