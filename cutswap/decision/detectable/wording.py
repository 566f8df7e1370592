"""What painted defects came to, in rows and sentences: for the terminal, the app and the report."""

from __future__ import annotations

from typing import Any

from cutswap.decision.conformal import share_text
from cutswap.decision.detectable.blind_spots import BlindSpots
from cutswap.decision.detectable.measured import BY_PHOTO, SENSES, Limits, Measured
from cutswap.decision.detectable.pod import lower_bound, upper_bound

MANY_ALARMS = 0.1  # false alarms above which sizes say little


def rows(measured: Measured, limits: Limits, sense: str = BY_PHOTO) -> list[dict[str, Any]]:
    """One for each kind and contrast: JSON-ready values.

    Args:
        measured: the painted defects.
        limits: the thresholds.
        sense: one of `SENSES`.
    """
    found = []
    for kind, contrast in measured.designs:
        fit = measured.curve(kind, contrast, limits, sense)
        found.append(
            {
                "kind": kind,
                "contrast": contrast,
                "change": round(measured.change(kind, contrast), 1),
                "sizes": list(fit.sizes),
                "found": list(fit.found),
                "count": list(fit.count),
                "a90": fit.a90,
                "a90_95": fit.a90_95,
                "how": fit.how,
                "sentence": fit.sentence(),
                "remark": fit.remark(),
            }
        )
    return found


def alarms_text(measured: Measured, limits: Limits) -> str:
    """How many good photos are called defective unpainted, and what that means for sizes."""
    alarms, count = measured.alarms(limits), len(measured.names)
    low, high = lower_bound(alarms, count), upper_bound(alarms, count)
    text = (
        f"unpainted, {alarms} of {count} good photos are called defective ({share_text(low)} to"
        f" {share_text(high)}, 90% interval): so often a defect of any size is found by chance"
    )
    if alarms > MANY_ALARMS * count:
        text += ". That is so often that the sizes below say little: choose a higher threshold"
    return text


def learnt_text(measured: Measured) -> str:
    """A warning where defects were painted on photos that the detector has learnt; else empty."""
    if not measured.learnt:
        return ""
    return (
        "some of these photos are among those to learn from: the detector scores them lower than"
        " new ones, so false alarms are too few and sizes too large"
    )


def lines(
    measured: Measured, limits: Limits, how: str, how_pixel: str, spots: BlindSpots
) -> list[str]:
    """All of it for a terminal.

    Args:
        measured: the painted defects.
        limits: the thresholds.
        how: the image threshold was chosen.
        how_pixel: the pixel threshold was chosen.
        spots: by the photo's verdict.
    """
    shorter = measured.shorter
    said = [
        f"{len(measured.kinds):,} defects painted on {len(measured.names)} photos"
        f" ({measured.source}), shorter side {shorter} pixels",
        f"threshold {limits.image:.6g}: {how}",
        f"pixel threshold {limits.pixel:.6g}: {how_pixel}",
        alarms_text(measured, limits),
    ]
    said += [text for text in (learnt_text(measured),) if text]
    for sense, title in SENSES.items():
        said.append(f"found if {title}:")
        for row in rows(measured, limits, sense):
            name = f"{row['kind']}, contrast {row['contrast']}%"
            said.append(f"  {name:<22} ({row['change']:.0f} grey levels)  {row['sentence']}")
    height, width = (int(side) for side in measured.photo_sizes[0])
    blind = spots.lines(height, width)
    said.append(f"blind spots: {len(blind)} of {int((spots.count > 0).sum())} places")
    return [*said, *(f"  {line}" for line in blind)]
