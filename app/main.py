"""Entry of the app, which `cutswap app` runs by Streamlit.

Navigation, the shared sidebar, then the page.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

HOME = Path(__file__).resolve().parent
if str(HOME.parent) not in sys.path:  # `streamlit run` puts only app/ itself there
    sys.path.insert(0, str(HOME.parent))

import streamlit as st  # noqa: E402
from streamlit.navigation.page import StreamlitPage  # noqa: E402

from app.browser import lesson_link  # noqa: E402
from app.browser.history import one_entry_an_act  # noqa: E402
from app.browser.link import written_last  # noqa: E402
from app.data import own_photos as data_uploads  # noqa: E402
from app.data import tab_memory  # noqa: E402
from app.memory import freeze_modules, steady_allocator  # noqa: E402
from app.shared import knobs, selection  # noqa: E402
from app.shared.page_parts import missing_packages, plain_errors  # noqa: E402
from app.shared.places import is_second_view  # noqa: E402
from app.train.badge import job_badge  # noqa: E402
from cutswap.installation.shipped import assets  # noqa: E402

TITLE = "CutSwap Explorer"
# File: title, in the order of work; the first is the start page at /.
PAGES = {
    "start": "Start",
    "data": "Data",
    "saliency": "Saliency",
    "negatives": "Negatives",
    "train": "Train",
    "features": "Features",
    "inspect_heatmaps": "Inspect",
    "results": "Results",
    "study": "Study",
    "lesson": "Lesson",
    "spot": "Spot",
    "stages": "Stages",
}


def main() -> None:
    """One rerun."""
    icon = assets() / "icon.png"
    pages = {
        name: st.Page(
            HOME.parent / "pages" / f"{name}.py",
            title=title,
            default=name == "start",
            url_path=None if name == "start" else title.lower(),
            # Its address stays; the way to it is on the place's first view.
            visibility="hidden" if is_second_view(name) else "visible",
        )
        for name, title in PAGES.items()
    }
    lesson_link.begin()
    menu: Literal["hidden", "top"] = "hidden" if lesson_link.is_presented() else "top"
    page = st.navigation(list(pages.values()), position=menu)
    st.set_page_config(
        page_title=TITLE if page.title == "Start" else f"{page.title} · {TITLE}",
        page_icon=str(icon) if icon.is_file() else None,  # a `:material/` one is fetched from afar
        layout="wide",
    )
    st.html(HOME / "look.css")
    st.session_state["pages"] = pages
    knobs.on_page(page.title, tells_refused=page.title == "Lesson")
    with written_last(waits=knobs.has_come_from_another()):
        _draw(page)


def _draw(page: StreamlitPage) -> None:
    data_uploads.hold_own()
    tab_memory.expect()
    with st.container(key="behind"):  # they show nothing; in the sidebar they would keep it open
        one_entry_an_act()
        tab_memory.remember()
    if lesson_link.is_presented():
        st.html(HOME / "present.css")
    lesson_link.caption()
    if page.title == "Lesson":  # a step says which photo it begins with
        with missing_packages():
            page.run()
    elif page.title == "Start":  # its pictures wait for nothing
        with missing_packages():
            page.run()
        _sidebar()
    else:
        _sidebar()
        with missing_packages():
            page.run()
    lesson_link.tell_unknown()
    lesson_link.ways_out()


def _sidebar() -> None:
    with plain_errors("the selection"):
        selection.sidebar()
    if lesson_link.is_active():
        return
    with plain_errors("the jobs"):
        job_badge()


steady_allocator()
freeze_modules()  # of what the rerun before has loaded
main()
