"""README, docs and CONTRIBUTING: links lead somewhere, paths and commands in them exist."""

from __future__ import annotations

import contextlib
import functools
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from cutswap.commands.parser import COMMANDS, parse
from cutswap.data.images import save_png
from tests.helpers.small_photos import photo_of

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"")
PATH = re.compile(
    r"(?<![\w./~-])(?:cutswap|app|pages|tests|benchmarks|assets|docs|\.ci)/[\w./*-]*[\w*/]"
)
COMMAND = re.compile(r"(?:-m |bin/|^)cutswap ([a-z].*)")
# Files that the worked examples of docs/architecture.md create.
EXAMPLES = {"app/brightness/", "pages/brightness.py", "cutswap/commands/brightness.py"}
README_LINES = 170

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Language and content of every fenced block."""
    for _, language, content in FENCE.findall(text):
        yield language, content


def spans(text: str) -> list[str]:
    """Inline code outside of blocks, each on one line."""
    return [" ".join(span.split()) for span in SPAN.findall(FENCE.sub("", text))]


def anchors(page: Path) -> set[str]:
    """What `#...` may name on a page, as GitHub spells headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


def commands(text: str) -> Iterator[tuple[list[str], bool]]:
    """Words after `-m cutswap`, and whether they are a whole command as one would type it."""
    for language, content in blocks(text):
        if language in ("sh", ""):
            for line in content.replace("\\\n", " ").splitlines():
                if found := COMMAND.search(line):
                    words = shlex.split(found[1], comments=True)
                    yield words, "..." not in words
    for span in spans(text):
        if (found := COMMAND.search(span)) and "COMMAND" not in span:
            yield shlex.split(found[1]), False


@functools.cache
def flags_of(*words: str) -> frozenset[str]:
    """Every flag in the help of a command; empty for none of that name."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        try:
            parse([*words, "--help"])
        except SystemExit as end:
            if end.code:
                return frozenset()
    return frozenset(re.findall(r"--[\w-]+", said.getvalue()))


def unknown(words: list[str]) -> list[str]:
    """Which of a command's words its parser does not know: its name, or flags."""
    if words[:2] == ["jobs", "add"]:  # a whole command follows
        return unknown(words[2:])
    known = flags_of(words[0])
    if not known:
        return words[:1]
    if len(words) > 1 and not words[1].startswith(("-", ".")):
        known |= flags_of(*words[:2])  # `export maps` has flags of its own
    return [w for w in words if w.startswith("--") and w.split("=")[0] not in known]


@each_page
def test_links_lead_somewhere(page: Path):
    text = FENCE.sub("", page.read_text("utf-8"))
    broken = []
    for markdown, html in LINK.findall(text):
        link = markdown or html
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


@each_page
def test_paths_exist(page: Path):
    found = set(PATH.findall(page.read_text("utf-8"))) - EXAMPLES
    assert not {path for path in found if not any(ROOT.glob(path.rstrip("/")))}


@each_page
def test_commands_parse(page: Path):
    for words, is_whole in commands(page.read_text("utf-8")):
        assert not unknown(words), words
        if is_whole:
            said = io.StringIO()
            with contextlib.redirect_stderr(said):
                try:
                    parse(words)
                except SystemExit:
                    pytest.fail(f"{shlex.join(words)}: {said.getvalue()}")


@each_page
def test_make_targets_exist(page: Path):
    text = page.read_text("utf-8")
    typed = "\n".join([*(content for _, content in blocks(text)), *spans(text)])
    asked = re.findall(r"^(?:\w+=\S+ )?make((?: [a-z][a-z0-9-]*)+)", typed, re.MULTILINE)
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert not {name for names in asked for name in names.split()} - set(targets)


def test_the_checks_find_what_they_look_for():
    """Each reader on a page where it has something to find."""
    text = (
        "`make no-such`\n```sh\npython -m cutswap augment part.png --out o --no-such 3 # why\n```\n"
    )
    ((words, is_whole),) = commands(text)
    assert words == ["augment", "part.png", "--out", "o", "--no-such", "3"]
    assert is_whole
    assert unknown(words) == ["--no-such"]
    assert unknown(["no-such"]) == ["no-such"]
    assert spans(text) == ["make no-such"]
    assert PATH.findall("see `cutswap/no_such.py`, ~/app/x and `out/y`") == ["cutswap/no_such.py"]
    whole = [words for page in PAGES for words, is_whole in commands(page.read_text()) if is_whole]
    assert len(whole) > 20


def test_readme_is_a_front_page():
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    assert len(lines) <= README_LINES


def test_readme_lists_every_command():
    listed = re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("name", ["README.md", "docs/usage.md"])
def test_the_python_of_a_page_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (code,) = [c for language, c in blocks((ROOT / name).read_text()) if language == "python"]
    save_png(tmp_path / "part.png", photo_of(0, (64, 64)))
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(code, name, "exec"), names)  # noqa: S102 - the page's own lines
    negative: object = names["negative"]
    assert getattr(negative, "mask").any()  # noqa: B009
