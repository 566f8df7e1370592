"""Strokes as a short text for a link, and back; a text that was cut or changed is refused.

Bytes before base64: version, side of the photo (2), mark of the photo (2), then each stroke (kind,
size, colour (3), strength, seed (2), number of points, the first point (4), and steps from point to
point), and a checksum of all before (2). A step of up to 63 pixels takes one byte an axis.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence

from cutswap.errors import CutSwapError
from cutswap.strokes.stroke import KINDS, LARGEST_SIDE, PhotoPoint, Stroke, need_room

VERSION = 1
LONGEST = 3_700  # characters; the bounds of `need_room` keep every painting below it
_HEADER, _FIXED, _CHECK = 5, 13, 2  # bytes


def to_link(strokes: Sequence[Stroke], side: int, photo: str) -> str:
    """Text of strokes, letters, digits, `-` and `_`; at most `LONGEST`.

    Args:
        strokes: in their order; none is the empty text.
        side: of the square photo that their points are pixels of.
        photo: name of that photo with its category: the text opens on this one alone.

    Raises:
        CutSwapError: see `need_room`.
    """
    if not strokes:
        return ""
    need_room(strokes)
    content = bytearray((VERSION, *side.to_bytes(2), *_mark(photo).to_bytes(2)))
    for stroke in strokes:
        content += bytes((KINDS.index(stroke.kind), stroke.size, *stroke.colour, stroke.strength))
        content += stroke.seed.to_bytes(2) + bytes((len(stroke.points),))
        before = stroke.points[0]
        content += before[0].to_bytes(2) + before[1].to_bytes(2)
        for point in stroke.points[1:]:
            for axis in (0, 1):
                content += _step(point[axis] - before[axis])
            before = point
    content += binascii.crc_hqx(bytes(content), 0).to_bytes(2)
    return base64.urlsafe_b64encode(bytes(content)).rstrip(b"=").decode("ascii")


def from_link(text: str, photo: str) -> tuple[tuple[Stroke, ...], int]:
    """Strokes of a text, and the side of the square photo that their points are pixels of.

    Args:
        text: what `to_link` gave.
        photo: that they are to be painted on.

    Raises:
        CutSwapError: a text that is too long, was cut or changed, or is of another photo.
    """
    if not text:
        return (), 0
    if len(text) > LONGEST:
        raise _bad(f"at most {LONGEST} characters", len(text))
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        content = base64.b64decode(padded, altchars=b"-_", validate=True)
    except ValueError as error:  # letters that none of them is
        raise _bad("letters, digits, - and _", "other characters, or some missing") from error
    body, check = content[:-_CHECK], content[-_CHECK:]
    if len(body) < _HEADER or binascii.crc_hqx(body, 0).to_bytes(2) != check:
        raise _bad("a whole text", "one that was cut or changed")
    if body[0] != VERSION:
        raise _bad(f"version {VERSION}", f"version {body[0]}")
    side = int.from_bytes(body[1:3])
    if not 1 <= side <= LARGEST_SIDE:
        raise _bad(f"a photo of at most {LARGEST_SIDE} pixels", side)
    if int.from_bytes(body[3:5]) != _mark(photo):
        raise _bad("a painting of this photo", "one of another photo")
    strokes = tuple(_strokes(body[_HEADER:]))
    need_room(strokes)
    return strokes, side


def _strokes(content: bytes) -> Iterator[Stroke]:
    at = 0
    while at < len(content):
        head = content[at : at + _FIXED]
        if len(head) < _FIXED or head[0] >= len(KINDS):
            raise _bad("whole strokes", "a part of one")
        at += _FIXED
        points: list[PhotoPoint] = [(int.from_bytes(head[9:11]), int.from_bytes(head[11:13]))]
        while len(points) < head[8]:
            down, at = _read_step(content, at)
            right, at = _read_step(content, at)
            points.append((points[-1][0] + down, points[-1][1] + right))
        yield Stroke(
            kind=KINDS[head[0]],
            points=tuple(points),
            size=head[1],
            colour=(head[2], head[3], head[4]),
            strength=head[5],
            seed=int.from_bytes(head[6:8]),
        )


def _step(value: int) -> bytes:
    """A whole number as one byte or two: the sign last, seven bits a byte, low ones first."""
    whole = value << 1 if value >= 0 else (-value << 1) - 1
    return bytes((whole,)) if whole < 128 else bytes((whole & 127 | 128, whole >> 7))


def _read_step(content: bytes, at: int) -> tuple[int, int]:
    """A number, and where the next one begins."""
    read = content[at : at + 2]
    if not read or (read[0] >= 128 and len(read) < 2):
        raise _bad("whole strokes", "a part of one")
    is_long = read[0] >= 128
    whole = (read[0] & 127) | (read[1] << 7 if is_long else 0)
    value = whole >> 1 if whole % 2 == 0 else -((whole + 1) >> 1)
    return value, at + (2 if is_long else 1)


def _mark(photo: str) -> int:
    return binascii.crc_hqx(photo.encode("utf-8"), 0)


def _bad(expected: str, found: object) -> CutSwapError:
    return CutSwapError(
        "painting in the link",
        expected=expected,
        found=found,
        fix="ask for the link again, or paint anew",
    )
