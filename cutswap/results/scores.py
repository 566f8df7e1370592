"""What evaluations say of the networks that runs have tuned, one line a way of scoring.

Other than in a results table a run stands for itself here: two runs that differ in their seed alone
are two columns.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cutswap.config import PADIM, PadimSettings, scoring_of
from cutswap.results.setups import each_score, scoring_in_words
from cutswap.results.table import SeedStatistics, figure_of
from cutswap.runs.references import evaluations_of
from cutswap.runs.states import DONE, FoundEvaluation, FoundRun

SHOWN = ("image_auroc", "pixel_auroc")


@dataclass(frozen=True)
class ScoreRow:
    """One metric of one category, scored in one way.

    Attributes:
        metric: of `SHOWN`, a key of `table.METRICS`.
        category: that was scored.
        root: its folder.
        scoring: PatchCore's, or PaDiM's, settings in words.
        figures: by the run's name, over the seeds of its evaluations; a run without is absent.
        number: of category, folder and scoring among those found, from 1.
    """

    metric: str
    category: str
    root: str
    scoring: str
    figures: dict[str, SeedStatistics]
    number: int

    @property
    def about(self) -> str:
        """What the rows of one number have in common: `bolt, coreset 0.01, layer2+layer3`."""
        return f"{self.category}, {self.scoring}"


def scores_of_runs(
    chosen: Sequence[FoundRun],
    evaluations: Iterable[FoundEvaluation],
    runs: Sequence[FoundRun],
) -> tuple[ScoreRow, ...]:
    """Rows that at least one of the chosen runs has a figure for.

    The same network scored twice with the same seed counts once, the newest.

    Args:
        chosen: the runs in question.
        evaluations: of `find_runs`, and others.
        runs: all of the runs folder, to tell which is meant.
    """
    cells: dict[tuple[str, str, str, str], dict[str, dict[tuple[int, str], FoundEvaluation]]] = {}
    sound = sorted((e for e in each_score(evaluations) if e.state == DONE), key=lambda e: e.changed)
    pairs = [(run, e) for run in chosen for e in evaluations_of(run, sound, runs)]
    for run, evaluation in pairs:
        words = scoring_in_words(evaluation)
        place = (evaluation.category, words, evaluation.root, _settings(evaluation))
        once = (evaluation.summary["seed"], str(evaluation.summary.get("fingerprint")))
        cell = cells.setdefault(place, {}).setdefault(run.name, {})
        cell.pop(once, None)  # so that the newest is the last
        cell[once] = evaluation
    rows: list[ScoreRow] = []
    ordered = sorted(cells.items(), key=lambda item: item[0])
    for number, ((category, words, root, _), by_run) in enumerate(ordered, start=1):
        for metric in SHOWN:
            figures = {
                name: figure
                for name, cell in by_run.items()
                if (figure := figure_of(list(cell.values()), metric)) is not None
            }
            if figures:
                rows.append(
                    ScoreRow(
                        metric=metric,
                        category=category,
                        root=root,
                        scoring=words,
                        figures=figures,
                        number=number,
                    )
                )
    return tuple(rows)


def _settings(evaluation: FoundEvaluation) -> str:
    scoring = scoring_of(evaluation.summary)
    if isinstance(scoring, PadimSettings):
        values = {"detector": PADIM, **scoring.to_dict()}
    else:
        values = scoring.deciding()
    return json.dumps({k: v for k, v in values.items() if k != "batch_size"}, sort_keys=True)
