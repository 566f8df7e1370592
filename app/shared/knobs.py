"""Page controls whose values live in the URL, so that a link shows a colleague the same picture.

Streamlit's own `bind` resets page-level widgets on Back; so a knob takes its first value from the
URL, keeps it for the session, and writes it back into the URL by itself; Back and Forward set it to
what the URL says then. Values at their default leave no trace there; nonsense in the URL is
replaced by the default and said so once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import streamlit as st

from app.browser import link
from app.browser.history import is_back_or_forward
from app.browser.lesson_link import is_active, is_shown
from app.shared.page_parts import plain_text
from cutswap.settings import Settings, control_of

T = TypeVar("T")
# Session, set by `on_page`: titles of the page that is drawn, and of the one drawn before it.
PAGE, _BEFORE = "page", "knobs.before"
_TOLD = "knobs.told"  # session: whether the page tells what is refused
_REFUSED = "knobs.refused"  # session: what this rerun has not found in the link, as sentences
_DRAWN = "knobs.drawn"  # session: knob's key -> the page that drew it last
_GROUP = "knobs.group"  # session: knobs drawn since the expander around them was opened
_ASIDE = "knobs.aside"  # session: knob's key -> (value that some place does not know, its stand-in)


def on_page(title: str, *, tells_refused: bool = False) -> None:
    """To be called once a rerun, before anything is drawn.

    Args:
        title: of the page that is drawn.
        tells_refused: whether the page itself says what its link asks for and is not there.
    """
    st.session_state[_TOLD] = tells_refused
    st.session_state[_BEFORE] = st.session_state.get(PAGE)
    st.session_state[PAGE] = title
    st.session_state[_REFUSED] = []


def has_come_from_another() -> bool:
    """Whether the rerun before drew another page; not where this is the first one of a tab."""
    return st.session_state.get(_BEFORE) not in (None, st.session_state.get(PAGE))


def refuse(text: str, **look: Any) -> None:
    """Say what a link asks for and is not there; `refused` has it for whoever must act on it.

    Args:
        text: one sentence, Markdown.
        **look: of the message, as `st.toast` takes it.
    """
    st.session_state.setdefault(_REFUSED, []).append(text)
    if not st.session_state.get(_TOLD):
        st.toast(text, **look)


def refused() -> tuple[str, ...]:
    """What was refused so far in this rerun."""
    return tuple(st.session_state.get(_REFUSED, ()))


def forget(name: str) -> None:
    """Let a knob begin anew: from the link, or at its default."""
    st.session_state.pop(_key(name), None)
    st.session_state.get(_ASIDE, {}).pop(_key(name), None)


def of_field(cls: type[Settings], name: str, url: str, default: Any = None) -> Any:
    """A setting's own control: a slider, or both ends of its range on one.

    Args:
        cls: settings class; the field's `control` says what is shown.
        name: of the field.
        url: of the knob, in links.
        default: first value; None: the field's.
    """
    control = control_of(cls, name)
    default = cls.__dataclass_fields__[name].default if default is None else default
    ends: Any = (control.low, control.high)
    if not isinstance(default, tuple):
        low, high, step = (type(default)(v) for v in (*ends, control.step))
        return slider(url, control.label, low, high, default, step=step, help=control.help)
    digits = 2 if isinstance(default[0], float) else 0
    shown = (round(float(default[0]), digits), round(float(default[1]), digits))
    low, high = map(float, ends)
    chosen = interval(
        url, control.label, low, high, shown, step=float(control.step), help=control.help
    )
    # A slider rounds, for example 1 / 0.3; untouched it must mean the exact default.
    return default if chosen == shown else tuple(type(default[0])(end) for end in chosen)


def slider(
    name: str, label: str, low: Any, high: Any, default: Any, *, step: Any = None, help: str
) -> Any:
    """A number on a slider."""
    kind = type(default)

    def parse(text: str) -> Any:
        value = kind(text)
        return value if low <= value <= high else None

    key = _prepare(name, default, parse)
    value = st.session_state[key]
    if is_shown(name):
        value = st.slider(label, low, high, step=step, key=key, help=help, persist_state="session")
    publish(name, value, default)
    _note(name, label, default, value != default, f"{value:g}")
    return value


def scale(
    name: str,
    label: str,
    options: Sequence[int],
    default: int,
    *,
    help: str,
) -> int:
    """One of several numbers in their order, on a slider; they need not be evenly spread."""
    by_text = {str(option): option for option in options}
    key = _prepare(name, default, by_text.get, valid=lambda value: value in options)
    value: int = st.session_state[key]
    if is_shown(name):
        value = st.select_slider(label, options, key=key, help=help, persist_state="session")
    publish(name, value, default)
    _note(name, label, default, value != default, str(value))
    return value


def interval(
    name: str,
    label: str,
    low: float,
    high: float,
    default: tuple[float, float],
    *,
    step: float,
    help: str,
) -> tuple[float, float]:
    """Two ends on one slider."""
    default = (float(default[0]), float(default[1]))

    def parse(text: str) -> tuple[float, float] | None:
        first, last = (float(part) for part in text.split("~"))
        return (first, last) if low <= first <= last <= high else None

    key = _prepare(name, default, parse)
    value: Any = st.session_state[key]
    if is_shown(name):
        value = st.slider(label, low, high, step=step, key=key, help=help, persist_state="session")
    publish(name, f"{value[0]:g}~{value[1]:g}", f"{default[0]:g}~{default[1]:g}")
    shown = f"{value[0]:g} to {value[1]:g}"
    _note(name, label, default, tuple(value) != tuple(default), shown)
    return (float(value[0]), float(value[1]))


def number(
    name: str, label: str, low: int, high: int, default: int | None, *, help: str
) -> int | None:
    """A whole number typed or stepped; empty where the default is None."""

    def parse(text: str) -> int | None:
        value = int(text)
        return value if low <= value <= high else None

    key = _prepare(name, default, parse)
    value: int | None = st.session_state[key]
    if is_shown(name):
        value = st.number_input(
            label,
            low,
            high,
            value=None if default is None else "min",
            step=1,
            key=key,
            help=help,
            persist_state="session",
            placeholder="automatic",
        )
    publish(name, value, default)
    _note(name, label, default, value != default, str(value))
    return value


def choice(
    name: str,
    label: str,
    options: Sequence[T],
    default: T,
    *,
    help: str,
    show: Callable[[T], str] = str,
    segmented: bool = False,
) -> T:
    """One of a few options: a segmented control up to five or so, a list beyond."""
    by_text = {str(option): option for option in options}
    key = _prepare(name, default, by_text.get, valid=lambda value: value in options)
    value = st.session_state[key]
    if not is_shown(name):
        pass
    elif segmented:
        value = st.segmented_control(
            label,
            options,
            key=key,
            format_func=show,
            help=help,
            required=True,
            persist_state="session",
            wrap=True,  # else what does not fit is scrolled out of sight
        )
    else:
        value = st.selectbox(
            label, options, key=key, format_func=show, help=help, persist_state="session"
        )
    value = default if value is None else value
    publish(name, value, default)
    _note(name, label, default, value != default, show(value))
    return value


def several(
    name: str, label: str, options: Sequence[str], default: Sequence[str], *, help: str
) -> tuple[str, ...]:
    """Some of many, in the order of `options`; never none of them."""

    def parse(text: str) -> list[str] | None:
        chosen = text.split("~")
        return chosen if all(c in options for c in chosen) else None

    key = _prepare(name, list(default), parse, valid=lambda value: all(v in options for v in value))
    chosen = st.session_state[key]
    if is_shown(name):
        chosen = st.multiselect(label, options, key=key, help=help, persist_state="session")
    value = tuple(o for o in options if o in chosen) or tuple(default)
    publish(name, "~".join(value), "~".join(default))
    _note(name, label, list(default), value != tuple(default), ", ".join(value))
    return value


def toggle(name: str, label: str, default: bool = False, *, help: str) -> bool:
    """On or off."""
    key = _prepare(name, default, {"1": True, "0": False}.get)
    value = bool(st.session_state[key])
    if is_shown(name):
        value = st.toggle(label, key=key, help=help, persist_state="session")
    publish(name, int(value), int(default))
    _note(name, label, default, value != default, "on" if value else "off")
    return value


def peek(name: str, default: T, parse: Callable[[str], T | None]) -> T:
    """What a knob has before it is drawn, for one that is drawn after the picture it decides.

    Args:
        name: in the URL.
        default: as the knob itself has it.
        parse: the URL's text -> the value; None for nonsense.
    """
    value: T = st.session_state[_prepare(name, default, parse)]
    return value


def held(name: str, default: str, parse: Callable[[str], str | None]) -> str:
    """A value without a control of its own, which a click on a picture sets by `set_knob`.

    Args:
        name: in the URL.
        default: where nothing was set.
        parse: the URL's text -> the value; None for nonsense.
    """
    value: str = st.session_state[_prepare(name, default, parse)]
    publish(name, value, default)
    return value


@dataclass(frozen=True)
class _Drawn:
    """A knob inside an expander; `changed` is what it shows, empty at its default."""

    name: str
    label: str
    default: Any
    changed: str


@contextlib.contextmanager
def settings(label: str) -> Iterator[None]:
    """An expander for knobs; below it stands what is not at its default, with the way back.

    A lesson's link shows the knobs that it names without the expander.

    Args:
        label: of the expander.
    """
    if is_active():
        yield
        return
    drawn: list[_Drawn] = []
    st.session_state[_GROUP] = drawn
    try:
        with st.expander(label, icon=":material/tune:"):
            yield
    finally:
        st.session_state[_GROUP] = None
    changed = [knob for knob in drawn if knob.changed]
    with st.container():  # one place whether it is there or not
        if changed:
            row = st.container(
                horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"
            )
            parts = [f"{plain_text(k.label)} **{plain_text(k.changed)}**" for k in changed]
            row.caption(f":material/edit: Changed: {' · '.join(parts)}", width="content")
            row.button(
                "Reset",
                on_click=_reset,
                args=(changed,),
                key=f"reset.{changed[0].name}",
                icon=":material/undo:",
                help="Everything in the box above back to its default.",
            )


def _reset(changed: Sequence[_Drawn]) -> None:
    for knob in changed:
        set_knob(knob.name, knob.default)


def _note(name: str, label: str, default: Any, is_changed: bool, shown: str) -> None:
    group = st.session_state.get(_GROUP)
    if group is not None:
        group.append(_Drawn(name, label, default, shown if is_changed else ""))


def set_knob(name: str, value: Any) -> None:
    """Set a knob from a callback, for example a button's."""
    st.session_state[_key(name)] = value


