"""The shared selection in the sidebar and the URL: category, image, and the weights or run of phi.

A page shows only what it uses, and without a sidebar where that is nothing. All three stay in the
URL of every page, so they survive Back, Forward, page changes, a reload and a new tab. (Streamlit's
own `bind` takes a parameter out of the URL as soon as its control is not drawn.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st

from app.browser import lesson_link
from app.browser.history import is_back_or_forward
from app.shared import public, workspace
from app.shared.knobs import PAGE, publish, refuse
from app.shared.page_parts import plain_text
from app.shared.workspace import Source
from cutswap.data.datasets import Dataset
from cutswap.data.reading import CROP, FIT, SQUASH
from cutswap.data.records import Category, Record
from cutswap.data.regions.region_of_interest import resize_flags, with_resize
from cutswap.errors import CutSwapError
from cutswap.runs.find import FoundRuns, find_runs
from cutswap.runs.states import DONE

DEFAULT_CATEGORY = "demo/hex_nut"
CATEGORY, IMAGE, RUN, RESIZE = "cat", "img", "run", "resize"  # session and URL
_OWN = "own"  # of RESIZE: as the category's folder says
# Page's title: the controls that do something there; on others there are none.
CONTROLS = {
    "Data": (CATEGORY,),
    "Saliency": (CATEGORY, IMAGE, RESIZE),
    "Negatives": (CATEGORY, IMAGE, RESIZE),
    "Train": (CATEGORY, RESIZE),
    "Features": (CATEGORY, IMAGE, RUN),
    "Inspect": (CATEGORY, IMAGE, RUN, RESIZE),
    "Results": (CATEGORY, RUN, RESIZE),
    "Study": (CATEGORY,),
    "Lesson": (CATEGORY, IMAGE),
    "Spot": (CATEGORY,),
    "Stages": (CATEGORY, IMAGE, RESIZE),
}
# Pages that keep them in public.
PUBLIC_CONTROLS = ("Data", "Saliency", "Negatives", "Inspect", "Lesson", "Spot", "Stages")
SQUARES = {
    SQUASH: "squash: stretched",
    FIT: "fit: in their own shape",
    CROP: "crop: the centre",
}
LOOKING = "upload.looking"  # session: a link to uploads waits for what the tab remembers of them
PRETRAINED = {
    "embedded": "Embedded, not fine-tuned",
    "imagenet": "ImageNet, not fine-tuned",
    "random": "Random, untrained",
}


@dataclass(frozen=True)
class Selection:
    """What the visitor looks at.

    Attributes:
        key: category key of the URL, for example `demo/hex_nut`.
        source: the data set's place.
        dataset: the data set.
        category: the category with its records.
        record: the image.
        run: `embedded`, `imagenet`, `random`, or the name of a finished run.
        weights: what `load_backbone` takes for it: one of the three words, or a run's path.
    """

    key: str
    source: Source
    dataset: Dataset
    category: Category
    record: Record
    run: str
    weights: str

    @property
    def run_label(self) -> str:
        """The run as people read it."""
        return PRETRAINED.get(self.run, self.run)

    @property
    def squares(self) -> list[str]:
        """`--resize` where photos become squares in another way than their folder says."""
        reading = self.category.reading.to_dict()
        return resize_flags({"root": self.category.root, "reading": reading})


@st.cache_resource(ttl=5, max_entries=8, show_spinner=False)
def found_runs(folder: Path) -> FoundRuns:
    """The runs folder, looked at again after five seconds; nothing of it in public mode."""
    return FoundRuns() if public.is_public() else find_runs(folder)


def current() -> Selection | None:
    """The selection of this rerun; None when there is nothing to select, which the page says."""
    return st.session_state.get("selection")


def need_selection() -> Selection:
    """The selection, or a sentence with a way out and the end of the page."""
    selection = current()
    if selection is None:
        error = st.session_state.get("selection_error")
        st.info(error or "There is no image to show yet.", icon=":material/image_search:")
        st.page_link(st.session_state["pages"]["data"], label="Choose data on the Data page")
        st.stop()
    return selection


def image_label(category: Category, name: str) -> str:
    """A photo's name as people read it: of a plain folder nobody said that its photos are good."""
    return name.removeprefix("train/good/") if category.layout == "images" else name


def select(
    *, category: str | None = None, image: str | None = None, run: str | None = None
) -> None:
    """Change the selection from a callback (`on_click`), before the next rerun draws it."""
    for name, value in ((CATEGORY, category), (IMAGE, image), (RUN, run)):
        if value is not None:
            st.session_state[name] = value


