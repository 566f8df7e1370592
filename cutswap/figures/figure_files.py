"""A figure as a file that says how it was made: PNG at print size, arrays with their settings."""

from __future__ import annotations

import io
import json
import shlex
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import cutswap
from cutswap.errors import CutSwapError

DPI = 300  # what printers and journals ask of photos
COLUMN, PAGE = 85, 180  # mm: one column and the whole width of a journal's page
_MM = 25.4  # an inch


@dataclass(frozen=True)
class Origin:
    """How a figure was made, as its file says it.

    Attributes:
        title: what it shows.
        settings: JSON-ready values.
        commands: words after `python -m cutswap`, each one command that repeats it; none where
            none does, or where paths of the machine are not to be told.
    """

    title: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    commands: Sequence[Sequence[object]] = ()

    @property
    def lines(self) -> list[str]:
        """The commands as one types them."""
        return [shlex.join(["python", "-m", "cutswap", *map(str, c)]) for c in self.commands]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "title": self.title,
            "software": _software(),
            "settings": dict(self.settings),
            "commands": self.lines,
        }


def print_pixels(width_mm: float) -> int:
    """Pixels across a figure of this width at `DPI`."""
    return round(width_mm / _MM * DPI)


def print_png(picture: np.ndarray, origin: Origin, width_mm: float) -> bytes:
    """A PNG that prints at a width, with title, settings and commands in its text chunks.

    A picture of fewer pixels than `DPI` asks for is enlarged (cubic); one of more keeps them all
    and says a higher resolution instead.

    Args:
        picture: (H, W, 3) uint8.
        origin: how it was made.
        width_mm: on paper.

    Raises:
        CutSwapError: not a picture, or a width that is none.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or not picture.size:
        raise CutSwapError(
            "figure",
            expected="an (H, W, 3) uint8 picture",
            found=f"{picture.shape} {picture.dtype}",
            fix="draw it in colours first",
        )
    if not 0 < width_mm <= 1000:
        raise CutSwapError(
            "width on paper", expected="0 to 1000 mm", found=width_mm, fix="pass for example 85"
        )
    image = Image.fromarray(np.ascontiguousarray(picture))
    wanted = print_pixels(width_mm)
    if image.width < wanted:
        size = (wanted, max(1, round(image.height * wanted / image.width)))
        image = image.resize(size, Image.Resampling.BICUBIC)
    resolution = image.width / width_mm * _MM
    text = PngInfo()
    for name, value in (
        ("Title", origin.title),
        ("Software", _software()),
        ("Settings", json.dumps(dict(origin.settings))),
        ("Command", "\n".join(origin.lines)),
    ):
        if value:
            text.add_itxt(name, _encodable(value))
    data = io.BytesIO()
    image.save(data, "PNG", dpi=(resolution, resolution), pnginfo=text)
    return data.getvalue()


def arrays_zip(arrays: Mapping[str, np.ndarray], origin: Origin) -> bytes:
    """One `.npy` an array and `settings.json` beside them, as a ZIP; nothing is rounded.

    Args:
        arrays: by name of their file, without its ending.
        origin: how they were made; each array's shape and dtype are written beside it.
    """
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as store:
        for name, array in arrays.items():
            one = io.BytesIO()
            np.save(one, array, allow_pickle=False)
            store.writestr(f"{name}.npy", one.getvalue())
        shapes = {n: {"shape": list(a.shape), "dtype": str(a.dtype)} for n, a in arrays.items()}
        about = {**origin.to_dict(), "arrays": shapes}
        store.writestr("settings.json", json.dumps(about, indent=2))
    return data.getvalue()


def _software() -> str:
    return f"CutSwap {cutswap.__version__}"


def _encodable(text: str) -> str:
    """File names may hold bytes that are no text; in a PNG they stand as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
