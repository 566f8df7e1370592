"""How long and on what a study of the paper's tables trains: its presets, the one home of both.

`laptop` is what two cores finish in hours and is not the paper's length; whatever it shows is
said to be so. `paper` is the paper's wording: 256 epochs, everything at rate 0.03.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cutswap.config import RECIPES, SaliencySettings, TrainingSettings
from cutswap.errors import CutSwapError
from cutswap.evaluation.detector_settings import DetectorSettings

MAX_SEEDS = 100


@dataclass(frozen=True)
class Preset:
    """One length and recipe for all networks of a study.

    Attributes:
        name: what `--preset` calls it.
        about: one line for people.
        training: its settings; a method sets the family of negatives itself.
        is_papers_length: whether it trains as long as the paper says.
    """

    name: str
    about: str
    training: TrainingSettings
    is_papers_length: bool


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "laptop",
            "60 updates of 8 images a class, gentle recipe: far shorter than the paper's 256"
            " epochs",
            # 60 updates: training accuracy is 0.88 on transistor then, 0.75 on magnetic_tile.
            TrainingSettings(recipe="gentle", epochs=1, steps_per_epoch=60, batch_size=8),
            is_papers_length=False,
        ),
        Preset(
            "paper",
            "256 epochs of 32 images a class, everything at rate 0.03, as the paper words it",
            # The batch is CutPaste's: the paper names none.
            TrainingSettings.from_dict(
                {"recipe": "paper", **RECIPES["paper"], "epochs": 256, "batch_size": 32}
            ),
            is_papers_length=True,
        ),
    )
}


@dataclass(frozen=True)
class StudySettings:
    """What all cells of a study have in common.

    Attributes:
        preset: key of `PRESETS` the training began as.
        training: settings of phi; `augment` and `levels` are set by each cell.
        saliency: who looks, and at which depths.
        detector: how long other detectors learn; their image size is the training's.
    """

    preset: str
    training: TrainingSettings
    saliency: SaliencySettings
    detector: DetectorSettings = DetectorSettings()

    @property
    def is_papers_length(self) -> bool:
        """Whether it trains for 256 epochs at least, uncut."""
        return self.training.epochs >= 256 and self.training.steps_per_epoch is None

    def to_dict(self) -> dict[str, object]:
        """JSON-ready values."""
        own = self.detector.to_dict()
        return {
            "preset": self.preset,
            "training": self.training.to_dict(),
            "saliency": self.saliency.to_dict(),
            # Studies of before had none: theirs must stay the same settings.
            **({"detector": own} if own != DetectorSettings().to_dict() else {}),
        }

    @classmethod
    def from_dict(cls, values: dict[str, object]) -> StudySettings:
        """Rebuild from `to_dict` output.

        Raises:
            CutSwapError: something is missing, unknown or out of range.
        """
        training, saliency = values.get("training"), values.get("saliency")
        if not isinstance(training, dict) or not isinstance(saliency, dict):
            raise CutSwapError(
                "the study's settings",
                expected="training and saliency by name",
                found=", ".join(map(str, values)) or "nothing",
                fix="run the reproduce command again",
            )
        preset = need_preset(str(values.get("preset"))).name
        detector: Any = values.get("detector", {})  # from_dict refuses what is no dict
        return cls(
            preset, TrainingSettings.from_dict(training), SaliencySettings.from_dict(saliency),
            DetectorSettings.from_dict(detector),
        )  # fmt: skip


def need_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        CutSwapError: there is none.
    """
    if name not in PRESETS:
        raise CutSwapError(
            "--preset", expected=" or ".join(PRESETS), found=name, fix="pass one of these"
        )
    return PRESETS[name]
