"""Controls of the Negatives page: method, geometry, anchors, level, seed, epoch; all in the URL."""

from __future__ import annotations

import streamlit as st

from app.negatives.draws import METHODS, Drawing
from app.shared import knobs
from app.shared.caches import PhotoKey, SaliencyKey
from app.shared.networks import fusion_controls, network_controls
from app.shared.selection import Selection
from cutswap.config import ANCHORS, ClusterSettings, NegativeSettings, WeakAugmentation
from cutswap.saliency.fusion import FUSED

ALL = "all levels"
SIZES = (128, 192, 256, 384, 512)
DEFAULTS = NegativeSettings()


def controls(selected: Selection) -> tuple[Drawing, int]:
    """What is to be drawn, and which epoch is shown."""
    method = knobs.choice(
        "method", "Method", tuple(METHODS), "CutSwap", segmented=True,
        help="CutSwap exchanges two patches anchored in the most salient cluster; CutPaste moves"
        " one anywhere; Random swap exchanges two patches anywhere. SmoothBlend is CutPaste with"
        " fading edges; NSA bends the patch's colours to its surroundings (Poisson blending);"
        " Perlin lets a foreign texture show through noise-shaped holes. A scar does the same in a"
        " thin turned strip.",
    )  # fmt: skip
    guided = METHODS[method][0].startswith("cutswap")
    with st.expander("Network, patches, colours", icon=":material/tune:"):
        looking = network_controls()
        negatives, size, weak = _geometry(method)
        anchors, top_n = _anchors(guided)
    first, second, third, fourth = st.columns([6, 2, 2, 2], vertical_alignment="bottom")
    with first:
        level = knobs.choice(
            "layer", "Layer", (*looking.layers, FUSED, ALL),
            looking.layers[len(looking.layers) // 2], segmented=len(looking.layers) < 7,
            help="Which saliency map anchors the patches; fused is a weighted mean of them; with"
            " all levels each draw picks one.",
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
    count = len(looking.layers)
    fusion = fusion_controls(looking) if level == FUSED else (1.0,) * count
    one = (*looking.layers, FUSED).index(level) if level != ALL else 0
    train = [r.name for r in selected.category.train]
    name = selected.record.name
    drawing = Drawing(
        SaliencyKey(
            PhotoKey.of(selected.record.image, size), looking.name, looking.weights, looking.layers,
            fusion=fusion,
        ),
        method, tuple(range(count)) if level == ALL else (one,), negatives,
        ClusterSettings(k=k, anchors=anchors, top_n=top_n), weak,
        seed, train.index(name) if name in train else None, len(train),
    )  # fmt: skip
    return drawing, epoch


def _geometry(method: str) -> tuple[NegativeSettings, int, WeakAugmentation]:
    is_scar = method.endswith("scar")
    changes: dict[str, object] = _own_geometry(METHODS[method][0])
    first, second, third = st.columns(3)
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


def _own_geometry(method: str) -> dict[str, object]:
    """What this method alone has."""
    if method.startswith("smoothblend"):
        return {"softness": knobs.interval(
            "softness", "Softness, share of the shorter side", 0.0, 0.3, DEFAULTS.softness,
            step=0.01, help="Sigma of the gaussian that fades the patch out towards its edge.",
        )}  # fmt: skip
    if method == "nsa":
        return {"zoom": knobs.interval(
            "zoom", "Scaling of the patch", 0.5, 2.0, DEFAULTS.zoom, step=0.05,
            help="Drawn from a normal distribution around 1 and clipped to this range.",
        )}  # fmt: skip
    if method.startswith("perlin"):
        return {"opacity": knobs.interval(
            "opacity", "Opacity of the texture", 0.05, 1.0, DEFAULTS.opacity, step=0.05,
            help="Drawn uniformly; at 1 the texture hides the part.",
        )}  # fmt: skip
    return {}


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
        st.caption("This method ignores saliency: layer, K and anchors do not matter to it.")
    return anchors, top_n
