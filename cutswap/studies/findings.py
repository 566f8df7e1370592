"""Findings of a study in plain sentences: differences to the paper, and its recomputed sums."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from cutswap.config import HEADS, LEARNT_HEADS
from cutswap.evaluation.detector_settings import DETECTOR_EPOCHS, DETECTORS, INTRA
from cutswap.intra.settings import PAPER
from cutswap.results.paper_tables import (
    METRICS,
    PAPER_TABLES,
    average_mismatches,
    paper_values,
    recomputed_average,
)
from cutswap.results.table import SeedStatistics
from cutswap.studies.folder import FAILED, MISSING, Study
from cutswap.studies.guidance import guidance_sentences
from cutswap.studies.methods import METHODS
from cutswap.studies.plan import PRESETS, StudySettings
from cutswap.studies.tables import SPREADS, Entry, all_entries, entries

_PADIM_LAYERS = ("layer1", "layer2", "layer3")  # of a ResNet, unless the settings name others
_WORDS = {"image_auroc": "image AUROC", "pixel_auroc": "pixel AUROC"}


@dataclass(frozen=True)
class AverageCheck:
    """A printed average of the paper beside the mean of its own rows.

    Attributes:
        table: roman number.
        method: as printed.
        metric: one of `METRICS`.
        printed: the paper's average.
        recomputed: unweighted mean of its rows; None where a row is a dash.
        is_mismatch: further apart than rounding explains.
    """

    table: str
    method: str
    metric: str
    printed: float
    recomputed: float | None
    is_mismatch: bool


def average_checks() -> tuple[AverageCheck, ...]:
    """Every average of Tables I to IV recomputed from its rows."""
    wrong = {m.printed for m in average_mismatches()}
    checks = []
    for average in paper_values():
        is_one = average.category == "Average" and PAPER_TABLES[average.table].has_categories
        if not is_one or average.value is None:
            continue
        rows = [
            v
            for v in paper_values()
            if (v.table, v.method, v.metric) == (average.table, average.method, average.metric)
        ]
        checks.append(
            AverageCheck(
                table=average.table,
                method=average.method,
                metric=average.metric,
                printed=average.value,
                recomputed=recomputed_average(rows),
                is_mismatch=average in wrong,
            )
        )
    return tuple(checks)


def settings_sentence(study: Study) -> str:
    """How long the networks of a study train, and whether that is the paper's length."""
    settings = StudySettings.from_dict(study.settings)
    training = settings.training
    length = (
        f"{training.epochs * training.steps_per_epoch} updates"
        if training.steps_per_epoch is not None
        else f"{training.epochs} epochs"
    )
    preset = PRESETS[settings.preset].training
    # The weights and the device are no length, and are said elsewhere.
    same = preset.replace(weights=training.weights, device=training.device) == training
    text = (
        f"Every network trains for {length} of {training.batch_size} images a class at"
        f" {training.image_size} pixels, {training.recipe} recipe (preset {settings.preset}"
        + ("" if same else ", changed by flags")
        + ")."
    )
    if not settings.is_papers_length:
        text += (
            " The paper trains for 256 epochs: what is not found here may be for want of training."
        )
    return text


def detector_sentences(study: Study) -> tuple[str, ...]:
    """How long other detectors learn here and in their papers; nothing where there are none."""
    settings = StudySettings.from_dict(study.settings).detector
    trained = [name for name in study.detectors if name in DETECTOR_EPOCHS]
    said = [
        f"{DETECTORS[name]} trains for {settings.epochs} epochs of anomalib's recipe; its paper for"
        f" {DETECTOR_EPOCHS[name]}"
        + (
            ", pasting the textures of DTD, where ours pastes "
            + ("noise" if settings.textures is None else "other photos")
            if name == "draem"
            else ""
        )
        + "."
        for name in trained
    ]
    if INTRA in study.detectors:
        own = StudySettings.from_dict(study.settings).intra
        said.append(
            f"InTra is ours, after the paper's description: width {own.width}, {own.blocks} blocks,"
            f" {own.updates} updates of {own.windows} windows; the paper has {PAPER['width']},"
            f" {PAPER['blocks']}, and learns until nothing improves."
        )
    return tuple(said)


def spd_sentences(study: Study) -> tuple[str, ...]:
    """What our SPD has otherwise than the paper's; nothing where there is none."""
    if not any(METHODS[name].objective == "spd" for name in study.methods):
        return ()
    settings = StudySettings.from_dict(study.settings)
    seen = settings.padim.layers or _PADIM_LAYERS
    kept = [name for name in seen if name in settings.training.frozen]
    return (
        f"SPD trains {settings.training.backbone} on the category's own good photos, from the"
        f" weights of all others, with {settings.spd.base} and a weight of"
        f" {settings.spd.weight:g}; the paper's SPD is a ResNet50, pre-trained on ImageNet."
        + (
            f" Of PaDiM's layers {' and '.join(kept)} stay as they were here (--frozen), so that"
            " SPD can change little of what it sees."
            if kept
            else ""
        ),
    )


