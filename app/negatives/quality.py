"""How good are these fakes? Asked for by a button, measured on a few photos, kept for everybody."""

from __future__ import annotations

import shlex
from collections import OrderedDict
from collections.abc import Callable

import streamlit as st

from app.figures.where_to_look import RegionKey
from app.negatives.draws import METHODS
from app.shared import public
from app.shared.caches import SaliencyKey
from app.shared.page_parts import data_flags, plain_errors
from app.shared.selection import Selection
from cutswap.analysis.negative_quality import Quality, measure_quality
from cutswap.analysis.quality_distances import DEFECTS, GOOD
from cutswap.analysis.quality_settings import RANDOM_SWAP, QualitySettings
from cutswap.analysis.quality_table import MeanWithInterval, digits
from cutswap.data.loading import CheckedCategory
from cutswap.data.records import Category

KEPT = 16
_ASKED = "quality.asked"  # session: what this visitor wants measured
_NAMES = {name: shown for shown, (name, anchors) in METHODS.items() if anchors is None}
_NAMES |= {RANDOM_SWAP: "Random swap", DEFECTS: "Real defects", GOOD: "Good test photos"}
_COLUMNS = {  # heading: figure, help
    "bg → bg": ("background_to_background", "Background pasted on background, share of edits"),
    "bg → fg": ("background_to_foreground", "Background pasted on foreground, share of edits"),
    "from fg": ("from_foreground", "Foreground pasted anywhere, share of edits"),
    "invisible": ("invisible", "Changed by less than 5 of 255 levels, SSIM above 0.95"),
    "to normal": ("to_normal", "Feature distance of what changed to the nearest normal patch"),
    "to defects": ("to_defects", "Feature distance of what changed to the nearest real defect's"),
}

Key = tuple[str, str, int, int, tuple[RegionKey | None, str], QualitySettings]


def quality_section(selected: Selection, looking: SaliencyKey) -> None:
    """The heading, the button, and the table once it was asked for.

    Args:
        selected: the category.
        looking: whose network guides CutSwap, at which size.
    """
    if public.is_public():  # a minute of computing for everybody who asks
        return
    st.subheader("How good are these negatives?", anchor=False)
    st.fragment(_section)(selected, looking)


def _section(selected: Selection, looking: SaliencyKey) -> None:
    category = selected.category
    settings = QualitySettings(
        photos=8,
        bank_photos=16,
        test_photos=24,
        per_photo=2,
        image_size=max(64, looking.photo.size),
        guide=looking.backbone,
        guide_weights=looking.weights,
    )
    looks = (RegionKey.of(category), category.reading.resize)
    counts = (len(category.train), len(category.test))
    key = (str(category.root), category.name, *counts, looks, settings)
    place, below = st.empty(), st.empty()
    if st.session_state.get(_ASKED) != key:
        place.caption(
            "Where does each method edit, does one see it, and how near are its fakes to normal"
            " photos and to real defects? All methods, their default sizes, a few photos."
        )
        help_text = "A minute or so on two cores; the result is kept."
        if not below.button("Measure", icon=":material/straighten:", help=help_text):
            return
        st.session_state[_ASKED] = key
        below.empty()
    with plain_errors("the measurement"):
        bar = place.progress(0.0, "beginning")

        def tell(stage: str, done: int, total: int) -> None:
            bar.progress(done / max(1, total), f"{stage}: {done} of {total}")

        quality = _measured(key, category, tell)
        place.empty()
        _table(quality)
        flags: list[object] = ["--guide", settings.guide, "--guide-weights", settings.guide_weights]
        flags += ["--image-size", settings.image_size, "--seeds", "0,1,2", "--out", "quality"]
        words = ["python", "-m", "cutswap", "quality"]
        words += [*data_flags(selected.dataset.root, category.name), *selected.squares]
        words += map(str, flags)
        st.caption("With more photos, three seeds, and every figure as CSV and JSON:")
        st.code(shlex.join(words), language="bash", wrap_lines=True)


@st.cache_resource
def _found() -> OrderedDict[Key, Quality]:
    """Measurements of this process, of all sessions; the last few."""
    return OrderedDict()


def _measured(key: Key, category: Category, tell: Callable[[str, int, int], None]) -> Quality:
    """From memory, or measured now; a cached function could not move the bar."""
    measured = _found()
    if key not in measured:
        measured[key] = measure_quality(CheckedCategory(category, ()), key[-1], tell)
        while len(measured) > KEPT:
            measured.popitem(last=False)
    return measured[key]


def _table(quality: Quality) -> None:
    rows = [
        {"": _NAMES[name], **{head: _cell(row[figure]) for head, (figure, _) in _COLUMNS.items()}}
        for name, row in quality.rows.items()
    ]
    columns = {
        head: st.column_config.TextColumn(head, help=text) for head, (_, text) in _COLUMNS.items()
    }
    st.dataframe(
        rows,
        hide_index=True,
        width="stretch",
        height=35 * (len(rows) + 1) + 3,
        column_config=columns,
    )
    share = quality.foreground_share
    chance = "" if share is None else f" Foreground is {share:.0%} of the area."
    st.caption(
        f"Mean and 95% interval over {quality.photos} photos,"
        f" {quality.draws} fakes a method.{chance}"
        " The first three say where patches come from and go to; foreground is what another"
        " network than the guide's finds salient: a guess, and without meaning on a texture."
        " Distances are between ResNet18 features, of the changed area alone: a good fake is as far"
        " from normal as real defects are, and as near to them as they are to each other."
    )


def _cell(figure: MeanWithInterval | None) -> str:
    if figure is None:
        return "–"
    if figure.interval is None:
        return digits(figure.mean)
    return f"{digits(figure.mean)} ({digits(figure.interval[0])}–{digits(figure.interval[1])})"
