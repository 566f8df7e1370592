"""What the Spot the fake page shows: a pair, the answer once one has chosen, and the score."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import numpy as np
import streamlit as st

from app.figures.where_to_look import RegionKey
from app.lesson.bank import NETWORK as BANK_NETWORK
from app.lesson.bank import SETTINGS, photo_key, small_bank
from app.lesson.step_view import LAYERS, METHOD_NAMES, SIZE
from app.negatives.draws import Drawing, Drawn, draw
from app.shared import caches, knobs, public
from app.shared.caches import PhotoKey, SaliencyKey
from app.shared.selection import Selection
from app.spot.pairs import EACH, FakePair, pairs_of
from app.spot.verdicts import SpottedPair, answers_csv, by_method
from app.viewer.pictures import thumbnail
from app.viewer.viewer import Picture, viewer
from cutswap.config import ClusterSettings, NegativeSettings, WeakAugmentation
from cutswap.data.images import to_image
from cutswap.data.records import Record
from cutswap.lessons.live_pictures import NETWORK

FIRST = ("CutSwap", "CutSwap scar", "CutPaste", "CutPaste scar")
GAMES = 10_000  # numbers that can be read out to a class
WIDE = 420  # pixels of a photo
BANK = 8  # good photos beside the two that the network compares with
_ANSWERS = "spot.answers"  # session: game -> what was answered; nothing is kept elsewhere
_CHOSEN = "spot.chosen"  # session: (game, place of the pair, whether the left one was chosen)

Game = tuple[str, int, tuple[str, ...]]


def show(selected: Selection) -> None:
    """The page below its title.

    Raises:
        CutSwapError: fewer than two good photos, or an unreadable one.
    """
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    with left:
        number = knobs.number(
            "game", "Game", 0, GAMES - 1, 0, help="The same number shows everybody the same pairs."
        )
    with right:
        methods = knobs.several(
            "methods", "Methods", tuple(METHOD_NAMES.values()), FIRST, help="That make the fakes."
        )
    game: Game = (selected.key, number or 0, methods)
    train = selected.category.train
    pairs = pairs_of(game[1], methods, len(train))
    answers = _answers(game)
    # Of another game it waits until one comes back to that.
    owner, told, is_left = st.session_state.get(_CHOSEN, (None, 0, False))
    is_told = owner == game
    place = told if is_told else len(answers)
    if place >= len(pairs):
        _score(game, answers)
        return
    pair, real = pairs[place], train[pairs[place].real]
    drawn = _drawn(selected, game, pair)
    if is_told and place == len(answers):
        by_network = _by_network(train, pair, drawn)
        answers.append(SpottedPair(pair.method, is_left == pair.is_left, by_network))
    st.progress(len(answers) / len(pairs), f"{len(answers)} of {len(pairs)} pairs answered")
    if is_told:
        _tell(pair, drawn, real, answers[place])
    else:
        _ask(game, place, pair, drawn, real)


def _answers(game: Game) -> list[SpottedPair]:
    answers: list[SpottedPair] = st.session_state.setdefault(_ANSWERS, {}).setdefault(game, [])
    return answers


def _drawn(selected: Selection, game: Game, pair: FakePair) -> Drawn:
    category, record = selected.category, selected.category.train[pair.fake]
    photo = PhotoKey.of_record(record, SIZE)
    drawing = Drawing(
        key=SaliencyKey(photo, NETWORK, "embedded", LAYERS),
        method=pair.method,
        levels=tuple(range(len(LAYERS))),
        negatives=NegativeSettings(),
        clusters=ClusterSettings(),
        weak=WeakAugmentation(jitter=0.0),
        seed=game[1],
        index=pair.fake,
        count=len(category.train),
        region=RegionKey.of(category),
    )
    return draw(drawing, pair.epoch)


def _ask(game: Game, place: int, pair: FakePair, drawn: Drawn, real: Record) -> None:
    st.markdown("**One of these two photos is a fake. Which one?**")
    pictures = [drawn.negative.photo, caches.photo(photo_key(real))]
    # On a phone they stand below each other, so that neither is the left one there.
    sides = (("First", "Left", True), ("Second", "Right", False))
    for column, (name, shortcut, is_left) in zip(st.columns(2), sides, strict=True):
        with column:
            picture = pictures[0 if is_left == pair.is_left else 1]
            st.image(thumbnail(picture, WIDE), width=WIDE, alt=f"{name} photo")
            st.button(
                f"{name} is the fake",
                on_click=_choose,
                args=(game, place, is_left),
                shortcut=shortcut,
                key=f"spot.{shortcut}",
                width=WIDE,
            )


def _choose(game: Game, place: int, is_left: bool) -> None:
    st.session_state[_CHOSEN] = (game, place, is_left)


def _by_network(train: Sequence[Record], pair: FakePair, drawn: Drawn) -> bool:
    """Whether the negative has the higher score of the two, by a bank that knows neither photo."""
    used = (pair.fake, pair.real)
    keys = [photo_key(record) for at, record in enumerate(train) if at not in used]
    if not keys:  # of two photos in all
        keys = [photo_key(train[pair.real])]
    bank = small_bank(tuple(keys[:BANK]))
    photos = np.stack([drawn.negative.photo, caches.photo(photo_key(train[pair.real]))])
    with public.turn(BANK_NETWORK, SETTINGS.layers, SIZE):
        fake, real = bank.score(to_image(photos)).scores.tolist()
    return bool(fake > real)


def _tell(pair: FakePair, drawn: Drawn, real: Record, answer: SpottedPair) -> None:
    side = "first" if pair.is_left else "second"
    found = "The network found it, too." if answer.by_network else "The network did not find it."
    if answer.by_eye:
        st.success(f"Found: the {side} one is a {pair.method}. {found}", icon=":material/check:")
    else:
        found = "The network found it." if answer.by_network else "Nor did the network find it."
        st.warning(f"It was the {side} one, a {pair.method}. {found}", icon=":material/close:")
    fake = Picture(
        drawn.negative.photo,
        mask=drawn.negative.mask,
        outline_name="What was changed",
        left="fake",
        alt=f"The fake, {drawn.negative.mask.mean():.1%} of its pixels changed",
    )
    good = Picture(caches.photo(photo_key(real)), left="good", alt=f"{real.name}, as it is")
    shown = (fake, good) if pair.is_left else (good, fake)
    for place, (column, picture) in enumerate(zip(st.columns(2), shown, strict=True)):
        with column:
            viewer(picture, key=f"spot.told.{place}", memory="spot", group="spot")
    st.button(
        "Go on",
        on_click=_go_on,
        type="primary",
        icon=":material/arrow_forward:",
        shortcut="Enter",
        key="spot.on",
    )


def _go_on() -> None:
    st.session_state.pop(_CHOSEN, None)


def _score(game: Game, answers: list[SpottedPair]) -> None:
    by_eye = sum(answer.by_eye for answer in answers)
    by_network = sum(answer.by_network for answer in answers)
    st.subheader(f"You found {by_eye} of {len(answers)}", anchor=False)
    st.markdown(
        f"The network found **{by_network}**; by chance one finds {len(answers) / 2:g}. Fakes that"
        " nobody sees may be too hard to learn from, and those that everybody sees too easy."
    )
    st.dataframe(by_method(answers, game[2]), hide_index=True, width="stretch")
    st.caption(
        f"{EACH} pairs a method are few: compare in class. The network finds a fake where its score"
        " by a bank of other good photos is the higher one. Your answers are in this tab alone"
        " and are gone with it."
    )
    with st.container(horizontal=True):
        st.button(
            "Another game",
            on_click=_another,
            icon=":material/casino:",
            key="spot.another",
            help="Other photos, other draws.",
        )
        st.button("The same again", on_click=_again, args=(game,), key="spot.again")
        st.download_button(
            "My answers as CSV",
            answers_csv(answers),
            file_name=f"spot-{game[1]}.csv",
            mime="text/csv",
            icon=":material/download:",
        )


def _another() -> None:
    knobs.set_knob("game", secrets.randbelow(GAMES))


def _again(game: Game) -> None:
    st.session_state.get(_ANSWERS, {}).pop(game, None)
