"""What the Negatives page shows: one draw large, then twelve, every level, and CutPaste beside."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app import knobs
from app.caches import PhotoKey, SaliencyKey
from app.guards import plain_errors
from app.howto import command_line, how_it_works
from app.negative_draws import METHODS, Drawing, Drawn, archive, draw, tally
from app.networks import Looking, network_controls
from app.pictures import jpeg
from app.selection import Selection
from app.viewer import Box, Legend, Picture, Point, viewer
from cutswap.clusters import anchor_region
from cutswap.config import ANCHORS, ClusterSettings, NegativeSettings, WeakAugmentation
from cutswap.errors import CutSwapError
from cutswap.overlays import colourise, sheet

SHEET = 12
ALL = "all levels"
DIFFERENCE_GAIN = 4
COLOURS = ("#ffd500", "#00c8ff")
SIZES = (128, 192, 256, 384, 512)
DEFAULTS = NegativeSettings()


def show(selected: Selection) -> None:
    """The page below its title.

    Raises:
        CutSwapError: an unreadable photo, settings out of range, a constant image.
    """
    drawing, epoch = _controls(selected)
    drawn = draw(drawing, epoch)
    _large(drawing, drawn, selected)
    _facts(drawn)
    with plain_errors("the contact sheet"):
        _sheet(drawing, epoch, selected)
    with plain_errors("the comparison"):
        _beside_cutpaste(drawing, epoch)
    if METHODS[drawing.method][0].startswith("cutswap"):
        with plain_errors("the levels"):
            _levels(drawing, epoch)
    _explanation()
    _commands(drawing, drawn, selected)


def _controls(selected: Selection) -> tuple[Drawing, int]:
    method = knobs.choice(
        "method", "Method", tuple(METHODS), "CutSwap", segmented=True,
        help="CutSwap exchanges two patches anchored in the most salient cluster; CutPaste moves"
        " one anywhere; Random swap exchanges two patches anywhere.",
    )  # fmt: skip
    guided = METHODS[method][0].startswith("cutswap")
    with st.expander("Network, patches, colours", icon=":material/tune:"):
        looking = network_controls()
        negatives, size, weak = _geometry(method)
        anchors, top_n = _anchors(guided)
    first, second, third, fourth = st.columns([4, 2, 2, 2], vertical_alignment="bottom")
    with first:
        level = knobs.choice(
            "layer", "Layer", (*looking.layers, ALL), looking.layers[len(looking.layers) // 2],
            segmented=len(looking.layers) < 8,
            help="Which saliency map anchors the patches; with all levels each draw picks one.",
        )  # fmt: skip
    with second:
        k = knobs.slider(
            "k", "Clusters K", 1, 8, 4,
            help="More clusters make the most salient one smaller and the patches closer.",
        )  # fmt: skip
    with third:
        seed = knobs.number(
            "seed", "Seed", 0, 2**31 - 1, 0, help="Of the run: the same seed gives the same draws.",
        ) or 0  # fmt: skip
    with fourth:
        epoch = knobs.slider(
            "epoch", "Epoch", 0, 255, 0,
            help="A run meets this photo once an epoch and draws anew each time.",
        )  # fmt: skip
    levels = tuple(range(len(looking.layers))) if level == ALL else (looking.layers.index(level),)
    train = [r.name for r in selected.category.train]
    name = selected.record.name
    drawing = Drawing(
        SaliencyKey(
            PhotoKey.of(selected.record.image, size), looking.name, looking.weights, looking.layers
        ),
        method, levels, negatives, ClusterSettings(k=k, anchors=anchors, top_n=top_n),
        weak, seed, train.index(name) if name in train else None, len(train),
    )  # fmt: skip
    return drawing, epoch


def _geometry(method: str) -> tuple[NegativeSettings, int, WeakAugmentation]:
    is_scar = method.endswith("scar")
    first, second, third = st.columns(3)
    changes: dict[str, object] = {}
    with first:
        if is_scar:
            changes["angle"] = knobs.interval(
                "angle", "Rotation, degrees", -90.0, 90.0, DEFAULTS.angle, step=1.0,
                help="One angle for both strips, drawn uniformly.",
            )  # fmt: skip
            changes["scar_height"] = _whole(knobs.interval(
                "scarh", "Scar length, pixels of 256", 2.0, 64.0, DEFAULTS.scar_height, step=1.0,
                help="Drawn uniformly, scaled with the image.",
            ))  # fmt: skip
        else:
            changes["area"] = knobs.interval(
                "area", "Patch area, share of the image", 0.005, 0.3, DEFAULTS.area, step=0.005,
                help="Drawn uniformly; large patches are easy to see, small ones subtle.",
            )  # fmt: skip
    with second:
        if is_scar:
            changes["scar_width"] = _whole(knobs.interval(
                "scarw", "Scar width, pixels of 256", 1.0, 64.0, DEFAULTS.scar_width, step=1.0,
                help="Drawn uniformly, scaled with the image.",
            ))  # fmt: skip
        else:
            shown = (round(DEFAULTS.aspect[0], 2), round(DEFAULTS.aspect[1], 2))
            aspect = knobs.interval(
                "aspect", "Aspect, width over height", 0.1, 10.0, shown, step=0.01,
                help="Drawn log-uniformly, so that tall and wide are equally likely.",
            )  # fmt: skip
            # The slider rounds 1 / 0.3; untouched it must mean the exact default.
            changes["aspect"] = DEFAULTS.aspect if aspect == shown else aspect
    with third:
        own = knobs.toggle(
            "ownjitter", "Jitter the patch", False,
            help="Off: as published, none for CutSwap and 0.1 for CutPaste. On: the amount below.",
        )  # fmt: skip
        if own:
            changes["jitter"] = knobs.slider(
                "jitter", "Patch jitter", 0.0, 0.5, 0.1, step=0.01,
                help="Brightness, contrast, saturation and hue of the patch before it is placed.",
            )  # fmt: skip
        weak = knobs.slider(
            "weak", "Positive jitter", 0.0, 0.5, WeakAugmentation().jitter, step=0.01,
            help="Colour jitter from the photo x to the positive x+; training uses 0.1.",
        )  # fmt: skip
    size = knobs.choice(
        "size", "Image side, pixels", SIZES, 256,
        help="The photo is squashed to this square first; training uses 256.",
    )  # fmt: skip
    return DEFAULTS.replace(**changes), size, WeakAugmentation(jitter=weak)


def _whole(ends: tuple[float, float]) -> tuple[int, int]:
    return int(ends[0]), int(ends[1])


def _anchors(guided: bool) -> tuple[str, int]:
    anchors = knobs.choice(
        "anchors", "Anchors", ANCHORS, "max-cluster",
        help="Where the upper-left corners of the patches may lie; the paper: the max cluster.",
    )  # fmt: skip
    top_n = ClusterSettings().top_n
    if anchors == "top-n":
        top_n = knobs.number(
            "topn", "Pixels kept", 2, 65536, top_n,
            help="The most salient pixels that anchors are drawn from (paper: 300).",
        ) or top_n  # fmt: skip
    if not guided:
        st.caption("CutPaste ignores saliency: layer, K and anchors do not matter to it.")
    return anchors, top_n


def _large(drawing: Drawing, drawn: Drawn, selected: Selection) -> None:
    record, photo = drawn.negative.record, drawn.negative.photo
    boxes, points = _shapes(drawn)
    region = _region(drawing, drawn)
    changed = drawn.negative.mask.mean()
    left, right = st.columns(2)
    with left:
        viewer(
            Picture(
                drawn.positive, after=photo, boxes=boxes, points=points, mask=region,
                outline_name="Where anchors may lie", left="positive x+", right="negative x−",
                legend=Legend(swatches=((COLOURS[0], _first(record.method)), (COLOURS[1],
                              _second(record.method)))),
                alt=f"{drawing.method} of {selected.record.name}, {changed:.1%} of the pixels"
                f" changed, boxes at {[m.target for m in record.moves]}",
            ),
            key="negative", memory="negative", group="negative",
        )  # fmt: skip
    with right:
        difference = np.abs(photo.astype(np.int16) - drawn.positive).max(axis=-1)
        viewer(
            Picture(
                drawn.positive, heat=colourise(difference * DIFFERENCE_GAIN, 0, 255),
                mask=drawn.negative.mask, outline_name="Exact mask", opacity=100,
                left=f"difference x{DIFFERENCE_GAIN}",
                legend=Legend("0", f"{255 // DIFFERENCE_GAIN}+", "largest difference of a channel"),
                alt=f"Difference between positive and negative, {changed:.1%} of the pixels",
            ),
            key="difference", memory="difference", group="negative",
        )  # fmt: skip


def _first(method: str) -> str:
    return "first patch" if method.startswith("cutswap") else "cut from"


def _second(method: str) -> str:
    return "second patch" if method.startswith("cutswap") else "pasted to"


def _shapes(drawn: Drawn) -> tuple[list[Box], list[Point]]:
    record = drawn.negative.record
    boxes, points = [], []
    if record.method.startswith("cutswap"):
        for move, colour, label in zip(record.moves, COLOURS, ("a1", "a2"), strict=True):
            (y, x), (h, w) = move.target, move.placed_size
            boxes.append(Box((y, x, h, w), "", colour))
            points.append(Point((y, x), label, colour))
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
    level = drawing.key.layers.index(record.layer)
    try:
        found = anchor_region(
            levels.map(level), clusters, np.random.default_rng(0), levels.clusters(level)
        )
    except CutSwapError:
        return None
    return None if found.all() else found


def _facts(drawn: Drawn) -> None:
    record = drawn.negative.record
    where = f"layer {record.layer}, K = {record.k}, {record.strategy}" if record.layer else ""
    sizes = ", ".join(f"{m.source[2]}x{m.source[3]}" for m in record.moves)
    angle = record.moves[0].angle
    turned = f", turned by {angle:.0f}°" if angle else ""
    st.markdown(
        f"**{drawn.negative.mask.mean():.1%}** of the pixels changed · patch {sizes}{turned}"
        f" {'· ' + where if where else ''} · epoch {drawn.epoch}, sample {drawn.number}"
    )
    rejected = ", ".join(f"{n} {reason}" for reason, n in record.rejected.items() if n)
    if rejected:
        st.caption(f"Rejected before this draw: {rejected}.")
    for text in record.fallbacks:
        st.caption(f":material/info: {text}")


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
        "levels": [drawing.key.layers[level] for level in drawing.levels],
        "negative_settings": negatives.to_dict(),
        "cluster_settings": clusters.to_dict(),
        "weak": drawing.weak.to_dict(),
    }
    st.download_button(
        "Download the twelve with masks and records (ZIP)", lambda: archive(several, about),
        file_name=f"{drawing.method.lower().replace(' ', '-')}-{selected.category.name}.zip",
        mime="application/zip", icon=":material/download:",
    )  # fmt: skip


def _beside_cutpaste(drawing: Drawing, epoch: int) -> None:
    st.subheader("The same settings by CutSwap and by CutPaste", anchor=False)
    row = st.container(horizontal=True)
    for method in ("CutSwap", "CutSwap scar", "CutPaste", "CutPaste scar", "Random swap"):
        drawn = draw(drawing, epoch, method=method)
        row.image(
            jpeg(drawn.negative.photo), width=148,
            caption=f"{method}, {drawn.negative.mask.mean():.1%}",
            alt=f"{method} of the same image, {drawn.negative.mask.mean():.1%} changed",
        )  # fmt: skip
    st.caption(
        "The paper's Fig. 1, live: CutPaste often pastes background on background, or a patch where"
        " it cannot belong; swapping two equally salient places keeps the picture plausible."
        " Judge by eye, with several seeds."
    )


def _levels(drawing: Drawing, epoch: int) -> None:
    st.subheader("One draw from every level", anchor=False)
    row = st.container(horizontal=True)
    for level, layer in enumerate(drawing.key.layers):
        drawn = draw(drawing, epoch, level=level)
        row.image(
            jpeg(drawn.negative.photo), width=148, caption=f"layer {layer}",
            alt=f"{drawing.method} anchored by layer {layer}",
        )  # fmt: skip


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
        flags += ["--layer", record.layer, "--k", clusters.k, "--anchors", clusters.anchors]
        if clusters.anchors == "top-n":
            flags += ["--top-n", clusters.top_n]
    for name in ("area", "aspect", "scar_width", "scar_height", "angle"):
        low, high = getattr(negatives, name)
        if (low, high) != getattr(DEFAULTS, name):
            flags.append(f"--{name.replace('_', '-')}={low:g},{high:g}")
    if negatives.jitter is not None:
        flags += ["--jitter", negatives.jitter]
    flags += ["--image-size", drawing.key.photo.size, "--weak-jitter", drawing.weak.jitter]
    flags += ["--seed", drawing.seed, "--first", drawn.number, "--count", 1]
    is_trained = drawing.index is not None
    trained = "; so does a fine-tuning run with these settings." if is_trained else "."
    command_line(
        ["augment", selected.record.image, *flags, "--out", "negatives"],
        note="Gives this very negative, bit for bit" + trained,
    )
