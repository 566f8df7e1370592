"""The live pictures that a lesson's step can show, and the settings that each of them has.

The app draws them (`app/lesson/`); here stands what a lesson file may say of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cutswap.config import METHODS, ClusterSettings
from cutswap.networks.backbone import SALIENCY_LEVELS
from cutswap.settings import control_of

NETWORK = "vgg16"  # that looks in a lesson: the paper's, with weights that ship
BANK_PHOTOS = (1, 2, 4, 8, 16)  # good photos that a lesson's bank may hold: seconds, not minutes
PROJECTIONS = ("pca", "tsne", "lda")
LOOKS = ("ends", "time")  # at a run: before and after, or one state after another
UPDATES = (0, 5, 11, 16, 21, 27, 32, 37, 43, 48)  # after which the recorded run kept a state
LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class LessonSetting:
    """One setting of a live picture.

    Attributes:
        name: in lesson files and links.
        default: where neither says another.
        expected: what it may be, as a sentence needs it.
        parse: a file's or link's text -> the value; ValueError for what it may not be.
        page_url: its name in the links of the full page; empty where that has none.
    """

    name: str
    default: str | int
    expected: str
    parse: Callable[[str], str | int]
    page_url: str


@dataclass(frozen=True)
class LivePicture:
    """A picture that the app computes for the chosen photo.

    Attributes:
        shows: what it is, in a few words.
        settings: names of its settings, in the order in which their controls stand.
        page: the page that has all of it; where a step's link leads.
    """

    shows: str
    settings: tuple[str, ...]
    page: str


def _one_of(*options: str | int) -> Callable[[str], str | int]:
    by_text = {str(option): option for option in options}

    def parse(text: str) -> str | int:
        if text not in by_text:
            raise ValueError(text)
        return by_text[text]

    return parse


def _within(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        is_number = text.isascii() and text.isdigit() and len(text) <= len(str(high))
        if not is_number or not low <= int(text) <= high:
            raise ValueError(text)
        return int(text)

    return parse


_LAYERS = SALIENCY_LEVELS[NETWORK]
_K = control_of(ClusterSettings, "k")
_SETTINGS = (
    LessonSetting(
        "layer",
        _LAYERS[len(_LAYERS) // 2],
        f"one of {', '.join(_LAYERS)}, shallow to deep",
        _one_of(*_LAYERS),
        "layer",
    ),
    LessonSetting(
        "k",
        ClusterSettings().k,
        f"a whole number from {_K.low:g} to {_K.high:g}",
        _within(int(_K.low), int(_K.high)),
        "k",
    ),
    LessonSetting("method", "cutpaste", f"one of {', '.join(METHODS)}", _one_of(*METHODS), ""),
    LessonSetting(
        "seed", 0, f"a whole number from 0 to {LARGEST_SEED}", _within(0, LARGEST_SEED), "seed"
    ),
    LessonSetting(
        "projection", "pca", f"one of {', '.join(PROJECTIONS)}", _one_of(*PROJECTIONS), "flat"
    ),
    LessonSetting(
        "photos",
        BANK_PHOTOS[-2],
        f"one of {', '.join(map(str, BANK_PHOTOS))}",
        _one_of(*BANK_PHOTOS),
        "",
    ),
    LessonSetting("look", LOOKS[0], f"one of {', '.join(LOOKS)}", _one_of(*LOOKS), "look"),
    LessonSetting(
        "update",
        0,
        f"one of {', '.join(map(str, UPDATES))}",
        _one_of(*UPDATES),
        "update",
    ),
)
SETTINGS = {setting.name: setting for setting in _SETTINGS}
PICTURES = {
    "arithmetic": LivePicture("LayerCAM on one 3x3 window, in numbers", ("layer",), "saliency"),
    "depths": LivePicture("the saliency maps of five depths", ("layer",), "saliency"),
    "clusters": LivePicture(
        "clusters of saliency, and their cut points on its histogram", ("layer", "k"), "saliency"
    ),
    "swap": LivePicture(
        "one swap beside another method's negative", ("layer", "k", "method", "seed"), "negatives"
    ),
    "features": LivePicture(
        "features before and after a recorded run, or update by update",
        ("look", "projection", "update"),
        "features",
    ),
    "bank": LivePicture(
        "heatmap of a photo by a bank of some good photos", ("photos",), "inspect_heatmaps"
    ),
    "fakes": LivePicture(
        "how far negatives and real defects are from normal", ("layer", "k", "seed"), "negatives"
    ),
}
