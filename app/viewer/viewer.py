"""The picture viewer of every page: Python half. The browser half is `viewer.js`.

A picture goes in as uint8 arrays and leaves as JPEG data URLs: encoding a noisy 512-pixel photo as
PNG costs 69 ms, as JPEG 1 ms. Opacity, wipe, outline and zoom happen in the browser; the server
hears of a click alone, or of a place that was picked.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from app.viewer.pictures import RAMP, jpeg_url, outline_paths

_FOLDER = Path(__file__).parent
CLICK_HELP = "click for the value here; + and - or Ctrl and the wheel zoom, drag moves, 0 resets"


@dataclass(frozen=True)
class Box:
    """A rectangle in image pixels.

    Attributes:
        place: (y, x, height, width).
        label: short text beside it.
        colour: CSS colour.
        angle: degrees, counter-clockwise about its centre.
        dashed: drawn dashed.
    """

    place: tuple[float, float, float, float]
    label: str = ""
    colour: str = "#ffd500"
    angle: float = 0.0
    dashed: bool = False


@dataclass(frozen=True)
class Point:
    """A dot at (y, x) in image pixels."""

    place: tuple[float, float]
    label: str = ""
    colour: str = "#ffd500"


@dataclass(frozen=True)
class Legend:
    """What the colours mean: a ramp from low to high, or swatches.

    Attributes:
        low: text at the dark end.
        high: text at the bright end.
        unit: a line below.
        marks: (share along the ramp, name) of lines on it.
        swatches: (CSS colour, name); without a ramp then.
        clear: shares along the ramp up to which the heat is clear, and from which it is full.
    """

    low: str = "0"
    high: str = "1"
    unit: str = ""
    marks: tuple[tuple[float, str], ...] = ()
    swatches: tuple[tuple[str, str], ...] = ()
    clear: tuple[float, float] = (0.0, 0.0)

    def to_dict(self) -> dict[str, Any]:
        """What `viewer.js` reads."""
        if self.swatches:
            named = [{"colour": colour, "name": name} for colour, name in self.swatches]
            return {"swatches": named, "unit": self.unit}
        marks = [{"at": at, "name": name} for at, name in self.marks]
        return {
            "colours": self._ramp(),
            "low": self.low,
            "high": self.high,
            "unit": self.unit,
            "marks": marks,
        }

    def _ramp(self) -> list[str]:
        start, full = self.clear
        if full <= 0:
            return RAMP
        share = np.clip((np.linspace(0, 1, len(RAMP)) - start) / max(full - start, 1e-9), 0, 1)
        return [f"{colour}{round(255 * s):02x}" for colour, s in zip(RAMP, share, strict=True)]


@dataclass(frozen=True)
class Picture:
    """Everything one viewer shows.

    Attributes:
        base: (H, W, 3) uint8, the photo below.
        heat: (H, W, 3) uint8 over it at an opacity the viewer's slider sets.
        heat_alpha: (H, W) uint8, how much of the heat is there, 0 nothing; None: all, everywhere.
        heat_name: text of its slider.
        after: (H, W, 3) uint8 behind a wipe.
        mask: (H, W) bool, outlined in white on black.
        outline_name: text of the outline's checkbox.
        boxes: rectangles.
        points: dots.
        legend: of the heat.
        alt: what the picture shows, made from facts.
        caption: line below.
        left: tag in the left corner (the picture before the wipe).
        right: tag in the right corner.
        opacity: of the heat at first, percent.
    """

    base: np.ndarray
    heat: np.ndarray | None = None
    heat_alpha: np.ndarray | None = None
    heat_name: str = "Heat"
    after: np.ndarray | None = None
    mask: np.ndarray | None = None
    outline_name: str = "Marked defect"
    boxes: Sequence[Box] = field(default_factory=tuple)
    points: Sequence[Point] = field(default_factory=tuple)
    legend: Legend | None = None
    alt: str = ""
    caption: str = ""
    left: str = ""
    right: str = ""
    opacity: int = 55

    def to_dict(self) -> dict[str, Any]:
        """What `viewer.js` reads."""
        height, width = self.base.shape[:2]
        return {
            "width": width,
            "height": height,
            "base": jpeg_url(self.base),
            "heat": None if self.heat is None else jpeg_url(self.heat),
            "heat_alpha": None
            if self.heat_alpha is None
            else jpeg_url(np.repeat(self.heat_alpha[..., None], 3, axis=2)),
            "heat_name": self.heat_name,
            "after": None if self.after is None else jpeg_url(self.after),
            "outline": [] if self.mask is None else outline_paths(self.mask),
            "outline_name": self.outline_name,
            "boxes": [
                {
                    "y": b.place[0],
                    "x": b.place[1],
                    "h": b.place[2],
                    "w": b.place[3],
                    "label": b.label,
                    "colour": b.colour,
                    "angle": b.angle,
                    "dashed": b.dashed,
                }
                for b in self.boxes
            ],
            "points": [
                {"y": p.place[0], "x": p.place[1], "label": p.label, "colour": p.colour}
                for p in self.points
            ],
            "legend": self.legend.to_dict() if self.legend else None,
            "alt": self.alt,
            "caption": self.caption,
            "left": self.left,
            "right": self.right,
            "opacity": self.opacity,
        }


@dataclass(frozen=True)
class Picking:
    """A box that a click on the picture, or Enter, places by its upper-left corner.

    Attributes:
        allowed: (H, W) bool, pixels of the picture where that corner may lie.
        size: (height, width) of the box, image pixels.
        colour: CSS colour.
    """

    allowed: np.ndarray
    size: tuple[int, int]
    colour: str = "#ffd500"

    def to_dict(self) -> dict[str, Any]:
        """What `viewer.js` reads; `allowed` a bit a pixel, 44 KB for 512 x 512."""
        bits = np.packbits(self.allowed).tobytes()
        return {
            "allowed": base64.b64encode(bits).decode("ascii"),
            "h": self.size[0],
            "w": self.size[1],
            "colour": self.colour,
        }


_mount = st.components.v2.component(
    "cutswap_viewer",
    html="<figure class='viewer'></figure>",
    css=(_FOLDER / "viewer.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "viewer.js").read_text(encoding="utf-8"),
)


def viewer(
    picture: Picture,
    *,
    key: str,
    memory: str = "",
    group: str = "",
    clickable: bool = False,
    picking: Picking | None = None,
    on_pick: Callable[[tuple[int, int] | None], None] = lambda _: None,
) -> tuple[float, float] | None:
    """Show a picture; where the user has just clicked comes back.

    Args:
        picture: what to show.
        key: unique on the page and constant between reruns, or the picture flickers.
        memory: viewers with one memory share opacity, wipe and outline in a tab; default: the key.
        group: viewers of one group zoom and pan together.
        clickable: whether a click asks for a rerun.
        picking: what a click places instead.
        on_pick: called before the rerun with the pixel (y, x) that was picked, which `picking` may
            not allow, or with None: the last pick is to be taken back.

    Returns:
        (y, x) as shares of the image in [0, 1) in the rerun that a click has caused, else None.
    """
    data = {
        **picture.to_dict(),
        "memory": memory or key,
        "group": group,
        "clickable": clickable,
        "click_help": CLICK_HELP,
        "picking": picking.to_dict() if picking else None,
    }
    height, width = picture.base.shape[:2]

    def picked() -> None:
        place = st.session_state[key].picked
        if place.get("undo"):
            on_pick(None)
            return
        y, x = int(place["y"]), int(place["x"])
        if 0 <= y < height and 0 <= x < width:
            on_pick((y, x))

    result = _mount(data=data, key=key, on_clicked_change=_nothing, on_picked_change=picked)
    place = getattr(result, "clicked", None)
    return (float(place["y"]), float(place["x"])) if place else None


def _nothing() -> None:
    """Streamlit wants a callback for every trigger; the return value says all."""
