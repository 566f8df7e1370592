"""The command that makes a drawn negative again, bit for bit."""

from __future__ import annotations

from app.negatives.draws import Drawing, Drawn
from app.shared.networks import Looking, fusion_flags
from cutswap.data.reading import SQUASH
from cutswap.flags import FlagNames, flags_from
from cutswap.negatives.by_hand import BY_HAND
from cutswap.saliency.fusion import FUSED


def augment_command(drawing: Drawing, drawn: Drawn) -> list[object]:
    """Words after `python -m cutswap`.

    Args:
        drawing: how it was drawn.
        drawn: one of its draws.
    """
    negatives, clusters = drawing.settings()
    record, key = drawn.negative.record, drawing.key
    flags: list[object] = ["--method", negatives.method]
    if record.layer is not None:
        looking = Looking(key.backbone, key.weights, key.layers)
        flags += ["--backbone", looking.name, "--weights", looking.weights]
        if record.layer == FUSED:
            flags += fusion_flags(looking, key.fusion)
        flags += ["--layer", record.layer, *flags_from(clusters)]
    flags += flags_from(negatives, naming=FlagNames(skip=("method",)))
    flags += ["--image-size", key.photo.size, "--weak-jitter", drawing.weak.jitter]
    flags += ["--seed", drawing.seed, "--first", drawn.number, "--count", 1]
    if BY_HAND in record.fallbacks:
        flags += ["--at", ",".join(str(n) for anchor in record.anchors for n in anchor)]
    if key.photo.resize != SQUASH:
        flags += ["--resize", key.photo.resize]
    if drawing.region is not None and drawing.region.path is not None:
        flags += ["--region", drawing.region.path]
    if key.photo.bits is not None:
        flags += ["--bits", key.photo.bits]
    return ["augment", key.photo.path, *flags, "--out", "negatives"]