def head_sentences(study: Study) -> tuple[str, ...]:
    """How heads learn, and what their figures are; nothing where there are none."""
    trained = {METHODS[name].trained for name in study.methods} - {"backbone"}
    if not trained:
        return ()
    head = StudySettings.from_dict(study.settings).head
    names = " and ".join(name for name in HEADS if name in trained)
    updates = (
        f" {head.updates} updates on trial and {head.updates} on all good photos;"
        if trained & set(LEARNT_HEADS)
        else ""
    )
    return (
        f"The network of {names} stays as it is:{updates} figures are of bank and head together,"
        " weighed without test images.",
    )


def differing(study: Study) -> tuple[Entry, ...]:
    """Entries beyond two spreads of the paper's number, with or without reservations."""
    return tuple(e for e in all_entries(study) if e.is_beyond)


def sentence(entry: Entry) -> str:
    """One difference in words."""
    ours = "–" if entry.ours is None else entry.ours.text()
    difference, paper = entry.difference or 0.0, entry.paper or 0.0
    where = "the average" if entry.is_average else entry.category
    sides = "above" if difference > 0 else "below"
    return (
        f"Table {entry.table}, {where}, {entry.row}, coreset {entry.coreset:g},"
        f" {_WORDS[entry.metric]}: ours {ours} lies {abs(difference):.3f} {sides} the"
        f" paper's {paper:.3f}"
    )


def statements(study: Study) -> tuple[str, ...]:
    """The study in plain sentences, the weightiest first; whichever way it falls."""
    said = [
        settings_sentence(study),
        *head_sentences(study),
        *spd_sentences(study),
        *detector_sentences(study),
        *guidance_sentences(study),
    ]
    compared = [e for e in all_entries(study) if e.is_beyond is not None]
    clean = [e for e in compared if not e.reservations]
    beyond = [e for e in clean if e.is_beyond]
    if clean:
        said.append(
            f"On the paper's own data {len(beyond)} of {len(clean)} figures differ from the paper"
            f" by more than {SPREADS} spreads of our seeds and do not reproduce"
            + (":" if beyond else ".")
        )
        said += [f"{sentence(e)}: it does not reproduce." for e in beyond]
    doubtful = [e for e in compared if e.reservations]
    if doubtful:
        off = sum(bool(e.is_beyond) for e in doubtful)
        said.append(
            f"{off} of {len(doubtful)} {'further ' if clean else ''}figures lie beyond {SPREADS}"
            " spreads of the paper's number, but are about other data than the paper's, so they"
            " neither confirm nor refute it."
        )
    if not compared:
        said.append("No figure can be held against the paper yet: that takes two seeds of a cell.")
    for number in study.tables:
        if not PAPER_TABLES[number].has_categories:
            said += [text for metric in METRICS if (text := _best(study, number, metric))]
    gaps = [(study.count(MISSING), "not computed yet"), (study.count(FAILED), "failed")]
    said += [f"{n} of {len(study.distinct)} cells: {word}." for n, word in gaps if n]
    return tuple(said)


def _best(study: Study, number: str, metric: str) -> str:
    """Whether an ablation's winner wins here too, by seeds that both settings have."""
    averages = [e for e in entries(study, number, metric) if e.is_average]
    means = [
        (e.row, e.ours, e.paper)
        for e in averages
        if e.coreset == averages[0].coreset and e.ours is not None and e.paper is not None
    ]
    wanted = sum(e.coreset == averages[0].coreset for e in averages)
    # Half a study would hold the luck of one seed against the mean of others.
    if len(means) < max(2, wanted) or len({ours.seeds for _, ours, _ in means}) > 1:
        return ""
    row, there, paper = max(means, key=lambda m: m[2])
    best, ours, _ = max(means, key=lambda m: m[1].mean)
    head = (
        f"Table {number}, {_WORDS[metric]} at coreset {averages[0].coreset:g}: the paper's best is"
        f" {row} ({paper:.3f})"
    )
    if best == row:
        second, behind, _ = max((m for m in means if m[0] != row), key=lambda m: m[1].mean)
        return f"{head}, and ours ({ours.text()}); ahead of {second} by {_paired(ours, behind)}."
    return (
        f"{head}, ours {best} ({ours.text()}), ahead of the paper's choice ({there.text()}) by"
        f" {_paired(ours, there)}. The best of {len(means)} is picked after the fact, which favours"
        " it."
    )


def _paired(first: SeedStatistics, second: SeedStatistics) -> str:
    """Mean difference over the seeds both have, and whether it is more than their spread."""
    other = dict(zip(second.seeds, second.values, strict=True))
    pairs = zip(first.seeds, first.values, strict=True)
    gaps = [value - other[seed] for seed, value in pairs if seed in other]
    if len(gaps) < 2:
        return f"{first.mean - second.mean:.3f}, of an unknown spread"
    mean, spread = statistics.fmean(gaps), statistics.stdev(gaps)
    word = "beyond" if abs(mean) > SPREADS * spread else "within"
    return f"{mean:.3f} ± {spread:.3f} (paired seeds, n={len(gaps)}), {word} {SPREADS} spreads"
