"""The head that a run trained, as far as pages must know it before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from cutswap.config import HeadSettings
from cutswap.errors import CutSwapError
from cutswap.training.flags import trained_in
from cutswap.utils.files import is_own_file, read_json, sha256_of
from cutswap.utils.folder_names import HEAD, SETTINGS

SCORES = {"bank": "Bank", "head": "Head", "both": "Both"}


@dataclass(frozen=True)
class HeadOfRun:
    """A run's head.

    Attributes:
        kind: one of `config.HEADS`.
        category: that it was trained on.
        layers: whose features it judges; a bank beside it must have the same.
        image_size: side of its photos, pixels, likewise.
        file: where it is.
    """

    kind: str
    category: str
    layers: tuple[str, ...]
    image_size: int
    file: Path

    @property
    def mark(self) -> str:
        """Hex SHA-256 of the file: another head, another mark.

        Raises:
            CutSwapError: the file is gone or cannot be read.
        """
        try:
            if not is_own_file(self.file):
                raise FileNotFoundError(2, "no such file")
            status = self.file.stat()
            return _mark(self.file, status.st_size, status.st_mtime_ns)
        except OSError as error:
            raise CutSwapError(
                self.file,
                expected=f"the {self.kind} of a finished run",
                found=error.strerror or error,
                fix="resume the run on the Train page, or choose other weights",
            ) from error


@st.cache_data(max_entries=32, show_spinner=False)
def _mark(file: Path, size: int, modified: int) -> str:
    del size, modified  # they renew the entry
    return sha256_of(file)


def head_of(weights: str) -> HeadOfRun | None:
    """The head of a run's folder; None of pretrained weights and of runs that tuned phi.

    Args:
        weights: as `Selection.weights` has them.
    """
    path = Path(weights)
    if not is_own_file(path / SETTINGS):
        return None
    try:
        record = read_json(path / SETTINGS)
        if trained_in(record) == "backbone":
            return None
        own = HeadSettings.from_dict(record["head"])
        size, category = int(record["training"]["image_size"]), str(record["data"]["name"])
    except (CutSwapError, LookupError, TypeError, ValueError):  # the Train page says what is wrong
        return None
    return HeadOfRun(
        kind=own.train, category=category, layers=own.layers, image_size=size, file=path / HEAD
    )