def value_of(name: str) -> Any:
    """What a knob is set to; None before it is drawn."""
    return st.session_state.get(_key(name))


def replace_value(old: Any, new: Any) -> None:
    """Set every knob that has a value to another one, from a callback."""
    for key, value in list(st.session_state.items()):
        if str(key).startswith(_key("")) and value == old:
            st.session_state[key] = new


def _prepare(
    name: str,
    default: Any,
    parse: Callable[[str], Any],
    valid: Callable[[Any], bool] | None = None,
) -> str:
    """The widget's key, with a valid value in session state: kept, from the URL, or the default."""
    key = _key(name)
    if is_back_or_forward():
        st.session_state.pop(key, None)
    if key in st.session_state:
        _keep(key, default, valid or (lambda _: True))
    st.session_state.setdefault(_DRAWN, {})[key] = st.session_state.get(PAGE)
    if key not in st.session_state:
        value = default
        text = st.query_params.get(name)
        if text is not None:
            try:
                parsed = parse(text)
            except ValueError:
                parsed = None
            if parsed is None:
                shown = "none" if default == "" else default
                refuse(f"The link's {name} is not one of this page's values; shown is {shown}.")
            value = default if parsed is None else parsed
        st.session_state[key] = value
    return key


def _keep(key: str, default: Any, valid: Callable[[Any], bool]) -> None:
    """Carry a knob's value to this page, or to other options.

    Two pages' widgets of one key are two widgets: the second would begin at its own default, unless
    it is told. A value that this page or network does not know is put aside for one that does.
    """
    value = st.session_state[key]
    aside: dict[str, tuple[Any, Any]] = st.session_state.setdefault(_ASIDE, {})
    wanted, stand_in = aside.get(key, (None, None))
    if key in aside and value == stand_in and valid(wanted):
        value = wanted
        del aside[key]
    elif not valid(value):
        aside[key] = (value, default)
        value = default
    elif st.session_state.get(_DRAWN, {}).get(key) == st.session_state.get(PAGE):
        return  # told again, a slider that moves on meanwhile would jump back
    st.session_state[key] = value


def publish(name: str, value: Any, default: Any) -> None:
    """Write a value into the link, or take it out where it is the default."""
    link.write(name, None if value == default or value is None else str(value))


def _key(name: str) -> str:
    return f"knob.{name}"