def category_called(text: str) -> str | None:
    """The key of a category by its key or its label, as links have it; None of one not here."""
    keys = workspace.category_keys()
    if text in keys:
        return text
    labels = {f"{name} · {source.label}": key for key, (source, name) in keys.items()}
    return labels.get(text)


def sidebar(category: str = "", image: str = "") -> None:
    """Draw the selectors and keep their values for `current`.

    Args:
        category: key of the one selected where neither session nor link says another; empty or
            not here: the demo's, else the first.
        image: name of the photo, in the same way; empty or not here: the first defective one.
    """
    st.session_state["selection"] = None
    st.session_state["selection_error"] = None
    try:
        st.session_state["selection"] = _draw(category, image)
    except CutSwapError as error:
        said = f"{error.subject}: {error.found}. {error.fix}."
        st.session_state["selection_error"] = plain_text(said)


def _is_shown(control: str) -> bool:
    page = st.session_state.get(PAGE, "")
    if public.is_public() and page not in PUBLIC_CONTROLS:
        return False
    return control in CONTROLS.get(page, ()) and lesson_link.is_shown(control)


def _draw(first_category: str, first_image: str) -> Selection | None:
    keys = workspace.category_keys()
    if not keys:
        rendering = workspace.demo_rendering()
        reason = f" The demo could not be made: {rendering.error}" if rendering.error else ""
        st.session_state["selection_error"] = "No data set is known." + reason
        _say_instead("No data yet")
        return None
    if st.session_state.get(LOOKING):
        st.session_state["selection_error"] = "Looking for the pictures that you uploaded here."
        _say_instead("Looking for your pictures")
        return None
    labels = {key: f"{name} · {source.label}" for key, (source, name) in keys.items()}
    wanted = (first_category, DEFAULT_CATEGORY)
    default = next((key for key in wanted if key in keys), next(iter(keys)))
    if st.session_state.get(CATEGORY, default) not in keys:  # its folder has gone
        st.toast(f"The category {plain_text(st.session_state[CATEGORY])} is no longer there.")
        st.session_state[CATEGORY] = default
    key = _choice(
        CATEGORY,
        "Category",
        "category",
        labels,
        default,
        help="One kind of object: good photos to learn from, and test photos.",
    )
    source, name = keys[key]
    dataset, category = _category(source, name)
    if category is None or dataset is None:
        return None
    record = _image(category, first_image)
    run, weights = _run()
    resize = _resize(category)
    category, record = with_resize(category, resize), replace(record, resize=resize)
    return Selection(
        key=key,
        source=source,
        dataset=dataset,
        category=category,
        record=record,
        run=run,
        weights=weights,
    )


def _say_instead(text: str) -> None:
    """In the place of the controls, where the page has them."""
    if _is_shown(CATEGORY):
        st.sidebar.caption(text)


def _category(source: Source, name: str) -> tuple[Dataset | None, Category | None]:
    """Open it; the demo may have to be waited for, with its progress shown."""
    rendering = workspace.demo_rendering()
    # The source, not the rendering, is asked: that may have become ready since the list was made.
    if source.root == Path():
        bar = st.sidebar.empty() if _is_shown(CATEGORY) else None
        root = None
        while root is None and rendering.error is None:
            share = rendering.done / rendering.total if rendering.total else 0.0
            if bar is not None:
                bar.progress(min(share, 1.0), "Rendering the demo data, once")
            root = rendering.wait(0.2)
        if bar is not None:
            bar.empty()
        if rendering.error is not None:
            raise rendering.error
        source = Source(source.key, root or Path(), source.label)
    dataset = workspace.dataset_of(source.root)
    return dataset, dataset.category(name)


def _image(category: Category, first: str) -> Record:
    records = {r.name: r for r in [*category.test, *category.train]}
    names = list(records)
    if first not in records:
        first = next((r.name for r in category.test if not r.is_good), names[0])
    if st.session_state.get(IMAGE, first) not in records:  # of another category
        st.session_state[IMAGE] = first
    name = _choice(
        IMAGE,
        "Image",
        "image",
        {name: image_label(category, name) for name in names},
        first,
        help="Test images first, then the good ones the method learns from.",
    )
    if _is_shown(IMAGE):
        _steps(names, names.index(name))
    return records[name]


