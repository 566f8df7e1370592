"""A second photo, layer or network on the Saliency page, and one range of colours for two maps."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.saliency.levels import level_control
from app.shared import caches, knobs, public
from app.shared.caches import PhotoKey, SaliencyKey
from app.shared.networks import Looking
from app.shared.selection import Selection
from cutswap.data.records import Record

NOTHING, IMAGE, LAYER, WEIGHTS = "nothing", "another image", "another layer", "other weights"
TUNED = "a fine-tuned run"
COMPARE = (NOTHING, IMAGE, LAYER, WEIGHTS, TUNED)
OWN, ONE = "each its own", "one for both"
STRETCHED = (
    "Every map is stretched to its own range: compare where the network looks, not how strongly."
)
# What equal colours mean between the two maps.
_MEANS = {
    IMAGE: ": equal colours are equal shares of the class score",
    LAYER: ", but a coarse grid has fewer places to share the same class score, which alone makes"
    " its map stronger",
    WEIGHTS: ", but class scores of two networks differ in size: a weaker map is no sign that a"
    " network is less sure",
    TUNED: ", but fine-tuning also changes how large the class score is",
}


@dataclass(frozen=True)
class Looked:
    """One map.

    Attributes:
        key: network and photo.
        level: index of the map among the key's levels.
        record: the photo.
    """

    key: SaliencyKey
    level: int
    record: Record

    @property
    def ends(self) -> tuple[float, float] | None:
        """Its smallest and largest value, in units of the class score; None of a fused map.

        Raises:
            CutSwapError: see `caches.explained`.
        """
        ends = caches.explained(self.key).ends
        return ends[self.level] if self.level < len(ends) else None


def compare_control() -> tuple[str, bool]:
    """One of `COMPARE`, and whether both maps share one range of colours."""
    compare = knobs.choice(
        "versus",
        "Compare with",
        COMPARE[:-1] if public.is_public() else COMPARE,
        NOTHING,
        help="A second pair of pictures below the first.",
        segmented=True,
    )
    if compare == NOTHING:
        return compare, False
    shared = knobs.choice(
        "colours",
        "Range of colours",
        (OWN, ONE),
        OWN,
        segmented=True,
        help="Each its own: both maps go from black to bright yellow, so compare where the network"
        " looks. One for both: equal colours are equal values, so a weaker map is darker.",
    )
    return compare, shared == ONE


def second_control(compare: str, first: Looked, selected: Selection) -> Looked:
    """What is compared with, chosen on the page.

    Args:
        compare: `IMAGE`, `LAYER` or `WEIGHTS`.
        first: the page's own map.
        selected: whose photos may be chosen.
    """
    key = first.key
    if compare == IMAGE:
        records = {r.name: r for r in [*selected.category.train, *selected.category.test]}
        name = knobs.choice(
            "img2",
            "Second image",
            tuple(records),
            next(iter(records)),
            help="Its maps are drawn with the same network, layer and K.",
        )
        photo = PhotoKey.of_record(records[name], key.photo.size)
        return Looked(replace(key, photo=photo), first.level, records[name])
    if compare == LAYER:
        deepest = len(key.layers) - 1
        looking = Looking(key.backbone, key.weights, key.layers)
        level = level_control(looking, key.photo.size, "layer2", deepest, "Second layer")
        if level == len(key.layers) and key.fusion is None:
            key = replace(key, fusion=(1.0,) * len(key.layers))
        return replace(first, key=key, level=level)
    words = public.offered(("random", "embedded", "imagenet"))
    others = [w for w in words if w != key.weights]
    weights = knobs.choice(
        "w2",
        "Second weights",
        others,
        others[0],
        help="The same network with other numbers; random weights show what training adds.",
    )
    return replace(first, key=replace(key, weights=weights))


def shared_range(first: Looked, second: Looked) -> tuple[float, float] | None:
    """The smallest and the largest value of both maps; None where one is fused.

    Raises:
        CutSwapError: see `caches.explained`.
    """
    one, two = first.ends, second.ends
    if one is None or two is None:
        return None
    return min(one[0], two[0]), max(one[1], two[1])


def range_sentence(compare: str, first: Looked, second: Looked, *, is_asked: bool) -> str:
    """What the two maps' colours mean, and how strong the second is beside the first.

    Args:
        compare: one of `COMPARE`.
        first: the map on top or on the left.
        second: the other one.
        is_asked: whether one range was asked for.
    """
    one, two = first.ends, second.ends
    if one is None or two is None:
        why = " A fused map is a mean of stretched maps and has no unit." if is_asked else ""
        return f"{STRETCHED}{why}"
    said = STRETCHED if not is_asked else f"One range of colours for both{_MEANS[compare]}."
    if one[1] > 0:
        said += f" The peak of the second map is {two[1] / one[1]:.2g} times that of the first."
    return said
