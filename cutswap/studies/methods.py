"""Methods that may stand beside the paper's in its tables: other negatives, heads, SPD and PaDiM.

A method is negatives x what is trained on them, called as runs are: `nsa`, `random-swap`,
`cutswap-projector`; a `gaussian` has no negatives. `spd` is scored by PatchCore as all others are,
`spd-padim` by PaDiM, as the paper has it, and `untuned-padim` says what PaDiM alone gives. The
paper's own two, CutSwap and CutPaste on the backbone, are in every table anyway.
"""

from __future__ import annotations

from dataclasses import dataclass

from cutswap.config import HEADS, LEARNT_HEADS, PADIM, PATCHCORE, ClusterSettings
from cutswap.errors import CutSwapError
from cutswap.results.paper_tables import CUTPASTE, CUTSWAP, SPD_PADIM

UNGUIDED = ClusterSettings(k=1, anchors="whole-image")  # CutSwap without its saliency


@dataclass(frozen=True)
class Method:
    """A row.

    Attributes:
        row: as tables name it.
        augment: family of negatives; of a gaussian, which has none, the default.
        trained: backbone, or one of `config.HEADS`.
        clusters: where anchors lie; None: the row's own of an ablation.
        objective: what a backbone learns.
        detector: who scores, of `config.DETECTORS_OF_OURS`.
        is_tuned: whether anything is trained; else the network is scored as it is.
    """

    row: str
    augment: str
    trained: str = "backbone"
    clusters: ClusterSettings | None = None
    objective: str = "classes"
    detector: str = PATCHCORE
    is_tuned: bool = True


# Name: family, row, clusters.
_NEGATIVES: dict[str, tuple[str, str, ClusterSettings | None]] = {
    "cutpaste": ("cutpaste", "CutPaste", None),
    "random-swap": ("cutswap", "Random swap", UNGUIDED),
    "cutswap": ("cutswap", "CutSwap", None),
    "smoothblend": ("smoothblend", "SmoothBlend", None),
    "nsa": ("nsa", "NSA", None),
    "perlin": ("perlin", "Perlin", None),
}
_SHORT = ("cutpaste", "random-swap", "cutswap")  # negatives of a head named alone


def _methods() -> dict[str, Method]:
    found = {}
    printed = {"cutpaste": CUTPASTE, "cutswap": CUTSWAP}
    for trained in ("backbone", *LEARNT_HEADS):
        for name, (augment, row, clusters) in _NEGATIVES.items():
            is_head = trained != "backbone"
            found[f"{name}-{trained}" if is_head else name] = Method(
                f"{row} {trained}" if is_head else printed.get(name, row),
                augment,
                trained,
                clusters,
            )
    return {
        **found,
        "gaussian": Method("Gaussian", "cutswap", "gaussian"),
        "spd": Method("SPD + PC", "cutswap", objective="spd"),
        "spd-padim": Method(SPD_PADIM, "cutswap", objective="spd", detector=PADIM),
        "untuned-padim": Method("ResNet18 + Padim", "cutswap", detector=PADIM, is_tuned=False),
    }


METHODS = _methods()
OWN = ("cutpaste", "cutswap")  # of the paper's tables, asked for or not
OTHER_METHODS = tuple(name for name in METHODS if name not in OWN)
BY_ROW = {method.row: method for method in METHODS.values()}


def method_names(text: str) -> tuple[str, ...]:
    """`projector,nsa` as names in the order of `OTHER_METHODS`.

    Args:
        text: names with commas; a head's alone stands for it on CutPaste, random swap and CutSwap.

    Raises:
        CutSwapError: no such method.
    """
    chosen = set[str]()
    for name in filter(None, (part.strip().lower() for part in text.split(","))):
        if name in LEARNT_HEADS:
            chosen |= {f"{negatives}-{name}" for negatives in _SHORT}
        elif name in METHODS:
            chosen.add(name)
        else:
            raise CutSwapError(
                "--methods",
                expected=f"{', '.join(HEADS)}, or some of {', '.join(OTHER_METHODS)}",
                found=name,
                fix="for example --methods projector gaussian random-swap",
            )
    return tuple(name for name in OTHER_METHODS if name in chosen)
