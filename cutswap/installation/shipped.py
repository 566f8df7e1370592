"""Files that ship with the program: weights, the paper's tables, pictures, the explorer.

In a wheel they lie inside the package, where the build put them; in a checkout at the top of the
repository, beside it. Nothing else in the program knows of the two places.
"""

from __future__ import annotations

import functools
import sys
from importlib.resources import files
from pathlib import Path


@functools.cache
def package() -> Path:
    """Folder of the package `cutswap`; every installer unpacks it."""
    return Path(str(files("cutswap")))


@functools.cache
def checkout() -> Path | None:
    """The repository that the package lies in; None where it was installed from a wheel."""
    above = package().parent
    return above if (above / "pyproject.toml").is_file() and (above / "assets").is_dir() else None


def assets() -> Path:
    """Folder of `weights/`, `story/`, `lesson/`, `icon.png` and `paper_tables.csv`."""
    return (checkout() or package()) / "assets"


def explorer() -> Path:
    """The script that Streamlit runs; its pages are in `pages/`, two folders up."""
    return (checkout() or package() / "explorer") / "app" / "main.py"


def explorer_server() -> Path:
    """What `streamlit run` is given: it serves the explorer behind the gate of `app/access/`."""
    return explorer().with_name("server.py")


def how_to_restore(name: str) -> str:
    """What to do where a shipped file is missing or damaged.

    Args:
        name: of the file or folder below the repository's top, as `assets/weights`.
    """
    if checkout():
        return f"restore it with: git checkout -- {name}"
    return f"install it again: {sys.executable} -m pip install --force-reinstall --no-deps cutswap"
