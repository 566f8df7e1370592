"""The shared selection in the sidebar and the URL: category, image, and the weights or run of phi.

These widgets live in the entry file and are bound to the URL by Streamlit itself, so they survive
Back, Forward, page changes and a new tab. The run is there on pages alone that use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from app.shared import public, workspace
from app.shared.knobs import PAGE
from app.shared.page_parts import plain_text
from app.shared.workspace import Source
from cutswap.data.datasets import Dataset
from cutswap.data.records import Category, Record
from cutswap.errors import CutSwapError
from cutswap.runs.find import FoundRuns, find_runs
from cutswap.runs.states import DONE

DEFAULT_CATEGORY = "demo/hex_nut"
RUN_PAGES = ("Inspect", "Features", "Results")  # titles of those on which a run does something
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
    for name, value in (("cat", category), ("img", image), ("run", run)):
        if value is not None:
            st.session_state[name] = value


def sidebar() -> None:
    """Draw the selectors and keep their values for `current`."""
    st.session_state["selection"] = None
    st.session_state["selection_error"] = None
    try:
        st.session_state["selection"] = _draw()
    except CutSwapError as error:
        said = f"{error.subject}: {error.found}. {error.fix}."
        st.session_state["selection_error"] = plain_text(said)


def _draw() -> Selection | None:
    keys = workspace.category_keys()
    if not keys:
        rendering = workspace.demo_rendering()
        reason = f" The demo could not be made: {rendering.error}" if rendering.error else ""
        st.session_state["selection_error"] = "No data set is known." + reason
        st.sidebar.caption("No data yet")
        return None
    if st.session_state.get(LOOKING):
        st.session_state["selection_error"] = "Looking for the pictures that you uploaded here."
        st.sidebar.caption("Looking for your pictures")
        return None
    options = list(keys)
    default = DEFAULT_CATEGORY if DEFAULT_CATEGORY in keys else options[0]
    if st.session_state.get("cat", default) not in keys:  # its folder has gone
        st.toast(f"The category {plain_text(st.session_state['cat'])} is no longer there.")
        st.session_state["cat"] = default

    def shown(key: str) -> str:
        return f"{keys[key][1]} · {keys[key][0].label}"

    _say_unknown("cat", "category", map(shown, options), shown(default))
    key = st.sidebar.selectbox(
        "Category",
        options,
        index=options.index(default),
        key="cat",
        bind="query-params",
        format_func=shown,
        help="One kind of object: good photos to learn from, and test photos.",
    )
    source, name = keys[key]
    dataset, category = _category(source, name)
    if category is None or dataset is None:
        return None
    record = _image(category)
    run, weights = _run()
    return Selection(
        key=key,
        source=source,
        dataset=dataset,
        category=category,
        record=record,
        run=run,
        weights=weights,
    )


def _category(source: Source, name: str) -> tuple[Dataset | None, Category | None]:
    """Open it; the demo may have to be waited for, with its progress shown."""
    rendering = workspace.demo_rendering()
    # The source, not the rendering, is asked: that may have become ready since the list was made.
    if source.root == Path():
        bar = st.sidebar.progress(0.0, "Rendering the demo data, once")
        root = None
        while root is None and rendering.error is None:
            root = rendering.wait(0.2)
            share = rendering.done / rendering.total if rendering.total else 0.0
            bar.progress(min(share, 1.0), "Rendering the demo data, once")
        bar.empty()
        if rendering.error is not None:
            raise rendering.error
        source = Source(source.key, root or Path(), source.label)
    dataset = workspace.dataset_of(source.root)
    return dataset, dataset.category(name)


def _image(category: Category) -> Record:
    records = {r.name: r for r in [*category.test, *category.train]}
    names = list(records)
    first = next((r.name for r in category.test if not r.is_good), names[0])
    if st.session_state.get("img", first) not in records:  # of another category
        st.session_state["img"] = first

    def shown(name: str) -> str:
        return image_label(category, name)

    if "img" not in st.session_state and st.query_params.get("img") in records:
        st.session_state["img"] = st.query_params["img"]  # a link of before there were labels
    _say_unknown("img", "image", map(shown, names), shown(first))
    name = st.sidebar.selectbox(
        "Image",
        names,
        index=names.index(first),
        key="img",
        bind="query-params",
        format_func=shown,
        help="Test images first, then the good ones the method learns from.",
    )
    at = names.index(name)
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
    return records[name]


def _run() -> tuple[str, str]:
    finished = _finished()
    options = [*public.offered(PRETRAINED), *finished]
    wanted = st.session_state.get("run", st.query_params.get("run"))  # a new tab has only a link
    if wanted is not None and wanted not in options:  # done since the last look?
        found_runs.clear()
        finished = _finished()
        options = [*public.offered(PRETRAINED), *finished]
    if st.session_state.get("run", options[0]) not in options:
        st.toast(f"The run {plain_text(st.session_state['run'])} is no longer there.")
        st.session_state["run"] = options[0]

    def shown(run: str) -> str:
        return PRETRAINED.get(run, run)

    _say_unknown("run", "run", (*options, *map(shown, options)), shown(options[0]))
    if st.session_state.get(PAGE) not in RUN_PAGES:
        run = st.session_state.get("run") or _linked(options, shown)
        st.session_state["run"] = run  # a value without its control would be gone on the next page
        return run, str(finished[run]) if run in finished else run
    run = st.sidebar.selectbox(
        "Weights or run",
        options,
        key="run",
        bind="query-params",
        format_func=shown,
        help="The feature extractor that Inspect scores with: pretrained, or fine-tuned by a run.",
    )
    return run, str(finished[run]) if run in finished else run


def _say_unknown(name: str, what: str, labels: Iterable[str], shown: str) -> None:
    """Say once that a link names what is not there; Streamlit shows the default without a word."""
    text = st.query_params.get(name)
    if name in st.session_state or text is None or text in set(labels):
        return
    uploads = f" · {workspace.UPLOAD_LABEL}"
    why = " Uploads are for the tab that made them." if text.endswith(uploads) else ""
    st.toast(
        f"The link's {what} {plain_text(text[:80])} is not here;"
        f" shown is {plain_text(shown)}.{why}",
        icon=":material/link_off:",
        duration="long",
    )


def _linked(runs: Iterable[str], shown: Callable[[str], str]) -> str:
    """The run that the link names, by its name or as people read it; else the first."""
    text = st.query_params.get("run")
    options = list(runs)
    return next((run for run in options if text in (run, shown(run))), options[0])


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
