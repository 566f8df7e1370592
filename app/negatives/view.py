"""What the Negatives page shows: one draw large, twelve epochs, all methods and all levels."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app.negatives.controls import controls
from app.negatives.draws import METHODS, Drawing, Drawn, archive, draw, tally
from app.negatives.origin import GOOD_ONLY, is_good_for_training, say_origin
from app.negatives.quality import quality_section
from app.shared import caches
from app.shared.networks import Looking, fusion_flags
from app.shared.page_parts import command_line, how_it_works, plain_errors
from app.shared.selection import Selection
from app.viewer.pictures import jpeg
from app.viewer.viewer import Box, Legend, Picture, Point, viewer
from cutswap.errors import CutSwapError
from cutswap.flags import FlagNames, flags_from
from cutswap.negatives.geometry import rotated_size
from cutswap.negatives.record import NegativeRecord
from cutswap.saliency.clusters import anchor_region
from cutswap.saliency.fusion import FUSED
from cutswap.utils.overlays import colourise, sheet

SHEET = 12
SMALL = 122  # pixels; six levels fit beside each other
DIFFERENCE_GAIN = 4
COLOURS = ("#ffd500", "#00c8ff")


def show(selected: Selection) -> None:
    """The page below its title.

    Raises:
        CutSwapError: an unreadable photo, settings out of range, a constant image.
    """
    say_origin(selected)
    drawing, epoch = controls(selected)
    drawn = draw(drawing, epoch)
    if note := caches.depth_note(drawing.key.photo):
        st.warning(note, icon=":material/exposure:")
    _large(drawing, drawn, selected)
    _facts(drawn)
    with plain_errors("the contact sheet"):
        _sheet(drawing, epoch, selected)
    with plain_errors("the comparison"):
        _side_by_side(drawing, epoch)
    if METHODS[drawing.method][0].startswith("cutswap"):
        with plain_errors("the levels"):
            _levels(drawing, epoch)
    quality_section(selected, drawing.key)
    _explanation()
    _commands(drawing, drawn, selected)


def _large(drawing: Drawing, drawn: Drawn, selected: Selection) -> None:
    record, photo = drawn.negative.record, drawn.negative.photo
    boxes, points = _shapes(drawn)
    region = _region(drawing, drawn)
    changed = drawn.negative.mask.mean()
    left, right = st.columns(2)
    with left:
        viewer(
            Picture(
                drawn.positive,
                after=photo,
                boxes=boxes,
                points=points,
                mask=region,
                outline_name="Where anchors may lie",
                left="positive x+",
                right="negative x−",
                legend=_legend(record),
                alt=f"{drawing.method} of {selected.record.name}, {changed:.1%} of the pixels"
                f" changed, boxes at {[b.place[:2] for b in boxes]}",
            ),
            key="negative",
            memory="negative",
            group="negative",
        )
    with right:
        difference = np.abs(photo.astype(np.int16) - drawn.positive).max(axis=-1)
        viewer(
            Picture(
                drawn.positive,
                heat=colourise(difference * DIFFERENCE_GAIN, 0, 255),
                mask=drawn.negative.mask,
                outline_name="Exact mask",
                opacity=100,
                left=f"difference x{DIFFERENCE_GAIN}",
                legend=Legend("0", f"{255 // DIFFERENCE_GAIN}+", "largest difference of a channel"),
                alt=f"Difference between positive and negative, {changed:.1%} of the pixels",
            ),
            key="difference",
            memory="difference",
            group="negative",
        )


def _legend(record: NegativeRecord) -> Legend | None:
    """What the boxes are; none where there are none."""
    if record.texture is not None:
        strip = record.texture.strip
        return None if strip is None else Legend(swatches=((COLOURS[1], "texture shows"),))
    swap = record.method.startswith("cutswap")
    names = ("first patch", "second patch") if swap else ("cut from", "pasted to")
    return Legend(swatches=tuple(zip(COLOURS, names, strict=True)))


def _shapes(drawn: Drawn) -> tuple[list[Box], list[Point]]:
    record = drawn.negative.record
    boxes, points = [], []
    if record.method.startswith("cutswap"):
        for move, colour, label in zip(record.moves, COLOURS, ("a1", "a2"), strict=True):
            (y, x), (h, w) = move.target, move.placed_size
            boxes.append(Box((y, x, h, w), "", colour))
            points.append(Point((y, x), label, colour))
        return boxes, points
    if record.texture is not None:
        if record.texture.strip is not None:
            y, x, h, w = record.texture.strip
            place = (y, x, *rotated_size((h, w), record.texture.angle))
            boxes.append(Box(place, "texture", COLOURS[1]))
        return boxes, points
    (move,) = record.moves
    y, x, h, w = move.source
    boxes.append(Box((y, x, h, w), "from", COLOURS[0], dashed=True))
    boxes.append(Box((*move.target, *move.placed_size), "to", COLOURS[1]))
    return boxes, points


def _region(drawing: Drawing, drawn: Drawn) -> np.ndarray | None:
    """Pixels anchors were drawn from; None where that is the whole image or was a chance."""
    record = drawn.negative.record
    _, clusters = drawing.settings()
    if record.layer is None or clusters.anchors in ("whole-image", "random-cluster"):
        return None
    levels = drawing.levels_of(clusters)
    level = drawing.key.levels.index(record.layer)
    try:
        region = anchor_region(
            levels.map(level), clusters, np.random.default_rng(0), levels.clusters(level)
        )
    except CutSwapError:
        return None
    return None if region.all() else region


def _facts(drawn: Drawn) -> None:
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
    several = [draw(drawing, e) for e in range(epoch, epoch + SHEET)]
    size = drawing.key.photo.size
    st.image(
        jpeg(sheet([one.negative.photo for one in several], 6, gap=max(2, size // 64))),
        width="stretch",
        alt=f"{SHEET} negatives of {selected.record.name}, epochs {epoch} to {epoch + SHEET - 1}",
    )
    rejected, fallbacks = tally(several)
    changed = np.array([one.negative.mask.mean() for one in several])
    reasons = ", ".join(f"{n} {reason}" for reason, n in rejected.items()) or "none"
    st.caption(
        f"Epochs {epoch} to {epoch + SHEET - 1}: changed area {changed.min():.1%} to"
        f" {changed.max():.1%}, mean {changed.mean():.1%}. Rejected draws: {reasons}."
        + "".join(f" {n} of {SHEET}: {text}." for text, n in fallbacks.items())
    )
    negatives, clusters = drawing.settings()
    about = {
        "category": selected.key,
        "image": selected.record.name,
        "image_size": size,
        "seed": drawing.seed,
        "backbone": drawing.key.backbone,
        "weights": drawing.key.weights,
        "levels": [drawing.key.levels[level] for level in drawing.levels],
        "layers": list(drawing.key.layers),
        "fusion": drawing.key.fusion and list(drawing.key.fusion),
        "negative_settings": negatives.to_dict(),
        "cluster_settings": clusters.to_dict(),
        "weak": drawing.weak.to_dict(),
    }
    first, second = st.columns(2)
    stem = f"{drawing.method.lower().replace(' ', '-')}-{selected.category.name}"
    first.download_button(
        "Download the twelve with masks and records (ZIP)",
        lambda: archive(several, about),
        file_name=f"{stem}.zip",
        mime="application/zip",
        icon=":material/download:",
    )
    is_good = is_good_for_training(selected.category, selected.record)
    second.download_button(
        "The same in folders of MVTec AD (ZIP)",
        lambda: archive(several, about, as_folders=True),
        file_name=f"{stem}-mvtec.zip",
        mime="application/zip",
        icon=":material/folder_zip:",
        disabled=not is_good,
        help=("" if is_good else GOOD_ONLY + " ")
        + "train/good, test/METHOD and ground_truth/METHOD, as anomalib's Folder and this app"
        " read them. A whole category so: python -m cutswap export negatives --help.",
    )


def _side_by_side(drawing: Drawing, epoch: int) -> None:
    st.subheader("The same settings by every method", anchor=False)
    row = st.container(horizontal=True)
    for method in METHODS:
        drawn = draw(drawing, epoch, method=method)
        row.image(
            jpeg(drawn.negative.photo),
            width=148,
            caption=f"{method}, {drawn.negative.mask.mean():.1%}",
            alt=f"{method} of the same image, {drawn.negative.mask.mean():.1%} changed",
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
        drawn = draw(drawing, epoch, level=level)
        row.image(
            jpeg(drawn.negative.photo),
            width=SMALL,
            caption=layer if layer == FUSED else f"layer {layer}",
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


def _commands(drawing: Drawing, drawn: Drawn, selected: Selection) -> None:
    negatives, clusters = drawing.settings()
    record = drawn.negative.record
    flags: list[object] = ["--method", negatives.method]
    if record.layer is not None:
        looking = Looking(drawing.key.backbone, drawing.key.weights, drawing.key.layers)
        flags += ["--backbone", looking.name, "--weights", looking.weights]
        if record.layer == FUSED:
            flags += fusion_flags(looking, drawing.key.fusion)
        flags += ["--layer", record.layer, *flags_from(clusters)]
    flags += flags_from(negatives, naming=FlagNames(skip=("method",)))
    flags += ["--image-size", drawing.key.photo.size, "--weak-jitter", drawing.weak.jitter]
    flags += ["--seed", drawing.seed, "--first", drawn.number, "--count", 1]
    is_trained = drawing.index is not None
    trained = "; so does a fine-tuning run with these settings." if is_trained else "."
    command_line(
        ["augment", selected.record.image, *flags, "--out", "negatives"],
        note="Gives this very negative, bit for bit" + trained,
    )
