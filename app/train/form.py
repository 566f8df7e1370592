"""The form of a fine-tuning run: presets, settings with their reasons, price, command, start."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from app.shared import jobs, workspace
from app.shared.page_parts import command_line, plain_errors, plain_text
from app.shared.selection import PRETRAINED, Selection, found_runs
from app.train import estimate as run_estimate
from app.train.handed_over import fill_fields, with_handed
from app.train.head_form import (
    BACKBONE,
    SPD,
    head_estimate,
    head_length,
    spd_base,
    spd_weight,
    train_control,
    updates_field,
)
from cutswap.config import (
    ANCHORS,
    EARLY,
    FAMILIES,
    FEWEST_TO_HOLD_OUT,
    HEAD_JITTER,
    LEARNT_HEADS,
    RECIPES,
    ClusterSettings,
    HeadSettings,
    SaliencySettings,
    SpdSettings,
    TrainingSettings,
)
from cutswap.data.problems import find_problems
from cutswap.errors import CutSwapError
from cutswap.runs.devices import device_choices
from cutswap.runs.edits import NAME, NAME_RULE
from cutswap.runs.states import DONE, FoundRun, log_file
from cutswap.settings import control_of
from cutswap.training.flags import finetune_arguments, trained_in

SHOWN = "train.shown"  # session: the run whose progress is on the screen
_STARTED = "train.started"  # session: the run that was started last from here
RUNS = "runs"  # anchor of the list below
FAMILY_NAMES = {
    "cutswap": "CutSwap",
    "cutpaste": "CutPaste",
    "smoothblend": "SmoothBlend",
    "nsa": "NSA",
    "perlin": "Perlin",
}
NOT_SAID = (
    "Nobody has said whether these photos show good parts; training learns from good parts only."
    " If they all do, tick the box; else put the good ones into train/good, or upload them as good"
    " parts on the Data page."
)
SNAPSHOTS = 10  # states that a tick keeps
OF_BACKBONES = (BACKBONE, SPD)  # what changes the network's own features
_LARGE = 2**31 - 1
# Trained layers of a ResNet, and those that then stay as they are.
FROZEN = {
    "layer4": (*EARLY, "layer3"),
    "layer3 and layer4": EARLY,
    "layer2 to layer4": EARLY[:3],
    "layer1 to layer4": EARLY[:2],
    "all layers": (),
}


@dataclass(frozen=True)
class Preset:
    """A length.

    Attributes:
        epochs: passes, or multiples of `steps`.
        steps: updates an epoch; 0 for one pass over the photos.
        batch: photos an update.
        checkpoint: updates between checkpoints: what a stop costs at most.
        about: who it is for.
    """

    epochs: int
    steps: int
    batch: int
    checkpoint: int
    about: str


PRESETS = {
    "1-minute demo": Preset(
        epochs=1, steps=20, batch=6, checkpoint=5, about="to see it happen; far too short to help"
    ),
    "Laptop": Preset(
        epochs=20,
        steps=0,
        batch=16,
        checkpoint=10,
        about="minutes on two cores; the command line's defaults",
    ),
    "Paper: 256 epochs": Preset(
        epochs=256,
        steps=0,
        batch=32,
        checkpoint=50,
        about="the paper's length; hours without a GPU",
    ),
}


@dataclass(frozen=True)
class TrainingRequest:
    """What the form says.

    Attributes:
        record: sections of settings as in settings.json, with the seed.
        training: the same section, checked.
        head: what is trained, and how a head learns.
        name: of the run folder.
        skip_bad: go on without unusable files.
    """

    record: dict[str, Any]
    training: TrainingSettings
    head: HeadSettings
    name: str
    skip_bad: bool


def form(selected: Selection) -> None:
    """Draw it; start a run when asked to.

    Raises:
        CutSwapError: the runs folder cannot be listed.
    """
    runs = found_runs(workspace.runs_folder()).runs
    fill_fields()
    trained = train_control()
    if trained in OF_BACKBONES:
        _length()
    elif trained in LEARNT_HEADS:
        head_length()
    try:
        asked = _asked(selected, trained, runs)
    except CutSwapError as error:  # the rest of the page, and the other settings, stay
        st.warning(
            f"**{plain_text(error.subject)}**: expected {plain_text(error.expected)},"
            f" found {plain_text(error.found)}. {plain_text(error.fix)}.",
            icon=":material/rule:",
        )
        return
    category = selected.category
    count = len(category.train)
    if trained in OF_BACKBONES:
        trained_on = asked.training.trained_on(count)
        price = run_estimate.estimate(asked.training, trained_on, runs)
    else:
        price = head_estimate(asked.head, asked.training, count, runs)
    run = workspace.runs_folder() / asked.name
    arguments = finetune_arguments(
        asked.record, selected.dataset.root, category.name, run, skip_bad=asked.skip_bad
    )
    arguments += selected.squares
    reason = _refusal(run) or ("" if _said_good(selected) else NOT_SAID)
    with st.container():  # one place whatever it says: what is below would flicker as it moved
        st.markdown(
            f":material/schedule: {len(category.train)} good photos of"
            f" **{plain_text(category.name)}**: {price.sentence()}."
        )
        ahead = jobs.ahead_on(asked.training.device)
        if ahead:
            noun = "job" if ahead == 1 else "jobs"
            st.caption(f"It will wait for {ahead} {noun} on the same device.")
        if reason:
            st.info(reason, icon=":material/block:")
    started = _started()
    if st.button(
        "Start another" if started else "Start",
        type="secondary" if started else "primary",
        icon=":material/play_arrow:",
        disabled=bool(reason),
        key="train.start",
        help="Runs in its own process, or waits for its turn: close the tab, it goes on.",
    ):
        with plain_errors("the start"):
            _start(selected, asked, run, arguments)
    if started:
        st.success(
            f"**{plain_text(started)}** has been started. [See it learn](#{RUNS})",
            icon=":material/play_circle:",
        )
    command_line(
        arguments,
        note="The same command resumes a run that was stopped, from its last checkpoint, to the"
        " same result.",
    )


def _said_good(selected: Selection) -> bool:
    """Of a plain folder nobody knows whether its photos show good parts: the visitor says so."""
    if selected.category.layout != "images":
        return True
    return st.checkbox(
        f"All {len(selected.category.train)} photos of {plain_text(selected.category.name)} show"
        " good parts",
        key=f"train.good.{selected.key}",
        help="Training takes every photo as flawless. One defective photo among them teaches the"
        " network, and the memory bank, that this defect is normal.",
    )


def _length() -> None:
    """Presets write the fields below them; these may then be changed."""
    st.segmented_control(
        "Length",
        list(PRESETS),
        key="train.preset",
        default="1-minute demo",
        required=True,
        on_change=_apply_preset,
        persist_state="session",
        help=" ".join(f"**{name}**: {p.about}." for name, p in PRESETS.items()),
    )


def _apply_preset() -> None:
    preset = PRESETS[st.session_state["train.preset"]]
    st.session_state["train.epochs"] = preset.epochs
    st.session_state["train.steps"] = preset.steps
    st.session_state["train.batch"] = preset.batch


def _asked(selected: Selection, trained: str, runs: Sequence[FoundRun]) -> TrainingRequest:
    """The fields; those that mean nothing to a head are not there where one is trained.

    Raises:
        CutSwapError: a setting out of range, or a name that is none.
    """
    is_head, is_spd = trained not in OF_BACKBONES, trained == SPD
    sees_negatives = trained in (BACKBONE, *LEARNT_HEADS)
    spd = SpdSettings()
    first, second, third, fourth = st.columns(4)
    augment, recipe, head = TrainingSettings().augment, TrainingSettings().recipe, HeadSettings()
    if sees_negatives:
        with first:
            augment = _negatives()
        with second:
            if is_head:
                head = HeadSettings(train=trained, updates=updates_field())
            else:
                recipe = _recipe()
    elif is_spd:
        with first:
            spd = spd.replace(base=spd_base())
        with second:
            recipe = _recipe()
    else:
        head = HeadSettings(train=trained)
        third, fourth, first = first, second, third
    seed = third.number_input(
        "Seed",
        0,
        _LARGE,
        "min",
        key="train.seed",
        persist_state="session",
        help="The same seed gives the same negatives and, on a CPU, the same run.",
    )
    labels = devices()
    device = fourth.selectbox(
        "Device",
        list(labels),
        key="train.device",
        persist_state="session",
        format_func=lambda name: labels.get(name, name),
        help="auto takes the CUDA device with the shortest queue, else Apple's, else the processor."
        " Mixed precision is used where the device is fast at it.",
    )
    length, fourth = ({}, st.container()) if is_head else _length_fields()
    if is_head and not sees_negatives:
        fourth = first  # beside the others: a row of its own would hold one field
    base = f"{selected.category.name}-{augment if trained == BACKBONE else trained.lower()}"
    name = fourth.text_input(
        "Name",
        _free_name(base),
        key=f"train.name.{base}.{_names()}",
        help="Of the run's folder: letters, digits, dots, - and _.",
    )
    with st.expander("More settings", icon=":material/tune:"):
        k, anchors, size, ways, skip_bad, place = _more(sees_negatives)
        if is_spd:
            spd = spd.replace(weight=spd_weight(place))
        start = _starting_point(trained, recipe, runs)
        if trained in OF_BACKBONES:
            start["validate"] = _validate(len(selected.category.train))
            start["snapshots"] = _snapshots()
    if head.learns:
        head = head.replace(learning_rate=start.pop("learning_rate"))
    if not NAME.fullmatch(name):
        raise CutSwapError(
            "Name",
            expected=NAME_RULE,
            found=repr(name),
            fix="Choose another",
        )
    training = TrainingSettings.from_dict(
        {
            "objective": "spd" if is_spd else TrainingSettings().objective,
            "augment": augment,
            "recipe": recipe,
            "device": device,
            "ways": ways,
            "image_size": size,
            **length,
            **RECIPES[recipe],
            **start,
        }
    )
    record = {
        "seed": int(seed),
        "training": training.to_dict(),
        "saliency": SaliencySettings(image_size=size).to_dict(),
        "clusters": ClusterSettings(k=k, anchors=anchors).to_dict(),
    }
    record = with_handed(record, uses_negatives=sees_negatives)
    if is_head:
        record |= {"head": head.to_dict(), "weak": {"jitter": HEAD_JITTER}}
    if is_spd:
        record |= {"spd": spd.to_dict()}
    return TrainingRequest(
        record=record, training=training, head=head, name=name, skip_bad=skip_bad
    )


def _negatives() -> str:
    return st.selectbox(
        "Negatives",
        FAMILIES,
        key="train.augment",
        persist_state="session",
        format_func=lambda a: FAMILY_NAMES[a],
        help="The made-up defects that it learns from: two patches swapped where saliency is high,"
        " one pasted anywhere (hard, faded, or Poisson blended), or a foreign texture. The"
        " Negatives page shows each.",
    )


def _recipe() -> str:
    return st.selectbox(
        "Recipe",
        tuple(RECIPES),
        key="train.recipe",
        persist_state="session",
        help="gentle leaves the pretrained layers up to layer2 alone and trains layer3 slowly;"
        " paper, read literally, trains all of them at 0.03, which can ruin them.",
    )


def _length_fields() -> tuple[dict[str, Any], Any]:
    """What the training settings have of them, and the column that is left."""
    preset = PRESETS[st.session_state["train.preset"]]
    _defaults(preset)
    first, second, third, fourth = st.columns(4)
    epochs = first.number_input(
        "Epochs",
        1,
        10_000,
        "min",
        key="train.epochs",
        persist_state="session",
        help="Passes over the good photos, if updates per epoch is 0. The paper: 256.",
    )
    steps = second.number_input(
        "Updates per epoch",
        0,
        100_000,
        "min",
        key="train.steps",
        persist_state="session",
        help="0: one pass over the photos is an epoch.",
    )
    batch = third.number_input(
        "Batch",
        1,
        1024,
        "min",
        key="train.batch",
        persist_state="session",
        help="Photos per update; each becomes a positive, a patch negative and a scar negative.",
    )
    return {
        "epochs": epochs,
        "steps_per_epoch": steps or None,
        "batch_size": batch,
        "checkpoint_every": preset.checkpoint,
    }, fourth


def _more(sees_negatives: bool) -> tuple[int, str, int, int, bool, Any]:
    """Of drawing, of photos, and the column that is left where there are no negatives."""
    first, second, third, fourth = st.columns(4)
    k, anchors, ways = ClusterSettings().k, ClusterSettings().anchors, TrainingSettings().ways
    if sees_negatives:
        k, anchors, ways = _drawing(first, second, fourth)
    else:
        third = first
    st.session_state.setdefault("train.size", TrainingSettings().image_size)
    size = third.selectbox(
        "Image side, pixels",
        (128, 192, 256, 384, 512),
        key="train.size",
        persist_state="session",
        help="Photos become this square; half is 4 times faster.",
    )
    skip_bad = st.checkbox(
        "Leave out unusable files",
        key="train.skip",
        help="Otherwise one damaged photo stops the run at once; the record lists what was left.",
    )
    return k, anchors, size, ways, skip_bad, second


def _starting_point(trained: str, recipe: str, runs: Sequence[FoundRun]) -> dict[str, Any]:
    """What training starts from, how fast it learns, and which layers: settings by name."""
    first, second, third, _ = st.columns(4)
    tuned = {
        str(run.path): run.name
        for run in runs
        if run.state == DONE and _settings_of(run).get("backbone") == TrainingSettings().backbone
    }
    options = [*PRETRAINED, *tuned]
    weights = first.selectbox(
        "Starting weights",
        options,
        options.index(TrainingSettings().weights),
        key="train.weights",
        persist_state="session",
        format_func=lambda w: PRETRAINED.get(w) or f"run {tuned.get(w, w)}",
        help="Of the network that is trained. ImageNet's come from torchvision's cache or a"
        " download; a finished run's network learns on.",
    )
    if trained in OF_BACKBONES:
        rate = _rate(second, "train.rate", TrainingSettings().learning_rate, "layer4 and the head")
        given = next(name for name, kept in FROZEN.items() if [*kept] == RECIPES[recipe]["frozen"])
        key = f"train.layers.{recipe}"  # each recipe has its own first choice
        st.session_state.setdefault(key, given)
        layers = third.selectbox(
            "Trained layers",
            list(FROZEN),
            key=key,
            persist_state="session",
            help=f"The others stay as they are. The recipe {recipe} trains {given}; layers before"
            " layer4 learn at a share of the rate that the recipe gives.",
        )
        return {"weights": weights, "learning_rate": rate, "frozen": [*FROZEN[layers]]}
    if trained not in LEARNT_HEADS:  # nothing is learnt
        return {"weights": weights}
    what = "AdamW, its highest"
    return {
        "weights": weights,
        "learning_rate": _rate(second, "train.head.rate", HeadSettings().learning_rate, what),
    }


def _validate(photos: int) -> bool:
    can_hold_out = photos >= FEWEST_TO_HOLD_OUT
    return (
        st.checkbox(
            "Measure the detector at checkpoints",
            key="train.validate",
            persist_state="session",
            disabled=not can_hold_out,
            help="A fifth of the good photos is held out from training. At every checkpoint"
            " PatchCore must tell them from negatives of them; the AUROC is drawn with the curves."
            " No test photo is used. Each time costs a look at every good photo."
            + ("" if can_hold_out else f" It needs {FEWEST_TO_HOLD_OUT} good photos or more."),
        )
        and can_hold_out
    )


def _snapshots() -> int:
    keeps = st.checkbox(
        "Keep states on the way",
        key="train.snapshots",
        persist_state="session",
        help=f"{SNAPSHOTS} states from before the first update to the last; Features plays them:"
        " heatmap, features, accuracy and the detector's AUROC move together. On disk eight files,"
        " of a ResNet18 21 MB each. What is learnt stays the same.",
    )
    return SNAPSHOTS if keeps else 0


def _rate(place: Any, key: str, default: float, what: str) -> float:
    st.session_state.setdefault(key, default)
    return float(
        place.number_input(
            "Learning rate",
            1e-6,
            1.0,
            "min",
            step=default / 10,
            format="%.5g",
            key=key,
            persist_state="session",
            help=f"Of {what}. Default: {default:g}. Too high shows as a loss that jumps or grows.",
        )
    )


def _settings_of(run: FoundRun) -> dict[str, Any]:
    """A run's training settings, as far as its file has them."""
    training = run.settings.get("training")
    is_backbone = trained_in(run.settings) == BACKBONE
    return training if isinstance(training, dict) and is_backbone else {}


