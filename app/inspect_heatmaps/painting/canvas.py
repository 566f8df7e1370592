"""The painting tool in the browser: Python half. The browser half is `canvas.js`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from app.viewer.pictures import jpeg_url
from app.viewer.viewer import Legend
from cutswap.evaluation.photo_strips import clear_and_full
from cutswap.strokes.stroke import BRUSH, ERASER, LARGEST_SIZE, MOST_POINTS, PATCH, SCRATCH, STAIN
from cutswap.utils.overlays import colourise, rising

_FOLDER = Path(__file__).parent
_OF_TOOL = ("name", "label", "help", "size", "strength")
# Name, label, what it does, and its first size (pixels) and strength (percent).
_TOOLS = (
    (BRUSH, "Brush", "A line of one colour: drag on the photo.", 6, 90),
    (SCRATCH, "Scratch", "A thin line of uneven depth with a dark edge: drag on the photo.", 3, 90),
    (STAIN, "Stain", "A soft blob with a ragged border: click or drag on the photo.", 36, 70),
    (ERASER, "Eraser", "Gives back the photo as it was: drag on the photo.", 20, 100),
    (
        PATCH,
        "Patch",
        "A square of the photo, moved: drag it from its place to another one.",
        40,
        100,
    ),
)


@dataclass(frozen=True)
class HeatPanel:
    """What one detector says of the painted photo.

    Attributes:
        name: of the detector.
        values: (S, S) float32 heat.
        span: values shown black and bright yellow.
        usual: value that good photos' pixels usually keep below: heat is clear up to it; None:
            it is seen everywhere.
        region: (S, S) bool, where was looked; no heat is seen outside. None: everywhere.
        unit: of the heat, for the legend.
        says: its score and verdict.
    """

    name: str
    values: np.ndarray
    span: tuple[float, float]
    usual: float | None
    region: np.ndarray | None
    unit: str
    says: str

    def to_dict(self) -> dict[str, Any]:
        """What `canvas.js` reads."""
        low, high = self.span
        alpha = np.full(self.values.shape, 255, np.uint8)
        shares = (0.0, 0.0)
        if self.usual is not None:
            clear = clear_and_full(self.usual, high)
            alpha = (rising(self.values, *clear) * 255).astype(np.uint8)
            start, full = ((end - low) / max(high - low, 1e-30) for end in clear)
            shares = (start, full)
        if self.region is not None:
            alpha = np.where(self.region, alpha, np.uint8(0))
        legend = Legend(f"{low:.3g}", f"{high:.3g}", self.unit, clear=shares).to_dict()
        y, x = np.unravel_index(int(self.values.argmax()), self.values.shape)
        peak = f"highest heat {self.values[y, x]:.3g} at row {y}, column {x}"
        return {
            "name": self.name,
            "heat": jpeg_url(colourise(self.values, low, high)),
            "alpha": jpeg_url(np.repeat(alpha[..., None], 3, axis=2)),
            "low": legend["low"],
            "high": legend["high"],
            "colours": legend["colours"],
            "unit": self.unit,
            "says": self.says,
            "alt": f"Heatmap of {self.name}: {peak}",
        }


_mount = st.components.v2.component(
    "cutswap_painting",
    html="<figure class='painting'></figure>",
    css=(_FOLDER / "canvas.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "canvas.js").read_text(encoding="utf-8"),
)


def canvas(
    painted: np.ndarray,
    panels: Sequence[HeatPanel],
    *,
    name: str,
    strokes: int,
    done: float,
    exercise: str,
    on_act: Callable[[Sequence[Mapping[str, Any]]], None],
    key: str,
) -> None:
    """Show the tools, the photo to paint on, and what detectors say.

    Args:
        painted: (S, S, 3) uint8 with all strokes on it.
        panels: one a detector.
        name: of the photo.
        strokes: how many are on it.
        done: number of the last act that has been done.
        exercise: heat is hidden until somebody asks for it, once for each such text; empty: never.
        on_act: called before the rerun with what was done: dicts with a rising number `n`, and
            `stroke` (a record), `undo` or `clear`.
        key: unique on the page and constant between reruns.
    """

    def acted() -> None:
        value = st.session_state[key].act
        acts = value.get("acts") if isinstance(value, Mapping) else None
        if isinstance(acts, list):
            on_act([act for act in acts if isinstance(act, Mapping)])

    data = {
        "side": painted.shape[0],
        "photo": jpeg_url(painted),
        "named": name,
        "alt": f"{name}, {strokes} stroke{'' if strokes == 1 else 's'} painted on it. Arrow keys"
        " move a cross, with Shift by ten pixels, Enter begins and ends a stroke, Escape takes the"
        " last one back",
        "panels": [panel.to_dict() for panel in panels],
        "strokes": strokes,
        "done": done,
        "exercise": exercise,
        "kinds": [dict(zip(_OF_TOOL, tool, strict=True)) for tool in _TOOLS],
        "largest": min(LARGEST_SIZE, painted.shape[0] // 2),
        "most_points": MOST_POINTS,
    }
    _mount(data=data, key=key, on_act_change=acted)
