"""Which class the maps explain: chosen by name or among the best guesses, and said in words."""

from __future__ import annotations

from functools import cache

import streamlit as st

from app.shared import knobs
from app.shared.caches import Explained
from app.shared.networks import class_label, class_names
from app.shared.page_parts import plain_text

AUTO: str | int = "auto"  # beside the numbers of the classes
_URL = "class"


def chosen_class() -> int | None:
    """The class to explain; None: the network's best guess.

    `class_control` is drawn after the pictures: a list of 1,001 names takes 5 ms and more.
    """
    default: int | str = AUTO
    chosen = knobs.peek(_URL, default, lambda text: _by_text().get(text))
    return None if chosen == AUTO else int(chosen)


def class_control() -> None:
    """All classes in a list that is searched by typing."""
    knobs.choice(
        _URL,
        "Class to explain",
        tuple(_by_text().values()),
        AUTO,
        show=lambda option: _labels()[option],
        help="LayerCAM asks what speaks for one class of ImageNet. Type a part of its name or its"
        " number. The embedded networks have learnt the same 1,000 classes, from another network's"
        " answers.",
    )


def best_guesses(explained: Explained) -> None:
    """The network's five best classes, each a button that has it explained.

    Args:
        explained: maps and guesses of the page's photo.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**Best guesses**", width="content")
        for rank, (number, probability) in enumerate(explained.guesses):
            st.button(
                f"{plain_text(class_names()[number])} · {percent(probability)}",
                on_click=knobs.set_knob,
                args=(_URL, number if rank else AUTO),
                key=f"class.{rank}",
                type="primary" if number == explained.target_class else "secondary",
                help=f"Explain class {number}.",
            )


def explained_sentence(explained: Explained, target: int | None, *, is_random: bool) -> str:
    """What the maps mean, in Markdown: whose class it is, how sure the network is of it.

    Args:
        explained: maps and guesses.
        target: the class that was asked for; None: the best guess.
        is_random: whether the network has learnt nothing.
    """
    name, sure = named(explained.target_class), percent(explained.probability)
    if is_random:
        return (
            f"Bright places speak for {name}, but the weights are random: the class is a chance,"
            " and the maps show what the architecture alone makes of the photo."
        )
    if target is None or target == explained.guesses[0][0]:
        return (
            f"Bright places speak for {name}: of ImageNet's {len(class_names()):,} classes the"
            f" network's best guess for this photo, at {sure}. Few industrial parts are among them,"
            " so the name need not fit; what counts is where the network looks."
        )
    number, probability = explained.guesses[0]
    return (
        f"Bright places speak for {name}, the class you chose, which the network gives {sure}. Its"
        f" best guess is {named(number)}, at {percent(probability)}."
    )


def named(number: int) -> str:
    """`**lacewing** (class 318)`."""
    return f"**{plain_text(class_names()[number])}** (class {number})"


def percent(probability: float) -> str:
    """A probability with the digits it is worth."""
    if probability < 0.0005:
        return "below 0.1%"
    return f"{probability:.0%}" if probability >= 0.0995 else f"{probability:.1%}"


@cache
def _by_text() -> dict[str, str | int]:
    return {str(option): option for option in (AUTO, *range(len(class_names())))}


@cache
def _labels() -> dict[str | int, str]:
    numbers = range(len(class_names()))
    return {AUTO: "The network's best guess", **{n: class_label(n) for n in numbers}}
