"""The exercises that ship with the lesson: text, a link into the app, Python, and the solution."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from cutswap.errors import CutSwapError
from cutswap.installation.shipped import assets, how_to_restore

FILE = "lesson/exercises.md"  # below `assets()`
_LINK = re.compile(r"^\[Open \w+\]\((\S+)\)$", re.MULTILINE)
_CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SOLUTION = '\n<details markdown="1">\n<summary>Solution</summary>\n'
_END = "</details>"


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        title: plain text.
        text: Markdown, what is to be done.
        address: of the page in the app, as in its links: `saliency`.
        query: of that link.
        code: Python that runs by itself.
        solution: Markdown; its block `text` is what the code prints.
    """

    title: str
    text: str
    address: str
    query: dict[str, str]
    code: str
    solution: str


def shipped_exercises() -> tuple[str, tuple[Exercise, ...]]:
    """What stands before the first exercise, as Markdown, and all of them.

    Raises:
        CutSwapError: the file is missing or was changed into something else.
    """
    return read_exercises(assets() / FILE)


def read_exercises(path: Path) -> tuple[str, tuple[Exercise, ...]]:
    """Read a file of exercises.

    Args:
        path: Markdown as `assets/lesson/exercises.md`.

    Raises:
        CutSwapError: it is missing, or an exercise lacks a part.
    """
    try:
        first, *parts = re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    except (OSError, UnicodeDecodeError) as error:
        raise CutSwapError(
            path, expected="the exercises", found=error, fix=how_to_restore(f"assets/{FILE}")
        ) from error
    return first.partition("\n")[2].strip(), tuple(_exercise(path, part) for part in parts)


def _exercise(path: Path, part: str) -> Exercise:
    title, _, rest = part.partition("\n")
    asked, mark, solution = rest.partition(_SOLUTION)
    link, code = _LINK.search(asked), _CODE.search(asked)
    if link is None or code is None or not mark or not solution.rstrip().endswith(_END):
        raise CutSwapError(
            f"{path}, {title}",
            expected="a line [Open ...](link), a block python, and a solution in <details>",
            found="not all of them",
            fix=how_to_restore(f"assets/{FILE}"),
        )
    found = urlsplit(link[1])
    return Exercise(
        title=title.strip(),
        text=asked[: link.start()].strip(),
        address=found.path.strip("/"),
        query=dict(parse_qsl(found.query, keep_blank_values=True)),
        code=code[1],
        solution=solution.rstrip().removesuffix(_END).strip(),
    )
