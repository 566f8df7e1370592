"""`python -m cutswap lesson check`: is a lesson file in order? The first mistake with its line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cutswap.commands.common import add_common


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `lesson`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="read a lesson file as the app does")
    add_common(check, argparse.SUPPRESS)
    check.add_argument("file", type=Path, help="Markdown, see docs/lesson.md")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Print the steps of a lesson.

    Raises:
        CutSwapError: the file has a mistake.
    """
    from cutswap.lessons.lesson_file import read_lesson

    lesson = read_lesson(options.file)
    print(f"{lesson.title}: {len(lesson.steps)} steps, {lesson.minutes} minutes")
    for number, step in enumerate(lesson.steps, start=1):
        free = f"; controls {', '.join(step.controls)}" if step.controls else ""
        print(f"{number}. {step.title} ({step.minutes} min): {step.live.shows}{free}")
    return {
        "title": lesson.title,
        "minutes": lesson.minutes,
        "steps": [{"title": s.title, "picture": s.picture, "line": s.line} for s in lesson.steps],
    }
