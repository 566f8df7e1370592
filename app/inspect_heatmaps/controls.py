"""Controls of the Inspect page: evaluation, settings, colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from app.inspect_heatmaps.heads import misfit, score_control, with_head
from app.shared import knobs, public, workspace
from app.shared.evaluations import Wanted, network_of
from app.shared.heads import SCORES, HeadOfRun, head_of
from app.shared.networks import selectable_layers
from app.shared.open_in_inspect import CORESETS, HERE, SIZES
from app.shared.page_parts import plain_text
from app.shared.selection import PRETRAINED, Selection, found_runs, learnt_elsewhere
from cutswap.config import TINY_CORESET, PatchCoreSettings
from cutswap.errors import CutSwapError
from cutswap.evaluation.scored_set import scores_in
from cutswap.networks.backbone import SALIENCY_LEVELS
from cutswap.runs.folder import RunFolder
from cutswap.runs.states import DONE, FoundEvaluation
from cutswap.training.flags import need_same_squares

ALL, THIS = "all images", "this image"
NOTHING = "nothing"
ROW = "inspect_controls"  # what look.css breaks into two rows on a phone
DEFAULTS = PatchCoreSettings()
WHITENINGS: tuple[str, ...] = PatchCoreSettings.__dataclass_fields__["whiten"].metadata["choices"]


@dataclass(frozen=True)
class InspectRequest:
    """What the visitor wants to see.

    Attributes:
        selected: category, image and weights.
        wanted: the evaluation by the page's own settings.
        saved: an evaluation of the runs folder to show instead.
        stretch: whether colours cover this image's range alone.
        contour: whether what is called defective is outlined.
        versus: what to put beside: `NOTHING`, weights or a run as in the sidebar, or the name of
            a saved evaluation after `saved:`.
        score: whose scores, bank, head or both; None where there is a bank alone.
        is_painting: whether one paints on the photo.
    """

    selected: Selection
    wanted: Wanted
    saved: FoundEvaluation | None
    stretch: bool
    contour: bool
    versus: str
    score: str | None = None
    is_painting: bool = False


def controls(selected: Selection, ask_painting: Callable[[], bool]) -> InspectRequest:
    """Draw the row and the settings, and read them.

    Args:
        selected: category, image and weights.
        ask_painting: draws the switch and tells whether one paints: colours then cover all images,
            so that strokes compare.
    """
    saved = saved_evaluations(selected)
    head = head_of(selected.weights)
    with st.container(key=ROW):
        widths = [6, 5, 5, 3] if head is None else [5, 5, 4, 3, 5]
        places = st.columns(widths, vertical_alignment="bottom")
    first, second, third, fourth = places[:4]
    with fourth:  # above the other switch: a row of its own would push the photo down
        is_painting = ask_painting()
    with first:
        shown = _source(saved)
    with third if not is_painting else second:
        versus = _versus(selected, saved)
    colours, contour = ALL, True
    if not is_painting:
        with second:
            colours = _colours()
        with fourth:
            contour = _contour()
    cannot = misfit(selected.category, head) if head is not None else ""
    place = st.container()
    settings, seed = _settings(network_of(selected), None if cannot else head)
    wanted = Wanted(
        category=selected.category,
        network=network_of(selected),
        weights=selected.weights,
        settings=settings,
        seed=seed,
    )
    wanted = with_head(wanted, head)
    chosen = saved.get(shown)
    if chosen is None and selected.weights not in PRETRAINED:
        run = Path(selected.weights)
        need_same_squares(RunFolder(run).settings(), run, selected.category)
    with place:
        if cannot and chosen is None:
            st.info(cannot, icon=":material/category:")
        elif chosen is None and (elsewhere := learnt_elsewhere(selected.run, selected.category)):
            st.warning(elsewhere, icon=":material/category:")
        own = tuple(SCORES) if wanted.head is not None else ()
    score = None  # one who paints sees bank and head beside each other
    if not is_painting:
        with place if head is None else places[4]:
            score = score_control(own if chosen is None else scores_in(chosen.summary))
    return InspectRequest(
        selected=selected,
        wanted=wanted,
        saved=chosen,
        stretch=colours == THIS,
        contour=contour,
        versus=versus,
        score=score,
        is_painting=is_painting,
    )


def _colours() -> str:
    return knobs.choice(
        "range",
        "Colour range",
        (ALL, THIS),
        ALL,
        segmented=True,
        help="One range for all test images makes pictures comparable, and heat is clear where"
        " good photos usually are; stretched to one image, even a good part glows somewhere.",
    )


def _contour() -> bool:
    return knobs.toggle(
        "called",
        "Outline",
        True,
        help="A cyan line around the pixels that reach the pixel threshold below.",
    )


def saved_evaluations(selected: Selection) -> dict[str, FoundEvaluation]:
    """Evaluations of this category in the runs folder, and those of unknown category."""
    try:
        evaluations = found_runs(workspace.runs_folder()).evaluations
    except CutSwapError:  # the Results and Data pages say why
        return {}
    root = str(selected.category.root)
    return {e.name: e for e in evaluations if e.root == root or not e.root}


def _source(saved: dict[str, FoundEvaluation]) -> str:
    kept = st.session_state.get("knob.eval", HERE)
    if kept not in (HERE, *saved):
        st.toast(f"The evaluation {plain_text(kept)} is no longer there.")
    return knobs.choice(
        "eval",
        "Evaluation",
        (HERE, *saved),
        HERE,
        show=lambda name: _label(name, saved),
        help="This page scores with the weights chosen in the sidebar. Evaluations written by the"
        " command line into the runs folder are offered too.",
    )


def _label(name: str, saved: dict[str, FoundEvaluation]) -> str:
    if name == HERE:
        return "This page: the sidebar's weights"
    return name if saved[name].state == DONE else f"{name} ({saved[name].state})"


def _versus(selected: Selection, saved: dict[str, FoundEvaluation]) -> str:
    pretrained = ("embedded", "imagenet", "random")
    try:
        runs = [r.name for r in found_runs(workspace.runs_folder()).runs if r.state == DONE]
    except CutSwapError:
        runs = []
    others = [w for w in (*public.offered(pretrained), *runs) if w != selected.run]
    options = (NOTHING, *others, *(f"saved:{n}" for n, e in saved.items() if e.state == DONE))
    return knobs.choice(
        "beside",
        "Compare with",
        options,
        NOTHING,
        show=lambda v: v.removeprefix("saved:") + (" (saved)" if v.startswith("saved:") else ""),
        help="The same image by other weights or another run, beside it and in the same colours.",
    )


def _settings(network: str, head: HeadOfRun | None) -> tuple[PatchCoreSettings, int]:
    stages = [n for n in selectable_layers(network) if n.startswith("layer") and "." not in n]
    default = DEFAULTS.layers if stages else SALIENCY_LEVELS[network][2:4]
    with knobs.settings("PatchCore settings"):
        first, second, third = st.columns(3)
        with first:
            if head is not None:
                layers, size = head.layers, head.image_size
                st.caption(
                    f"Layers {' and '.join(layers)} at {size} pixels: those that the {head.kind}"
                    " has learnt on."
                )
            else:
                layers = knobs.several(
                    "pclayers",
                    "Layers",
                    stages or selectable_layers(network),
                    default,
                    help="Whose features are compared: shallow ones know texture, deep ones parts.",
                )
                size = knobs.choice(
                    "pcsize",
                    "Image side, pixels",
                    public.small(SIZES),
                    DEFAULTS.image_size,
                    help="Photos become this square; small defects need a larger one.",
                )
        with second:
            coreset = knobs.choice(
                "coreset",
                "Coreset (share of patches kept)",
                public.shares(CORESETS),
                DEFAULTS.coreset,
                show=lambda share: f"{share:.2%}".replace(".00%", "%"),
                help="Patches of good parts that are remembered: fewer are faster and forget rare"
                " normal looks. The paper keeps 0.1% and 1%.",
            )
            whiten = knobs.choice(
                "whiten",
                "Whitening",
                WHITENINGS,
                DEFAULTS.whiten,
                help="Patches divided by what normal ones vary by, along principal axes (pca) or"
                " in each channel, before they are compared. Both: a plain and a whitened bank,"
                f" averaged. Auto: both for a coreset below {TINY_CORESET:.1%}, none for others.",
            )
            seed = knobs.number(
                "pcseed",
                "Seed",
                0,
                2**31 - 1,
                0,
                help="Of the first patch picked: a tiny bank depends on it, so try several.",
            )
        with third:
            neighbours = knobs.of_field(PatchCoreSettings, "neighbours", "nn", DEFAULTS.neighbours)
            patches = knobs.of_field(
                PatchCoreSettings, "image_patches", "highest", DEFAULTS.image_patches
            )
            sigma = knobs.of_field(PatchCoreSettings, "sigma", "sigma", DEFAULTS.sigma)
        now = "" if head is None else " That is so for the bank's scores; a head's follow then too."
        st.caption(
            "Neighbours, highest patches and smoothing change this image's heatmap and score at"
            " once; the numbers of the whole test set follow when they are computed again." + now
        )
    settings = DEFAULTS.replace(
        layers=layers,
        image_size=size,
        coreset=coreset,
        neighbours=neighbours,
        sigma=sigma,
        image_patches=patches,
        whiten=whiten,
    )
    return settings, seed or 0
