"""The form's fields of what is trained: kind, SPD's own, a head's updates and estimated cost."""

from __future__ import annotations

import math
from collections.abc import Iterable

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.train.estimate import Estimate
from cutswap.config import HEADS, HeadSettings, SpdSettings, TrainingSettings
from cutswap.heads.cost import PHOTOS_A_SECOND, head_seconds
from cutswap.runs.states import DONE, FoundRun
from cutswap.settings import choices_of
from cutswap.training.flags import trained_in

BACKBONE = "backbone"
SPD = "SPD"  # trains the backbone too, with another objective
TRAINED = {
    BACKBONE: "the whole network learns to tell photos, and its features change; minutes to hours",
    SPD: "the whole network learns that crops and colours do not matter and a blended-in patch does"
    " (spot the difference); minutes to hours",
    "projector": "gives back the clean photo's features patch by patch; the network's features stay"
    " as they are; about a minute",
    "discriminator": "tells changed patches from unchanged ones; the network's features stay as"
    " they are; about a minute",
    "gaussian": "learns nothing and needs no negatives: measures what good photos have at each"
    " place; seconds",
}
UPDATES = {"1-minute demo": 60, "Command line's default": HeadSettings().updates}
SECONDS_TO_BEGIN = 7.0  # imports, weights, checking files


def train_control() -> str:
    """Which is trained: backbone, `SPD`, or one of `config.HEADS`."""
    trained = st.segmented_control(
        "What is trained",
        (BACKBONE, SPD, *HEADS),
        key="train.what",
        default=BACKBONE,
        required=True,
        persist_state="session",
        format_func=_named,
        help="\n\n".join(f"**{_named(name)}**: {about}." for name, about in TRAINED.items()),
    )
    trained = trained or BACKBONE
    about = TRAINED[trained]
    st.caption(f"{about[0].upper()}{about[1:]}.")
    return trained


def _named(trained: str) -> str:
    return trained if trained == SPD else trained.capitalize()


def spd_base() -> str:
    """SPD's base loss: simsiam or simclr."""
    return str(
        st.selectbox(
            "Base loss",
            choices_of(SpdSettings, "base"),
            key="train.spd.base",
            persist_state="session",
            format_func=lambda name: {"simsiam": "SimSiam", "simclr": "SimCLR"}[name],
            help="What draws two strong views of a photo together. SimCLR also pushes the other"
            " photos of the batch away, and wants a large batch; SimSiam does not.",
        )
    )


def spd_weight(place: DeltaGenerator) -> float:
    """How much SPD's term counts beside it."""
    return float(
        place.number_input(
            "SPD weight",
            0.0,
            100.0,
            SpdSettings().weight,
            step=0.1,
            key="train.spd.weight",
            persist_state="session",
            help="Of the term that keeps the SmoothBlend view farther from the photo than the weak"
            " one. 0 is the base loss alone.",
        )
    )


def head_length() -> None:
    """Presets write the number of updates; it may then be changed."""
    st.segmented_control(
        "Length",
        list(UPDATES),
        key="train.head.preset",
        default="1-minute demo",
        required=True,
        on_change=_apply,
        persist_state="session",
        help=" ".join(f"**{name}**: {updates} updates." for name, updates in UPDATES.items()),
    )


def _apply() -> None:
    st.session_state["train.head.updates"] = UPDATES[st.session_state["train.head.preset"]]


def updates_field() -> int:
    """How many."""
    st.session_state.setdefault("train.head.updates", UPDATES["1-minute demo"])
    return int(
        st.number_input(
            "Updates",
            1,
            100_000,
            "min",
            key="train.head.updates",
            persist_state="session",
            help="Made twice: without every fifth good photo, which then judge how much the head"
            " counts beside the bank, and again with them.",
        )
    )


def head_estimate(
    head: HeadSettings, training: TrainingSettings, images: int, runs: Iterable[FoundRun]
) -> Estimate:
    """Price a head before it is trained.

    Args:
        head: its settings.
        training: of the run.
        images: good training photos.
        runs: earlier ones; the newest finished head of its kind on the same device setting tells
            the speed of an update.
    """
    ways, size = training.ways, training.image_size
    if not head.learns:
        seconds = SECONDS_TO_BEGIN + head_seconds(head, images, ways, size)
        return Estimate(0, 0, seconds, "each photo is looked at once")
    updates = 2 * head.updates
    samples = updates * head.photos
    speed, basis = PHOTOS_A_SECOND, "half of them on trial, by the processor time of one core"
    for run in sorted(runs, key=lambda r: -r.changed):
        known = _speed(run, head, training)
        if known is not None:
            speed, basis = known, f"half of them on trial, as fast as {run.name}'s were"
            break
    seconds = SECONDS_TO_BEGIN + head_seconds(head, images, ways, size, speed)
    return Estimate(updates, samples, seconds, basis)


def _speed(run: FoundRun, head: HeadSettings, training: TrainingSettings) -> float | None:
    """Photos a second of a finished head like this one."""
    about, speed = run.settings.get("training"), run.result.get("images_per_second")
    if run.state != DONE or trained_in(run.settings) != head.train or not isinstance(about, dict):
        return None
    if not isinstance(speed, (int, float)) or not 0 < speed < math.inf:
        return None
    is_alike = all(about.get(n) == getattr(training, n) for n in ("device", "backbone"))
    return float(speed) if is_alike else None
