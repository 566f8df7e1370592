"""From a cell of the results to the Inspect page that shows its pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from app.shared import public, workspace
from app.shared.heads import SCORES
from app.shared.knobs import set_knob
from app.shared.selection import PRETRAINED, select
from cutswap.config import PatchCoreSettings, scoring_of
from cutswap.runs.find import find_runs
from cutswap.runs.references import run_of
from cutswap.runs.states import DONE, FoundEvaluation, FoundRun
from cutswap.utils.files import cache_folder

HERE = "this page"
CORESETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)
SIZES = (64, 128, 192, 256, 320, 384, 512)


CACHED = "Inspect: "  # before the names of evaluations that lie in the cache


def cached_evaluations() -> tuple[FoundEvaluation, ...]:
    """What the Inspect page has computed and still keeps.

    Raises:
        CutSwapError: the folder cannot be listed.
    """
    if public.is_public():  # they may be other visitors'
        return ()
    evaluations = find_runs(cache_folder() / "evaluations").evaluations
    return tuple(replace(e, name=f"{CACHED}{e.name[:8]}") for e in evaluations)


def category_key(root: str) -> str | None:
    """The sidebar's key of a category's folder; None where the app does not know it."""
    path = Path(root)
    for key, (source, name) in workspace.category_keys().items():
        if path in (source.root / name, source.root):
            return key
    return None


def inspect(evaluation: FoundEvaluation, key: str, runs: tuple[FoundRun, ...]) -> None:
    """Set selection and knobs, for a callback; the page itself is switched to afterwards.

    Args:
        evaluation: what to show.
        key: of its category.
        runs: of the runs folder.
    """
    run = run_of(evaluation, runs)
    weights = evaluation.summary.get("weights")
    source = weights.get("source") if isinstance(weights, dict) else None
    if run is not None and run.state == DONE:
        select(category=key, run=run.name)
    else:
        select(category=key, run=source if source in PRETRAINED else None)
    if not evaluation.name.startswith(CACHED):
        set_knob("eval", evaluation.name)
        return
    # The page finds its own evaluations by their settings.
    set_knob("eval", HERE)
    settings = scoring_of(evaluation.summary)
    if not isinstance(settings, PatchCoreSettings):  # the page itself computes none by PaDiM
        return
    set_knob("pclayers", list(settings.layers))
    set_knob("pcseed", evaluation.summary["seed"])
    set_knob("nn", settings.neighbours)
    set_knob("highest", settings.image_patches)
    set_knob("whiten", settings.whiten)
    if evaluation.summary.get("score") in SCORES:
        set_knob("score", evaluation.summary["score"])
    set_knob("sigma", settings.sigma)
    if settings.coreset in CORESETS:
        set_knob("coreset", settings.coreset)
    if settings.image_size in SIZES:
        set_knob("pcsize", settings.image_size)
