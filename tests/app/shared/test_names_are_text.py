r"""Names of files, categories and runs are text, whatever Markdown or LaTeX they hold.

A law over the sources (a name in a sentence that Streamlit reads as Markdown goes through
`plain_text`), and the pages with such names.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from streamlit.testing.v1 import AppTest

from app.shared import workspace
from app.shared.page_parts import plain_text
from tests.helpers.app import assert_alive, open_page, small_app, texts
from tests.helpers.runs import write_evaluation, write_run

ROOT = Path(__file__).resolve().parents[3] / "app"
# What Streamlit reads as Markdown.
SAYS = {"markdown", "caption", "info", "warning", "error", "success", "toast", "subheader", "write"}
# Labels are Markdown too, and so is what stands in these arguments, pictures among it.
SAYS |= {"title", "header", "progress", "spinner", "status", "button", "download_button"}
SAYS |= {"expander", "popover", "toggle", "checkbox", "metric", "radio", "pills", "page_link"}
NAMED = {"caption", "help", "note", "label"}
# Last words of expressions that come from outside: from names, files or messages about them.
OUTSIDE = {"name", "names", "subject", "found", "fix", "doing", "root", "outdated", "not_followed"}
OUTSIDE |= {"expected", "basis", "reason", "why"}
OURS = {"kind.name", "f.name", "p.name", "item.name"}  # of our own lists


def outside(node: ast.AST, *, is_whole: bool = False) -> Iterator[str]:
    """Such expressions in f-strings below a node, or the node itself; not within `plain_text`."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("plain_text", "len"):
        return
    if isinstance(node, ast.FormattedValue) or is_whole:
        value = node.value if isinstance(node, ast.FormattedValue) else node
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
        said = node.args[:2] if is_saying else []
        said += [k.value for k in node.keywords if k.arg in NAMED]
        found += [name for part in said for name in outside(part, is_whole=True)]
    return [name for name in found if name not in OURS]


SOURCES = [*sorted(ROOT.rglob("*.py")), *sorted((ROOT.parent / "pages").glob("*.py"))]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: f"{p.parent.name}.{p.stem}")
def test_a_name_in_a_sentence_goes_through_plain_text(path: Path):
    assert unprotected(path.read_text(encoding="utf-8")) == []


def test_the_finder_finds_names_that_are_no_text():
    assert unprotected('st.markdown(f"{run.name} is done")') == ["run.name"]
    assert unprotected('column.caption(f"In {a.root}; " + f"{b.name}")') == ["a.root", "b.name"]
    assert unprotected("st.caption(run.name)") == ["run.name"]
    assert unprotected('bar.progress(0.5, f"{a.name}")') == ["a.name"]
    assert unprotected('command_line(x, note=f"{a.name}")') == ["a.name"]
    assert unprotected('st.image(x, caption=f"{q.name}")') == ["q.name"]
    assert unprotected('st.markdown(f"{plain_text(run.name)}"); st.text(f"{run.name}")') == []


NAMES = ["$a$ and $b$", "__b__", "[c](d)", ":red[e]", "~~f~~ *g* `h` # i"]
NAMES += ["![x](\\\\evil.example\\p.png)", "a\n# b", "a\n\n    b"]


@pytest.mark.parametrize("name", NAMES)
def test_pages_show_such_a_category_as_text(name: str, tmp_path: Path, monkeypatch):
    root = small_app(tmp_path, monkeypatch)
    (root / "part").rename(root / name)
    at = open_page("data", cat=f"{name} · mine")
    assert_alive(at)
    said = texts(at) + "\n".join(str(e.value) for e in at.subheader)
    assert f"Are the photos of {plain_text(name)} usable?" in said
    assert f"Are the photos of {name} usable?" not in said


@pytest.mark.parametrize("name", NAMES)
def test_plain_text_leaves_nothing_that_markdown_would_read(name: str):
    shown = plain_text(name)
    assert shown.replace("\\", "") == name.replace("\\", "").replace("\n", " ")
    for place, letter in enumerate(shown):
        if letter in "$_[]*`~#:!":
            assert shown[place - 1] == "\\"


def said_as_markdown(at: AppTest) -> Iterator[tuple[str, str]]:
    """(kind, text) of what Streamlit reads as Markdown: bodies, labels, helps."""
    waiting: list[Any] = [*at.main, *at.sidebar]
    while waiting:
        element = waiting.pop()
        waiting += getattr(element, "children", {}).values()
        if (proto := getattr(element, "proto", None)) is not None and element.type not in AS_IT_IS:
            for field, text in texts_of(MessageToDict(proto)):
                if field in ("body", "label", "help", "caption", "text", "placeholder"):
                    yield f"{element.type}.{field}", text


AS_IT_IS = {"code", "text", "dataframe", "json", "exception"}


def texts_of(value: Any, field: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from texts_of(part, name)
    elif isinstance(value, list):
        for part in value:
            yield from texts_of(part, field)
    elif isinstance(value, str):
        yield field, value


@pytest.mark.parametrize(
    "page",
    [
        "start",
        "saliency",
        "negatives",
        "train",
        "inspect_heatmaps",
        "features",
        "results",
        "study",
        "data",
    ],
)
def test_no_page_loads_the_picture_that_a_folder_is_called(page: str, tmp_path: Path, monkeypatch):
    """The folders together are a picture of another host, which would see every visitor."""
    root = small_app(tmp_path, monkeypatch)
    (tmp_path / "![x](https:" / "evil.example").mkdir(parents=True)
    root = root.rename(tmp_path / "![x](https:" / "evil.example" / "p.png)")
    (root / "part").rename(root / "![x](y)")
    monkeypatch.setenv("CUTSWAP_DATA", str(tmp_path / "no such ![x](folder)"))
    workspace.add_folder(root)
    write_run(tmp_path / "runs" / "![x](z)")
    write_run(tmp_path / "runs" / "![x](w)", finished=False)
    write_evaluation(tmp_path / "runs" / "![x](e)")
    at = open_page(page, cat="![x](y) · p.png)")
    assert_alive(at)
    assert [(kind, text) for kind, text in said_as_markdown(at) if "![x](" in text] == []


def test_what_a_page_says_is_found():
    def page() -> None:
        import streamlit as st

        with st.expander("an ![x](a)"):
            st.button("a ![x](b)", help="h ![x](c)")
        st.code("![x](d)")

    at = AppTest.from_function(page).run()
    assert {t[-4:] for _, t in said_as_markdown(at) if "![x](" in t} == {"](a)", "](b)", "](c)"}