def _steps(names: list[str], at: int) -> None:
    back, on = st.sidebar.columns(2)
    back.button(
        "Back",
        on_click=select,
        kwargs={"image": names[at - 1]},
        disabled=at == 0,
        icon=":material/chevron_left:",
        shortcut="P",
        width="stretch",
        key="image.previous",
    )
    on.button(
        "Next",
        on_click=select,
        kwargs={"image": names[(at + 1) % len(names)]},
        disabled=at == len(names) - 1,
        icon=":material/chevron_right:",
        icon_position="right",
        shortcut="N",
        width="stretch",
        key="image.next",
    )


def _run() -> tuple[str, str]:
    finished = _finished()
    options = [*public.offered(PRETRAINED), *finished]
    wanted = st.session_state.get(RUN, st.query_params.get(RUN))  # a new tab has only a link
    if wanted is not None and wanted not in options:  # done since the last look?
        found_runs.clear()
        finished = _finished()
        options = [*public.offered(PRETRAINED), *finished]
    if st.session_state.get(RUN, options[0]) not in options:
        st.toast(f"The run {plain_text(st.session_state[RUN])} is no longer there.")
        st.session_state[RUN] = options[0]
    run = _choice(
        RUN,
        "Weights or run",
        "run",
        {run: PRETRAINED.get(run, run) for run in options},
        options[0],
        help="The feature extractor that Inspect scores with: pretrained, or fine-tuned by a run.",
    )
    return run, str(finished[run]) if run in finished else run


def _resize(category: Category) -> str:
    """How photos become squares: the category's own way, or the one chosen here."""
    own = category.reading.resize
    others = {way: text for way, text in SQUARES.items() if way != own}
    shown = {_OWN: SQUARES[own], **others}
    if st.session_state.get(RESIZE, _OWN) not in shown:  # it is this category's own way
        st.session_state[RESIZE] = _OWN
    chosen = _choice(
        RESIZE,
        "Photos become squares by",
        "way to squares",
        shown,
        _OWN,
        help="Networks see squares. Squash repeats the paper; fit keeps the shape, and looks at"
        " nothing beside the photo; crop sees the centre alone. A run and its evaluations need the"
        " same. cutswap.json in a category's folder sets what it begins with.",
    )
    return own if chosen == _OWN else chosen


def _choice(
    name: str, label: str, what: str, shown: Mapping[str, str], default: str, *, help: str
) -> str:
    """One of some values: of the session, or the link's, or the default; a list where it is shown.

    Args:
        name: in session and link.
        label: of the list.
        what: the same in a sentence.
        shown: what may be chosen, and how people and links read it.
        default: is not written into links.
        help: of the list.
    """
    if is_back_or_forward():
        st.session_state.pop(name, None)
    if name not in st.session_state:
        st.session_state[name] = _linked(name, what, shown, default)
    if _is_shown(name):
        st.sidebar.selectbox(
            label,
            list(shown),
            key=name,
            format_func=lambda value: shown.get(value, value),  # it may be of the list before
            help=help,
            persist_state="session",  # also on pages that do not draw it
        )
    value = str(st.session_state[name])
    publish(name, shown[value], shown[default])
    return value


def _linked(name: str, what: str, shown: Mapping[str, str], default: str) -> str:
    """What a link says, by its name or as people read it; said where that is not there."""
    text = st.query_params.get(name)
    if text is None:
        return default
    value = text if text in shown else next((v for v in shown if shown[v] == text), None)
    if value is not None:
        return value
    uploads = f" · {workspace.UPLOAD_LABEL}"
    why = " Uploads are for the tab that made them." if text.endswith(uploads) else ""
    refuse(
        f"The link's {what} {plain_text(text[:80])} is not here;"
        f" shown is {plain_text(shown[default])}.{why}",
        icon=":material/link_off:",
        duration="long",
    )
    return default


def learnt_elsewhere(run: str, category: Category) -> str:
    """One sentence where a run was fine-tuned on another category; else nothing.

    Args:
        run: its name, or one of the pretrained weights.
        category: what it is to score.
    """
    found = found_runs(workspace.runs_folder()).run(run) if run not in PRETRAINED else None
    if found is None or found.category in ("", category.name):
        return ""
    return (
        f"{plain_text(run)} was fine-tuned on {plain_text(found.category)}, not on"
        f" {plain_text(category.name)}: its scores here are those of a part that it has never seen."
    )


def _finished() -> dict[str, Path]:
    """Names and folders of the runs whose weights can score."""
    runs = found_runs(workspace.runs_folder()).runs
    return {run.name: run.path for run in runs if run.state == DONE}
