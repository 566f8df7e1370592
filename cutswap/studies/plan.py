"""What each of the paper's tables varies, and the cells a study needs to repeat it.

A cell is one category scored once: a table's row or method, a coreset ratio and a seed. Rows of
different tables that ask for the same thing (K = 4, the max cluster, all five layers, K-means, and
CutSwap in Table I) get the same identity later, so they are computed once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cutswap.config import (
    RECIPES,
    ClusterSettings,
    HeadSettings,
    PadimSettings,
    SaliencySettings,
    SpdSettings,
    TrainingSettings,
)
from cutswap.errors import CutSwapError
from cutswap.evaluation.detector_settings import DETECTORS, DetectorSettings
from cutswap.intra.settings import IntraSettings
from cutswap.results.paper_tables import CUTPASTE, CUTSWAP, PAPER_TABLES, UNTUNED
from cutswap.settings import Settings
from cutswap.studies.methods import METHODS, OTHER_METHODS

MAX_SEEDS = 100


LEVELS = (4, 9, 16, 23, 30)  # the paper's layers; of another network its five levels, in order
_SMALL, _LARGE = 0.001, 0.01
_CORESETS = {
    "I": (_SMALL,),
    "II": (_LARGE,),
    "III": (_SMALL,),
    "IV": (_LARGE,),
    "V": (_SMALL,),
    "VI": (_SMALL,),
    "VII": (_SMALL,),
    "VIII": (_SMALL, _LARGE),
}


@dataclass(frozen=True)
class Variant:
    """One row of an ablation, or one method of Tables I to IV.

    Attributes:
        row: as `paper_tables.table_values` names it.
        method: which network is scored.
        clusters: where its anchors lay.
        levels: positions in `LEVELS` its negatives draw from; None: all five.
    """

    row: str
    method: str = CUTSWAP
    clusters: ClusterSettings = ClusterSettings()
    levels: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Cell:
    """One figure to compute.

    Attributes:
        table: roman number.
        variant: what is varied.
        category: folder name.
        coreset: share of patches kept in the bank.
        seed: of training, projection and coreset.
    """

    table: str
    variant: Variant
    category: str
    coreset: float
    seed: int


def variants(table: str, others: Iterable[str] = ()) -> tuple[Variant, ...]:
    """The methods a table compares, in the paper's order.

    Args:
        table: roman number.
        others: to stand beside the paper's in tables of categories, of `DETECTORS` or
            `OTHER_METHODS`.
    """
    if PAPER_TABLES[table].has_categories:
        chosen = set(others)
        rows = [METHODS[name].row for name in OTHER_METHODS if name in chosen]
        rows += [row for name, row in DETECTORS.items() if name in chosen]
        return tuple(Variant(method, method) for method in (CUTPASTE, UNTUNED, CUTSWAP, *rows))
    if table == "V":
        return tuple(Variant(f"K={k}", clusters=ClusterSettings(k=k)) for k in range(1, 7))
    if table == "VI":
        return tuple(
            Variant(row, clusters=ClusterSettings(anchors=anchors))
            for row, anchors in (
                ("Random cluster", "random-cluster"),
                ("Min cluster", "min-cluster"),
                ("Max cluster", "max-cluster"),
            )
        )
    if table == "VII":
        return tuple(_layers(*chosen) for chosen in _COMBINATIONS)
    return (
        Variant("anchors Saliency sorting", clusters=ClusterSettings(anchors="top-n")),
        Variant("anchors K-means"),
    )


_COMBINATIONS = ((4,), (16,), (30,), (4, 16), (16, 30), (4, 16, 30), LEVELS)


def _layers(*chosen: int) -> Variant:
    name = f"layers {' + '.join(f'#{layer}' for layer in chosen)} Ns={len(chosen)}"
    levels = tuple(LEVELS.index(layer) for layer in chosen)
    # All five is no restriction: the same network as everywhere else.
    return Variant(name, levels=None if chosen == LEVELS else levels)


def coresets(table: str) -> tuple[float, ...]:
    """The bank ratios of a table.

    Args:
        table: roman number.
    """
    return _CORESETS[table]


def plan(
    tables: Iterable[str],
    categories: Sequence[str],
    seeds: int,
    others: Sequence[str] = (),
) -> tuple[Cell, ...]:
    """Every cell of some tables, the first seed of all of them first.

    So a study that is cut short has whole tables of fewer seeds, not a part of one.

    Args:
        tables: roman numbers.
        categories: folder names.
        seeds: how many, from 0 on.
        others: beside the paper's methods, see `variants`.

    Raises:
        CutSwapError: no such number of seeds, or no category.
    """
    if not 1 <= seeds <= MAX_SEEDS:
        raise CutSwapError(
            "--seeds", expected=f"1 to {MAX_SEEDS}", found=seeds, fix="pass --seeds 3"
        )
    if not categories:
        raise CutSwapError(
            "--categories", expected="at least one", found="none", fix="leave it out for all"
        )
    order = [t for t in PAPER_TABLES if t in set(tables)]
    return tuple(
        Cell(table=table, variant=variant, category=category, coreset=coreset, seed=seed)
        for seed in range(seeds)
        for table in order
        for category in categories
        for variant in variants(table, others)
        for coreset in coresets(table)
    )


def table_numbers(text: str) -> tuple[str, ...]:
    """`5`, `5,6`, `V` or `all` as roman numbers in the paper's order.

    Raises:
        CutSwapError: no such table.
    """
    romans = tuple(PAPER_TABLES)
    if text.strip().lower() == "all":
        return romans
    chosen = set()
    for part in filter(None, (p.strip() for p in text.upper().split(","))):
        is_number = part.isascii() and part.isdigit() and 1 <= int(part) <= len(romans)
        roman = romans[int(part) - 1] if is_number else part
        if roman not in romans:
            raise CutSwapError(
                "--table",
                expected="1 to 8, several with commas, or all",
                found=part,
                fix="for example --table 5,6",
            )
        chosen.add(roman)
    if not chosen:
        raise CutSwapError(
            "--table",
            expected="1 to 8, several with commas, or all",
            found="nothing",
            fix="for example --table 5,6",
        )
    return tuple(roman for roman in romans if roman in chosen)


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
        detector: how long anomalib's detectors learn; their image size is the training's.
        head: how heads learn; which one is set by each cell.
        spd: views and losses of SPD.
        padim: how PaDiM scores; its image size is the training's.
        intra: InTra's size and length; its image size is the training's.
    """

    preset: str
    training: TrainingSettings
    saliency: SaliencySettings
    detector: DetectorSettings = DetectorSettings()
    head: HeadSettings = HeadSettings()
    spd: SpdSettings = SpdSettings()
    padim: PadimSettings = PadimSettings()
    intra: IntraSettings = IntraSettings()

    @property
    def is_papers_length(self) -> bool:
        """Whether it trains for 256 epochs at least, uncut."""
        return self.training.epochs >= 256 and self.training.steps_per_epoch is None

    def to_dict(self) -> dict[str, object]:
        """JSON-ready values."""
        later: dict[str, Settings] = {
            "detector": self.detector,
            "head": self.head,
            "spd": self.spd,
            "padim": self.padim,
            "intra": self.intra,
        }
        return {
            "preset": self.preset,
            "training": self.training.to_dict(),
            "saliency": self.saliency.to_dict(),
            # Studies of before had none: theirs must stay the same settings.
            **{name: own.to_dict() for name, own in later.items() if own != type(own)()},
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
        head: Any = values.get("head", {})
        spd: Any = values.get("spd", {})
        padim: Any = values.get("padim", {})
        intra: Any = values.get("intra", {})
        return cls(
            preset,
            TrainingSettings.from_dict(training),
            SaliencySettings.from_dict(saliency),
            DetectorSettings.from_dict(detector),
            HeadSettings.from_dict(head),
            SpdSettings.from_dict(spd),
            PadimSettings.from_dict(padim),
            IntraSettings.from_dict(intra),
        )


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
