"""Lesson files: what is written is what is read, and every mistake is told with its line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cutswap.commands.parser import main
from cutswap.config import METHODS
from cutswap.errors import CutSwapError
from cutswap.lessons.lesson_file import LARGEST, parse_lesson, read_lesson, shipped_lesson
from cutswap.lessons.live_pictures import PICTURES, SETTINGS

SOUND = """\
# Bolts

Ten minutes.

## Look

```step
minutes: 3
picture: clusters
category: demo/hex_nut
photo: train/good/000
layer: 9
k: 6
controls: k, layer
caption: A caption: with a colon
```

Read **this**.

```sh
# no heading: a comment in a block
```

### Do

Move K.

### Question

Which?

- [ ] This
- [x] That one

### Answer

Because.

### Speaker

Be quiet.
"""


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_everything_written_is_read():
    lesson = parse_lesson(SOUND)
    (step,) = lesson.steps
    assert (lesson.title, lesson.introduction, lesson.minutes) == ("Bolts", "Ten minutes.", 3)
    assert (step.title, step.minutes, step.picture, step.line) == ("Look", 3, "clusters", 5)
    assert (step.category, step.photo) == ("demo/hex_nut", "train/good/000")
    assert step.settings == {"layer": "9", "k": 6}
    assert step.controls == ("k", "layer")
    assert step.caption == "A caption: with a colon"
    assert step.text.startswith("Read **this**.")
    assert "# no heading" in step.text
    assert (step.task, step.speaker) == ("Move K.", "Be quiet.")
    asked = step.question
    assert (asked.text, asked.answers, asked.right) == ("Which?", ("This", "That one"), 1)
    assert asked.explanation == "Because."


# What is replaced by what, the text in whose line the mistake is told, and a word of the reason.
MISTAKES = {
    "no title": ("# Bolts\n", "\n", "Ten minutes.", "# Title"),
    "text before the title": ("# Bolts", "Hello\n# Bolts", "Hello", "# Title"),
    "a step first": ("# Bolts\n\nTen minutes.\n", "", "## Look", "# Title"),
    "a second lesson": ("### Do", "# Nuts\n\n### Do", "# Nuts", "one lesson a file"),
    "a part first": ("## Look", "### Do", "### Do", "a step, `## Title`"),
    "an empty heading": ("## Look", "##", "##", "a title after the #"),
    "no block": ("```step", "```text", "```text", "```step"),
    "a block that does not end": ("block\n```", "block\n", "```sh", "the end of the file"),
    "an unknown name": ("k: 6", "kk: 6", "kk: 6", "kk"),
    "a line without a value": ("k: 6", "k:", "k:", "name: value"),
    "a line without a colon": ("k: 6", "k 6", "k 6", "name: value"),
    "a name twice": ("k: 6", "k: 6\nk: 5", "k: 5", "first in line 13"),
    "no minutes": ("minutes: 3\n", "", "## Look", "minutes"),
    "no caption": ("caption: A caption: with a colon\n", "", "## Look", "caption"),
    "minutes in words": ("minutes: 3", "minutes: three", "minutes: three", "three"),
    "no minute": ("minutes: 3", "minutes: 0", "minutes: 0", "1 to 120"),
    "minutes without end": ("minutes: 3", f"minutes: {'9' * 5000}", "minutes: 9", "1 to 120"),
    "an unknown picture": ("picture: clusters", "picture: film", "picture: film", "film"),
    "another picture's setting": ("k: 6", "seed: 6", "seed: 6", "of the settings of the picture"),
    "another picture's control": ("k, layer", "k, seed", "controls:", "`seed`"),
    "a control twice": ("k, layer", "k, k", "controls:", "k twice"),
    "a layer that is none": ("layer: 9", "layer: 8", "layer: 8", "4, 9, 16, 23, 30"),
    "K out of range": ("k: 6", "k: 9", "k: 9", "1 to 8"),
    "K that is no number": ("k: 6", "k: 6.5", "k: 6.5", "1 to 8"),
    "nothing to read": (
        "Read **this**.\n\n```sh\n# no heading: a comment in a block\n```\n",
        "",
        "## Look",
        "something to read",
    ),
    "no task": ("### Do\n\nMove K.\n", "", "## Look", "### Do"),
    "an empty task": ("Move K.", "", "### Do", "an empty one"),
    "no speaker's note": ("### Speaker\n\nBe quiet.\n", "", "## Look", "### Speaker"),
    "an unknown part": ("### Speaker", "### Notes", "### Notes", "`### Notes`"),
    "a part twice": ("Be quiet.", "Be quiet.\n\n### Speaker\n", "\n### Speaker\n\n", "second time"),
    "no question": ("Which?\n", "", "### Question", "what is asked"),
    "one answer": ("- [ ] This\n", "", "### Question", "2 to 6 answers"),
    "no right answer": ("- [x]", "- [ ]", "### Question", "one right answer"),
    "two right answers": ("- [ ]", "- [X]", "### Question", "one right answer"),
    "an empty answer": ("- [ ] This", "- [ ]", "- [ ]", "an answer after the box"),
    "text below the answers": ("That one\n", "That one\nmore\n", "more", "one line each"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_file_line_and_reason(name: str):
    old, new, where, reason = MISTAKES[name]
    assert SOUND.count(old) >= 1
    text = SOUND.replace(old, new, 1)
    line = line_of(text, where)
    if name == "a part twice":
        line = line_of(text, "quiet.") + 2
    with pytest.raises(CutSwapError) as refused:
        parse_lesson(text, "mine.md")
    said = str(refused.value)
    assert refused.value.subject == f"mine.md, line {line}", said
    assert reason in said
    assert "\n" not in said
    assert refused.value.fix


def test_an_empty_file_and_one_without_steps_are_told():
    with pytest.raises(CutSwapError, match="line 1: expected the lesson's title"):
        parse_lesson("")
    with pytest.raises(CutSwapError, match="line 1: expected 1 to 30 steps"):
        parse_lesson("# Only a title\n")


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_reads_its_default_and_refuses_nonsense(name: str):
    setting = SETTINGS[name]
    assert setting.parse(str(setting.default)) == setting.default
    for nonsense in ("", "-1", "1e3", "²", "x" * 5000, "9" * 5000, " 1", "None"):
        with pytest.raises(ValueError, match=re.escape(nonsense) or "^$"):
            setting.parse(nonsense)


def test_what_a_lesson_may_name_is_what_the_program_has():
    assert all(name in SETTINGS for picture in PICTURES.values() for name in picture.settings)
    assert all(SETTINGS["method"].parse(method) == method for method in METHODS)


def test_the_shipped_lesson_has_seven_steps_of_half_an_hour():
    lesson = read_lesson(shipped_lesson())
    assert [step.picture for step in lesson.steps] == list(PICTURES)
    assert 25 <= lesson.minutes <= 35
    assert all(step.controls for step in lesson.steps)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "no such file"),
        (b"# A\n\n\xff\xfe", "line 3: expected text in UTF-8, found the byte 0xff"),
        (b"#" * (LARGEST + 1), "found more"),
        (b"\xef\xbb\xbf" + SOUND.replace("k: 6", "k: 66").encode(), "line 13"),
    ],
)
def test_a_file_that_is_no_lesson_is_refused_by_its_name(data, said: str, tmp_path: Path):
    path = tmp_path / "mine.md"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(CutSwapError, match=re.compile(said, re.IGNORECASE)) as refused:
        read_lesson(path, "mine.md")
    assert str(tmp_path) not in str(refused.value)


def test_the_command_checks_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "mine.md"
    path.write_text(SOUND, encoding="utf-8")
    assert main(["lesson", "check", str(path), "--json", str(tmp_path / "said.json")]) == 0
    assert "Bolts: 1 steps, 3 minutes" in capsys.readouterr().out
    assert json.loads((tmp_path / "said.json").read_text())["steps"][0]["picture"] == "clusters"
    path.write_text(SOUND.replace("k: 6", "k: 66"), encoding="utf-8")
    assert main(["lesson", "check", str(path)]) == 2
    assert f"{path}, line 13: expected a whole number from 1 to 8 as k" in capsys.readouterr().err


def test_the_example_of_the_documentation_is_a_lesson():
    page = (Path(__file__).parents[2] / "docs/lesson.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^````markdown\n(.*?)^````$", page, re.MULTILINE | re.DOTALL)
    (step,) = parse_lesson(example).steps
    assert (step.picture, step.controls) == ("clusters", ("k",))
    for name, picture in PICTURES.items():
        ((_, settings),) = re.findall(rf"^\| `{name}` \| (.*?) \| (.*?) \|$", page, re.MULTILINE)
        assert tuple(re.findall(r"`(\w+)`", settings)) == picture.settings
