"""Plain sentences instead of tracebacks; the rest of the page stays alive."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import streamlit as st

from cutswap.errors import CutSwapError
from cutswap.utils.missing import missing_package

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
    """Say of a page whose imports fail what to install; everything else is left alone."""
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
    """One refusal: what is wrong, and the way out."""
    st.error(
        f"**{plain_text(error.subject)}**: expected {plain_text(error.expected)}, found"
        f" {plain_text(error.found)}.\n\nTo fix it: {plain_text(error.fix)}."
    )


def plain_text(text: str) -> str:
    """File names and the like may hold Markdown; they are shown as they are."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|$~:" else c for c in text)
