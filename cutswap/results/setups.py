"""How an evaluation came about, in words: the columns of a results table.

Two evaluations belong into one column when they differ in category and seeds alone. So fine-tuned
runs of different categories with the same settings are one column, as one row of the paper is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cutswap.config import (
    DETECTORS_OF_OURS,
    HEAD_JITTER,
    PADIM,
    RECIPES,
    SCORES,
    ClusterSettings,
    HeadSettings,
    NegativeSettings,
    PadimSettings,
    PatchCoreSettings,
    SaliencySettings,
    SpdSettings,
    TrainingSettings,
    WeakAugmentation,
    scoring_of,
)
from cutswap.data.reading import SQUASH
from cutswap.data.regions.region_of_interest import recorded_resize
from cutswap.runs.references import TUNED, _part, _run_named, _run_path, _source
from cutswap.runs.states import DONE, FoundEvaluation, FoundRun

# Settings of a run that change where or how fast it computes, but not what.
_OF_THE_MACHINE = ("device", "precision", "workers", "checkpoint_every", "tf32", "compile")
_NAMED_APART = ("recipe", "weights")
_OF_SCORING = ("coreset", "layers")
PADIM_WORD = DETECTORS_OF_OURS[PADIM]


@dataclass(frozen=True)
class Setup:
    """One column: a network and how PatchCore, or PaDiM, used it.

    Attributes:
        network: the network in words.
        key: everything that sets this column apart; equal keys are one column.
        coreset: share of patches kept; None of PaDiM, which keeps none.
        layers: PatchCore's layers.
        image_size: side of the square images, pixels.
        rest: other settings of scoring that are not the defaults, in words; mostly nothing.
        is_tuned: a fine-tuned network.
        number: 2 and up where several columns read alike, else 1.
    """

    network: str
    key: str
    coreset: float | None
    layers: tuple[str, ...]
    image_size: int
    rest: str = ""
    is_tuned: bool = False
    number: int = 1

    @property
    def scorer(self) -> str:
        """`coreset 0.01`, or `PaDiM`."""
        return PADIM_WORD if self.coreset is None else f"coreset {self.coreset:g}"

    @property
    def label(self) -> str:
        """The column's heading."""
        parts = [self.network, self.scorer, "+".join(self.layers)]
        if self.rest:
            parts.append(self.rest)
        return ", ".join(parts) + (f" (#{self.number})" if self.number > 1 else "")


def each_score(evaluations: Iterable[FoundEvaluation]) -> tuple[FoundEvaluation, ...]:
    """Evaluations of a head once for each score that was measured: bank, head and both.

    They were scored together, but their result.json is that of the score that counted.

    Args:
        evaluations: others, and those whose figures cannot be read, stay as they are.
    """
    found = list[FoundEvaluation]()
    for evaluation in evaluations:
        others = evaluation.summary.get("scores")
        counts = evaluation.summary.get("score")
        if evaluation.state != DONE or not isinstance(others, dict) or counts not in others:
            found.append(evaluation)
            continue
        for name, figures in others.items():
            if name == counts:
                found.append(evaluation)
            elif name in SCORES and _are_figures(figures):
                summary = {**evaluation.summary, **figures, "score": name}
                found.append(replace(evaluation, summary=summary))
    return tuple(found)


def _are_figures(values: Any) -> bool:
    """Whether these are shares, or missing; so that nothing else comes into a table."""
    if not isinstance(values, dict) or "image_auroc" not in values:
        return False
    return all(
        value is None or (type(value) in (int, float) and 0 <= value <= 1)
        for name, value in values.items()
        if name in ("image_auroc", "pixel_auroc", "aupro")
    )


def setup_of(evaluation: FoundEvaluation, runs: Sequence[FoundRun]) -> Setup:
    """The column of a sound evaluation.

    Args:
        evaluation: with state done.
        runs: those in the same runs folder, to say what a tuned network was tuned with.
    """
    summary = evaluation.summary
    scoring = scoring_of(summary)
    network, key = _network(summary, runs)
    values = {k: v for k, v in scoring.to_dict().items() if k != "batch_size"}
    score = _score_in_words(summary)  # bank, head and both of one run are three columns
    shape = _shape_in_words(summary)
    if isinstance(scoring, PadimSettings):
        rest, coreset = _changes(values, PadimSettings().to_dict(), ("layers",)), None
    else:
        rest, coreset = (
            _changes(values, PatchCoreSettings().to_dict(), _OF_SCORING),
            scoring.coreset,
        )
    return Setup(
        network=network,
        key=json.dumps([key, values, *filter(None, [score, shape])], sort_keys=True),
        coreset=coreset,
        layers=scoring.layers or (),
        image_size=scoring.image_size,
        rest=", ".join(filter(None, [score, shape, rest])),
        is_tuned=_run_path(_source(summary)) is not None,
    )


