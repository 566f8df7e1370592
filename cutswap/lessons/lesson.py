"""What a lesson is: steps with one live picture, one thing to do and one question each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cutswap.lessons.live_pictures import PICTURES, LivePicture


@dataclass(frozen=True)
class LessonQuestion:
    """One question with answers to choose from.

    Attributes:
        text: Markdown.
        answers: two or more, Markdown of one line each.
        right: index of the right one.
        explanation: Markdown, shown once somebody has answered.
    """

    text: str
    answers: tuple[str, ...]
    right: int
    explanation: str


@dataclass(frozen=True)
class LessonStep:
    """One step.

    Attributes:
        title: plain text.
        minutes: that it takes, about.
        picture: key of `PICTURES`.
        category: that it opens with, by key (`demo/hex_nut`) or label; empty: the first one.
        photo: that it opens with, by name; empty: the category's first.
        settings: what the picture opens with, by name; those left out have their default.
        controls: names of the settings that may be changed, in this order.
        caption: plain text below the picture.
        text: Markdown, what is to be read.
        task: Markdown, the one thing to do.
        question: to be answered before the answer is shown.
        speaker: Markdown, a note for whoever teaches.
        line: of its heading in the file.
    """

    title: str
    minutes: int
    picture: str
    category: str
    photo: str
    settings: Mapping[str, str | int]
    controls: tuple[str, ...]
    caption: str
    text: str
    task: str
    question: LessonQuestion
    speaker: str
    line: int

    @property
    def live(self) -> LivePicture:
        """What its picture is."""
        return PICTURES[self.picture]


@dataclass(frozen=True)
class Lesson:
    """A whole lesson.

    Attributes:
        title: plain text.
        introduction: Markdown, may be empty.
        steps: one or more.
    """

    title: str
    introduction: str
    steps: tuple[LessonStep, ...]

    @property
    def minutes(self) -> int:
        """Of all steps."""
        return sum(step.minutes for step in self.steps)
