"""Scores of bank, head or both: the switch, the joining rule, and what each misses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import streamlit as st

from app.inspect_heatmaps import caches as inspect_caches
from app.shared import knobs
from app.shared.evaluations import Wanted
from app.shared.heads import SCORES, HeadOfRun
from app.shared.page_parts import plain_text
from cutswap.data.records import Category
from cutswap.evaluation.scored_set import ScoredSet, scores_in
from cutswap.evaluation.unlabelled import is_labelled

MEANINGS = {
    "bank": "distance to normal",
    "head": "score of the head",
    "both": "bank and head joined, in the bank's unit",
}
NAMED = 6  # missed images a line of the table names


def with_head(wanted: Wanted, head: HeadOfRun | None) -> Wanted:
    """The same scored by the head too, where it fits, at the layers and size that it needs."""
    if head is None or misfit(wanted.category, head):
        return wanted
    settings = wanted.settings.replace(layers=head.layers, image_size=head.image_size)
    return replace(wanted, settings=settings, head=head)


def misfit(category: Category, head: HeadOfRun) -> str:
    """Why a head cannot score a category, as a sentence; empty where it can."""
    if head.category != category.name:
        return (
            f"This run's {head.kind} has learnt **{plain_text(head.category)}** and cannot judge"
            f" **{plain_text(category.name)}**. Shown are the scores of the memory bank alone, on"
            f" the network that it left as it was; choose {plain_text(head.category)} in the"
            " sidebar to see the head's."
        )
    if not is_labelled(category):
        return (
            f"Without sorted test photos this run's {head.kind} is not asked: shown are the scores"
            " of the memory bank alone."
        )
    return ""


def score_control(scores: Sequence[str]) -> str | None:
    """The switch; nothing, and None, where there is a bank alone."""
    if not scores:
        return None
    options = [name for name in SCORES if name in scores]
    return knobs.choice(
        "score",
        "Scores from",
        options,
        options[-1],
        show=SCORES.__getitem__,
        segmented=True,
        help="**Bank**: distance to remembered normal patches. **Head**: the projector,"
        " discriminator or gaussian of this run on the same features. **Both**: their sum, weighed"
        " without test images.",
    )


def join_words(scored: ScoredSet) -> str:
    """One sentence on how much the head counts, and how that was decided; empty without a head."""
    about = scored.summary.get("head")
    if not isinstance(about, dict) or not isinstance(about.get("join"), dict):
        return ""
    weight = about["join"].get("weight")
    if not isinstance(weight, (int, float)):
        return ""
    told = {
        line["weight"]: line["made_up_auroc"]
        for line in about.get("weights_tried") or []
        if isinstance(line, dict) and {"weight", "made_up_auroc"} <= set(line)
    }
    gain = ""
    if 0.0 in told and weight in told:
        gain = f" ({told[0.0]:.3f} by the bank alone, {told[weight]:.3f} at this share)"
    alone = " So both are the bank alone here." if weight == 0 else ""
    return (
        f"The head's share in both is **{weight:.0%}**, chosen without any test image: the smallest"
        " share that the best one is not provably ahead of (by one standard error for a tiny bank,"
        f" by two for others) at telling made-up defects from held-out good photos{gain}.{alone}"
    )


def each_misses(scored: ScoredSet, category: Category) -> None:
    """A table of the three: mistakes at each one's own threshold, and what no threshold parts."""
    scores = scores_in(scored.summary)
    if not scores:
        return
    every = {
        name: inspect_caches.scored(scored.folder, category, name)
        for name in SCORES
        if name in scores
    }
    st.markdown("**What each of them misses**")
    lines = [
        "| scores from | image AUROC | AUPRO | missed | false alarms | without false alarm |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in every.items():
        called = one.scores >= float(one.summary["threshold"])
        missed, below = one.labels & ~called, below_good(one)
        figures = (_figure(one, "image_auroc"), _figure(one, "aupro"))
        lines.append(
            f"| {SCORES[name]} | {figures[0]} | {figures[1]}"
            f" | {int(missed.sum())} of {int(one.labels.sum())}"
            f" | {int((called & ~one.labels).sum())} of {int((~one.labels).sum())}"
            f" | {len(below)}: {_named(below)} |"
        )
    st.markdown("\n".join(lines))
    st.caption(
        "Missed and false alarms are at each one's own threshold of best F1. Without false alarm:"
        " the defects that score no higher than the most suspicious good test photo, the lowest"
        " first."
    )


def below_good(one: ScoredSet) -> list[str]:
    """Names of the defective images that score no higher than the highest good one, lowest first.

    Of a test set without good images all are above.
    """
    good = one.scores[~one.labels]
    bar = good.max() if len(good) else -np.inf
    below = np.flatnonzero(one.labels & (one.scores <= bar))
    return [one.names[int(i)] for i in below[np.argsort(one.scores[below], kind="stable")]]


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(plain_text(name.removeprefix("test/")) for name in names[:NAMED])
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{shown}{more}" or "none"


def _figure(one: ScoredSet, key: str) -> str:
    value = one.summary.get(key)
    return f"{value:.3f}" if isinstance(value, (int, float)) else "–"
