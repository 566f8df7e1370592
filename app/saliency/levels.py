"""One level of the Saliency page: its control, and its picture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from app.shared import caches, knobs
from app.shared.caches import Explained, SaliencyKey
from app.shared.networks import Looking, layer_name
from app.viewer.viewer import Legend, Picture, Point
from cutswap.data.records import Record
from cutswap.saliency.fusion import FUSED

WHERE_TO_LOOK = "Where to look"  # text of the checkbox of the region's outline


def level_control(
    looking: Looking, size: int, name: str = "layer", at: int | None = None, label: str = "Layer"
) -> int:
    """Index of the level looked at, the fused one after the layers.

    Args:
        looking: the network and its layers.
        size: side of the square image, pixels.
        name: of the knob.
        at: index of the default; None: the middle one.
        label: of the control.
    """
    default = looking.layers[len(looking.layers) // 2 if at is None else at]
    layer = knobs.choice(
        name,
        label,
        (*looking.layers, FUSED),
        default,
        show=partial(_shown, looking.name, size),
        segmented=len(looking.layers) <= 7,
        help="Its name, the grid it looks with, and its depth. Shallow layers see edges in fine"
        " detail; deep ones see objects, coarsely; fused is their weighted mean.",
    )
    return (*looking.layers, FUSED).index(layer)


def level_picture(
    key: SaliencyKey,
    explained: Explained,
    level: int,
    record: Record,
    points: Sequence[Point] = (),
    tag: str = "",
    inside: np.ndarray | None = None,
    span: tuple[float, float] | None = None,
) -> Picture:
    """Saliency of one level over the photo.

    Args:
        key: of the maps.
        explained: the maps.
        level: index of the one shown.
        record: the photo.
        points: places that were clicked.
        tag: for the left corner; empty: what the level is.
        inside: (S, S) bool, the category's region, which is outlined; None: there is none.
        span: values shown black and bright yellow, in units of the class score; None: the map's
            own smallest and largest.
    """
    layer = key.levels[level]
    legend = Legend("0", "1", "saliency, relative to this map's own range")
    if span is not None:
        unit = "saliency in units of the class score; one range for both maps"
        low = 0.0 if span[0] < span[1] / 1000 else span[0]
        legend = Legend(f"{low:.3g}", f"{span[1]:.3g}", unit)
    return Picture(
        caches.photo(key.photo),
        heat=caches.heat(key, level) if span is None else caches.heat_in(key, level, span),
        points=points,
        mask=inside,
        outline_name=WHERE_TO_LOOK,
        legend=legend,
        alt=_alt(record, layer, explained.maps[level]),
        opacity=60,
        left=tag or layer_name(key.backbone, layer, key.photo.size),
    )


def _shown(network: str, size: int, layer: str) -> str:
    return layer_name(network, layer, size)


def _alt(record: Record, layer: str, values: np.ndarray) -> str:
    y, x = np.unravel_index(int(values.argmax()), values.shape)
    vertical = ("upper", "middle", "lower")[min(2, 3 * int(y) // values.shape[0])]
    side = ("left", "centre", "right")[min(2, 3 * int(x) // values.shape[1])]
    return f"Saliency of layer {layer} on {record.name}: most salient in the {vertical} {side}"