def _drawing(first: Any, second: Any, fourth: Any) -> tuple[int, str, int]:
    """Clusters, anchors and classes of the negatives."""
    control = control_of(ClusterSettings, "k")
    st.session_state.setdefault("train.k", ClusterSettings().k)
    k = first.number_input(
        control.label,
        int(control.low),
        int(control.high),
        "min",
        key="train.k",
        persist_state="session",
        help=control.help,
    )
    anchors = second.selectbox(
        "Anchors",
        ANCHORS,
        key="train.anchors",
        persist_state="session",
        help="Where patches may begin; the paper compares several, and takes max-cluster.",
    )
    ways = fourth.selectbox(
        "Classes",
        (3, 2),
        key="train.ways",
        persist_state="session",
        format_func=lambda w: {3: "3: positive, patch, scar", 2: "2: positive, patch"}[w],
        help="3-way also tells thin turned scars from patches, as the paper does.",
    )
    return k, anchors, ways


def _start(selected: Selection, asked: TrainingRequest, run: Path, arguments: list[str]) -> None:
    """Look at the files' headers, then start.

    Raises:
        CutSwapError: unusable files, the run is queued already, or nothing can be written.
    """
    fatal = [p for p in find_problems(selected.category, deep=False) if p.fatal]
    if fatal and not asked.skip_bad:
        raise CutSwapError(
            selected.category.name,
            expected="sound photos and masks",
            found=f"{len(fatal)} unusable, the first is {fatal[0].path.name}: {fatal[0].message}",
            fix="mend them (the Data page lists all), or tick Leave out unusable files",
        )
    jobs.enqueue(run, arguments, asked.training.device)
    st.session_state[SHOWN] = st.session_state[_STARTED] = run.name
    st.toast(f"**{plain_text(run.name)}** has been started.", icon=":material/play_circle:")
    st.session_state["train.names"] = _names() + 1  # the name field begins anew
    found_runs.clear()
    st.rerun()


