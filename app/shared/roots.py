"""Where data may lie: CUTSWAP_ROOTS, folders joined as in PATH; unset, wherever the user says.

Unset is right on one's own machine, where who opens the app may open the files as well. Links and
`..` are followed before the answer, so none leads out.
"""

from __future__ import annotations

import os
from pathlib import Path

from cutswap.errors import CutSwapError

VARIABLE = "CUTSWAP_ROOTS"


def allowed_roots() -> tuple[Path, ...] | None:
    """The folders, or None where there is no limit."""
    text = os.environ.get(VARIABLE, "")
    return tuple(Path(p).expanduser().absolute() for p in text.split(os.pathsep) if p) or None


def is_allowed(path: Path) -> bool:
    """Whether a path lies in one of them, wherever its links lead."""
    roots = allowed_roots()
    return roots is None or any(is_inside(path, root) for root in roots)


def is_inside(path: Path, root: Path) -> bool:
    """Whether a path is a folder or lies in it, links of both followed."""
    try:
        real = os.path.realpath(path)
    except (OSError, ValueError):  # a NUL, a name too long
        return False
    return Path(real).is_relative_to(os.path.realpath(root))


def need_allowed(path: Path) -> Path:
    """The path itself.

    Raises:
        CutSwapError: it lies, or its links lead, outside the allowed roots.
    """
    try:
        full = path.expanduser()
    except RuntimeError:  # ~name of nobody here
        full = path
    if not is_allowed(full):
        raise CutSwapError(
            path.name or "the folder",
            expected=f"a folder in one of those that {VARIABLE} names",
            found="one outside",
            fix="choose another, or let whoever runs the app add it",
        )
    return path
