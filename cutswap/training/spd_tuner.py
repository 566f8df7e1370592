"""Training phi by SPD, on the loop, the checkpoints and the team that fine-tuning has.

Any backbone may be the start. One that is no ResNet has its layers named after the stages of one at
the same depth of its own saliency levels, so that recipes mean the same: of VGG16 `layer2`, which
`gentle` leaves alone, is everything after the pool 9 up to the pool 16.
"""

from __future__ import annotations

from torch import Tensor, nn

from cutswap.config import SPD_VIEWS, SpdSettings, TrainingSettings
from cutswap.errors import CutSwapError
from cutswap.networks.backbone import Backbone
from cutswap.training.distributed import Team
from cutswap.training.finetuner import FineTuner
from cutswap.training.late_reading import Unread
from cutswap.training.spd_loss import BLEND, WEAK, SpdNetwork, similarities, spd_loss
from cutswap.training.spd_views import SpdSamples

# The stages that levels 1 to 5 of a network end; a ResNet's are its own layers.
STAGES = ("conv1", "layer1", "layer2", "layer3", "layer4")
_BESIDE = ("bn1",)  # of a ResNet's recipe; others have none beside conv1


class SpdTuner(FineTuner):
    """One run of SPD; `run` yields after every update.

    Args:
        backbone: where phi starts.
        samples: the views it sees.
        settings: how it learns.
        spd: what it learns.
        seed: of the heads' start.
        team: the processes that share the run; default: this one alone.

    Raises:
        CutSwapError: SimCLR on several processes, each of which sees its own photos alone.
    """

    _has_classes = False

    def __init__(
        self,
        backbone: Backbone,
        samples: SpdSamples,
        settings: TrainingSettings,
        spd: SpdSettings,
        seed: int,
        team: Team | None = None,
    ) -> None:
        self._spd = spd
        self._may_halve = spd.base == "simsiam"  # SimCLR compares photos with each other
        if team is not None and team.size > 1 and spd.base == "simclr":
            raise CutSwapError(
                "--spd-base",
                expected="simsiam on several processes, each of which sees its own photos alone",
                found="simclr, which compares all photos of a batch",
                fix="pass --spd-base simsiam, or start it without torchrun",
            )
        if spd.base == "simclr" and settings.batch_size < 2:
            raise CutSwapError(
                "--batch-size",
                expected="two photos or more, for simclr compares them",
                found=settings.batch_size,
                fix="pass --batch-size 16",
            )
        super().__init__(backbone, samples, settings, seed, team)

    def _new_model(self, seed: int) -> nn.Module:
        return SpdNetwork(self.base, self._spd, seed)

    @property
    def views(self) -> int:
        """Pictures that a sample has: `config.SPD_VIEWS`."""
        return len(SPD_VIEWS)

    def _loss(self, scores: Tensor, ways: int) -> Tensor:
        del ways
        return spd_loss(scores, self._spd)

    def _judged(self, update: Unread) -> tuple[list[list[float]], Tensor]:
        """How many photos lie nearer their weak view, of how many; and cosines (B, views)."""
        rows = update.scores.reshape(len(update.photos), len(SPD_VIEWS), -1)
        near = similarities(rows.chunk(2, dim=2)[0])
        right = (near[:, WEAK] > near[:, BLEND]).sum()
        return [[float(right), float(len(near))]], near

    def _stage(self, name: str) -> str:
        part, _, rest = name.partition(".")
        if part != "phi" or not rest.startswith("features."):
            return super()._stage(name)
        place = int(rest.split(".")[1])
        ends = [int(level) for level in self.base.levels]
        return next((s for s, end in zip(STAGES, ends, strict=True) if place <= end), STAGES[-1])

    def _layers(self) -> tuple[str, ...]:
        own = super()._layers()
        return (*STAGES, *_BESIDE) if "features" in own else own
