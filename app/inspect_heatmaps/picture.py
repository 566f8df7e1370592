"""A scored photo as the viewer shows it: heat, outline, legend, and alt text made from facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from app.figures import where_to_look
from app.figures.take_home import Figure, of_picture, take_home
from app.shared import caches
from app.shared.caches import PhotoKey
from app.viewer.viewer import Box, Legend, Picture
from cutswap.config import PADIM, PATCHCORE, PadimSettings
from cutswap.data.records import Record
from cutswap.evaluation.photo_strips import clear_and_full
from cutswap.evaluation.scored_set import ScoredSet
from cutswap.evaluation.verdicts import Verdict
from cutswap.figures.figure_files import Origin
from cutswap.reports.repeat import evaluate_again
from cutswap.utils.overlays import colourise, rising

SHARP = 512  # pixels of the photo below; heat and outline are as fine as they were scored
FRAMED = "Yellow frame: the patch compared below; click another place to compare that."
COMMAND = "command"  # key of `evaluation_of`: words after `python -m cutswap`, or None
CONTOUR = (0, 255, 255)  # no colour of the heat


@dataclass(frozen=True)
class Heat:
    """One photo with its heatmap and outlines.

    Attributes:
        record: the photo.
        values: (S, S) float32, smoothed distances to the bank.
        score: of the image.
        mask: (S, S) bool, True on the marked defect; None where none is marked.
        span: values shown black and bright yellow.
        span_says: what that range covers, for the legend.
        usual: value that good photos' pixels usually keep below: heat is clear up to it; None:
            it is seen everywhere.
        region: (S, S) bool, where was looked: outside the photo is dimmed and no heat is seen;
            None: everywhere.
    """

    record: Record
    values: np.ndarray
    score: float
    mask: np.ndarray | None
    span: tuple[float, float]
    span_says: str
    usual: float | None = None
    region: np.ndarray | None = None

    @property
    def size(self) -> int:
        """Side S, pixels."""
        return int(self.values.shape[0])


def sharp_side(size: int) -> int:
    """Side of the photo under a heatmap of `size`, a multiple of it, pixels."""
    return size * max(1, SHARP // size)


def picture(
    heat: Heat,
    *,
    sharp: np.ndarray | None = None,
    pixel_threshold: float | None = None,
    contour: bool = False,
    cell_box: tuple[float, float, float, float] | None = None,
    verdict: str = "",
    tag: str = "",
) -> Picture:
    """What the viewer shows of a scored photo.

    Args:
        heat: the photo and its heatmap.
        sharp: (s, s, 3) uint8, the photo where it is no file, s as `sharp_side` has it.
        pixel_threshold: pixels at or above it are called defective.
        contour: whether those are outlined in the heat.
        cell_box: (y, x, height, width) of the patch compared below, pixels of the heatmap.
        verdict: of the image, for the alt text.
        tag: text in the corner.
    """
    side = sharp_side(heat.size)
    factor = side // heat.size
    photo = caches.photo(PhotoKey.of_record(heat.record, side)) if sharp is None else sharp
    photo = where_to_look.shown(photo, heat.region)
    low, high = heat.span
    coloured = colourise(heat.values, low, high)
    says = heat.span_says
    marks: tuple[tuple[float, str], ...] = ()
    if pixel_threshold is not None:
        share = (pixel_threshold - low) / max(high - low, 1e-30)
        if 0 <= share <= 1:
            marks = ((share, f"pixel threshold {pixel_threshold:.4g}"),)
        if contour:
            coloured = _outlined(coloured, heat.values >= pixel_threshold, factor, CONTOUR)
            says += "; cyan: called defective"
    clear, alpha = _clear(heat, pixel_threshold), None
    if clear is not None:
        alpha = _alpha(heat.values, clear)
        says += f"; clear up to {clear[0]:.3g}"
        if contour and pixel_threshold is not None:
            alpha = _outlined(alpha, heat.values >= pixel_threshold, factor, 255)
    if heat.region is not None:
        says += "; dimmed: not looked at"
        whole = np.full_like(heat.values, 255, dtype=np.uint8) if alpha is None else alpha
        hidden = ~np.kron(heat.region, np.ones([n // heat.size for n in whole.shape], bool))
        alpha = np.where(hidden, np.uint8(0), whole)
    mask = None
    if heat.mask is not None and heat.mask.any():
        mask = np.kron(heat.mask, np.ones((factor, factor), bool))
    boxes: tuple[Box, ...] = ()
    if cell_box is not None:
        y, x, height, width = (v * factor for v in cell_box)
        boxes = (Box((y, x, height, width)),)
    return Picture(
        photo,
        heat=coloured,
        heat_alpha=alpha,
        mask=mask,
        boxes=boxes,
        left=tag,
        legend=Legend(f"{low:.3g}", f"{high:.3g}", says, marks, clear=_shares(clear, heat.span)),
        alt=alt_text(heat, verdict),
        caption=FRAMED if boxes else "",
    )


def alt_text(heat: Heat, verdict: str = "") -> str:
    """`Heatmap of test/crack/003: peak 3.21 in the upper left, inside the marked defect; ...`."""
    y, x = np.unravel_index(int(heat.values.argmax()), heat.values.shape)
    vertical = ("upper", "middle", "lower")[min(2, 3 * int(y) // heat.size)]
    side = ("left", "centre", "right")[min(2, 3 * int(x) // heat.size)]
    text = f"Heatmap of {heat.record.name}: peak {heat.values[y, x]:.3g} in the {vertical} {side}"
    if heat.mask is not None and heat.mask.any():
        text += f", {'inside' if heat.mask[y, x] else 'outside'} the marked defect"
    return f"{text}; image score {heat.score:.3g}" + (f", {verdict}" if verdict else "")


@dataclass(frozen=True)
class Called:
    """What the page's thresholds say of a photo, as its files tell.

    Attributes:
        verdict: on the image.
        image: scores at or above it are called defective; None where there is none.
        pixel: the same of pixels.
    """

    verdict: Verdict
    image: float | None = None
    pixel: float | None = None

    def sentence(self, score: float) -> str:
        """For the figure's legend."""
        if self.image is None:
            return f"score {score:.4g}, {self.verdict.value}"
        return f"score {score:.4g}, threshold {self.image:.4g}: {self.verdict.value}"


