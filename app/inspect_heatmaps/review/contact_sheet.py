"""All photos as a contact sheet, page by page: photo, heat and truth, filtered and in order.

It is a fragment: turning a page draws one page of small pictures and nothing else, so a thousand
photos cost no more than twelve.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.inspect_heatmaps.review.kept import is_kept, keep
from app.inspect_heatmaps.review.reviewed import Reviewed
from app.inspect_heatmaps.review.thumbnails import thumbnail
from app.shared import knobs
from app.shared.page_parts import plain_text
from app.shared.selection import select
from cutswap.data.records import natural_order
from cutswap.evaluation.verdicts import (
    LABELLED_GROUPS,
    MOST_WRONG,
    ORDERS,
    UNLABELLED_GROUPS,
    chosen,
    in_order,
)

ALL = "all"
ANY = "any type"
PAGE = 12  # photos a page: four rows of three; a page of new ones is made in a third of a second
_TURN = "inspect.sheet.turn"  # session: number of the pager, and the photos whose pages it turns
_WHOLE = "inspect.sheet.whole"  # session: what was pressed changes more than the sheet


def section(reviewed: Reviewed, shown: str) -> None:
    """Filters, pages, tiles.

    Args:
        reviewed: the photos.
        shown: name of the one that is shown large.
    """
    st.subheader("All photos", anchor=False)
    st.fragment(_sheet)(reviewed, shown)


def listed(reviewed: Reviewed, group: str, defect: str, order: str) -> list[int]:
    """Numbers of the photos that the filters leave, in order.

    Args:
        reviewed: the photos.
        group: `ALL` or a name of the verdicts' groups.
        defect: `ANY` or a type of defect.
        order: one of `ORDERS`.
    """
    groups = UNLABELLED_GROUPS if reviewed.labels is None else LABELLED_GROUPS
    return chosen(
        in_order(reviewed.scores, reviewed.labels, reviewed.threshold, order),
        reviewed.verdicts,
        reviewed.defects,
        wanted=groups.get(group, ()),
        defect=None if defect == ANY else defect,
    )


def _sheet(reviewed: Reviewed, shown: str) -> None:
    if st.session_state.pop(_WHOLE, False):
        st.rerun()
    places = _filters(reviewed)
    total = len(reviewed.names)
    if not places:
        st.info("No photo matches this filter at this threshold.", icon=":material/filter_alt_off:")
        return
    pages = -(-len(places) // PAGE)
    page = _pager(pages, tuple(places), len(places), total)
    _tiles(reviewed, places[(page - 1) * PAGE : page * PAGE], shown)


def _filters(reviewed: Reviewed) -> list[int]:
    """The row of controls, and the numbers of the photos that they leave."""
    groups = UNLABELLED_GROUPS if reviewed.labels is None else LABELLED_GROUPS
    first, second, third = st.columns([4, 2, 2], vertical_alignment="bottom")
    group, defect = ALL, ANY
    with first:
        if reviewed.threshold is not None:
            group = knobs.choice(
                "sheet",
                "Verdict",
                (ALL, *groups),
                ALL,
                segmented=True,
                help="What the current threshold says of each photo, and whether that is right."
                if reviewed.labels is not None
                else "What the current threshold says; whether it is right needs labels.",
            )
    with second:
        if reviewed.defects is not None:
            defect = knobs.choice(
                "sheettype",
                "Type of defect",
                (ANY, *natural_order(set(reviewed.defects))),
                ANY,
                help="The folders below test/; good ones have none.",
            )
    with third:
        order = knobs.choice(
            "sheetorder",
            "Order",
            ORDERS if reviewed.labels is not None else ORDERS[1:],
            MOST_WRONG if reviewed.labels is not None else ORDERS[1],
            help="Mistakes first, those farthest from the threshold in front.",
        )
    return listed(reviewed, group, defect, order)


def _pager(pages: int, places: tuple[int, ...], count: int, total: int) -> int:
    """The page that is shown, from 1; another choice of photos begins at its first."""
    turn, of_what = st.session_state.get(_TURN, (0, ()))
    if of_what != places:
        turn += 1
        st.session_state[_TURN] = (turn, places)
    row = st.container(horizontal=True, vertical_alignment="center")
    of = "" if count == total else f" of {total:,}"
    row.caption(f"{count:,}{of} photos: the photo, its heat, and what is marked", width="content")
    if pages == 1:
        return 1
    with row:
        # As wide as there is room: as wide as its content it counts in no more than "1 … 3".
        return st.pagination(pages, key=f"inspect.sheet.page.{turn}", width="stretch")


def _tiles(reviewed: Reviewed, places: Sequence[int], shown: str) -> None:
    verdicts = reviewed.verdicts
    with st.grid(3, min_column_width=250, gap="small") as grid:
        for place in places:
            name = reviewed.names[place]
            with grid.cell():
                _tile(reviewed, place, name, verdicts[place].text, is_shown=name == shown)


def _tile(reviewed: Reviewed, place: int, name: str, verdict: str, *, is_shown: bool) -> None:
    strip = thumbnail(reviewed, place)
    says = f"{name.removeprefix('test/')} · {reviewed.scores[place]:.3f} · {verdict}"
    if strip is None:
        st.caption("This photo is gone or cannot be read.")
    else:
        st.image(strip, width="stretch", alt=f"{says}: photo, heat and what is marked")
    row = st.container(horizontal=True, vertical_alignment="center", gap="small")
    row.button(
        plain_text(says),
        on_click=_open,
        args=(name,),
        key=f"sheet.open.{place}",
        type="tertiary",
        disabled=is_shown,
        icon=":material/center_focus_strong:" if is_shown else None,
        help="Shown large above." if is_shown else "Show it large.",
    )
    key = f"sheet.keep.{place}"
    st.session_state[key] = is_kept(reviewed.category, name)
    row.checkbox("Keep", key=key, on_change=_keep, args=(reviewed.category, name, key))


def _open(name: str) -> None:
    select(image=name)
    st.session_state[_WHOLE] = True


def _keep(category: str, name: str, key: str) -> None:
    keep(category, name, bool(st.session_state[key]))
    st.session_state[_WHOLE] = True
