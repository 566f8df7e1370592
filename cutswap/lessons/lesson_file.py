"""Lessons as Markdown files: read strictly, every mistake with its line. Format: docs/lesson.md.

# Title            the lesson's; what follows is its introduction
## Title           a step's, followed by a block ```step of `name: value` lines, then what to read
### Do             the one thing to do
### Question       a question, then its answers: `- [ ]` wrong, `- [x]` the right one
### Answer         why
### Speaker        a note for whoever teaches
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from cutswap.errors import CutSwapError
from cutswap.installation.shipped import assets
from cutswap.lessons.lesson import Lesson, LessonQuestion, LessonStep
from cutswap.lessons.live_pictures import PICTURES, SETTINGS
from cutswap.utils.files import unreadable

VARIABLE = "CUTSWAP_LESSON"  # environment: a lecturer's own file
LARGEST = 500_000  # bytes; the one that ships has 9,000
MOST_STEPS, MOST_ANSWERS, LONGEST = 30, 6, 120  # minutes of a step
PARTS = ("Do", "Question", "Answer", "Speaker")
_REQUIRED = ("minutes", "picture", "caption")
_PLACES = ("category", "photo", "controls")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})\s*(.*?)\s*$")
_HEADING = re.compile(r"(#{1,6})(?:\s+(.*?))?\s*#*$")
_ANSWER = re.compile(r"- \[([ xX])\]\s*(.*)$")


def shipped_lesson() -> Path:
    """The file that ships."""
    return assets() / "lesson" / "lesson.md"


def read_lesson(path: Path, called: str = "") -> Lesson:
    """Read a lesson file.

    Args:
        path: a Markdown file in UTF-8.
        called: what errors call it; empty: its path.

    Raises:
        CutSwapError: it is not there, or has a mistake: its line, what was expected, what is there.
    """
    called = called or str(path)
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        refusal = unreadable(path, error)
        raise CutSwapError(
            called, expected=refusal.expected, found=refusal.found, fix="check the path of --lesson"
        ) from error
    if len(data) > LARGEST:
        raise CutSwapError(
            called,
            expected=f"a lesson of at most {LARGEST:,} bytes",
            found="more",
            fix="check the path of --lesson",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise CutSwapError(
            f"{called}, line {line}",
            expected="text in UTF-8",
            found=f"the byte {data[error.start]:#04x}",
            fix="save the file as UTF-8",
        ) from error
    return parse_lesson(text, called)


def parse_lesson(text: str, called: str = "lesson") -> Lesson:
    """A lesson from its text.

    Args:
        text: Markdown.
        called: what errors call the file.

    Raises:
        CutSwapError: see `read_lesson`.
    """
    return _Reader(text.splitlines(), called).lesson()


@dataclass(frozen=True)
class _Block:
    """A heading and the lines below it up to the next one."""

    line: int  # of the heading, from 1
    level: int
    title: str
    body: list[tuple[int, str]] = field(default_factory=list)  # line number, text

    def text(self) -> str:
        return "\n".join(text for _, text in self.body).strip()


class _Reader:
    """One file on its way to a lesson."""

    def __init__(self, lines: list[str], called: str) -> None:
        self._lines = lines
        self._called = called

    def _refuse(self, line: int, expected: str, found: str, fix: str) -> NoReturn:
        where = f"{self._called}, line {line}"
        raise CutSwapError(where, expected=expected, found=found, fix=fix)

    def lesson(self) -> Lesson:
        blocks = list(self._blocks())
        if not blocks or blocks[0].level != 1:
            line = blocks[0].line if blocks else 1
            self._refuse(
                line,
                "the lesson's title as the first heading, `# Title`",
                f"`{'#' * blocks[0].level} {blocks[0].title}`" if blocks else "no heading",
                "begin the file with `# ` and a title",
            )
        first, rest = blocks[0], blocks[1:]
        for place, block in enumerate(rest):
            if block.level == 1 or (block.level == 3 and not place):
                self._refuse(
                    block.line,
                    "a step, `## Title`",
                    f"`{'#' * block.level} {block.title}`",
                    "give every step a heading of its own before its parts; one lesson a file",
                )
        steps: list[LessonStep] = []
        while rest:
            parts = rest[1:]
            end = next((i for i, b in enumerate(parts) if b.level < 3), len(parts))
            steps.append(self._step(rest[0], parts[:end]))
            rest = parts[end:]
        if not 1 <= len(steps) <= MOST_STEPS:
            self._refuse(
                first.line,
                f"1 to {MOST_STEPS} steps, each with a heading `## Title`",
                str(len(steps)),
                "add a step" if not steps else "make two lessons of it",
            )
        return Lesson(first.title, first.text(), tuple(steps))

    def _blocks(self) -> Iterator[_Block]:
        """Headings of up to three `#` with what is below; those inside code blocks are text."""
        block, fence, opened = None, "", 0
        for number, text in enumerate(self._lines, start=1):
            mark = _FENCE.match(text)
            if mark and (not fence or _closes(text, fence)):
                fence, opened = ("", 0) if fence else (mark[1], number)
            heading = None if fence else _HEADING.match(text)
            if heading and len(heading[1]) <= 3:
                if block is not None:
                    yield block
                if not heading[2]:
                    self._refuse(number, "a title after the #", "none", "write one")
                block = _Block(number, len(heading[1]), heading[2])
            elif block is not None:
                block.body.append((number, text))
            elif text.strip():
                self._refuse(
                    number,
                    "the lesson's title as the first line, `# Title`",
                    f"`{text.strip()[:40]}`",
                    "begin the file with `# ` and a title",
                )
        if fence:
            self._refuse(
                opened, f"a block that ends with {fence}", "the end of the file", "close the block"
            )
        if block is not None:
            yield block

    def _step(self, block: _Block, parts: list[_Block]) -> LessonStep:
        values, body = self._header(block)
        found = {part.title: part for part in parts if part.title in PARTS}
        titles = [part.title for part in parts]
        for place, part in enumerate(parts):
            if part.title not in PARTS or part.title in titles[:place]:
                self._refuse(
                    part.line,
                    f"the parts {', '.join(PARTS)}, once each",
                    f"`### {part.title}`"
                    + (" a second time" if part.title in titles[:place] else ""),
                    "leave it out, or use `####` for a heading inside a part",
                )
        for title in PARTS:
            if title not in found or not found[title].text():
                part = found.get(title, block)
                self._refuse(
                    part.line,
                    f"a part `### {title}` with text in the step {block.title}",
                    "none" if title not in found else "an empty one",
                    f"write `### {title}` and what belongs there",
                )
        if not body:
            self._refuse(
                block.line,
                f"something to read in the step {block.title}",
                "nothing between its block and its first part",
                "write a paragraph below the block",
            )
        picture = self._value(values, "picture", block)
        if picture not in PICTURES:
            self._refuse(
                values["picture"][0],
                f"one of {', '.join(PICTURES)} as picture",
                picture,
                "see docs/lesson.md for what each shows",
            )
        return LessonStep(
            title=block.title,
            minutes=self._minutes(values, block),
            picture=picture,
            category=values.get("category", (0, ""))[1],
            photo=values.get("photo", (0, ""))[1],
            settings=self._settings(values, picture),
            controls=self._controls(values, picture),
            caption=self._value(values, "caption", block),
            text=body,
            task=found["Do"].text(),
            question=self._question(found["Question"], found["Answer"]),
            speaker=found["Speaker"].text(),
            line=block.line,
        )

    def _header(self, block: _Block) -> tuple[dict[str, tuple[int, str]], str]:
        """The lines of the block ```step by name, each with its number, and the text below it."""
        body = list(block.body)
        while body and not body[0][1].strip():
            body.pop(0)
        mark = _FENCE.match(body[0][1]) if body else None
        if not mark or mark[2] != "step":
            self._refuse(
                body[0][0] if body else block.line,
                "a block that begins with ```step below the heading of a step",
                f"`{body[0][1].strip()[:40]}`" if body else "nothing",
                "write one, as docs/lesson.md shows",
            )
        values: dict[str, tuple[int, str]] = {}
        known = (*_REQUIRED, *_PLACES, *SETTINGS)
        end = next(i for i, (_, t) in enumerate(body) if i and _closes(t, mark[1]))
        for number, text in body[1:end]:
            if not text.strip():
                continue
            name, colon, value = (part.strip() for part in text.partition(":"))
            if not colon or not value:
                self._refuse(number, "`name: value`", f"`{text.strip()[:60]}`", "complete the line")
            if name not in known:
                self._refuse(
                    number, f"one of {', '.join(known)}", f"`{name[:40]}`", "leave the line out"
                )
            if name in values:
                self._refuse(
                    number,
                    f"`{name}` once",
                    f"it again, first in line {values[name][0]}",
                    "leave one of the two out",
                )
            values[name] = (number, value)
        return values, "\n".join(text for _, text in body[end + 1 :]).strip()

    def _value(self, values: dict[str, tuple[int, str]], name: str, block: _Block) -> str:
        if name not in values:
            self._refuse(
                block.line,
                f"`{name}: ...` in the block of the step {block.title}",
                "none",
                f"add the line `{name}:`",
            )
        return values[name][1]

    def _minutes(self, values: dict[str, tuple[int, str]], block: _Block) -> int:
        text = self._value(values, "minutes", block)
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= LONGEST):
            self._refuse(
                values["minutes"][0],
                f"a whole number of minutes from 1 to {LONGEST}",
                text[:40],
                "write for example `minutes: 4`",
            )
        return int(text)

    def _settings(self, values: dict[str, tuple[int, str]], picture: str) -> dict[str, str | int]:
        found = {}
        for name, (line, text) in values.items():
            if name not in SETTINGS:
                continue
            self._need_of_picture(line, name, picture)
            try:
                found[name] = SETTINGS[name].parse(text)
            except ValueError:
                self._refuse(
                    line, f"{SETTINGS[name].expected} as {name}", text[:40], "correct the value"
                )
        return found

    def _controls(self, values: dict[str, tuple[int, str]], picture: str) -> tuple[str, ...]:
        if "controls" not in values:
            return ()
        line, text = values["controls"]
        names = [name.strip() for name in text.split(",")]
        for place, name in enumerate(names):
            self._need_of_picture(line, name, picture)
            if name in names[:place]:
                self._refuse(line, "each control once", f"{name} twice", "leave one out")
        return tuple(names)

    def _need_of_picture(self, line: int, name: str, picture: str) -> None:
        if name not in PICTURES[picture].settings:
            self._refuse(
                line,
                f"of the settings of the picture {picture}:"
                f" {', '.join(PICTURES[picture].settings)}",
                f"`{name[:40]}`",
                "leave it out, or choose another picture",
            )

    def _question(self, block: _Block, answer: _Block) -> LessonQuestion:
        text: list[str] = []
        answers: list[str] = []
        right: list[int] = []
        for number, line in block.body:
            mark = _ANSWER.match(line)
            if mark:
                if not mark[2]:
                    self._refuse(number, "an answer after the box", "nothing", "write one")
                if mark[1] != " ":
                    right.append(len(answers))
                answers.append(mark[2].strip())
            elif not answers:
                text.append(line)
            elif line.strip():
                self._refuse(
                    number,
                    "answers of one line each, `- [ ] ...`, and nothing below them",
                    f"`{line.strip()[:40]}`",
                    "put it above the answers, or into the part Answer",
                )
        if not 2 <= len(answers) <= MOST_ANSWERS:
            self._refuse(
                block.line,
                f"2 to {MOST_ANSWERS} answers, `- [ ]` wrong or `- [x]` right",
                str(len(answers)),
                "write one a line below the question",
            )
        if len(right) != 1:
            self._refuse(
                block.line,
                "one right answer, `- [x]`",
                "none" if not right else str(len(right)),
                "mark the right one",
            )
        question = "\n".join(text).strip()
        if not question:
            self._refuse(block.line, "a question above its answers", "none", "write what is asked")
        return LessonQuestion(question, tuple(answers), right[0], answer.text())


def _closes(text: str, fence: str) -> bool:
    """Whether a line ends the code block that began with so many backticks or tildes."""
    mark = _FENCE.match(text)
    return mark is not None and mark[1].startswith(fence) and not mark[2]
