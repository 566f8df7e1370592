"""What the viewer shows as one picture for paper: heat, outline, boxes, points and legend drawn in.

The viewer's slider of opacity lives in the browser, so the file has the opacity that the viewer
begins with. A photo behind a wipe stands beside the first one, which paper cannot do otherwise.
"""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from app.viewer.pictures import RAMP
from app.viewer.viewer import Legend, Picture
from cutswap.utils.overlays import blend

_Font = ImageFont.ImageFont | ImageFont.FreeTypeFont
_INK = (20, 20, 20)
_POINTS = 40  # lines of legend text in the width of one photo: 7 points at 85 mm


def draw_picture(picture: Picture, width: int) -> np.ndarray:
    """The picture, and its legend below it, on white.

    Args:
        picture: as the viewer gets it.
        width: of the result, pixels, at least 64.

    Returns:
        (H, width, 3) uint8.
    """
    gap = width // 60
    panels = [picture.base] if picture.after is None else [picture.base, picture.after]
    side = (width - gap * (len(panels) - 1)) // len(panels)
    tags = (picture.left, picture.right)
    size = max(9, width // _POINTS)
    font = ImageFont.load_default(size)
    drawn = [_panel(picture, photo, side) for photo in panels]
    height = drawn[0].height
    unit = [] if picture.legend is None else _wrapped(picture.legend.unit, font, width)
    below = _legend_height(picture.legend, len(unit), size, gap)
    page = Image.new("RGB", (width, height + below), "white")
    pen = ImageDraw.Draw(page)
    for index, panel in enumerate(drawn):
        x = index * (side + gap)
        page.paste(panel, (x, 0))
        tag = tags[index].removesuffix(" x+").removesuffix(" x−")
        if tag:
            box = pen.textbbox((x + gap, gap), tag, font=font)
            pen.rectangle((box[0] - 4, box[1] - 4, box[2] + 4, box[3] + 4), fill=(0, 0, 0))
            pen.text((x + gap, gap), tag, fill="white", font=font)
    if picture.legend is not None:
        _draw_legend(pen, picture.legend, unit, (width, height + gap), size)
    return np.asarray(page)


def _panel(picture: Picture, photo: np.ndarray, side: int) -> Image.Image:
    """One photo at its size on paper, everything over it drawn as sharp as that size allows."""
    scale = side / photo.shape[1]
    size = (side, max(1, round(photo.shape[0] * scale)))
    large = cv2.resize(photo, size, interpolation=cv2.INTER_CUBIC)
    if picture.heat is not None:
        heat = cv2.resize(picture.heat, size, interpolation=cv2.INTER_LINEAR)
        share: float | np.ndarray = picture.opacity / 100
        if picture.heat_alpha is not None:
            alpha = cv2.resize(picture.heat_alpha, size, interpolation=cv2.INTER_LINEAR)
            share = share * alpha[..., None].astype(np.float32) / 255
        large = _blended(large, heat, share)
    if picture.mask is not None:
        large = _outlined(large, picture.mask, scale)
    image = Image.fromarray(large)
    pen = ImageDraw.Draw(image)
    line = max(2, side // 170)
    for box in picture.boxes:
        y, x, h, w = (v * scale for v in box.place)
        corners = cv2.boxPoints(((x + w / 2, y + h / 2), (w, h), -box.angle))
        ends = [(float(px), float(py)) for px, py in [*corners, corners[0]]]
        for colour, thickness in (("black", line * 2), (box.colour, line)):
            for a, b in zip(ends, ends[1:], strict=False):
                _draw_line(pen, a, b, colour, thickness, dashed=box.dashed)
    for point in picture.points:
        y, x = (v * scale for v in point.place)
        r = side / 90
        pen.ellipse(
            (x - r, y - r, x + r, y + r), fill=point.colour, outline="black", width=line // 2 + 1
        )
    font = ImageFont.load_default(max(9, side // 24))
    labels = [(b.place[:2], b.label) for b in picture.boxes]
    labels += [(p.place, p.label) for p in picture.points]
    for (y, x), label in labels:
        if label:
            place = (x * scale, max(side / 22, y * scale) - line)
            pen.text(
                place, label, fill="white", font=font, anchor="ld",
                stroke_width=line, stroke_fill="black",
            )  # fmt: skip
    return image


def _blended(photo: np.ndarray, heat: np.ndarray, share: float | np.ndarray) -> np.ndarray:
    if isinstance(share, float):
        return blend(photo, heat, share)
    mixed = photo.astype(np.float32) * (1 - share) + heat.astype(np.float32) * share
    return mixed.round().astype(np.uint8)


def _draw_line(
    pen: ImageDraw.ImageDraw,
    start: tuple[float, float],
    end: tuple[float, float],
    colour: str,
    thickness: int,
    *,
    dashed: bool,
) -> None:
    if not dashed:
        pen.line((start, end), fill=colour, width=thickness)
        return
    length = max(1.0, float(np.hypot(end[0] - start[0], end[1] - start[1])))
    step = thickness * 3
    for at in np.arange(0, length, 2 * step):
        a, b = at / length, min(length, at + step) / length
        places = [
            (start[0] + s * (end[0] - start[0]), start[1] + s * (end[1] - start[1])) for s in (a, b)
        ]
        pen.line(places, fill=colour, width=thickness)


def _outlined(photo: np.ndarray, mask: np.ndarray, scale: float) -> np.ndarray:
    """The mask's border in white on black, through the middle of its border pixels."""
    shapes, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    ends = [np.round((shape + 0.5) * scale).astype(np.int32) for shape in shapes]
    drawn = np.ascontiguousarray(photo)
    thin = max(1, photo.shape[1] // 340)
    cv2.drawContours(drawn, ends, -1, (0, 0, 0), thin * 3)
    cv2.drawContours(drawn, ends, -1, (255, 255, 255), thin)
    return drawn


def _wrapped(text: str, font: _Font, width: int) -> list[str]:
    """Lines of whole words, each as wide as the picture at most; one long word has its own."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _legend_height(legend: Legend | None, unit: int, size: int, gap: int) -> int:
    """Of a legend whose unit takes so many lines."""
    if legend is None:
        return 0
    lines = len(legend.swatches) if legend.swatches else 1
    lines += len(legend.marks) + unit
    return gap * 2 + lines * _line(size)


def _line(size: int) -> int:
    return int(size * 1.35)


def _draw_legend(
    pen: ImageDraw.ImageDraw, legend: Legend, unit: list[str], place: tuple[int, int], size: int
) -> None:
    width, y = place
    line, font = _line(size), ImageFont.load_default(size)
    if legend.swatches:
        for colour, name in legend.swatches:
            pen.rectangle((0, y, size, y + size), fill=colour, outline=_INK)
            pen.text((size * 1.5, y + size / 2), name, fill=_INK, font=font, anchor="lm")
            y += line
    else:
        left = int(pen.textlength(legend.low, font=font)) + size
        right = width - int(pen.textlength(legend.high, font=font)) - size
        pen.text((0, y + size / 2), legend.low, fill=_INK, font=font, anchor="lm")
        pen.text((width, y + size / 2), legend.high, fill=_INK, font=font, anchor="rm")
        ramp = np.array([ImageColor.getrgb(colour) for colour in RAMP], dtype=np.float32)
        at = np.linspace(0, len(RAMP) - 1, max(2, right - left))
        for x, where in enumerate(at):
            low = int(where)
            part = where - low
            mixed = ramp[low] * (1 - part) + ramp[min(low + 1, len(RAMP) - 1)] * part
            colour_here = tuple(int(round(float(c))) for c in mixed)
            pen.line((left + x, y, left + x, y + size), fill=colour_here)
        for share, name in legend.marks:
            x = left + round(share * (right - left))
            pen.line(
                (x, y - size // 4, x, y + size + size // 4), fill=_INK, width=max(2, size // 8)
            )
            pen.text((left, y + line), f"line: {name}", fill=_INK, font=font)
            y += line
        y += line
    for text in unit:
        pen.text((0, y), text, fill=_INK, font=font)
        y += line
