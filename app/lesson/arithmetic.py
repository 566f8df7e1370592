"""LayerCAM on one 3x3 window: where it lies, and every number of its sum."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import streamlit as st

from app.lesson.step_view import StepView
from app.saliency.levels import level_picture
from app.shared import caches, public
from app.shared.caches import SaliencyKey
from app.shared.networks import class_names
from app.shared.picture_memory import kept
from app.viewer.viewer import Box, viewer
from cutswap.saliency.layercam_window import WINDOW, LayerCamWindow, layercam_window

_PLACE = "lesson.place"  # session: photo and click of whoever has clicked
_STYLE = (Path(__file__).parent / "arithmetic.css").read_text(encoding="utf-8")
THOUSAND = 1000  # gradients are some thousandths: three digits of them are read more easily so


def show(view: StepView) -> None:
    """The map with the window, and its numbers beside it.

    Raises:
        CutSwapError: see `caches.explained`.
    """
    key = view.saliency
    explained = caches.explained(key)
    place = _place(key)
    window = _window(key, view.values["layer"], place)
    left, right = st.columns([2, 3])
    with left:
        height, width = (key.photo.size / cells for cells in window.grid)
        y, x = window.corner
        box = Box((y * height, x * width, WINDOW * height, WINDOW * width), "3x3")
        picture = level_picture(key, explained, view.level, view.selected.record)
        clicked = viewer(
            replace(picture, boxes=(box,)),
            key="lesson.arithmetic",
            memory="saliency",
            clickable=True,
        )
        if place is not None:
            st.button(
                "Back to the most salient place",
                on_click=_forget,
                icon=":material/undo:",
                key="lesson.place.back",
            )
    if clicked:
        st.session_state[_PLACE] = (key.photo.path, clicked)
        st.rerun()
    with right:
        st.html(f"<style>{_STYLE}</style>{_numbers(window)}")
        name = class_names()[window.target_class]
        st.caption(
            f"Layer {window.layer}: {window.channels} channels of {window.grid[0]}x"
            f"{window.grid[1]} cells; rows {y + 1} to {y + WINDOW}, columns {x + 1} to"
            f" {x + WINDOW}. Gradients and all that follows are in thousandths, of the score of the"
            f" class “{name}”, the network's best guess."
        )


def _place(key: SaliencyKey) -> tuple[float, float] | None:
    path, place = st.session_state.get(_PLACE, (None, None))
    return place if path == key.photo.path else None


def _forget() -> None:
    st.session_state.pop(_PLACE, None)


@kept("Asking the network for its numbers")
def _window(key: SaliencyKey, layer: str, around: tuple[float, float] | None) -> LayerCamWindow:
    from cutswap.data.images import to_image

    with public.turn(key.backbone, (layer,), key.photo.size):
        network = caches.network(key.backbone, key.weights)
        return layercam_window(
            network, to_image(caches.photo(key.photo)[None]), layer, around=around
        )


def _numbers(window: LayerCamWindow) -> str:
    """The sum as small tables; numbers alone, so that nothing has to be escaped."""
    rows = []
    for share, says in ((window.most, "gives most"), (window.against, "speaks against")):
        k = share.channel
        rows.append(
            "<div class='term'>"
            + _grid(share.activations, f"A<sub>{k}</sub>", f"activations of channel {k}", "{:.2f}")
            + "<span>&times;</span>"
            + _grid(
                share.gradients * THOUSAND,
                f"ReLU(G<sub>{k}</sub>)",
                "gradients of it; struck: ReLU makes them 0",
                "{:.1f}",
                strike=True,
            )
            + "<span>=</span>"
            + _grid(share.products * THOUSAND, f"channel {k}", f"products; it {says}", "{:.1f}")
            + "</div>"
        )
    rest = window.channels - 2
    rows.append(
        "<div class='term'>"
        + _grid(window.others * THOUSAND, f"+ {rest} others", "their products, summed", "{:.1f}")
        + "<span>=</span>"
        + _grid(window.total * THOUSAND, "sum of all", f"over {window.channels} channels", "{:.1f}")
        + "<span>&rarr;</span>"
        + _grid(
            window.saliency * THOUSAND, "M = ReLU(sum)", "saliency of the window", "{:.1f}", "most"
        )
        + "</div>"
    )
    return "<div class='lesson-numbers'>" + "".join(rows) + "</div>"


def _grid(
    values: np.ndarray, title: str, label: str, shape: str, kind: str = "", *, strike: bool = False
) -> str:
    cells = "".join(
        "<tr>"
        + "".join(
            f"<td{' class=stopped' if strike and v < 0 else ''}>{shape.format(v + 0.0)}</td>"
            for v in row
        )
        + "</tr>"
        for row in values
    )
    return (
        f"<figure class='{kind}'><figcaption>{title}</figcaption>"
        f"<table aria-label='{label}'>{cells}</table><small>{label}</small></figure>"
    )