def _started() -> str:
    """The run that this visitor has started last, while it waits or is at work; else nothing."""
    name = st.session_state.get(_STARTED, "")
    return name if name and jobs.is_busy(workspace.runs_folder() / name) else ""


def _refusal(run: Path) -> str:
    """Why nothing can be started now, or nothing."""
    job = jobs.queue().of(run)
    if job is not None and job.is_active:
        return f"{run.name} is in the queue already. Choose another name."
    if run.exists():
        return (
            f"{run.name} is there already. Choose another name; to go on with it, choose it below"
            " and press Resume."
        )
    return ""


@st.cache_data(show_spinner="Looking for devices", ttl=15)
def devices() -> dict[str, str]:
    """Auto and every device, with its name and free memory."""
    return {"auto": "auto", **{d.name: d.label for d in device_choices()}}


def _defaults(preset: Preset) -> None:
    """The fields' first values; afterwards the session has them."""
    st.session_state.setdefault("train.epochs", preset.epochs)
    st.session_state.setdefault("train.steps", preset.steps)
    st.session_state.setdefault("train.batch", preset.batch)


def _names() -> int:
    return int(st.session_state.get("train.names", 0))


def _free_name(base: str) -> str:
    """The first of base-1, base-2, ... that is not taken."""
    base = re.sub(r"[^\w.-]", "-", base, flags=re.ASCII).lstrip("-._") or "run"
    number = 1
    base = base[:70]
    taken = {job.run for job in jobs.queue().last_of_all()}  # they may wait, without a folder yet
    while True:
        run = workspace.runs_folder() / f"{base}-{number}"
        if run not in taken and not run.exists() and not log_file(run).exists():
            return run.name
        number += 1
