"""The saliency of a fine-tuned run beside that of the weights it began with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import streamlit as st

from app.figures import where_to_look
from app.figures.take_home import of_picture, take_home
from app.figures.where_to_look import RegionKey
from app.saliency.classes import named, percent
from app.saliency.comparison import TUNED, Looked, range_sentence, shared_range
from app.saliency.grid import saliency_command
from app.saliency.levels import level_control, level_picture
from app.shared import caches, knobs, workspace
from app.shared.caches import SaliencyKey
from app.shared.networks import Looking
from app.shared.page_parts import plain_text
from app.shared.selection import Selection, found_runs
from app.viewer.viewer import viewer
from cutswap.errors import CutSwapError
from cutswap.figures.figure_files import Origin
from cutswap.networks.backbone import BACKBONES, SALIENCY_LEVELS
from cutswap.runs.states import DONE, FoundRun
from cutswap.saliency.agreement import MapAgreement, map_agreement
from cutswap.training.flags import trained_in
from cutswap.utils.folder_names import WEIGHTS


@dataclass(frozen=True)
class TunedRun:
    """A finished run that has changed its network.

    Attributes:
        path: its folder.
        backbone: torchvision's name of the network.
        weights: that it began with.
        category: that it has learnt from; may be empty.
    """

    path: Path
    backbone: str
    weights: str
    category: str


def tuned_runs() -> dict[str, TunedRun]:
    """The finished runs that can be looked with, by name; none in public mode."""
    found = {run.name: _tuned(run) for run in found_runs(workspace.runs_folder()).runs}
    return {name: run for name, run in found.items() if run is not None}


def _tuned(run: FoundRun) -> TunedRun | None:
    training = run.settings.get("training")
    if (
        run.state != DONE
        or trained_in(run.settings) != "backbone"
        or not isinstance(training, dict)
    ):
        return None
    backbone, weights = training.get("backbone"), training.get("weights")
    if backbone not in BACKBONES or not isinstance(weights, str):
        return None
    return TunedRun(run.path, backbone, weights, run.category)


def tuned_comparison(
    selected: Selection,
    key: SaliencyKey,
    level: int,
    k: int,
    region: RegionKey | None,
    *,
    shares_range: bool,
) -> None:
    """A run's map beside the map of its starting weights, for one class.

    Args:
        selected: the photo.
        key: the page's network and photo; the run's own network takes its place.
        level: the page's.
        k: clusters.
        region: of the category; None where there is none that can be used.
        shares_range: whether both maps share one range of colours.

    Raises:
        CutSwapError: weights that are gone or damaged; see `caches.explained`.
    """
    runs = tuned_runs()
    if not runs:
        st.info(
            "There is no finished fine-tuning run yet. Once there is one, its network's saliency is"
            " shown here beside that of the weights it began with.",
            icon=":material/model_training:",
        )
        return
    name = knobs.choice(
        "run2",
        "Fine-tuned run",
        tuple(runs),
        next(iter(runs)),
        help="Its own network looks, first with the weights it began with, then with its own.",
    )
    run = runs[name]
    layers = SALIENCY_LEVELS[run.backbone]
    at = min(level, len(layers) - 1)
    looking = Looking(run.backbone, run.weights, layers)
    chosen = level_control(looking, key.photo.size, "layer2", at, "Layer of the run's network")
    before = SaliencyKey(
        photo=key.photo,
        backbone=run.backbone,
        weights=run.weights,
        layers=layers,
        target_class=key.target_class,
        fusion=(1.0,) * len(layers),
    )
    target = caches.explained(before).target_class  # one class for both, or they cannot be compared
    after = replace(
        before,
        weights=str(run.path),
        target_class=target,
        changed=caches.changed(run.path / WEIGHTS),
    )
    inside = where_to_look.pixels(region, key.photo.size)
    _show(selected, before, after, chosen, k, name, inside, shares_range=shares_range)


def _show(
    selected: Selection,
    before: SaliencyKey,
    after: SaliencyKey,
    level: int,
    k: int,
    name: str,
    inside: np.ndarray | None,
    *,
    shares_range: bool,
) -> None:
    record, pictures = selected.record, []
    first, second = Looked(before, level, record), Looked(after, level, record)
    span = shared_range(first, second) if shares_range else None
    tags = (f"before · {before.weights}", f"fine-tuned · {name}")
    for key, tag, place in zip((before, after), tags, st.columns(2), strict=True):
        explained = caches.explained(key)
        pictures.append(
            level_picture(key, explained, level, record, tag=tag, inside=inside, span=span)
        )
        with place:
            viewer(
                pictures[-1],
                key=f"saliency.{'before' if key is before else 'after'}",
                memory="saliency",
                group="saliency.tuned",
            )
    untuned, tuned = caches.explained(before), caches.explained(after)
    st.markdown(
        f"Both show what speaks for {named(untuned.target_class)}, at"
        f" {percent(untuned.probability)} before and {percent(tuned.probability)} after."
        f" {_alike(before, after, level, k)}"
    )
    st.caption(
        "Fine-tuning trains the layers and leaves the class scores behind them as they were:"
        f" compare where the network looks, not how sure it is."
        f" {range_sentence(TUNED, first, second, is_asked=shares_range)}"
        + _elsewhere(name, selected)
    )
    origin = Origin(
        f"Saliency before and after {name}",
        {
            "category": selected.key,
            "image": record.name,
            "image_size": before.photo.size,
            "backbone": before.backbone,
            "weights": [untuned.weights, tuned.weights],
            "layer": before.levels[level],
            "target_class": untuned.target_class,
            "k": k,
            "colours": span or "each map's own range",
        },
        (saliency_command(before), saliency_command(after)),
    )
    files = [
        of_picture(f"saliency-{word}", tag, picture, {"saliency": explained.maps[level]})
        for word, tag, picture, explained in zip(
            ("before", "after"), tags, pictures, (untuned, tuned), strict=True
        )
    ]
    take_home(files, origin, key="saliency.tuned")


def _elsewhere(name: str, selected: Selection) -> str:
    run = found_runs(workspace.runs_folder()).run(name)
    if run is None or run.category in ("", selected.category.name):
        return ""
    return f" The run has learnt from {plain_text(run.category)}, not from this part."


def _alike(before: SaliencyKey, after: SaliencyKey, level: int, k: int) -> str:
    maps = [caches.explained(key).maps[level] for key in (before, after)]
    try:
        first, second = (
            caches.clusters_of_regions(key, level, k).region(values, k - 1)
            for key, values in zip((before, after), maps, strict=True)
        )
    except CutSwapError:  # fewer distinct values than K
        return f"One of the maps has fewer than K = {k} distinct values, so clusters say nothing."
    return _in_words(map_agreement(maps[0], maps[1], (first, second)), k)


def _in_words(alike: MapAgreement, k: int) -> str:
    said = f"The most salient clusters (K = {k}) share {alike.overlap or 0:.0%} of their area"
    if alike.correlation is None:
        return f"{said}; a map is blank."
    return f"{said}; the maps correlate at {alike.correlation:.2f}."
