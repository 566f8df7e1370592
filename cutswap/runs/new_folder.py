"""A new folder of the runs folder, whole or not at all, under the first free name."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cutswap.errors import CutSwapError

T = TypeVar("T")
_MOST = 10_000


def new_folder(runs: Path, name: str, what: str, fill: Callable[[Path], T]) -> tuple[Path, T]:
    """Fill a folder beside the others and give it its name once it is whole.

    Args:
        runs: the runs folder; made where it is not.
        name: `NAME-1`, or the next number that is free; a slash in it becomes a hyphen.
        what: is written, for the message: `the new evaluation`.
        fill: writes into the empty folder that it is given.

    Returns:
        The folder, and what `fill` returned.

    Raises:
        CutSwapError: the folder cannot be written, or whatever `fill` raises; then nothing is left.
    """
    temporary = None
    try:
        runs.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=runs))
        result = fill(temporary)
        temporary.chmod(0o755)  # a temporary folder is its owner's alone
        base = name.replace("/", "-")
        for number in range(1, _MOST):
            out = runs / f"{base}-{number}"
            with contextlib.suppress(FileExistsError):
                if not out.exists():
                    return temporary.rename(out), result
        raise FileExistsError(17, f"{_MOST - 1:,} folders of that name")
    except OSError as error:
        raise CutSwapError(
            runs,
            expected=f"to be able to write {what}",
            found=error.strerror or error,
            fix="free disk space, or set CUTSWAP_RUNS to a folder that you can write",
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