def settings_of(scored: ScoredSet) -> dict[str, Any]:
    """What an evaluation was made with, as files tell it."""
    own = scored.settings
    name = PADIM if isinstance(own, PadimSettings) else PATCHCORE
    return {name: own.to_dict(), "weights": scored.summary.get("weights")}


def evaluation_of(scored: ScoredSet, index: int | None, heat: Heat) -> dict[str, Any]:
    """Settings of an evaluation for the files of one of its photos, with the command behind it.

    Args:
        scored: the evaluation.
        index: of the photo in it.
        heat: the photo with its heatmap; scored anew, it has no command.
    """
    is_its = index is not None and np.array_equal(heat.values, scored.heatmaps[index])
    return {
        **settings_of(scored),
        "scored_anew": not is_its,
        COMMAND: evaluate_again(scored.summary) if is_its else None,
    }


def heat_to_take_home(
    category: str,
    heat: Heat,
    drawn: Picture,
    called: Called,
    about: Mapping[str, Any],
    *charts: Figure,
) -> None:
    """Files of a scored photo, with thresholds and verdict.

    Args:
        category: key of the category.
        heat: the photo with its heatmap.
        drawn: as the viewer shows it.
        called: what the thresholds say.
        about: settings that it was scored with; a command under `COMMAND`.
        *charts: beside it.
    """
    command = about.get(COMMAND)
    settings = {
        "category": category,
        "image": heat.record.name,
        "score": float(heat.score),
        "verdict": called.verdict.value,
        "threshold": called.image,
        "pixel_threshold": called.pixel,
        "colours": [float(end) for end in heat.span],
        "colours_of": heat.span_says,
        **{name: value for name, value in about.items() if name != COMMAND},
    }
    arrays = {"photo": drawn.base, "heatmap": heat.values}
    if heat.mask is not None:
        arrays["mask"] = heat.mask
    if drawn.legend is not None:
        unit = f"{called.sentence(heat.score)}; {drawn.legend.unit}"
        drawn = replace(drawn, legend=replace(drawn.legend, unit=unit))
    origin = Origin(heat.record.name, settings, [command] if command else [])
    figures = [of_picture("heatmap", "Heatmap", drawn, arrays), *charts]
    take_home(figures, origin, key="inspect")


def boxed(photo: np.ndarray, inner: tuple[float, float, float, float], scale: int) -> np.ndarray:
    """A crop enlarged, with the patch framed in white on black.

    Args:
        photo: (h, w, 3) uint8.
        inner: (y, x, height, width) of the patch in it, pixels.
        scale: times larger.
    """
    size = (photo.shape[1] * scale, photo.shape[0] * scale)
    large = np.ascontiguousarray(cv2.resize(photo, size, interpolation=cv2.INTER_CUBIC))
    y, x, height, width = (round(v * scale) for v in inner)
    for colour, thickness in (((0, 0, 0), 5), ((255, 255, 255), 2)):
        cv2.rectangle(large, (x, y), (x + width, y + height), colour, thickness)
    return large


def _clear(heat: Heat, pixel_threshold: float | None) -> tuple[float, float] | None:
    """(value up to which heat is clear, value from which it is full); what is called is seen."""
    if heat.usual is None:
        return None
    start = heat.usual if pixel_threshold is None else min(heat.usual, pixel_threshold)
    return clear_and_full(start, heat.span[1])


def _alpha(values: np.ndarray, clear: tuple[float, float]) -> np.ndarray:
    """(S, S) uint8: 0 up to the first value, rising to 255 at the second."""
    return (rising(values, *clear) * 255).astype(np.uint8)


def _shares(clear: tuple[float, float] | None, span: tuple[float, float]) -> tuple[float, float]:
    if clear is None:
        return 0.0, 0.0
    length = max(span[1] - span[0], 1e-30)
    return (clear[0] - span[0]) / length, (clear[1] - span[0]) / length


def _outlined(
    coloured: np.ndarray, called: np.ndarray, factor: int, colour: int | tuple[int, int, int]
) -> np.ndarray:
    """A picture enlarged to the photo's size, with the outline of the area above the threshold."""
    size = (coloured.shape[1] * factor, coloured.shape[0] * factor)
    large = cv2.resize(coloured, size, interpolation=cv2.INTER_LINEAR)
    wide = np.kron(called, np.ones((factor, factor), bool)).astype(np.uint8)
    shapes, _ = cv2.findContours(wide, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    drawn = np.ascontiguousarray(large)
    cv2.drawContours(drawn, shapes, -1, colour, 2)
    return drawn
