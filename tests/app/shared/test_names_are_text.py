r"""Names of files, categories and runs are text, whatever Markdown or LaTeX they hold.

A law over the sources (a name in a sentence that Streamlit reads as Markdown goes through
`plain_text`), and the pages with such names.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.shared.page_parts import plain_text
from tests.helpers.app import assert_alive, open_page, small_app, texts

ROOT = Path(__file__).resolve().parents[3] / "app"
# What Streamlit reads as Markdown.
SAYS = {"markdown", "caption", "info", "warning", "error", "success", "toast", "subheader", "write"}
# Last words of expressions that come from outside: from names, files or messages about them.
OUTSIDE = {"name", "names", "subject", "found", "fix", "doing", "root", "outdated", "not_followed"}
OURS = {"kind.name", "f.name"}


def outside(node: ast.AST) -> Iterator[str]:
    """Such expressions in f-strings below a node; what `plain_text` is called with is left out."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("plain_text", "len"):
        return
    if isinstance(node, ast.FormattedValue):
        value = node.value
        if isinstance(value, ast.Attribute) and value.attr in OUTSIDE:
            yield ast.unparse(value)
    for child in ast.iter_child_nodes(node):
        yield from outside(child)


def unprotected(text: str) -> list[str]:
    """Names that reach Markdown as they are."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        is_saying = isinstance(node.func, ast.Attribute) and node.func.attr in SAYS
        said = node.args[:1] if is_saying else []
        if isinstance(node.func, ast.Attribute) and node.func.attr == "image":
            said += [k.value for k in node.keywords if k.arg == "caption"]
        found += [name for part in said for name in outside(part) if name not in OURS]
    return found


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: p.stem)
def test_a_name_in_a_sentence_goes_through_plain_text(path: Path):
    assert unprotected(path.read_text(encoding="utf-8")) == []


def test_the_finder_finds_names_that_are_no_text():
    assert unprotected('st.markdown(f"{run.name} is done")') == ["run.name"]
    assert unprotected('column.caption(f"In {a.root}; " + f"{b.name}")') == ["a.root", "b.name"]
    assert unprotected('st.image(x, caption=f"{p.name}")') == ["p.name"]
    assert unprotected('st.markdown(f"{plain_text(run.name)}"); st.text(f"{run.name}")') == []


NAMES = ["$a$ and $b$", "__b__", "[c](d)", ":red[e]", "~~f~~ *g* `h` # i"]


@pytest.mark.parametrize("name", NAMES)
def test_pages_show_such_a_category_as_text(name: str, tmp_path: Path, monkeypatch):
    root = small_app(tmp_path, monkeypatch)
    (root / "part").rename(root / name)
    at = open_page("data", cat=f"{name} · mine")
    assert_alive(at)
    said = texts(at) + "\n".join(str(e.value) for e in at.subheader)
    assert f"Is {plain_text(name)} sound?" in said
    assert f"Is {name} sound?" not in said


@pytest.mark.parametrize("name", NAMES)
def test_plain_text_leaves_nothing_that_markdown_would_read(name: str):
    shown = plain_text(name)
    assert shown.replace("\\", "") == name
    for place, letter in enumerate(shown):
        if letter in "$_[]*`~#:":
            assert shown[place - 1] == "\\"
