"""What the Negatives page shows: one draw large, twelve epochs, all methods and all levels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial, reduce
from typing import Any

import cv2
import numpy as np
import streamlit as st

from app.browser.lesson_link import is_shown
from app.figures import where_to_look
from app.figures.take_home import Figure, of_picture, take_home
from app.negatives.by_hand import Hand, hand_controls
from app.negatives.command import augment_command
from app.negatives.controls import WIPE, controls
from app.negatives.draws import (
    METHODS,
    Drawing,
    Drawn,
    archive,
    contact_sheet,
    draw,
    small,
)
from app.negatives.grid import negatives_grid
from app.negatives.hand_over import train_button
from app.negatives.origin import GOOD_ONLY, is_good_for_training, say_origin
from app.negatives.quality import quality_section
from app.negatives.shapes import COLOURS, region, shapes
from app.shared import caches
from app.shared.networks import layer_name
from app.shared.page_parts import command_line, how_it_works, plain_errors
from app.shared.selection import Selection
from app.viewer.viewer import Legend, Picture, viewer
from cutswap.figures.figure_files import Origin
from cutswap.figures.labelled_grid import GridCell, LabelledGrid, draw_grid
from cutswap.negatives.record import NegativeRecord
from cutswap.saliency.fusion import FUSED
from cutswap.utils.overlays import colourise

SHEET = 12
ACROSS = 4  # draws beside each other on paper
LEVEL = 122  # pixels wide; six levels fit beside each other
METHOD = 148  # pixels wide
WIDEST = 1460  # pixels; Streamlit shows no picture wider, and shrinks one in every rerun
DIFFERENCE_GAIN = 4
# What look.css arranges on a phone: pictures above the controls, in a row to swipe through.
SCREEN, PICTURES, SWIPE = "negatives_screen", "negatives_pictures", "negatives_swipe"


def show(selected: Selection) -> None:
    """The page below its title.

    Raises:
        CutSwapError: an unreadable photo, settings out of range, a constant image.
    """
    if is_shown("origin"):
        say_origin(selected)
    with st.container(key=SCREEN):
        drawing, epoch, layout, beside = controls(selected)
        drawn = draw(drawing, epoch)
        if note := caches.depth_note(drawing.key.photo):
            st.warning(note, icon=":material/exposure:")
        with st.container(key=PICTURES):
            hand = hand_controls(drawing, drawn, beside)
            if hand is not None and hand.placed is not None:
                drawn = hand.placed
            picture = _negative_picture(drawing, drawn, selected)
            difference = _difference_picture(drawing, drawn)
            with st.container(key=SWIPE):
                _large(drawing, drawn, picture, difference, layout, hand)
    if (hand is None or hand.placed is not None) and is_shown("facts"):
        _facts(drawing, drawn)
    if is_shown("train"):
        train_button(drawing)
    if is_shown("epochs"):
        with plain_errors("the contact sheet"):
            _sheet(drawing, epoch, selected)
    if is_shown("methods"):
        with plain_errors("the comparison"):
            _side_by_side(drawing, epoch)
    if METHODS[drawing.method][0].startswith("cutswap") and is_shown("levels"):
        with plain_errors("the levels"):
            _levels(drawing, epoch)
    origin = Origin(
        f"{drawing.method} of {selected.record.name}",
        {**_about(drawing, selected), "epoch": epoch, "number": drawn.number, **_by_hand(hand)},
        (augment_command(drawing, drawn),),
    )
    _take_home(drawing, drawn, picture, difference, origin)
    negatives_grid(drawing, epoch, selected, origin)
    if is_shown("quality"):
        quality_section(selected, drawing.key)
    _explanation()
    trained = "."
    if hand is not None and hand.placed is not None:
        trained = "; a fine-tuning run draws anchors of its own."
    elif drawing.index is not None:
        trained = "; so does a fine-tuning run with these settings."
    command_line(
        augment_command(drawing, drawn), note="Gives this very negative, bit for bit" + trained
    )


def _by_hand(hand: Hand | None) -> dict[str, Any]:
    """Where the patches were placed, as files say it; nothing where they were drawn."""
    return {"at": hand.chosen} if hand is not None and hand.placed is not None else {}


def _large(
    drawing: Drawing,
    drawn: Drawn,
    picture: Picture,
    difference: Picture,
    layout: str,
    hand: Hand | None,
) -> None:
    if layout == WIPE:
        left, right = st.columns(2)
        with left:
            _first(picture, "negative", hand)
    else:
        first, second, right = st.columns(3)
        with first:
            _first(replace(picture, after=None, right=""), "positive", hand)
        if hand is not None and hand.placed is None:
            second.info("The negative appears here once both patches are placed.")
            return
        with second:
            after = replace(
                picture,
                base=drawing.shown(drawn.negative.photo),
                after=None,
                mask=None,
                right="",
                left="negative x−",
                legend=None,
            )
            viewer(after, key="negative.beside", memory="negative", group="negative")
    if hand is not None and hand.placed is None:
        right.info("The difference appears here once both patches are placed.")
        return
    with right:
        viewer(difference, key="difference", memory="difference", group="negative")


def _first(picture: Picture, key: str, hand: Hand | None) -> None:
    """The positive, perhaps with the negative behind a wipe, perhaps to place patches on."""
    if hand is None:
        viewer(picture, key=key, memory="negative", group="negative")
        return
    viewer(
        hand.picture(picture),
        key=f"{key}.hand",
        memory="negative.hand",
        group="negative",
        picking=hand.picking(),
        on_pick=hand.pick,
    )


def _negative_picture(drawing: Drawing, drawn: Drawn, selected: Selection) -> Picture:
    boxes, points = shapes(drawn)
    return Picture(
        drawing.shown(drawn.positive),
        after=drawing.shown(drawn.negative.photo),
        boxes=boxes,
        points=points,
        mask=region(drawing, drawn),
        outline_name="Where anchors may lie",
        left="positive x+",
        right="negative x−",
        legend=_legend(drawn.negative.record),
        alt=f"{drawing.method} of {selected.record.name}, {drawn.negative.mask.mean():.1%} of the"
        f" pixels changed, boxes at {[b.place[:2] for b in boxes]}",
    )


def _difference(drawn: Drawn) -> np.ndarray:
    """(S, S) uint8, the largest difference of a channel."""
    by_channel = cv2.split(cv2.absdiff(drawn.negative.photo, drawn.positive))
    return np.asarray(reduce(np.maximum, by_channel))  # 0.1 ms; .max(axis=-1) takes 3


def _difference_picture(drawing: Drawing, drawn: Drawn) -> Picture:
    heat = colourise(_difference(drawn).astype(np.int16) * DIFFERENCE_GAIN, 0, 255)
    return Picture(
        drawing.shown(drawn.positive),
        heat=drawing.shown(heat),
        mask=drawn.negative.mask,
        outline_name="Exact mask",
        opacity=100,
        left=f"difference x{DIFFERENCE_GAIN}",
        legend=Legend("0", f"{255 // DIFFERENCE_GAIN}+", "largest difference of a channel"),
        alt="Difference between positive and negative,"
        f" {drawn.negative.mask.mean():.1%} of the pixels",
    )


def _legend(record: NegativeRecord) -> Legend | None:
    """What the boxes are; none where there are none."""
    if record.texture is not None:
        strip = record.texture.strip
        return None if strip is None else Legend(swatches=((COLOURS[1], "texture shows"),))
    swap = record.method.startswith("cutswap")
    names = ("first patch", "second patch") if swap else ("cut from", "pasted to")
    return Legend(swatches=tuple(zip(COLOURS, names, strict=True)))


def _facts(drawing: Drawing, drawn: Drawn) -> None:
    record = drawn.negative.record
    where = f"layer {record.layer}, K = {record.k}, {record.strategy}" if record.layer else ""
    parts = [
        f"**{drawn.negative.mask.mean():.1%}** of the pixels changed",
        *_how(record),
        where,
        f"epoch {drawn.epoch}, sample {drawn.number}",
    ]
    st.markdown(" · ".join(filter(None, parts)))
    rejected = ", ".join(f"{n} {reason}" for reason, n in record.rejected.items() if n)
    if rejected:
        st.caption(f"Rejected before this draw: {rejected}.")
    for text in record.fallbacks:
        st.caption(f":material/info: {text}")
    if (region := drawing.region) is not None and region.path is not None:
        share = where_to_look.share(region, drawing.key.photo.size)
        st.caption(
            f":material/crop_free: Dimmed: outside the category's region; {share:.0%} of the photo"
            " is looked at, and no draw changes anything elsewhere."
        )


def _how(record: NegativeRecord) -> list[str]:
    """Sizes, angle and blending in words."""
    texture = record.texture
    if texture is not None:
        shape = "noise" if texture.strip is None else f"strip {texture.strip[2]}x{texture.strip[3]}"
        turned = f", turned by {texture.angle:.0f}°" if texture.angle else ""
        return [f"{shape}{turned}", f"texture at {texture.opacity:.0%}"]
    move = record.moves[0]
    sizes = ", ".join(f"{m.source[2]}x{m.source[3]}" for m in record.moves)
    scaled = f" scaled to {move.size[0]}x{move.size[1]}" if move.size else ""
    turned = f", turned by {move.angle:.0f}°" if move.angle else ""
    blended = {"smooth": f"softness {move.softness:.2f}", "poisson": "Poisson blended"}
    return [f"patch {sizes}{scaled}{turned}", blended.get(move.blend, "")]


def _sheet(drawing: Drawing, epoch: int, selected: Selection) -> None:
    st.subheader("Twelve epochs", anchor=False)
    shown = contact_sheet(drawing, epoch, SHEET, SHEET // 2, WIDEST)
    st.image(
        shown.jpeg,
        width="stretch",
        alt=f"{SHEET} negatives of {selected.record.name}, epochs {epoch} to {epoch + SHEET - 1}",
    )
    changed = shown.changed
    reasons = ", ".join(f"{n} {reason}" for reason, n in shown.rejected.items()) or "none"
    st.caption(
        f"Epochs {epoch} to {epoch + SHEET - 1}: changed area {changed.min():.1%} to"
        f" {changed.max():.1%}, mean {changed.mean():.1%}. Rejected draws: {reasons}."
        + "".join(f" {n} of {SHEET}: {text}." for text, n in shown.fallbacks.items())
    )
    about = _about(drawing, selected)

    def several() -> list[Drawn]:
        return [draw(drawing, e) for e in range(epoch, epoch + SHEET)]

    first, second = st.columns(2)
    stem = f"{drawing.method.lower().replace(' ', '-')}-{selected.category.name}"
    first.download_button(
        "Download the twelve with masks and records (ZIP)",
        lambda: archive(several(), about),
        file_name=f"{stem}.zip",
        mime="application/zip",
        icon=":material/download:",
    )
    is_good = is_good_for_training(selected.category, selected.record)
    second.download_button(
        "The same in folders of MVTec AD (ZIP)",
        lambda: archive(several(), about, as_folders=True),
        file_name=f"{stem}-mvtec.zip",
        mime="application/zip",
        icon=":material/folder_zip:",
        disabled=not is_good,
        help=("" if is_good else GOOD_ONLY + " ")
        + "train/good, test/METHOD and ground_truth/METHOD, as anomalib's Folder and this app"
        " read them. A whole category so: python -m cutswap export negatives --help.",
    )


def _about(drawing: Drawing, selected: Selection) -> dict[str, Any]:
    """Everything that decides the draws, as files say it."""
    negatives, clusters = drawing.settings()
    return {
        "category": selected.key,
        "image": selected.record.name,
        "image_size": drawing.key.photo.size,
        "seed": drawing.seed,
        "backbone": drawing.key.backbone,
        "weights": drawing.key.weights,
        "levels": [drawing.key.levels[level] for level in drawing.levels],
        "layers": list(drawing.key.layers),
        "fusion": drawing.key.fusion and list(drawing.key.fusion),
        "negative_settings": negatives.to_dict(),
        "cluster_settings": clusters.to_dict(),
        "weak": drawing.weak.to_dict(),
        **({} if not drawing.region else {"region": str(drawing.region.path or "none")}),
        "resize": drawing.key.photo.resize,
    }


def _take_home(
    drawing: Drawing, drawn: Drawn, picture: Picture, difference: Picture, origin: Origin
) -> None:
    """Files of the pair, of the twelve epochs, of all methods and of all levels."""
    stem = METHODS[drawing.method][0]
    pair = {
        "positive": drawn.positive,
        "negative": drawn.negative.photo,
        "mask": drawn.negative.mask,
    }
    methods = {name: partial(draw, drawing, drawn.epoch, method=name) for name in METHODS}
    epochs = {
        f"epoch {e}": partial(draw, drawing, e) for e in range(drawn.epoch, drawn.epoch + SHEET)
    }
    figures = [
        of_picture(stem, drawing.method, picture, pair),
        of_picture(
            f"{stem}-difference",
            "Difference",
            difference,
            {"difference": _difference(drawn), "mask": drawn.negative.mask},
        ),
        _several(f"{stem}-epochs", "Twelve epochs", drawing, epochs),
        _several("methods", "Every method", drawing, methods),
    ]
    if stem.startswith("cutswap"):
        levels = {
            layer if layer == FUSED else f"layer {layer}": partial(
                draw, drawing, drawn.epoch, level=level
            )
            for level, layer in enumerate(drawing.key.levels)
        }
        figures.append(_several(f"{stem}-levels", "Every level", drawing, levels))
    take_home(figures, origin, key="negatives")


def _several(
    name: str, title: str, drawing: Drawing, draws: Mapping[str, Callable[[], Drawn]]
) -> Figure:
    """Some draws in rows of four with their names, and as arrays."""

    def picture(width: int) -> np.ndarray:
        cells = [
            GridCell(drawing.shown(one.photo), (said, f"changed {one.mask.mean():.1%}"))
            for said, one in ((said, make().negative) for said, make in draws.items())
        ]
        empty = GridCell(np.full_like(cells[0].picture, 255))
        cells += [empty] * (-len(cells) % ACROSS)
        rows = [tuple(cells[i : i + ACROSS]) for i in range(0, len(cells), ACROSS)]
        return draw_grid(LabelledGrid(("",) * len(rows), ("",) * ACROSS, tuple(rows)), width)

    def arrays() -> dict[str, np.ndarray]:
        made = [make() for make in draws.values()]
        return {
            "positives": np.stack([one.positive for one in made]),
            "negatives": np.stack([one.negative.photo for one in made]),
            "masks": np.stack([one.negative.mask for one in made]),
            "names": np.array(list(draws)),
        }

    return Figure(name, title, picture, arrays)


def _side_by_side(drawing: Drawing, epoch: int) -> None:
    st.subheader("The same settings by every method", anchor=False)
    row = st.container(horizontal=True)
    for method in METHODS:
        one = small(drawing, epoch, METHOD, method=method)
        row.image(
            one.jpeg,
            width=METHOD,
            caption=f"{method}, {one.changed:.1%}",
            alt=f"{method} of the same image, {one.changed:.1%} changed",
        )
    st.caption(
        "The paper's Fig. 1, live: CutPaste often pastes background on background, or a patch where"
        " it cannot belong; swapping two equally salient places keeps the picture plausible."
        " Judge by eye, with several seeds."
    )


def _levels(drawing: Drawing, epoch: int) -> None:
    st.subheader("One draw from every level", anchor=False)
    row = st.container(horizontal=True)
    for level, layer in enumerate(drawing.key.levels):
        row.image(
            small(drawing, epoch, LEVEL, level=level).jpeg,
            width=LEVEL,
            caption=layer_name(drawing.key.backbone, layer, drawing.key.photo.size),
            alt=f"{drawing.method} anchored by layer {layer}",
        )


def _explanation() -> None:
    how_it_works(
        r"""
From a good image $x$ a weak colour jitter makes the positive $x^+$. One saliency map $M_i$ of $x$
is clustered; in its max cluster two anchors $a_1, a_2$ are drawn, upper-left corners of two patches
of one size, and the patches swap places:

$$x^- = x^+ \text{ with } P(a_1) \leftrightarrow P(a_2).$$

Both places are equally salient at that depth, so a piece of the part lands on another piece of the
part: the result stays plausible, and the network must look closely to tell $x^-$ from $x^+$. A scar
is the same with thin turned strips. Patches leaving the image or overlapping are drawn again and
counted; when the region is too compact the patch shrinks, and that is said.
"""
    )
