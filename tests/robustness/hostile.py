"""A corpus of hostile files: what a stranger, a bad disk or a careless hand may put in our way.

Each case names the reader it is for and makes one file or folder. What is refused must be refused
with a `CutSwapError`; damage that may leave a sound file (a flipped bit) may also be accepted, and
then what was read must hold what the reader promises. `test_hostile` tries them, `make fuzz` all.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

REFUSED, EITHER, SOUND = "refused", "either", "sound"
Make = Callable[[Path], Path]


@dataclass(frozen=True)
class Case:
    """One hostile thing.

    Attributes:
        reader: which reader gets it, a name of `hostile_readers.READERS`.
        name: what is wrong with it, unique for the reader.
        make: builds it in an empty folder and returns what to give to the reader.
        verdict: REFUSED, SOUND (must be read), or EITHER.
        is_heavy: takes seconds to make; left out of the short form.
    """

    reader: str
    name: str
    make: Make
    verdict: str = REFUSED
    is_heavy: bool = False

    def __str__(self) -> str:
        return f"{self.reader}: {self.name}"


def corpus() -> tuple[Case, ...]:
    """All of them, always the same."""
    from tests.robustness import hostile_folders, hostile_pictures, hostile_tables, hostile_tensors

    parts = (hostile_pictures, hostile_tables, hostile_tensors, hostile_folders)
    return tuple(case for part in parts for case in part.cases())


def sample(share: float, seed: int = 0) -> tuple[Case, ...]:
    """A seeded part of the light ones, of every reader at least three."""
    dice = random.Random(seed)  # noqa: S311 - which files to try, no secret
    by_reader: dict[str, list[Case]] = {}
    for case in corpus():
        if not case.is_heavy:
            by_reader.setdefault(case.reader, []).append(case)
    chosen: list[Case] = []
    for cases in by_reader.values():
        chosen += dice.sample(cases, min(len(cases), max(3, round(share * len(cases)))))
    return tuple(chosen)


def file_of(data: bytes | str, name: str) -> Make:
    """A maker of one file."""
    content = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data

    def make(folder: Path) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return make


def damaged(data: bytes, seed: int) -> Iterator[tuple[str, bytes]]:
    """Four truncations, four flips, a hole and a tail of a sound file's bytes."""
    dice = random.Random(seed)  # noqa: S311
    for share in (0.1, 0.5, 0.9, 0.99):
        yield f"cut at {share:.0%}", data[: int(len(data) * share)]
    for number in range(4):
        changed = bytearray(data)
        for _ in range(1 + 3 * number):
            changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
        yield f"{1 + 3 * number} bits flipped", bytes(changed)
    middle, hole = len(data) // 2, max(1, len(data) // 10)
    yield "a hole of zeros", data[:middle] + bytes(hole) + data[middle + hole :]
    yield "something behind its end", data + b"\0" * 1000 + b"PK\x03\x04"


# JSON of any kind: most of our files are JSON, so each reader of it gets these.
DEEP = "[" * 100_000
BAD_JSON: dict[str, bytes] = {
    "empty": b"",
    "a zero byte": b"\0",
    "cut short": b'{"a": [1, 2',
    "no JSON": b"<html>",
    "a list": b"[1, 2, 3]",
    "a number": b"3",
    "null": b"null",
    "a text": b'"text"',
    "empty object": b"{}",
    "too deep": DEEP.encode(),
    "too deep, objects": b'{"a":' * 50_000,
    "deep and closed": b"[" * 5000 + b"]" * 5000,
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a number of 10,000 digits": b'{"a": ' + b"9" * 10_000 + b"}",
    "not a number": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "beyond a float": b'{"a": 1e999}',
    "larger than any of ours": b'{"a": [' + b"{}," * 12_000_000 + b"1]}",
}


def bad_json(reader: str, place: Callable[[bytes], Make]) -> Iterator[Case]:
    """The JSON cases for one reader.

    Args:
        reader: its name.
        place: from the bytes to a maker that puts them where the reader looks.
    """
    for name, data in BAD_JSON.items():
        yield Case(reader, f"JSON: {name}", place(data), is_heavy=len(data) > 10**7)


def edited(value: object, **changes: object) -> bytes:
    """JSON of a dict with some keys changed; a change to `...` leaves the key out."""
    assert isinstance(value, dict)
    made = {k: v for k, v in {**value, **changes}.items() if v is not ...}
    return json.dumps(made).encode()
