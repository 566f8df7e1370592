"""One page on an evaluation for people who decide: threshold, mistakes, where it looks, origin.

Whatever it shows is escaped, pictures are inside, and it prints on one or two pages of A4: at most
`MOST` small pictures of a kind, the rest by name. Where it was measured how small a defect is
found, that takes a page more.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.config import PadimSettings
from cutswap.data.images import read_photo
from cutswap.data.records import Record
from cutswap.data.regions.frame import framed_photo
from cutswap.decision.conformal import share_text
from cutswap.errors import CutSwapError
from cutswap.evaluation.missed import Missed, Recall, missed_defects
from cutswap.evaluation.photo_strips import photo_strip
from cutswap.evaluation.scored_set import ScoredSet
from cutswap.evaluation.thresholds import Confusion, Prices, ThresholdCounts
from cutswap.evaluation.verdicts import Verdict, chosen, in_order, verdicts_of
from cutswap.reports.detectable import detectable_section
from cutswap.reports.kept_photos import KeptPhoto
from cutswap.reports.page import html_page, inline
from cutswap.reports.repeat import evaluate_again
from cutswap.runs.provenance import hashes_of
from cutswap.utils.environment import environment
from cutswap.utils.files import is_own_file, read_json, sha256_of
from cutswap.utils.folder_names import ENVIRONMENT, SCORES

REPORT = "report.html"
MOST = 6  # pictures of a kind: two rows of three, so that all three kinds fit on two pages of A4
NAMED = 24  # further ones named below them
SIDE = 128  # pixels of a small picture; three beside each other are a third of A4 at 165 dpi
FIGURES = (
    ("image_auroc", "image AUROC", "chance that a defective photo scores above a good one"),
    ("pixel_auroc", "pixel AUROC", "the same for pixels, all test photos pooled"),
    ("aupro", "AUPRO", "mean covered share of each defect, up to a false positive rate of 0.3"),
    ("image_average_precision", "image AP", "area under the precision-recall curve"),
    ("f1_max", "best image F1", "over all thresholds, so at one chosen on these photos"),
)
_KIND_SIDE = (
    "the figures below are on the kind side, so judge it on photos that nobody has looked at"
    " before it counts."
)
_SAME_PHOTOS = f" It was chosen by the very photos that it is judged on: {_KIND_SIDE}"


def inspection_report(
    scored: ScoredSet,
    *,
    threshold: float | None = None,
    prices: Prices | None = None,
    kept: Sequence[KeptPhoto] = (),
    written: str = "",
    names_folders: bool = True,
) -> str:
    """The page as a text.

    Args:
        scored: the evaluation, read back.
        threshold: photos whose score reaches it are called defective; None: the evaluation's own.
        prices: of the two kinds of mistake, for their cost; None: no cost is told.
        kept: photos to show with their comments; names that were not scored are listed as such.
        written: date and time to print.
        names_folders: whether folders of this machine, and commands that name them, are told.

    Returns:
        HTML with its pictures inside. Of a data set that has vanished it has the numbers alone.

    Raises:
        CutSwapError: a threshold that is NaN, or a price that is negative.
    """
    counts = ThresholdCounts.of_images(scored.scores, scored.labels)
    own = float(scored.summary["threshold"])
    value = own if threshold is None else float(threshold)
    acting = counts.acting(value)
    verdicts = verdicts_of(scored.scores, scored.labels, acting)
    order = in_order(scored.scores, scored.labels, acting)
    masks, remarks = _masks(scored)
    detectable, why = detectable_section(scored, acting)
    remarks += [why] if why else []
    usual = scored.usual_heat()

    def tiles(places: Sequence[int]) -> dict[str, Any]:
        named = [scored.names[i] for i in places[MOST : MOST + NAMED]]
        return {
            "count": len(places),
            "tiles": [_tile(scored, i, verdicts[i], masks, usual) for i in places[:MOST]],
            "named": named,
            "more": max(0, len(places) - MOST - NAMED),
        }

    missed = missed_defects(scored.defects, scored.scores, acting, masks, scored.seen)
    confusion = counts.at(value)
    return html_page(
        "cutswap.reports",
        "inspection.html",
        category=str(scored.summary["category"]),
        written=written,
        n_train=scored.summary["n_train"],
        n_test=len(scored.names),
        n_defective=int(scored.labels.sum()),
        threshold=f"{value:.6g}",
        how=how_chosen(value, counts, own, prices, promise_of(scored.summary)),
        confusion=confusion,
        rates=_rates(confusion, prices),
        figures=_figures(scored.summary),
        recalls=_recalls(missed),
        kinds=[
            ("Missed", "Defective parts called good", tiles(_of(order, verdicts, Verdict.MISSED))),
            (
                "Falsely called",
                "Good parts called defective",
                tiles(_of(order, verdicts, Verdict.FALSE_ALARM)),
            ),
        ],
        kept=_kept(scored, kept, verdicts, masks, usual),
        detectable=detectable,
        has_truth=masks is not None,
        looked_at=_looked_at(scored),
        remarks=remarks,
        origin=_origin(scored, names_folders=names_folders),
        command=_command(scored.summary) if names_folders else "",
    )


def _looked_at(scored: ScoredSet) -> str:
    """The share of each photo that was looked at; empty where that is all of it."""
    about = scored.summary.get("region")
    share = about.get("share") if isinstance(about, dict) else None
    return "" if scored.region is None or not isinstance(share, float) else f"{share:.0%}"


def promise_of(summary: dict[str, Any]) -> tuple[float, str] | None:
    """The threshold that `evaluate --false-alarms` chose, and how; None where it chose none.

    Args:
        summary: what result.json holds.
    """
    told = summary.get("false_alarms")
    try:
        return None if told is None else (float(told["threshold"]), _promised(told))
    except (LookupError, TypeError, ValueError):  # edited
        return None


def _promised(told: dict[str, Any]) -> str:
    return (
        f"From {int(told['photos'])} good photos alone, for false alarms of at most"
        f" {share_text(float(told['asked']))}: {told['how']}. It holds while {told['assumption']}."
    )


def how_chosen(
    threshold: float,
    counts: ThresholdCounts,
    own: float,
    prices: Prices | None,
    promise: tuple[float, str] | None = None,
) -> str:
    """Where a threshold comes from, in a sentence or two, judged by where it acts.

    Args:
        threshold: the one that is set.
        counts: of the test photos.
        own: stored with the evaluation.
        prices: at which the cheapest one is looked for; None: nobody named any.
        promise: see `promise_of`.
    """
    if promise is not None and threshold == promise[0]:
        return promise[1]
    acting = counts.acting(threshold)
    if acting == counts.acting(own):
        return "Stored with the evaluation: the best F1 of its test photos." + _SAME_PHOTOS
    if acting == counts.best_f1():
        return "The best F1 of the test photos." + _SAME_PHOTOS
    if prices is not None and acting == counts.cheapest(prices.miss, prices.alarm):
        return (
            f"Where the mistakes on the test photos cost least, at {prices.miss:g} a missed defect"
            f" and {prices.alarm:g} a false alarm." + _SAME_PHOTOS
        )
    return f"Set by hand. If these photos were looked at to set it, {_KIND_SIDE}"


def _of(order: Sequence[int], verdicts: Sequence[Verdict], wanted: Verdict) -> list[int]:
    return chosen(order, verdicts, None, wanted=(wanted,))


def _masks(scored: ScoredSet) -> tuple[np.ndarray | None, list[str]]:
    """(N, S, S) bool or None, and what there is to say of it."""
    if scored.records is None:
        found = scored.lost.found if scored.lost is not None else "nothing"
        return None, [f"The photos of these numbers are gone or changed ({found}): no pictures."]
    try:
        return scored.masks(), []
    except CutSwapError as error:
        return None, [f"The marked defects cannot be read: {error.found}"]


def _tile(
    scored: ScoredSet,
    place: int,
    verdict: Verdict,
    masks: np.ndarray | None,
    usual: float | None,
) -> dict[str, Any]:
    name = scored.names[place]
    tile: dict[str, Any] = {
        "name": name,
        "score": f"{scored.scores[place]:.4g}",
        "verdict": verdict.text,
        "comment": "",
        "picture": None,
    }
    if scored.records is not None:
        mask = None if masks is None else masks[place]
        tile["picture"] = _picture(
            scored.records[place], scored.heatmaps[place], scored.range, usual, mask, scored.region
        )
    return tile


def _picture(
    record: Record,
    values: np.ndarray,
    span: tuple[float, float],
    usual: float | None,
    mask: np.ndarray | None,
    region: np.ndarray | None,
) -> str | None:
    """A data URL; None where the photo cannot be read any more, which the page says."""
    try:
        photo = framed_photo(read_photo(record.image, record.bits), SIDE, record.resize)
    except CutSwapError:
        return None
    return inline(photo_strip(photo, values, span, usual, mask, region))


def _kept(
    scored: ScoredSet,
    kept: Sequence[KeptPhoto],
    verdicts: Sequence[Verdict],
    masks: np.ndarray | None,
    usual: float | None,
) -> dict[str, Any]:
    """Those with pictures, and lines of the others."""
    places = {name: i for i, name in enumerate(scored.names)}
    known = [(places[one.name], one) for one in kept if one.name in places]
    tiles = [
        {**_tile(scored, i, verdicts[i], masks, usual), "comment": one.comment}
        for i, one in known[:MOST]
    ]
    lines = [
        {
            "name": one.name,
            "said": f"{verdicts[i].text}, {scored.scores[i]:.4g}",
            "comment": one.comment,
        }
        for i, one in known[MOST:]
    ]
    lines += [
        {"name": one.name, "said": "not a test photo of this evaluation", "comment": one.comment}
        for one in kept
        if one.name not in places
    ]
    return {"count": len(kept), "tiles": tiles, "lines": lines}


def _rates(confusion: Confusion, prices: Prices | None) -> list[tuple[str, str]]:
    rates = [
        ("precision", _shown(confusion.precision)),
        ("recall", _shown(confusion.recall)),
        ("false alarm rate", _shown(confusion.alarm_rate)),
        ("F1", _shown(confusion.f1)),
    ]
    if prices is not None:
        cost = confusion.cost(prices.miss, prices.alarm)
        rates.append(
            (f"cost at {prices.miss:g} a miss and {prices.alarm:g} an alarm", f"{cost:,.6g}")
        )
    return rates


def _figures(summary: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (label, _shown(value) if isinstance(value := summary.get(key), (int, float)) else "–", says)
        for key, label, says in FIGURES
    ]


def _recalls(missed: Missed) -> list[tuple[str, list[dict[str, str]]]]:
    alarms = (missed.alarms,) if missed.alarms else ()
    kinds = (
        ("type of defect: found", missed.by_type),
        ("marked area: found", missed.by_area),
        ("good photos: called defective", alarms),
    )
    return [(title, [_row(row) for row in rows]) for title, rows in kinds if rows]


def _row(row: Recall) -> dict[str, str]:
    low, high = row.interval
    return {
        "name": row.name,
        "counted": f"{int(row.found)} of {row.count}",
        "share": f"{row.recall:.2f}",
        "interval": f"{low:.2f} to {high:.2f}",
    }


def _origin(scored: ScoredSet, *, names_folders: bool) -> list[tuple[str, str]]:
    """Everything that says what the numbers were made from, as (what, value)."""
    summary = scored.summary
    weights = summary.get("weights")
    weights = weights if isinstance(weights, dict) else {}
    data = summary["data"]
    source = str(weights.get("source", "not recorded"))
    if not names_folders and "/" in source:
        source = source.rsplit("/", 1)[-1]
    left_out = data.get("left_out") or []
    rows = [
        (
            "data",
            (f"{data.get('root', 'not recorded')}; " if names_folders else "")
            + f"{summary['n_train']} good photos to learn from, {len(scored.names)} to test on"
            + (f"; {len(left_out)} unusable files left out" if left_out else ""),
        ),
        ("test photos, SHA-256", _photos_digest(scored)),
        ("network", f"{summary.get('backbone', 'not recorded')}, weights {source}"),
        ("weights, SHA-256", str(weights.get("sha256") or "none: not from one file")),
        ("network as loaded", str(summary["fingerprint"])),
        _detector(scored),
        ("seed", str(summary["seed"])),
    ]
    if "score" in summary:
        rows.append(("scores from", str(summary["score"])))
    files = (scored.folder / SCORES, scored.bank_file)
    rows += [(f"{file.name}, SHA-256", _file_digest(file)) for file in files]
    rows += [("scored with", _versions(scored.folder)), ("report by", _told(environment()))]
    return rows


def _detector(scored: ScoredSet) -> tuple[str, str]:
    """What was remembered of the good photos."""
    own, at = scored.settings, f"at {scored.settings.image_size} pixels"
    if isinstance(own, PadimSettings):
        return (
            "gaussians",
            f"PaDiM's, {own.channels} channels of {' + '.join(own.layers or ())} {at},"
            f" regularisation {own.regularisation:g}, smoothing {own.sigma:g}",
        )
    if own.is_tiled:
        at = f"in tiles of {own.image_size} pixels that overlap by {own.tile_overlap} or more"
    return (
        "memory bank",
        f"{scored.summary.get('bank_size', '?')} patches of {' + '.join(own.layers)} {at},"
        f" coreset {own.coreset:g}, {own.neighbours} neighbours, whitening {own.whitening},"
        f" score of the {own.image_patches} highest patches, smoothing {own.sigma:g}",
    )


def _photos_digest(scored: ScoredSet) -> str:
    """One hash over the contents of all test photos: of the lines `name hash` in their order."""
    try:
        hashes = hashes_of(scored.need_records())
    except CutSwapError as error:
        return f"not known: {error.found}"
    lines = "".join(f"{name} {value}\n" for name, value in hashes.items())
    return f"{hashlib.sha256(lines.encode()).hexdigest()} of the lines 'name SHA-256'"


def _file_digest(path: Path) -> str:
    try:
        return sha256_of(path) if is_own_file(path) else "not known: no such file"
    except OSError as error:
        return f"not known: {error.strerror or error}"


def _versions(folder: Path) -> str:
    if not is_own_file(folder / ENVIRONMENT):
        return "not recorded"
    try:
        return _told(read_json(folder / ENVIRONMENT))
    except (CutSwapError, AttributeError, LookupError, TypeError, ValueError):
        return "not recorded"


def _told(about: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {value}" for name, value in about["versions"].items())
    return f"{versions}; Python {about['python']} on {about['platform']}"


def _command(summary: dict[str, Any]) -> str:
    line = evaluate_again(summary)
    if line is None:
        return ""
    return shlex.join(["python", "-m", "cutswap", *map(str, line)])


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
