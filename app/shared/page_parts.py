"""Plain sentences instead of tracebacks; the rest of the page stays alive."""

from __future__ import annotations

import contextlib
import logging
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import streamlit as st

from app.browser.lesson_link import is_shown
from app.shared import public
from cutswap.errors import CutSwapError, MissingWeightsError
from cutswap.installation.missing import missing_package

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def plain_errors(what: str = "this part") -> Iterator[None]:
    """Show whatever goes wrong inside as a message in place.

    Args:
        what: what could not be shown, as the sentence needs it: "the heatmap".
    """
    try:
        yield
    except CutSwapError as error:
        show_error(error)
    except MemoryError:
        st.error(f"There is not enough memory for {what}. Choose a smaller image size or coreset.")
    except ImportError as error:
        _log.exception("could not show %s", what)
        show_missing(error)
    except Exception:  # a bug of ours: the log has it all, the visitor a way on
        _log.exception("could not show %s", what)
        st.error(
            f"Something went wrong while making {what}; the details are in the app's log. The rest"
            " of the page still works; another selection or a reload usually does too."
        )


@contextlib.contextmanager
def missing_packages() -> Iterator[None]:
    """Say which package to install where a page's imports fail; other errors pass."""
    try:
        yield
    except ImportError as error:
        show_missing(error)


def show_missing(error: ImportError) -> None:
    """What to install; a module of ours that is missing is a bug, and raised again."""
    said = missing_package(error)
    if said is None:
        raise error
    st.error(f"{plain_text(said[0].upper() + said[1:])}. Then start the app again.")


def show_error(error: CutSwapError) -> None:
    """Show a `CutSwapError`: the problem and the fix; of missing weights the fix is a button."""
    if isinstance(error, MissingWeightsError):
        _offer_embedded(error)
        return
    st.error(
        f"**{plain_text(error.subject)}**: expected {plain_text(error.expected)}, found"
        f" {plain_text(error.found)}.\n\nTo fix it: {plain_text(error.fix)}."
    )


def _offer_embedded(error: MissingWeightsError) -> None:
    from app.shared.networks import use_embedded  # it shows its own errors by this module

    st.warning(
        f"**{plain_text(error.subject)}** are not on this machine and could not be downloaded.",
        icon=":material/cloud_off:",
    )
    st.button(
        "Use embedded weights",
        on_click=use_embedded,
        type="primary",
        icon=":material/inventory_2:",
        key=f"use_embedded.{error.subject}",
        help="Those that ship with this app.",
    )
    st.caption(
        f"For ImageNet weights: {plain_text(error.expected)}. Now: {plain_text(error.found)}."
    )


def plain_text(text: str) -> str:
    """File names and the like may hold Markdown, and line breaks; they are shown as they are."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|$~:!" else c for c in line)


def how_it_works(text: str) -> None:
    """Markdown with the paper's symbols and equation, folded away."""
    if not is_shown("explanation"):
        return
    with st.expander("How this works", icon=":material/school:"):
        st.markdown(text)


def command_line(*commands: Sequence[object], note: str = "") -> None:
    """The exact commands that give the same numbers and pictures; they name paths of the host."""
    if public.is_public() or not is_shown("command"):
        return
    with st.expander("Do this from the command line", icon=":material/terminal:"):
        lines = [shlex.join(["python", "-m", "cutswap", *map(str, c)]) for c in commands]
        st.code("\n".join(lines), language="bash", wrap_lines=True)
        if note:
            st.caption(note)


def data_flags(root: Path, category: str) -> list[str]:
    """`--data ROOT --category NAME`."""
    return ["--data", str(root), "--category", category]


def go_to(name: str, **query: str) -> None:
    """Open a page of `main.PAGES`; nothing happens where it is not there.

    Args:
        name: key of the page.
        **query: of its link.
    """
    page = st.session_state["pages"].get(name)
    if page is not None:
        st.switch_page(page, query_params=query)