def scoring_in_words(evaluation: FoundEvaluation) -> str:
    """Settings of an evaluation in short: `coreset 0.01, layer2+layer3`, and all not default."""
    scoring = scoring_of(evaluation.summary)
    if isinstance(scoring, PadimSettings):
        rest = _changes(scoring.to_dict(), PadimSettings().to_dict(), ("layers", "batch_size"))
        return ", ".join(filter(None, [PADIM_WORD, "+".join(scoring.layers or ()), rest]))
    skip = (*_OF_SCORING, "batch_size")
    rest = _changes(scoring.to_dict(), PatchCoreSettings().to_dict(), skip)
    parts = [f"coreset {scoring.coreset:g}", "+".join(scoring.layers)]
    told = _score_in_words(evaluation.summary), _shape_in_words(evaluation.summary)
    return ", ".join([*parts, *filter(None, [*told, rest])])


def run_in_words(run: FoundRun) -> str:
    """Settings of a run that differ from its recipe: `fine-tuned gentle, epochs 1`.

    A run that trained a head begins with its name: `projector, updates 100`.
    """
    training = _part(run.settings, "training")
    recipe = str(training.get("recipe", "gentle"))
    base = TrainingSettings().to_dict() | {"recipe": recipe} | RECIPES.get(recipe, {})
    head = _part(run.settings, "head").get("train", "backbone")
    weak = WeakAugmentation() if head == "backbone" else WeakAugmentation(jitter=HEAD_JITTER)
    words = [
        _changes(training, base, (*_OF_THE_MACHINE, *_NAMED_APART)),
        *(
            _changes(_part(run.settings, name), defaults, ("image_size", "weights", "train"))
            for name, defaults in (
                ("saliency", SaliencySettings().to_dict()),
                ("clusters", ClusterSettings().to_dict()),
                ("negatives", NegativeSettings().to_dict()),
                ("weak", weak.to_dict()),
                ("head", HeadSettings().to_dict()),
                ("spd", SpdSettings().to_dict()),
            )
        ),
    ]
    trained = f"fine-tuned {recipe}" if head == "backbone" else str(head)
    return ", ".join([trained, *filter(None, words)])


def _score_in_words(summary: dict[str, Any]) -> str:
    """`score of both`: the kind of score, of an evaluation of bank and head; else nothing."""
    return f"score of {summary['score']}" if isinstance(summary.get("score"), str) else ""


def _shape_in_words(summary: dict[str, Any]) -> str:
    """`resize fit`: how photos became squares; nothing where they were squashed."""
    resize = recorded_resize(summary.get("data"))
    return "" if resize == SQUASH else f"resize {resize}"


def _network(summary: dict[str, Any], runs: Sequence[FoundRun]) -> tuple[str, list[Any]]:
    """In words, and what sets it apart."""
    weights, source = _part(summary, "weights"), _source(summary)
    name = str(summary.get("backbone", "network"))
    path = _run_path(source)
    if path is not None:
        run = _run_named(source, runs)
        if run is None or not run.settings:
            return f"{name}, {TUNED}{path}", [str(path)]
        parts = {
            part: {k: v for k, v in _part(run.settings, part).items() if k not in _OF_THE_MACHINE}
            for part in ("training", "saliency", "clusters", "negatives", "weak", "spd")
        }
        head = _part(run.settings, "head")
        if head.get("train", "backbone") != "backbone":  # else the record may leave it out
            parts["head"] = head
        return f"{name}, {run_in_words(run)}", [parts]
    known = source in ("embedded", "imagenet", "random")
    words = f"{source} weights" if known else Path(source).name
    return f"{name}, {words}", [name, source, weights.get("sha256")]


def _changes(values: dict[str, Any], base: dict[str, Any], skip: tuple[str, ...]) -> str:
    """`k 2, anchors top-n`: what differs from the base, `skip` left out."""
    return ", ".join(
        f"{name} {_shown(value)}"
        for name, value in values.items()
        if name not in skip and value != base.get(name)
    )


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_shown(v) for v in value)  # as it is typed
    return f"{value:g}" if isinstance(value, float) else str(value)
